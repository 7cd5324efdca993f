"""The selection bar of the list: what can be done with ticked rows, or with everything a search finds."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import cached_property

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.emailsec.types import SHORT_DISPOSITIONS, MailboxDestination
from investigate.actions import words
from investigate.actions.decision import least_permission_for
from investigate.approvals.needs import right_to_ask
from investigate.bulk.upstream.queries import is_known_missing
from investigate.models import ActionKind


@dataclass(frozen=True)
class Offer:
    """One button of the bar. `what` is how `BeginForm` names the action; `why_not` is "" where the member may."""

    what: str
    label: str
    key: str
    why_not: str = ""


@dataclass(frozen=True)
class Bar:
    """The buttons in the order of the message's own actions. The operation key is made with the form."""

    member: Member

    @cached_property
    def operation_key(self) -> str:
        return uuid.uuid4().hex

    @cached_property
    def moves(self) -> list[Offer]:
        keys = {"Inbox": "i", "JunkEmail": "!", "DeletedItems": "d"}
        return [
            self._offer(ActionKind.MOVE, value.value, keys.get(value.value) or f"v {number}")
            for number, value in enumerate(MailboxDestination, start=1)
        ]

    @cached_property
    def release(self) -> Offer:
        return self._offer(ActionKind.RELEASE, "", "Shift+R")

    @cached_property
    def submissions(self) -> list[Offer]:
        return [
            self._offer(ActionKind.RECLASSIFY, value.value, f"c {number}")
            for number, value in enumerate(SHORT_DISPOSITIONS, start=1)
        ]

    @cached_property
    def may_ask_cloudflare(self) -> bool:
        """Whether Cloudflare itself could act on everything the search finds."""
        may = self.member.may(right_to_ask(Permission.JOB_RUN_LARGE)) and self.member.scope.is_whole
        return may and not is_known_missing()

    @cached_property
    def why_not(self) -> list[tuple[str, str]]:
        """(labels, reason) of what this member may not do."""
        reasons: dict[str, list[str]] = {}
        for offer in (*self.moves, self.release, *self.submissions):
            if offer.why_not:
                reasons.setdefault(offer.why_not, []).append(offer.label)
        return [(", ".join(labels), reason) for reason, labels in reasons.items()]

    def _offer(self, kind: ActionKind, value: str, key: str) -> Offer:
        label = {ActionKind.MOVE: words.folder(value), ActionKind.RECLASSIFY: words.disposition(value)}.get(
            kind, "Release"
        )
        needed = right_to_ask(least_permission_for(kind, destination=value if kind == ActionKind.MOVE else ""))
        return Offer(f"{kind}:{value}", label, key, "" if self.member.may(needed) else words.lacks(needed))


def bar_for(member: Member) -> Bar | None:
    """None for members who may not act on many messages at once: they get no ticks either."""
    return Bar(member) if member.may(Permission.JOB_RUN) else None
