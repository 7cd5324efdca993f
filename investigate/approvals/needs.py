"""What takes a second person, told from the rights it needs: three of them can be made to take two.

Who asks for such a thing holds the right below the special one; who approves it holds the special one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from dashboard.access.roles import Permission
from dashboard.installation.values import setting

# By right: its name in MAILWARDEN_SECOND_PERSON, and the right of who only asks for it.
_SPECIAL = {
    Permission.MESSAGE_PURGE: ("purge", Permission.MESSAGE_MOVE),
    Permission.MESSAGE_RELEASE_MALICIOUS: ("release_malicious", Permission.MESSAGE_RELEASE),
    Permission.JOB_RUN_LARGE: ("large", Permission.JOB_RUN),
}
SPECIAL = tuple(_SPECIAL)


@dataclass(frozen=True)
class Needed:
    """That something takes two: why, and what the second person must be allowed to do."""

    why: str  # "It purges mail. It acts on 1,400 messages."
    permissions: tuple[Permission, ...]


def takes_two(permission: Permission) -> bool:
    """Whether what needs this right needs a second person as well."""
    return permission in _SPECIAL and _SPECIAL[permission][0] in setting("SECOND_PERSON")


def right_to_ask(permission: Permission, approved: Collection[str] = ()) -> Permission:
    """The right of who decides: a lower one where a second person decides as well, or has decided (`approved`)."""
    if takes_two(permission) or permission in approved:
        return _SPECIAL[permission][1] if permission in _SPECIAL else permission
    return permission


def needed_for(permissions: Iterable[Permission], *, size: str = "") -> Needed | None:
    """Why something that needs these rights takes two, or None; `size`: "1,400 messages"."""
    special = tuple(sorted(permission for permission in set(permissions) if takes_two(permission)))
    if not special:
        return None
    return Needed(" ".join(_why(permission, size) for permission in special), special)


def _why(permission: Permission, size: str) -> str:
    match permission:
        case Permission.MESSAGE_PURGE:
            return "It takes mail out of mailboxes for good."
        case Permission.MESSAGE_RELEASE_MALICIOUS:
            return "It may deliver mail that Cloudflare calls Malicious or BEC, or gives no clear verdict."
    return f"It acts on {size or 'very many messages'}; more than {setting('LARGE_JOB'):,} take two."
