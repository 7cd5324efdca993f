"""Messages to put right, and a worker that is told when to do what."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.emailsec.types import Message
from dashboard.simulator import Simulator
from dashboard.upstream.connection import get_client
from investigate.actions import reconciling, sending
from investigate.fixing import advancing, services
from investigate.models import Action, ActionState, Fix, FixStep
from settings_ui.entries import sending as rules
from settings_ui.models import Entry, EntryState
from tests.simulated import serving, simulated_account

# The mail of a supplier whom everything proves, held back by mistake.
GOOD = {"spf": "pass", "dkim": "pass", "dmarc": "pass"}


@pytest.fixture
def emailsec(db: None) -> Iterator[Simulator]:
    """More mail than elsewhere: some of these tests want rare messages."""
    with serving(simulated_account(messages=1200, seed=7)) as simulator:
        yield simulator


@pytest.fixture
def find(emailsec: Any) -> Callable[..., Message]:
    """A message of the simulator that fits, sent by somebody whom a rule may accept."""

    def pick(
        disposition: str = "", *, held: bool = True, several: bool | None = None, proven: bool | None = True
    ) -> Message:
        for record in emailsec.world.store.records:
            statuses = {copy.status for copy in emailsec.world.store.touched(record).copies}
            wanted = (disposition,) if disposition else ("SPAM", "BULK", "SPOOF", "SUSPICIOUS")
            if record.final_disposition not in wanted or statuses != {"quarantined" if held else "delivered"}:
                continue
            if several is not None and (len(record.client_recipients) > 1) != several:
                continue
            is_proven = "pass" in (record.validation.spf, record.validation.dkim) and record.validation.dmarc != "fail"
            if (proven is not None and is_proven != proven) or record.is_phish_submission or not record.alert_id:
                continue
            is_full = any(name in emailsec.world.store.full_mailboxes for name in record.client_recipients)
            if is_full and not several:
                continue
            domains = {recipient.rpartition("@")[2] for recipient in record.client_recipients}
            if (record.from_ or "@").rpartition("@")[2] in domains:
                continue
            return get_client().message(record.id)
        raise LookupError("the simulator has no such message")

    return pick


@pytest.fixture
def held(find: Callable[..., Message]) -> Message:
    return find()


@pytest.fixture
def put_right() -> Callable[..., Fix]:
    """Decide as the form does: `put_right(ana, message, rule=True)`."""

    def decide(
        actor: Member,
        message: Message | str,
        *,
        rule: bool = False,
        key: str = "",
        days: int = 30,
        reason: str = "known supplier",
    ) -> Fix:
        until = (timezone.now() + dt.timedelta(days=days)).date() if rule else None
        return services.put_right(
            actor=actor,
            investigate_id=message if isinstance(message, str) else message.id,
            wish=services.Wish(reason=reason, accept_until=until),
            operation_key=key or uuid.uuid4().hex,
            request=None,
        )

    return decide


class Worker:
    """What a worker would do, one thing at a time: each may be the last thing before it is killed."""

    @staticmethod
    def passes(fix: Fix, seconds: float) -> None:
        """Everything about the fix happened `seconds` earlier."""
        delta = dt.timedelta(seconds=seconds)
        actions = Action.objects.filter(items__investigate_id=fix.investigate_id)
        for name in ("due_at", "claimed_at", "sent_at", "next_look_at"):
            actions.filter(**{f"{name}__isnull": False}).update(**{name: F(name) - delta})
        for name in ("due_at", "claimed_at", "sent_at"):
            Entry.objects.filter(**{f"{name}__isnull": False}).update(**{name: F(name) - delta})

    @staticmethod
    def sends(fix: Fix) -> None:
        """Whatever is due of its actions and rules."""
        for action in Action.objects.filter(items__investigate_id=fix.investigate_id, state=ActionState.WAITING):
            sending.send(action.pk)
        for entry in Entry.objects.filter(state=EntryState.WAITING):
            rules.send(entry.pk)

    @staticmethod
    def looks(fix: Fix) -> None:
        for action in Action.objects.filter(items__investigate_id=fix.investigate_id, state=ActionState.UNKNOWN):
            reconciling.look_up(action.pk)
        for entry in Entry.objects.filter(state=EntryState.UNKNOWN):
            rules.look_up(entry.pk)

    def runs(self, fix: Fix, *, rounds: int = 6) -> Fix:
        """Until its end, or as far as it goes."""
        for _ in range(rounds):
            self.passes(fix, 60)
            self.sends(fix)
            advancing.advance(fix.pk)
            fix.refresh_from_db()
            if fix.finished_at:
                break
        return fix


@pytest.fixture
def worker() -> Worker:
    return Worker()


def states(fix: Fix) -> dict[str, str]:
    return {step.kind: str(step.state) for step in fix.steps.all()}


def step(fix: Fix, kind: str) -> FixStep:
    return fix.steps.get(kind=kind)


def rules_at(simulator: Any, pattern: str) -> list[dict[str, Any]]:
    found = simulator.settings.entries["allow_policies"].values()
    return [rule for rule in found if rule["pattern"].casefold() == pattern.casefold()]


def effects(simulator: Any, message: Message) -> dict[str, int]:
    """What was carried out for the message and its sender: one line for each kind, with how often."""
    made = [entry for entry in simulator.ledger.of("create") if entry.detail["resource"] == "allow_policies"]
    return {
        "release": len(simulator.ledger.of("release", message.id)),
        "submission": len(simulator.ledger.of("submission", message.id)),
        "rule": len(made),
    }
