"""The whole life of each action on today's service, on the older generation, and without the fields past their end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dashboard.access.models import Member
from dashboard.emailsec.types import Message
from investigate.models import Action, ActionState
from tests.investigate.actions.conftest import Time
from tests.simulated import serving, simulated_account

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["current", "seed", "sunset"])
def emailsec(request: pytest.FixtureRequest, db: None) -> Iterator[Any]:
    simulator = simulated_account(
        messages=300,
        seed=7,
        profile=request.param,
    )
    with serving(simulator):
        yield simulator


def test_move_release_and_submit_end_in_true_receipts(
    ana: Member, decide: Callable[..., Action], find: Callable[..., Message], emailsec: Any, time_: Time
) -> None:
    spam, clean = find(disposition="SPAM", held=True), find(disposition="NONE", held=False)
    eml = b"From: a@x.example\r\n\r\nhello"

    released = time_.undo_window_ends(decide(ana, spam, "release"))
    moved = time_.undo_window_ends(decide(ana, clean, "move", destination="DeletedItems"))
    again = time_.undo_window_ends(decide(ana, spam, "reclassify", expected_disposition="NONE"))
    missed = time_.undo_window_ends(decide(ana, clean, "reclassify", expected_disposition="MALICIOUS", eml=eml))

    for action in (released, moved, again, missed):
        assert action.state == ActionState.DONE, action.explanation
    ledger = [(entry.kind, entry.investigate_id) for entry in emailsec.ledger]
    assert ledger == [
        *[("release", spam.id)] * len(spam.client_recipients),
        *[("move", clean.id)] * len(clean.client_recipients),
        ("submission", spam.id), ("submission", clean.id),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["move", "release", "reclassify"])
def test_a_lost_answer_is_settled_by_looking(
    ana: Member, decide: Callable[..., Action], find: Callable[..., Message], emailsec: Any, time_: Time, kind: str
) -> None:
    message = find(disposition="NONE", held=False) if kind == "move" else find(disposition="SPAM", held=True)
    what = {"move": {"destination": "JunkEmail"}, "release": {}, "reclassify": {"expected_disposition": "NONE"}}[kind]
    for operation in ("move_one", "release", "submit", "reclassify"):
        if emailsec.profile.seed_generation and operation == "submit":
            continue  # it answers 404 there, and the older operation follows
        emailsec.faults.next(operation, lose_answer=True, applied=True)

    action = time_.undo_window_ends(decide(ana, message, kind, **what))
    assert action.state == ActionState.UNKNOWN
    time_.look(action, after=31)

    assert action.state == ActionState.DONE, action.evidence
    assert len(emailsec.ledger) == (1 if kind == "reclassify" else len(message.client_recipients))
