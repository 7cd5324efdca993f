"""What is too old goes, in small pieces; what the team decided stays."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.conf import settings as configured
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.audit.models import AuditEvent
from investigate.memory import evidence, purging
from investigate.models import Case, CaseSource, Evidence, SeenCopy, SeenMessage, SeenSubmission
from tests.investigate.memory.conftest import Seen


def submission(name: str, days: float) -> None:
    at = timezone.now() - dt.timedelta(days=days)
    SeenSubmission.objects.create(
        account_id=configured.CLOUDFLARE_ACCOUNT_ID, submission_id=name, requested_at=at, first_seen_at=at, seen_at=at
    )


def test_what_is_older_than_the_rule_goes_and_decisions_stay(seen: Seen, settings: Any) -> None:
    settings.MEMORY_DAYS = 10
    seen("old", ago=11 * 24 * 60)
    seen("young", ago=9 * 24 * 60)
    submission("old", 11)
    submission("young", 9)
    at = timezone.now() - dt.timedelta(days=80)
    Case.objects.create(
        account_id=configured.CLOUDFLARE_ACCOUNT_ID, key="old", investigate_id="old", source=CaseSource.DETECTION,
        verdict="graymail", created_at=at, changed_at=at, due_at=at,
    )  # fmt: skip

    purging.forget_old()

    assert list(SeenMessage.objects.values_list("investigate_id", flat=True)) == ["young"]
    assert SeenCopy.objects.count() == 1
    assert list(SeenSubmission.objects.values_list("submission_id", flat=True)) == ["young"]
    assert Case.objects.filter(key="old", verdict="graymail").exists()


def test_it_goes_in_pieces(seen: Seen, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.MEMORY_DAYS = 1
    monkeypatch.setattr(purging, "AT_ONCE", 4)
    for number in range(10):
        seen(f"m{number}", ago=3 * 24 * 60)

    with CaptureQueriesContext(connection) as asked:
        purging.forget_old()

    deletes = [query["sql"] for query in asked if query["sql"].startswith('DELETE FROM "investigate_seenmessage"')]
    assert len(deletes) == 3
    assert not SeenMessage.objects.exists()
    assert not SeenCopy.objects.exists()


def test_no_evidence_ends_without_a_line(ana: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    evidence.keep(actor=ana, investigate_id="over", eml=b"x", subject="", domains="", reason="ticket 1", request=None)
    Evidence.objects.update(until=timezone.now() - dt.timedelta(minutes=1))

    def dies(**_: Any) -> None:
        raise SystemExit

    monkeypatch.setattr(purging, "record", dies)
    with pytest.raises(SystemExit):
        purging.forget_old()

    assert Evidence.objects.exists()


def test_evidence_ends_with_a_line_in_the_trail(ana: Member) -> None:
    for name in ("over", "open", "kept"):
        evidence.keep(
            actor=ana, investigate_id=name, eml=name.encode(), subject="", domains=" corp.example ", reason="ticket 1",
            request=None,
        )  # fmt: skip
    Evidence.objects.filter(investigate_id="over").update(until=timezone.now() - dt.timedelta(minutes=1))
    Evidence.objects.filter(investigate_id="open").update(until=None)

    purging.forget_old()

    assert set(Evidence.objects.values_list("investigate_id", flat=True)) == {"open", "kept"}
    [line] = AuditEvent.objects.filter(action="evidence:delete")
    assert line.targets == ["over"]
    assert line.detail["because"] == "its time was over"
