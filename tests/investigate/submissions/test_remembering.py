"""Requests for review in the memory: one row each, and ours by name."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.emailsec.enums import CustomerStatus, Disposition, SubmitterType
from dashboard.emailsec.types import Submission
from investigate.models import Action, ActionItem, ActionKind, ActionState, SeenSubmission
from investigate.submissions.figures import Answer, Line, answer_of, answered, outcomes
from investigate.submissions.remembering import remember_submissions

pytestmark = pytest.mark.django_db

NOW = timezone.now()
DAY = {"start": NOW - dt.timedelta(days=1), "end": NOW + dt.timedelta(minutes=1)}


def _submission(number: int = 1, **facts: Any) -> Submission:
    given: dict[str, Any] = {
        "submission_id": f"sub-{number}",
        "requested_at": NOW - dt.timedelta(hours=2),
        "requested_by": "security@corp.example",
        "type": SubmitterType.TEAM,
        "subject": "Invoice",
        "status": "pending",
        "customer_status": CustomerStatus.REVIEWED,
        "original_disposition": Disposition.SPAM,
        "requested_disposition": Disposition.NONE,
        "original_postfix_id": f"post-{number}",
    }
    return Submission(**(given | facts))


def _sent(actor: Member, number: int = 1, *, at: dt.datetime, wanted: str = "NONE") -> Action:
    action = Action.objects.create(
        operation_key=uuid.uuid4().hex, fingerprint="f", actor=actor, actor_name=actor.display_name,
        kind=ActionKind.RECLASSIFY, expected_disposition=wanted, reason="known supplier", state=ActionState.DONE,
        created_at=at, due_at=at, sent_at=at,
    )  # fmt: skip
    ActionItem.objects.create(
        action=action, investigate_id=f"inv-{number}", postfix_id=f"post-{number}", state=ActionState.DONE,
        domains=" corp.example ",
    )  # fmt: skip
    return action


def test_a_submission_is_one_row_and_the_later_answer_stands():
    remember_submissions([_submission()], seen_at=NOW - dt.timedelta(hours=1))
    remember_submissions([_submission(outcome_disposition=Disposition.NONE, outcome="accepted", status="completed")])
    remember_submissions([_submission(status="in_review")], seen_at=NOW - dt.timedelta(minutes=30))

    (row,) = SeenSubmission.objects.all()
    assert (row.status, row.outcome, row.outcome_text) == ("completed", "NONE", "accepted")
    assert row.outcome_seen_at > row.first_seen_at


def test_when_an_answer_was_first_seen_stays():
    remember_submissions([_submission(outcome_disposition=Disposition.SPAM)], seen_at=NOW - dt.timedelta(hours=1))
    remember_submissions([_submission(outcome_disposition=Disposition.SPAM)], seen_at=NOW)

    row = SeenSubmission.objects.get()
    assert (row.outcome_seen_at, row.seen_at) == (NOW - dt.timedelta(hours=1), NOW)


def test_a_text_before_the_verdict_is_not_when_it_was_answered(ana: Member):
    asked, looked = NOW - dt.timedelta(hours=9), NOW - dt.timedelta(hours=8, minutes=50)
    remember_submissions([_submission(requested_at=asked)], seen_at=asked + dt.timedelta(minutes=1))
    remember_submissions([_submission(requested_at=asked, outcome="In review")], seen_at=looked)
    assert SeenSubmission.objects.get().outcome_seen_at is None

    SeenSubmission.objects.update(outcome_seen_at=looked)  # as rows have it that were written by an earlier version
    remember_submissions(
        [_submission(requested_at=asked, outcome="accepted", outcome_disposition=Disposition.NONE)], seen_at=NOW
    )

    assert outcomes(ana, **DAY).median_time == dt.timedelta(hours=9)


def test_our_own_action_says_who_and_why(ana: Member):
    action = _sent(ana, at=NOW - dt.timedelta(hours=2, minutes=1))

    remember_submissions([_submission()])

    row = SeenSubmission.objects.get()
    assert (row.action_id, row.member_name, row.reason) == (action.pk, "Ana", "known supplier")
    assert row.domains == " corp.example "


@pytest.mark.parametrize(
    "change", [{"at": NOW - dt.timedelta(hours=5)}, {"wanted": "SPAM"}, {"number": 2}], ids=["time", "verdict", "mail"]
)
def test_what_somebody_else_asked_for_is_not_ours(ana: Member, change: dict[str, Any]):
    _sent(ana, **({"at": NOW - dt.timedelta(hours=2)} | change))

    remember_submissions([_submission()])

    assert SeenSubmission.objects.get().action_id is None


def test_one_action_sent_one_of_two_alike(ana: Member, ben: Member):
    first, second = (_sent(who, at=NOW - dt.timedelta(minutes=late)) for who, late in ((ana, 20), (ben, 12)))
    one = _submission(1, requested_at=NOW - dt.timedelta(minutes=20))
    other = _submission(2, requested_at=NOW - dt.timedelta(minutes=12), original_postfix_id="post-1")

    remember_submissions([one])
    remember_submissions([one, other])

    found = SeenSubmission.objects.order_by("submission_id").values_list("action_id", flat=True)
    assert list(found) == [first.pk, second.pk]


def test_a_member_is_known_by_the_address_the_api_names(ben: Member):
    remember_submissions([_submission(requested_by="Ben@corp.example")])

    assert SeenSubmission.objects.get().member_name == "Ben"


def test_outcomes_count_and_time_what_was_seen_before_it_was_answered(ana: Member):
    accepted = {"outcome_disposition": Disposition.NONE}
    remember_submissions([_submission(1), _submission(2), _submission(3)], seen_at=NOW - dt.timedelta(hours=1))
    remember_submissions([_submission(1, **accepted)], seen_at=NOW)
    remember_submissions([_submission(2, outcome_disposition=Disposition.SPAM)], seen_at=NOW)
    remember_submissions([_submission(4, **accepted)], seen_at=NOW)  # nobody knows since when

    found = outcomes(ana, **DAY)

    assert (found.total, found.accepted, found.rejected, found.open) == (4, 2, 1, 1)
    assert (found.median_time, found.timed) == (dt.timedelta(hours=2), 2)
    assert [(line.name, line.total) for line in found.by_member] == [("security@corp.example", 4)]


def test_figures_of_a_long_range_are_counted_where_the_rows_are(ana: Member):
    asked, hour = NOW - dt.timedelta(hours=20), dt.timedelta(hours=1)
    every = [
        _submission(number, requested_at=asked, requested_by=f"{number % 13}@corp.example") for number in range(39)
    ]
    remember_submissions([*every, _submission(99, requested_at=asked, requested_by="0@corp.example")], seen_at=asked)
    for number, after in ((0, 2), (13, 4), (26, 7), (99, 9)):
        yes = _submission(
            number, requested_at=asked, requested_by="0@corp.example", outcome_disposition=Disposition.NONE
        )
        remember_submissions([yes], seen_at=asked + after * hour)

    with CaptureQueriesContext(connection) as asked_for:
        found = outcomes(ana, **DAY)

    assert (found.total, found.accepted, found.rejected, found.open) == (40, 4, 0, 36)
    assert (found.median_time, found.timed) == (5.5 * hour, 4)
    assert len(found.by_member) == 10
    assert found.by_member[0] == Line("0@corp.example", 4, 0, 0)
    assert [line.total for line in found.by_member[1:]] == [3] * 9
    for query in asked_for:
        assert "LIMIT" in query["sql"] or query["sql"].startswith("SELECT COUNT("), (
            "a range may hold any number of rows"
        )


def test_a_limited_member_counts_what_is_theirs(ana: Member):
    inside = _submission(1, type=SubmitterType.USER, requested_by="eva@corp.example")
    outside = _submission(2, type=SubmitterType.USER, requested_by="eva@other.example")
    remember_submissions([inside, outside, _submission(3)])
    ana.domains = ["corp.example"]
    ana.save(update_fields=["domains"])

    assert outcomes(ana, kind=None, **DAY).total == 1


@pytest.mark.parametrize(
    ("outcome", "text", "answer"),
    [
        ("NONE", "", Answer.ACCEPTED),
        ("SPAM", "accepted", Answer.REJECTED),
        ("", "Accepted", Answer.ACCEPTED),
        ("", "declined", Answer.REJECTED),
        ("", "being looked at", Answer.OPEN),
        ("", "", Answer.OPEN),
    ],
)
def test_what_an_answer_means_is_the_same_in_the_database(outcome: str, text: str, answer: Answer):
    remember_submissions([_submission(outcome_disposition=Disposition(outcome) if outcome else None, outcome=text)])

    assert answer_of("NONE", outcome, text) == answer
    for each in Answer:
        assert SeenSubmission.objects.filter(answered(each)).exists() is (each == answer)
