"""What a decision is tied to: messages as they were looked at, its form, and the rights of who makes it."""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.audit.models import AuditEvent
from investigate.bulk import engine, jobs, rights
from investigate.models import BulkJob, JobState
from tests.investigate.bulk.job_rows import chunk_of, counted, item_of, job_of
from tests.investigate.bulk.truth import calls, chunks, delivered, held, rehearsed, running, states, step

pytestmark = pytest.mark.django_db
Soup = Callable[[HttpResponse], BeautifulSoup]


def form_for(job: BulkJob, **values: Any) -> dict[str, Any]:
    number = job.items.filter(state="queued").count()
    return {"reason": "ticket 4711", "decision_key": uuid.uuid4().hex, "expected_count": number} | values


def collected_before(job: BulkJob, **ago: float) -> BulkJob:
    BulkJob.objects.filter(pk=job.pk).update(collected_at=timezone.now() - dt.timedelta(**ago))
    job.refresh_from_db()
    return job


# --- how old a rehearsal may be ---------------------------------------------------------------------------------------


def test_a_rehearsal_of_yesterday_is_collected_again_before_it_is_decided(
    ana: Member, emailsec: Any, analyst: Client, soup: Soup
) -> None:
    job = collected_before(rehearsed(ana, "move", delivered(emailsec, 3)), hours=12, minutes=1)
    page = soup(analyst.get(reverse("investigate:job", args=[job.pk])))

    told = "These messages were collected more than 12 hours ago"
    assert told in page.select_one("#decide").get_text()  # type: ignore[union-attr]
    assert not page.select(f"[action='{reverse('investigate:decide_job', args=[job.pk])}']")
    form = page.select_one("#decide form[action$=recollect]")
    assert form is not None
    fields = {field["name"]: field["value"] for field in form.select("input[name]")}
    answer = analyst.post(form["action"], fields)

    fresh = BulkJob.objects.exclude(pk=job.pk).get()
    assert answer["Location"] == reverse("investigate:job", args=[fresh.pk])
    assert (fresh.state, fresh.kind, fresh.destination) == (JobState.COLLECTING, job.kind, job.destination)


def test_a_page_that_was_open_for_a_day_decides_nothing(
    ana: Member, emailsec: Any, analyst: Client, soup: Soup
) -> None:
    job = collected_before(rehearsed(ana, "move", delivered(emailsec, 3)), days=1)

    answer = analyst.post(
        reverse("investigate:decide_job", args=[job.pk]), form_for(job), headers={"HX-Request": "true"}
    )

    job.refresh_from_db()
    assert (answer.status_code, job.state) == (422, JobState.REHEARSAL)
    assert soup(answer).select("#decide form[action$=recollect]")


def test_a_rehearsal_of_this_morning_is_decided(ana: Member, emailsec: Any, analyst: Client) -> None:
    job = collected_before(rehearsed(ana, "move", delivered(emailsec, 3)), hours=11)
    again = reverse("investigate:recollect_job", args=[job.pk])
    assert analyst.post(again, {"operation_key": uuid.uuid4().hex}).status_code == 409

    analyst.post(reverse("investigate:decide_job", args=[job.pk]), form_for(job))

    job.refresh_from_db()
    assert job.state == JobState.WAITING


# --- what the decision says -------------------------------------------------------------------------------------------


def test_the_trail_ties_a_decision_to_its_messages(ana: Member, emailsec: Any, analyst: Client) -> None:
    records = delivered(emailsec, 5)
    job = rehearsed(ana, "move", [*records[:4], (records[4], {"state": "skipped", "explanation": "no"})])

    analyst.post(reverse("investigate:decide_job", args=[job.pk]), form_for(job))

    detail = AuditEvent.objects.get(action="job:decide").detail
    lines = "\n".join(sorted(record.id for record in records[:4]))
    assert detail["messages"] == 4
    assert detail["messages_sha256"] == hashlib.sha256(lines.encode()).hexdigest()


def test_one_key_for_two_jobs_in_the_same_instant_decides_one(
    ana: Member, emailsec: Any, analyst: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = rehearsed(ana, "move", delivered(emailsec, 3)), rehearsed(ana, "move", delivered(emailsec, 2))
    check = rights.check_rights

    def while_the_other_is_decided(*about: Any) -> None:
        check(*about)
        BulkJob.objects.filter(pk=first.pk).update(decision_key="key-0001", state=JobState.WAITING)

    monkeypatch.setattr(rights, "check_rights", while_the_other_is_decided)
    address = reverse("investigate:decide_job", args=[second.pk])
    answer = analyst.post(address, form_for(second, decision_key="key-0001"))

    second.refresh_from_db()
    assert (answer.status_code, second.state) == (409, JobState.REHEARSAL)
    assert "This form was used already, for another job." in answer.content.decode()


# --- rights -----------------------------------------------------------------------------------------------------------


def test_a_chunk_whose_messages_need_a_right_that_was_lost_pauses_its_job(
    ana: Member, ben: Member, emailsec: Any, small_chunks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleo = Member.objects.create_user("cleo", "cleo@corp.example", "x", role=Role.RESPONDER, first_name="Cleo")
    monkeypatch.setattr(engine, "STEP_SECONDS", 0.0)
    records = held(emailsec, 15)
    job = running(ben, "release", [*records[:12], (records[12], {"disposition": "MALICIOUS"}), *records[13:]])
    job = step(job, emailsec)
    Member.objects.filter(pk=ben.pk).update(role=Role.ANALYST)
    for _ in range(3):
        job = step(job, emailsec)

    assert (job.state, states(job)) == (JobState.PAUSED, {"done": 10, "queued": 5})
    assert job.explanation.startswith("Ben no longer has the right to do this.")
    assert calls(emailsec) == 1
    with pytest.raises(PermissionDenied):
        jobs.resume(actor=Member.objects.get(pk=ben.pk), job=job, request=None)

    jobs.resume(actor=cleo, job=job, request=None)
    job = step(job, emailsec)
    assert (job.actor, states(job)) == (cleo, {"done": 15})
    assert [one.actor_name for one in chunks(job)] == ["Ben", "Cleo"]


def test_the_rest_of_a_job_is_not_read_again_before_each_chunk(ben: Member, emailsec: Any, small_chunks: int) -> None:
    job = running(ben, "release", held(emailsec, 35))
    with CaptureQueriesContext(connection) as captured:
        job = step(job, emailsec)

    assert states(job) == {"done": 35}
    read = [query["sql"] for query in captured if "DISTINCT" in query["sql"] and '"disposition"' in query["sql"]]
    assert not [sql for sql in read if '"investigate_actionitem"."job_id" =' in sql]


def test_what_was_refused_is_retried_only_by_who_may_do_it(ana: Member, ben: Member) -> None:
    job = job_of(ana, "done", kind="release", destination="")
    chunk = chunk_of(job, 1, "failed")
    item_of(job, "a", "failed", chunk=chunk, disposition="MALICIOUS")
    counted(job)

    with pytest.raises(PermissionDenied):
        jobs.retry_failed(actor=ana, job=job, request=None)
    assert jobs.retry_failed(actor=ben, job=job, request=None).state == JobState.RUNNING
