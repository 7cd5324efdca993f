"""Two who write the same submission at the same instant: what was seen last stands, whoever commits first."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from dashboard.emailsec.enums import Disposition, SubmitterType
from dashboard.emailsec.types import Submission
from investigate.models import SeenSubmission
from investigate.submissions.remembering import remember_submissions
from tests.investigate.actions.test_races import together

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS, AT_ONCE = 15, 20


def _page(number: int, *, answer: Disposition | None) -> list[Submission]:
    return [
        Submission(
            submission_id=f"sub-{number}-{place}",
            requested_at=timezone.now() - dt.timedelta(hours=2),
            type=SubmitterType.TEAM,
            requested_disposition=Disposition.SPAM,
            outcome_disposition=answer,
        )
        for place in range(AT_ONCE)
    ]


def test_an_older_answer_never_overwrites_a_newer_one_that_is_being_written() -> None:
    now = timezone.now()
    for number in range(ROUNDS):
        waiting, answered = _page(number, answer=None), _page(number, answer=Disposition.SPAM)

        results = together(
            lambda answered=answered: remember_submissions(answered, seen_at=now),
            lambda waiting=waiting: remember_submissions(reversed(waiting), seen_at=now - dt.timedelta(minutes=1)),
        )

        assert results == [None, None]
        assert set(SeenSubmission.objects.values_list("outcome", "outcome_seen_at")) == {("SPAM", now)}
        SeenSubmission.objects.all().delete()
