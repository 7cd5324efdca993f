"""Messages to act on, and the passing of time: due times are columns, so tests move those instead of waiting."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import F

from dashboard.access.models import Member
from dashboard.emailsec.types import Message
from dashboard.upstream.connection import get_client
from investigate.actions import reconciling, sending, services
from investigate.actions.decision import Decision
from investigate.actions.transitions import CLAIM_SECONDS
from investigate.models import Action, ActionKind


@pytest.fixture
def find(emailsec: Any) -> Callable[..., Message]:
    """A message of the simulator that fits: `find(disposition="SPAM", held=True, copies=2)`."""

    def pick(
        *,
        disposition: str | None = None,
        held: bool | None = None,
        copies: int | None = None,
        but: Callable[[Any], bool] | None = None,
    ) -> Message:
        for record in emailsec.world.store.records:
            state = emailsec.world.store.touched(record)
            statuses = {copy.status for copy in state.copies}
            if disposition is not None and record.final_disposition != disposition:
                continue
            if disposition is None and record.final_disposition in ("MALICIOUS", "MALICIOUS-BEC"):
                continue
            if held is True and statuses != {"quarantined"}:
                continue
            if held is False and statuses != {"delivered"}:
                continue
            if copies is not None and len(record.client_recipients) != copies:
                continue
            full = emailsec.world.store.full_mailboxes
            if any(recipient in full for recipient in record.client_recipients) or (but and not but(record)):
                continue
            domains = {recipient.rpartition("@")[2] for recipient in record.client_recipients}
            if domains & set(emailsec.world.store.domains_without_integration):
                continue
            return get_client().message(record.id)
        raise LookupError("the simulator has no such message")

    return pick


@pytest.fixture
def decide() -> Callable[..., Action]:
    """Write a decision down as a click does: `decide(ana, message, "move", destination="JunkEmail")`."""

    def click(actor: Member, message: Message | str, kind: str, *, key: str = "", **what: Any) -> Action:
        investigate_id = message if isinstance(message, str) else message.id
        decision = Decision(kind=ActionKind(kind), investigate_ids=(investigate_id,), **what)
        return services.act(actor=actor, decision=decision, operation_key=key or uuid.uuid4().hex, request=None)

    return click


class Time:
    """Moves the columns that hold due times, and runs what a worker would run then."""

    @staticmethod
    def undo_window_ends(action: Action) -> Action:
        Action.objects.filter(pk=action.pk).update(due_at=F("due_at") - dt.timedelta(minutes=30))
        sending.send(action.pk)
        action.refresh_from_db()
        return action

    @staticmethod
    def passes(action: Action, seconds: float) -> None:
        """Everything about the action happened `seconds` earlier."""
        delta = dt.timedelta(seconds=seconds)
        for name in ("due_at", "claimed_at", "sent_at", "next_look_at"):
            Action.objects.filter(pk=action.pk, **{f"{name}__isnull": False}).update(**{name: F(name) - delta})
        action.refresh_from_db()

    def look(self, action: Action, *, after: float) -> Action:
        """`after` seconds pass, and a worker looks if a look is due by then."""
        self.passes(action, after)
        reconciling.look_up(action.pk)
        action.refresh_from_db()
        return action

    def claim_expires(self, action: Action) -> None:
        self.passes(action, CLAIM_SECONDS + 1)


@pytest.fixture
def time_() -> Time:
    return Time()


@pytest.fixture
def spam_in_quarantine(find: Callable[..., Message]) -> Message:
    return find(disposition="SPAM", held=True, copies=1)  # the mail depends on the hour of the day


@pytest.fixture
def clean(find: Callable[..., Message]) -> Message:
    return find(disposition="NONE", held=False, copies=1)


def copies_of(action: Action) -> dict[str, bool | None]:
    """What our rows say about each copy."""
    return {receipt.recipient: receipt.is_done for item in action.items.all() for receipt in item.receipts.all()}
