"""Answers about many messages: which result is about which copy, and what the answer leaves open."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.access.models import Member
from dashboard.emailsec.types import MoveResult, ReleaseResult, SubmissionReceipt
from investigate.actions import answers
from investigate.actions.transitions import Outcome
from investigate.models import Action, ActionItem, ActionState
from tests.investigate.bulk.truth import delivered, running, states, step

MISSING = None


def message(number: int, *recipients: str, header: str | None = None) -> ActionItem:
    item = ActionItem(
        pk=number,
        investigate_id=f"m-{number}",
        postfix_id=f"p-{number}",
        message_id=f"<h-{number}@x>" if header is None else header,
        recipients=list(recipients or [f"r{number}@corp.example"]),
    )
    item._prefetched_objects_cache = {"receipts": ()}  # type: ignore[attr-defined]
    item.action = Action(kind="move")
    return item


def moved(header: str | None, recipient: str | None, success: bool = True, status: str = "OK") -> MoveResult:
    return MoveResult(success=success, status=status, recipient=recipient, message_id=header)


def ends(outcomes: list[Outcome]) -> list[list[bool | None]]:
    return [[copy.is_done for copy in outcome.copies] for outcome in outcomes]


@pytest.mark.matrix(33)
def test_a_move_of_a_thousand_with_failures_gaps_and_strangers() -> None:
    items = [message(number) for number in range(1000)]
    results = [
        *[moved(f"h-{number}@x", f"r{number}@corp.example") for number in range(940)],
        *[moved(f"<h-{number}@x>", f"R{number}@corp.example", False, "locked") for number in range(940, 980)],
        *[moved(f"stranger-{number}@x", f"s{number}@corp.example") for number in range(3)],
    ]

    outcomes = answers.of_moves(items, results)

    assert ends(outcomes) == [[True]] * 940 + [[False]] * 40 + [[MISSING]] * 20
    assert outcomes[950].copies[0].status == "locked"


@pytest.mark.matrix(33)
def test_two_messages_of_one_message_id_are_told_apart_only_where_it_does_not_matter() -> None:
    twins = [message(1, "a@x", header="same@x"), message(2, "a@x", header="<same@x>")]
    yes, no = moved("same@x", "a@x"), moved("same@x", "a@x", False, "locked")

    assert ends(answers.of_moves(twins, [yes, yes])) == [[True], [True]]
    assert ends(answers.of_moves(twins, [no, no])) == [[False], [False]]
    assert ends(answers.of_moves(twins, [yes, no])) == [[MISSING], [MISSING]]
    assert ends(answers.of_moves(twins, [yes])) == [[MISSING], [MISSING]], "one of them is missing; which?"
    assert ends(answers.of_moves(twins, [yes, yes, yes])) == [[MISSING], [MISSING]]


def test_twins_with_other_recipients_are_told_apart_by_those() -> None:
    twins = [message(1, "a@x", header="same@x"), message(2, "b@x", header="same@x")]

    outcomes = answers.of_moves(twins, [moved("same@x", "b@x", False), moved("same@x", "a@x")])

    assert ends(outcomes) == [[True], [False]]


def test_results_that_name_the_message_and_no_recipient_are_about_all_its_copies() -> None:
    alone, twin, other = message(1, "a@x", "b@x"), message(2, "c@x", header="t@x"), message(3, "d@x", header="t@x")

    outcomes = answers.of_moves([alone, twin, other], [moved("h-1@x", None), moved("t@x", None)])

    assert ends(outcomes) == [[True, True], [MISSING], [MISSING]], "one result for two messages"


def test_as_many_nameless_refusals_as_messages_left_are_theirs() -> None:
    items = [message(1), message(2), message(3)]
    lost = moved(None, None, False, "message not found: x")

    outcomes = answers.of_moves(items, [moved("h-1@x", "r1@corp.example"), lost, lost])
    assert [outcome.state for outcome in outcomes] == [None, ActionState.FAILED, ActionState.FAILED]

    silent = moved(None, None, None, "")
    outcomes = answers.of_moves(items, [moved("h-1@x", "r1@corp.example"), silent, silent])
    assert [outcome.state for outcome in outcomes] == [None, None, None], "nobody says that these were refused"

    outcomes = answers.of_moves(items, [moved("h-1@x", "r1@corp.example"), lost])
    assert [outcome.state for outcome in outcomes] == [None, None, None], "one of two; which?"


@pytest.mark.matrix(33, 34)
def test_a_release_is_told_by_id_and_copy_by_copy() -> None:
    items = [message(1, "a@x", "b@x", "c@x"), message(2), message(3)]
    results = [
        ReleaseResult(id="m-1", delivered=["a@x"], failed=["b@x"], undelivered=["c@x"]),
        ReleaseResult(id="p-2", delivered=["r2@corp.example"], failed=[], undelivered=[]),
        ReleaseResult(id="stranger", delivered=["s@x"], failed=[], undelivered=[]),
    ]

    outcomes = answers.of_releases(items, results)

    assert ends(outcomes) == [[True, False, False], [True], [MISSING]]


def test_submissions_are_told_by_the_id_they_were_sent_with() -> None:
    items = [message(1), message(2), message(3)]
    items[1].alert_id = "a-2"
    receipts = [
        SubmissionReceipt(id="a-2", accepted=True, error=None),
        SubmissionReceipt(id="p-1", accepted=False, error="too old"),
        SubmissionReceipt(id=None, accepted=True, error=None),
    ]

    outcomes = answers.of_submissions(items, receipts)

    assert ends(outcomes) == [[False], [True], [MISSING]]
    assert outcomes[0].copies[0].status == "too old"


@pytest.mark.matrix(33)
@given(st.data())
def test_no_answer_makes_a_copy_done_that_it_does_not_name(data: st.DataObject) -> None:
    """Whatever is answered: a copy counts as done only if some result of its Message-ID says success."""
    names = st.sampled_from(["a@x", "b@x", "c@x"])
    headers = st.sampled_from(["one@x", "two@x", ""])
    items = [
        message(number, *data.draw(st.lists(names, min_size=1, max_size=2, unique=True)), header=data.draw(headers))
        for number in range(data.draw(st.integers(1, 4)))
    ]
    answered = st.builds(moved, st.one_of(st.none(), headers), st.one_of(st.none(), names), st.booleans())
    results = data.draw(st.lists(answered, max_size=6))

    outcomes = answers.of_moves(items, results)

    assert [outcome.item for outcome in outcomes] == items
    for outcome in outcomes:
        assert len(outcome.copies) in (0, len(outcome.item.recipients))
        for copy in outcome.copies:
            if copy.is_done:
                header = outcome.item.message_id.strip("<>")
                assert header
                assert any(
                    r.success and r.message_id == header and r.recipient in (copy.recipient, None) for r in results
                )


@pytest.mark.django_db
@pytest.mark.matrix(33)
def test_messages_of_one_message_id_are_moved_and_never_reported_wrongly(ana: Member, emailsec: Any) -> None:
    records = delivered(emailsec, 4)
    for record in records[:2]:
        record.message_id = records[0].message_id
        record.client_recipients = records[0].client_recipients
    job = running(ana, "move", records)

    job = step(job, emailsec)

    assert states(job) == {"done": 4}
