"""Jobs at Cloudflare are followed to their end while nobody looks, and their owners are told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.db.models import F
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from dashboard.access.models import Member
from dashboard.celery import app as celery_app
from dashboard.upstream.connection import get_client
from investigate.bulk.sweep import sweep_jobs
from investigate.bulk.upstream import sending
from investigate.models import ActionState, UpstreamJob
from tests.conftest import HTMX
from tests.investigate.bulk.upstream_desk import calls, decided, made, page_of, time_goes_on, worked

pytestmark = pytest.mark.django_db
Soup = Callable[[HttpResponse], BeautifulSoup]
NOTICES = reverse("investigate:job_notices")
BADGE = "nav.wide [data-badge=jobs]"


@pytest.fixture(autouse=True)
def _worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bells for jobs at Cloudflare are heard at once."""

    def hear(task: str, args: list[str], **_: Any) -> None:
        if task == "investigate.tasks.upstream_job":
            sending.step(args[0])

    monkeypatch.setattr(celery_app, "send_task", hear)


def a_minute_later(simulator: Any, *, seconds: float = 61) -> None:
    """Time passes here and at Cloudflare, and then the sweep comes by."""
    UpstreamJob.objects.filter(snapshot_at__isnull=False).update(
        snapshot_at=F("snapshot_at") - dt.timedelta(seconds=seconds)
    )
    time_goes_on(simulator, seconds)
    sweep_jobs()


def test_a_job_nobody_looks_at_is_followed_to_its_end_and_told(responder: Client, emailsec: Any, soup: Soup) -> None:
    job = made(responder)
    assert soup(responder.get("/account/preferences/")).select_one(BADGE).text.strip() == "1 running"  # type: ignore[union-attr]
    assert responder.get(NOTICES, headers=HTMX).status_code == 204

    for _ in range(12):
        a_minute_later(emailsec)

    job.refresh_from_db()
    assert job.finished_at is not None
    page = soup(responder.get("/account/preferences/"))
    assert "load" in str(page.select_one("#job-notices")["hx-trigger"])  # type: ignore[index]
    assert "running" not in page.select_one(BADGE).text  # type: ignore[union-attr]
    fragment = soup(responder.get(NOTICES, headers=HTMX))
    assert "Move to Junk, at Cloudflare: Ended." in fragment.select_one(".notice").text  # type: ignore[union-attr]
    assert fragment.select_one(".notice a")["href"] == page_of(job.pk)  # type: ignore[index]
    responder.get(page_of(job.pk))
    assert not soup(responder.get(NOTICES, headers=HTMX)).select(".notice"), "who has opened its page knows"


def test_it_costs_one_call_a_minute_and_none_after_the_end(responder: Client, emailsec: Any) -> None:
    made(responder)
    before = calls(emailsec, "bulk.get")
    for _ in range(4):  # one minute, in steps of the sweep
        UpstreamJob.objects.update(snapshot_at=F("snapshot_at") - dt.timedelta(seconds=15.3))
        sweep_jobs()
    sweep_jobs()
    assert calls(emailsec, "bulk.get") == before + 1

    for _ in range(12):
        a_minute_later(emailsec)
    ended = calls(emailsec, "bulk.get")
    for _ in range(3):
        a_minute_later(emailsec)
    assert calls(emailsec, "bulk.get") == ended


def test_what_stands_still_is_asked_about_less_and_less(responder: Client, emailsec: Any) -> None:
    job = made(responder)
    snapshot = job.snapshot | {"same_since": "2026-01-01T00:00:00Z"}
    UpstreamJob.objects.update(snapshot=snapshot, snapshot_at=F("snapshot_at") - dt.timedelta(hours=1))
    before = calls(emailsec, "bulk.get")
    time_goes_on(emailsec, 0)
    sending.step(job.pk)
    time_goes_on(emailsec, 0)  # a minute of those who look
    UpstreamJob.objects.update(snapshot=snapshot, snapshot_at=F("snapshot_at") - dt.timedelta(minutes=2))
    sending.step(job.pk)
    assert calls(emailsec, "bulk.get") == before + 1


def test_the_end_seen_on_its_page_is_not_told_again(responder: Client, emailsec: Any, soup: Soup) -> None:
    job = made(responder)
    time_goes_on(emailsec, 900)
    responder.get(page_of(job.pk))
    assert not soup(responder.get(NOTICES, headers=HTMX)).select(".notice")
    job.refresh_from_db()
    assert job.seen_at is not None


def test_only_the_owner_is_told(responder: Client, admin: Client, emailsec: Any, soup: Soup) -> None:
    job = made(responder)
    time_goes_on(emailsec, 900)
    admin.get(page_of(job.pk))
    assert not soup(admin.get(NOTICES, headers=HTMX)).select(".notice")
    assert soup(responder.get(NOTICES, headers=HTMX)).select(".notice")


def test_a_record_that_is_gone_is_not_asked_for_for_ever(responder: Client, emailsec: Any, soup: Soup) -> None:
    job = made(responder)
    get_client().cancel_bulk_job(job.upstream_id)
    get_client().delete_bulk_job(job.upstream_id)
    a_minute_later(emailsec)
    asked = calls(emailsec, "bulk.get")
    a_minute_later(emailsec)

    assert calls(emailsec, "bulk.get") == asked
    notice = soup(responder.get(NOTICES, headers=HTMX)).select_one(".notice")
    assert "Cloudflare has no record of it any more." in notice.text  # type: ignore[union-attr]


def test_a_job_cloudflare_refused_is_told_and_one_that_was_undone_is_not(
    responder: Client, emailsec: Any, soup: Soup
) -> None:
    emailsec.faults.next("bulk.create", status=403)
    refused = worked(decided(responder))
    assert refused.state == ActionState.FAILED
    assert "Not made." in soup(responder.get(NOTICES, headers=HTMX)).select_one(".notice").text  # type: ignore[union-attr]
    responder.post(reverse("investigate:dismiss_notices"), {"told": refused.pk}, headers=HTMX)

    decided(responder)
    answer = responder.post(reverse("investigate:undo_last"), headers=HTMX)
    assert "Move to Junk, at Cloudflare: Undone before Cloudflare was asked." in answer.content.decode()
    assert not soup(responder.get(NOTICES, headers=HTMX)).select(".notice")


def test_jobs_of_another_account_are_left_alone(responder: Client, ben: Member, emailsec: Any, soup: Soup) -> None:
    made(responder)
    UpstreamJob.objects.update(account_id="another", actor=ben)
    before = calls(emailsec, "bulk.get")
    a_minute_later(emailsec)
    assert calls(emailsec, "bulk.get") == before
    assert "running" not in soup(responder.get("/account/preferences/")).select_one(BADGE).text  # type: ignore[union-attr]
