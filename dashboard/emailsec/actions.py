"""Change something about messages: move, release, ask for another verdict."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.emailsec.core import Endpoint
from dashboard.emailsec.decoding import read_list
from dashboard.emailsec.enums import SHORT_DISPOSITIONS, Disposition, MailboxDestination
from dashboard.emailsec.groups import USUAL_BUDGET, Group
from dashboard.emailsec.requests import MOST_IDS, encode_eml
from dashboard.emailsec.transport import Priority
from dashboard.emailsec.types import MoveResult, ReleaseResult

MOVE = Endpoint("POST", "/investigate/{investigate_id}/move", writes=True)
MOVE_MANY = Endpoint("POST", "/investigate/move", writes=True)
RELEASE = Endpoint("POST", "/investigate/release", writes=True)
RECLASSIFY = Endpoint("POST", "/investigate/{investigate_id}/reclassify", writes=True)


class ActionsGroup(Group):
    """Writes. Never repeated here; all may raise OutcomeUnknown, after which only looking tells what happened."""

    def move(
        self,
        investigate_id: str,
        destination: MailboxDestination,
        *,
        budget: float = USUAL_BUDGET,
        priority: Priority = Priority.ACTION,
    ) -> tuple[MoveResult, ...]:
        """Move the copies of one message. Read each result's `success`; no exception is not success."""
        reply = self._api.send(
            MOVE,
            {"investigate_id": investigate_id},
            json={"destination": _destination(destination)},
            budget=budget,
            priority=priority,
        )
        return self._api.result(reply, lambda raw: read_list(raw, MoveResult))

    def move_many(
        self,
        investigate_ids: Sequence[str],
        destination: MailboxDestination,
        *,
        budget: float = USUAL_BUDGET,
        priority: Priority = Priority.ACTION,
    ) -> tuple[MoveResult, ...]:
        """Move up to 1,000 messages in one call; results need not match ids one to one."""
        body = {"ids": _ids(investigate_ids), "destination": _destination(destination)}
        reply = self._api.send(MOVE_MANY, json=body, budget=budget, priority=priority)
        return self._api.result(reply, lambda raw: read_list(raw, MoveResult))

    def release(
        self,
        investigate_ids: Sequence[str],
        *,
        budget: float = USUAL_BUDGET,
        priority: Priority = Priority.ACTION,
    ) -> tuple[ReleaseResult, ...]:
        """Release up to 1,000 quarantined messages. Each result names the addresses reached and those not."""
        reply = self._api.send(RELEASE, json={"ids": _ids(investigate_ids)}, budget=budget, priority=priority)
        return self._api.result(reply, lambda raw: read_list(raw, ReleaseResult))

    def reclassify(
        self,
        investigate_id: str,
        expected_disposition: Disposition,
        *,
        eml: bytes | None = None,
        escalated_submission_id: str | None = None,
        budget: float = USUAL_BUDGET,
        priority: Priority = Priority.ACTION,
    ) -> None:
        """Ask for another disposition by the older operation; `submit_or_reclassify` prefers today's.

        Clean mail needs its `eml`. The outcome shows up among the submissions later.
        """
        body = {"expected_disposition": short_disposition(expected_disposition)}
        if eml is not None:
            body["eml_content"] = encode_eml(eml) or ""
        if escalated_submission_id is not None:
            body["escalated_submission_id"] = escalated_submission_id
        reply = self._api.send(
            RECLASSIFY, {"investigate_id": investigate_id}, json=body, budget=budget, priority=priority
        )
        self._api.envelope(reply)


def short_disposition(disposition: Disposition) -> str:
    """Enums are closed on write: only the six dispositions the API lets one ask for."""
    value = Disposition(disposition)
    if value not in SHORT_DISPOSITIONS:
        raise ValueError("this disposition cannot be asked for")
    return str(value)


def _destination(destination: MailboxDestination) -> str:
    value = MailboxDestination(destination)
    if not value.is_known:
        raise ValueError("not a mailbox folder the API moves to")
    return str(value)


def _ids(investigate_ids: Sequence[str]) -> list[str]:
    """The ids in their order, each once."""
    if isinstance(investigate_ids, str):
        raise TypeError("a list of ids, not one id")
    ids = list(dict.fromkeys(investigate_ids))
    if not 1 <= len(ids) <= MOST_IDS:
        raise ValueError(f"one call takes 1 to {MOST_IDS} ids")
    if not all(ids):
        raise ValueError("an empty id")
    return ids
