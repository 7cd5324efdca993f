"""docs/permissions.md says what the code says: who holds which right, and which right opens each address.

`python -m tests.test_permission_table` writes it.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()

from django.urls import URLPattern, URLResolver, get_resolver  # after the settings, where this is a program

from dashboard.access.roles import RIGHTS, ROLES, Permission, Role
from dashboard.emailsec.types import Disposition, MailboxDestination
from investigate.actions.decision import permission_for
from investigate.approvals.needs import SPECIAL, right_to_ask
from investigate.models import ActionKind

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "permissions.md"

OPENING = """\
# Who may do what

Written from `dashboard/access/roles.py` and from what each view declares by `python -m tests.test_permission_table`;
`tests/test_permission_table.py` fails where it is not what the code says. `/team/roles/` shows the first table with the
roles a team composed itself.

## Rights and roles

A team composes roles of its own out of the same rights. The first member has such a role, *Owner*, with all of them.
"""

DEEDS = """
## What is done to a message

`…/actions/` opens with `message:read`; what is sent there needs the right of the deed. So do the messages of a job,
with `job:run` besides, and the steps of a fix. The right is asked for when somebody decides, and again by the worker
right before the call leaves. The parts of a message that hold what the sender wrote need `message:read_body`,
wherever they are.

The last column is for deeds that `MAILWARDEN_SECOND_PERSON` names: that right is enough to ask for one, and whoever
approves it holds `approval:decide` and the right of the deed.
"""

ADDRESSES = """
## Addresses

A right opens the address; what is there is cut to the member's domains, and what lies outside answers like what does
not exist. *Whole account*: the page cannot be cut, so members who are limited to domains do not get in. *Proof*:
whoever signed in longer ago shows again who they are. *Before a factor*: also open to members who still have to set
up the second factor their role needs.
"""

PUBLIC = """
## Open without sign-in
"""


def document() -> str:
    """The whole file."""
    found = sorted(_addresses(get_resolver()), key=lambda one: one[0])
    guarded = [
        [f"`{path}`", _methods(view), f"`{view.required_permission}`", _besides(view)]
        for path, view in found
        if hasattr(view, "required_permission")
    ]
    public = [[f"`{path}`", _methods(view), view.is_public] for path, view in found if hasattr(view, "is_public")]
    return "".join(
        (
            OPENING,
            _table(["right", "opens the way to", *(role.label for role in Role)], _rights()),
            DEEDS,
            _table(["deed", "needs", "enough to ask for"], _deeds()),
            ADDRESSES,
            _table(["address", "methods", "right", "besides"], guarded),
            PUBLIC,
            _table(["address", "methods", "why"], public),
        )
    )


def _rights() -> Iterator[list[str]]:
    for permission in Permission:
        yield [f"`{permission}`", RIGHTS[permission], *("yes" if permission in ROLES[role] else "" for role in Role)]


def _deeds() -> Iterator[list[str]]:
    deeds = {
        "move to another folder": permission_for(ActionKind.MOVE, destination=MailboxDestination.JUNK_EMAIL),
        "purge": permission_for(ActionKind.MOVE, destination=MailboxDestination.RECOVERABLE_ITEMS_PURGES),
        "release": permission_for(ActionKind.RELEASE, disposition=Disposition.SUSPICIOUS),
        "release Malicious or BEC": permission_for(ActionKind.RELEASE, disposition=Disposition.MALICIOUS),
        "submit for another verdict": permission_for(ActionKind.RECLASSIFY),
        "a job, besides": Permission.JOB_RUN,
        "a job of more than `MAILWARDEN_LARGE_JOB` messages, besides": Permission.JOB_RUN_LARGE,
        "accept one sender for a time, with the whole account": Permission.POLICY_ACCEPT,
    }
    for deed, permission in deeds.items():
        to_ask = f"`{right_to_ask(permission, (permission,))}`" if permission in SPECIAL else ""
        yield [deed, f"`{permission}`", to_ask]


def _addresses(resolver: URLResolver, prefix: str = "/") -> Iterator[tuple[str, Any]]:
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _addresses(entry, path)
        elif isinstance(entry, URLPattern):
            yield _plain(path), entry.callback


def _plain(path: str) -> str:
    """ "/team/members/<member_id>/", however the pattern is written."""
    path = re.sub(r"\(\?P<(\w+)>[^)]*\)", r"<\1>", path.replace("^", "").replace("$", ""))
    return re.sub(r"<\w+:(\w+)>", r"<\1>", path)


def _methods(view: Any) -> str:
    """What Django's own decorators let through; a view without one is a form of django-allauth's."""
    while view is not None:
        names = inspect.getclosurevars(view).nonlocals
        if "request_method_list" in names:
            return ", ".join(name for name in names["request_method_list"] if name != "HEAD")
        view = getattr(view, "__wrapped__", None)
    return "GET, POST"


def _besides(view: Any) -> str:
    notes = []
    if getattr(view, "needs_whole_account", False):
        notes.append("whole account")
    if minutes := getattr(view, "needs_proof", 0):
        notes.append(f"proof after {minutes} min")
    if getattr(view, "opens_without_factor", False):
        notes.append("before a factor")
    return ", ".join(notes)


def _table(heads: list[str], rows: Any) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in dict.fromkeys(map(tuple, lines)))


def test_the_document_says_what_the_code_says() -> None:
    assert DOCUMENT.read_text() == document(), "run python -m tests.test_permission_table"


def test_every_address_and_every_right_is_in_it() -> None:
    text = DOCUMENT.read_text()
    assert text.count("yes") >= sum(len(held) for held in ROLES.values())
    assert "| `/investigate/<investigate_id>/raw.txt` | GET | `message:read_body` |" in text
    assert "| `/audit/export.<kind>` | GET | `audit:read` | whole account |" in text


if __name__ == "__main__":
    DOCUMENT.write_text(document())
