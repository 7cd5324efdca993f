"""Watching, stopping and deleting jobs at Cloudflare: its figures as they are, one call for all who look."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dashboard.audit.models import AuditEvent
from dashboard.emailsec.types import BulkJob
from dashboard.upstream.connection import get_client
from investigate.bulk.upstream import memory
from investigate.models import UpstreamJob
from tests.conftest import HTMX
from tests.investigate.bulk.upstream_desk import (
    LIST,
    calls,
    decided,
    elsewhere,
    made,
    page_of,
    time_goes_on,
    turn_is_over,
)

pytestmark = pytest.mark.django_db
Soup = Callable[[HttpResponse], BeautifulSoup]


def words(found: Any) -> str:
    return " ".join(found.get_text(" ").split())


def copies_of(job_id: str, **query: Any) -> str:
    url = reverse("investigate:upstream_copies", args=[job_id])
    return f"{url}?{'&'.join(f'{name}={value}' for name, value in query.items())}"


def shown_as(simulator: Any, job_id: str, **changed: Any) -> None:
    """The next answer about the job says this, whatever is true."""
    told = simulator.bulk._shown(simulator.bulk.jobs[job_id]) | changed
    body = json.dumps({"success": True, "errors": [], "messages": [], "result": told})
    simulator.faults.next("bulk.get", body=body, content_type="application/json")


def test_a_job_is_watched_from_its_making_to_its_end(responder: Client, emailsec: Any, soup: Soup) -> None:
    job = made(responder)
    url = page_of(job.upstream_id)

    new = soup(responder.get(url)).select_one("#upstream-job")
    assert new.select_one(".state").text == "Pending"
    assert new["hx-trigger"] == "load delay:2s"

    time_goes_on(emailsec, 4)
    working = soup(responder.get(url, headers=HTMX)).select_one("#upstream-job")
    assert working.select_one(".state").text == "Processing"
    assert working.select_one("svg.segments")

    time_goes_on(emailsec, 600)
    ended = soup(responder.get(url, headers=HTMX)).select_one("#upstream-job")
    theirs = emailsec.bulk._shown(emailsec.bulk.jobs[job.upstream_id])
    names = ("pending", "successful", "failed", "skipped", "cancelled")
    total = " + ".join(f"{theirs[f'messages_{name}']:,} {name}" for name in names)
    assert words(ended.select_one(".figures")).startswith(f"{theirs['total_messages_discovered']:,} = {total} copies")
    assert sum(int(part["width"]) for part in ended.select("rect")) == theirs["total_messages_discovered"]
    assert not ended.has_attr("hx-trigger"), "what has ended asks no more"
    assert UpstreamJob.objects.get().finished_at is not None


def test_failed_copies_of_a_job_that_has_ended_are_a_click_away(responder: Client, emailsec: Any, soup: Soup) -> None:
    job = made(responder)
    time_goes_on(emailsec, 4)
    figures = {"total_messages_discovered": 15, "messages_pending": 0, "messages_successful": 3, "messages_failed": 12}
    rest = {"messages_skipped": 0, "messages_cancelled": 0}
    shown_as(emailsec, job.upstream_id, status="COMPLETED", **figures, **rest)

    page = soup(responder.get(page_of(job.upstream_id)))

    assert page.select_one(".crumbs a")["href"] == reverse("investigate:jobs")
    link = page.find("a", string="12 copies failed")
    copies = reverse("investigate:upstream_copies", args=[job.upstream_id])
    assert link["href"] == f"{copies}?status=FAILED"
    assert soup(responder.get(link["href"])).select_one(".filterchips [aria-current]").text == "Failed"


def test_our_own_id_leads_to_the_same_page(responder: Client, emailsec: Any) -> None:
    job = made(responder)

    assert job.upstream_id in responder.get(page_of(job.pk)).content.decode()


@pytest.mark.parametrize(("poll", "delay"), [(0, 2), (14, 2), (15, 5), (38, 5), (39, 15), (5000, 15)])
def test_looking_gets_slower(responder: Client, emailsec: Any, soup: Soup, poll: int, delay: int) -> None:
    job = made(responder)

    shown = soup(responder.get(f"{page_of(job.upstream_id)}?n={poll}", headers=HTMX)).select_one("#upstream-job")

    assert shown["hx-trigger"] == f"load delay:{delay}s"
    assert shown["hx-get"].endswith(f"?n={poll + 1}")


@pytest.mark.parametrize("is_ours", [True, False], ids=["made here", "made elsewhere"])
def test_all_viewers_share_one_call_in_five_seconds(
    responder: Client, analyst: Client, viewer: Client, emailsec: Any, is_ours: bool
) -> None:
    job_id = made(responder).upstream_id if is_ours else elsewhere().job_id

    for _ in range(5):
        for client in (responder, analyst, viewer):
            assert client.get(page_of(job_id), headers=HTMX).status_code == 200
    assert calls(emailsec, "bulk.get") == 1

    turn_is_over()
    for client in (responder, analyst, viewer):
        client.get(page_of(job_id), headers=HTMX)
    assert calls(emailsec, "bulk.get") == 2


@pytest.mark.matrix(39)
def test_figures_that_do_not_add_up_are_told_and_draw_no_bar(responder: Client, emailsec: Any, soup: Soup) -> None:
    job = made(responder)
    time_goes_on(emailsec, 4)
    shown_as(
        emailsec, job.upstream_id, status="PROCESSING", total_messages_discovered=4000, messages_pending=120,
        messages_successful=3700, messages_failed=100, messages_skipped=70, messages_cancelled=0,
    )  # fmt: skip

    page = soup(responder.get(page_of(job.upstream_id)))

    section = page.select_one("#upstream-job")
    assert "120 pending + 3,700 successful + 100 failed + 70 skipped + 0 cancelled = 3,990" in words(section)
    assert "it says that it found 4,000 copies, and counts 3,990." in words(section)
    assert section.select("svg") == []


@pytest.mark.matrix(39)
def test_a_completed_job_with_pending_copies_is_not_called_finished(
    responder: Client, emailsec: Any, soup: Soup
) -> None:
    job = made(responder)
    time_goes_on(emailsec, 4)
    shown_as(
        emailsec, job.upstream_id, status="COMPLETED", total_messages_discovered=5, messages_pending=2,
        messages_successful=3, messages_failed=0, messages_skipped=0, messages_cancelled=0,
    )  # fmt: skip

    assert "completed, with 2 copies still pending" in words(soup(responder.get(page_of(job.upstream_id))))


def test_a_state_we_do_not_know_is_shown_as_it_is(responder: Client, emailsec: Any, soup: Soup) -> None:
    job = made(responder)
    time_goes_on(emailsec, 1)
    shown_as(emailsec, job.upstream_id, status="THROTTLED_BY_MOON")

    section = soup(responder.get(page_of(job.upstream_id))).select_one("#upstream-job")

    assert "“THROTTLED_BY_MOON”" in section.text
    assert section.has_attr("hx-trigger")


@pytest.mark.matrix(39)
def test_a_job_that_stands_still_says_since_when(responder: Client, emailsec: Any, soup: Soup) -> None:
    job = made(responder)
    snapshot = UpstreamJob.objects.get().snapshot
    snapshot["same_since"] = (timezone.now() - dt.timedelta(minutes=12)).isoformat()
    UpstreamJob.objects.update(snapshot=snapshot)

    section = soup(responder.get(page_of(job.upstream_id))).select_one("#upstream-job")

    assert "Nothing has changed since" in section.text


@pytest.mark.matrix(39)
def test_one_that_was_stopped_elsewhere_is_shown_as_stopped(responder: Client, emailsec: Any, soup: Soup) -> None:
    job = made(responder)
    time_goes_on(emailsec, 4)
    get_client().cancel_bulk_job(job.upstream_id)

    section = soup(responder.get(page_of(job.upstream_id))).select_one("#upstream-job")

    assert section.select_one(".state").text == "Cancelled"
    assert "What was done before stays done." in section.text


def test_without_an_answer_the_last_figures_stay_and_say_so(responder: Client, emailsec: Any, soup: Soup) -> None:
    job = made(responder)
    time_goes_on(emailsec, 4)
    responder.get(page_of(job.upstream_id))
    turn_is_over()
    emailsec.faults.next("bulk.get", status=429, retry_after=90)

    section = soup(responder.get(page_of(job.upstream_id), headers=HTMX)).select_one("#upstream-job")

    assert section.select_one(".state").text == "Processing"
    assert "The account's call budget is used up. What you see is what Cloudflare last showed." in words(section)
    assert int(section["hx-trigger"].removeprefix("load delay:").removesuffix("s")) >= 90


def test_a_record_that_is_gone_leaves_what_we_know(responder: Client, emailsec: Any, soup: Soup) -> None:
    job, theirs = made(responder), elsewhere()
    time_goes_on(emailsec, 600)
    responder.get(page_of(job.upstream_id))
    for job_id in (job.upstream_id, theirs.job_id):
        get_client().delete_bulk_job(job_id)
    turn_is_over()

    section = soup(responder.get(page_of(job.upstream_id))).select_one("#upstream-job")

    assert "no record of this job any more" in section.text
    assert "Delete the record" not in section.text
    assert not section.has_attr("hx-trigger")
    assert responder.get(page_of(theirs.job_id)).status_code == 404


# --- the list ---------------------------------------------------------------------------------------------------------


def rows(page: BeautifulSoup) -> list[str]:
    return [words(row) for row in page.select("tbody tr")]


def test_the_list_holds_ours_and_those_made_elsewhere(
    responder: Client, analyst: Client, emailsec: Any, soup: Soup
) -> None:
    ours, theirs, waiting = made(responder), elsewhere("made by <b>hand</b>"), decided(responder, "release")

    shown = rows(soup(analyst.get(LIST)))

    assert len(shown) == 3
    assert "Release" in shown[0]
    assert "Asks Cloudflare for the job in" in shown[0]
    (by_us,) = [row for row in shown if "Ben" in row and "Move to Junk" in row]
    assert "ticket 4711" in by_us
    assert "verdict SPAM" in by_us
    (by_them,) = [row for row in shown if "not made here" in row]
    assert "made by <b>hand</b>" in by_them
    assert "words invoice" in by_them
    assert analyst.get(page_of(theirs.job_id)).status_code == 200
    assert ours.upstream_id != theirs.job_id
    assert waiting.upstream_id == ""


@pytest.mark.parametrize(
    ("query", "number"),
    [("", 2), ("status=PENDING", 2), ("status=COMPLETED", 0), ("action=RELEASE", 1), ("status=x", 2)],
)
def test_the_list_is_filtered_by_cloudflare(
    responder: Client, emailsec: Any, soup: Soup, query: str, number: int
) -> None:
    made(responder, "release")
    elsewhere()

    page = soup(responder.get(f"{LIST}?{query}"))

    assert len(rows(page)) == number
    if not number:
        assert "No job at Cloudflare fits these filters." in page.select_one(".empty").text


def test_the_list_goes_on_by_short_page(responder: Client, emailsec: Any, soup: Soup) -> None:
    for _ in range(53):
        elsewhere()

    first = soup(responder.get(LIST))
    (more,) = [link["href"] for link in first.select("a") if link.text == "More jobs"]
    second = soup(responder.get(f"{LIST}{more}"))

    assert (len(rows(first)), len(rows(second))) == (50, 3)
    assert "More jobs" not in second.text
    assert calls(emailsec, "bulk.list") == 2


def test_a_list_that_cannot_be_read_shows_what_was_made_here(responder: Client, emailsec: Any, soup: Soup) -> None:
    made(responder)
    emailsec.faults.next("bulk.list", status=403)

    page = soup(responder.get(LIST))

    assert "Our API token lacks a right." in page.text
    assert len(rows(page)) == 1


def test_the_empty_list_says_so(responder: Client, emailsec: Any, soup: Soup) -> None:
    assert "There is no job at Cloudflare yet." in soup(responder.get(LIST)).select_one(".empty").text


def test_a_job_with_an_id_no_address_can_hold_breaks_nothing(responder: Client, emailsec: Any, soup: Soup) -> None:
    strange = elsewhere()
    emailsec.bulk.jobs[strange.job_id].job_id = "../../etc\u202e"

    page = soup(responder.get(LIST))

    assert len(rows(page)) == 1
    assert page.select("tbody a") == []


# --- copies -----------------------------------------------------------------------------------------------------------


def test_each_copy_tells_what_became_of_it(responder: Client, emailsec: Any, soup: Soup) -> None:
    job = made(responder)
    time_goes_on(emailsec, 4)
    theirs = emailsec.bulk.jobs[job.upstream_id]
    get_client().bulk_job(job.upstream_id)
    for copy in theirs.found:
        emailsec.faults.fail_move_for(copy.recipient, "mailbox is <locked>")
    time_goes_on(emailsec, 600)

    everything = soup(responder.get(copies_of(job.upstream_id)))
    failed = soup(responder.get(copies_of(job.upstream_id, status="FAILED"), headers=HTMX))

    assert len(everything.select("tbody tr")) == min(100, len(theirs.found)) + (len(theirs.found) > 100)
    row = next(row for row in failed.select("tbody tr") if "mailbox is <locked>" in row.text)
    assert "tried again 3 times" in row.text
    link = row.select_one("a")["href"]
    assert responder.get(link).status_code == 200
    assert failed.select_one("nav [aria-current]").text == "Failed"


def test_more_copies_are_loaded_below(responder: Client, emailsec: Any, soup: Soup) -> None:
    theirs = elsewhere(query=None, detections_only=False)
    time_goes_on(emailsec, 5)
    get_client().bulk_job(theirs.job_id)
    found = len(emailsec.bulk.jobs[theirs.job_id].found)
    assert found > 100

    seen, url = 0, copies_of(theirs.job_id, page=1)
    while url:
        page = soup(responder.get(url, headers=HTMX))
        seen += len(page.select("tr")) - len(page.select("thead tr")) - len(page.select("tr.end"))
        more = page.select_one("tr.end a")
        url = more["hx-get"] if more else ""

    assert seen == found


# --- stopping and deleting --------------------------------------------------------------------------------------------


def phases(action: str) -> list[tuple[str, str]]:
    events = AuditEvent.objects.filter(action=action).order_by("sequence")
    return [(event.actor_name, event.phase) for event in events]


@pytest.mark.parametrize("is_ours", [True, False], ids=["made here", "made elsewhere"])
def test_a_job_is_stopped(responder: Client, emailsec: Any, soup: Soup, is_ours: bool) -> None:
    job_id = made(responder).upstream_id if is_ours else elsewhere(query=None, detections_only=False).job_id
    time_goes_on(emailsec, 4)

    answer = responder.post(f"{page_of(job_id)}cancel")

    assert answer.status_code == 303
    assert soup(responder.get(answer["Location"])).select_one("#upstream-job .state").text == "Cancelled"
    assert phases("upstream_job:cancel") == [("Ben", "attempt"), ("Ben", "done")]


def test_a_finished_job_is_deleted_and_a_running_one_is_not(responder: Client, emailsec: Any, soup: Soup) -> None:
    job = made(responder)
    running = responder.post(f"{page_of(job.upstream_id)}delete")
    assert running.status_code == 409
    assert "cannot be deleted" in soup(running).select_one("#notice").text
    assert "Pending" in soup(running).select_one("#upstream-job .state").text

    time_goes_on(emailsec, 600)
    ended = soup(responder.get(page_of(job.upstream_id)))
    assert ended.select_one("#upstream-job details form")["action"].endswith("/delete"), "a step before it is done"
    answer = responder.post(f"{page_of(job.upstream_id)}delete")

    assert answer["Location"] == LIST
    assert emailsec.bulk.jobs == {}
    assert phases("upstream_job:delete") == [
        ("Ben", "attempt"),
        ("Ben", "refused"),
        ("Ben", "attempt"),
        ("Ben", "done"),
    ]


def test_an_ended_job_cannot_be_stopped(responder: Client, emailsec: Any, soup: Soup) -> None:
    job = made(responder)
    time_goes_on(emailsec, 600)

    answer = responder.post(f"{page_of(job.upstream_id)}cancel")

    assert answer.status_code == 409
    assert "Cloudflare refused this." in soup(answer).select_one("#notice").text
    assert soup(answer).select_one("#upstream-job .state").text == "Completed"


@pytest.mark.parametrize(("applied", "state"), [(True, "Cancelled"), (False, "Processing")])
def test_a_stop_without_an_answer_is_unknown_until_the_job_is_read(
    responder: Client, emailsec: Any, soup: Soup, applied: bool, state: str
) -> None:
    job = made(responder)
    time_goes_on(emailsec, 4)
    emailsec.faults.next("bulk.cancel", applied=applied, lose_answer=True)

    answer = responder.post(f"{page_of(job.upstream_id)}cancel")

    page = soup(answer)
    assert answer.status_code == 504
    assert "The job may have been stopped." in page.select_one("#notice").text
    assert page.select_one("#upstream-job .state").text == state, "reading it settles it"
    assert calls(emailsec, "bulk.cancel") == 1
    assert phases("upstream_job:cancel") == [("Ben", "attempt"), ("Ben", "unknown")]


def test_a_deletion_without_an_answer_is_settled_by_reading(responder: Client, emailsec: Any, soup: Soup) -> None:
    job = made(responder)
    time_goes_on(emailsec, 600)
    responder.get(page_of(job.upstream_id))
    emailsec.faults.next("bulk.delete", applied=True, lose_answer=True)

    page = soup(responder.post(f"{page_of(job.upstream_id)}delete"))

    assert "The record may have been deleted." in page.select_one("#notice").text
    assert "no record of this job any more" in page.select_one("#upstream-job").text
    assert calls(emailsec, "bulk.delete") == 1


def test_what_was_seen_of_a_job_reads_back_as_it_was(responder: Client, emailsec: Any) -> None:
    job = made(responder)

    seen = memory.last_seen(job.upstream_id)

    assert seen is not None
    assert isinstance(seen.job, BulkJob)
    assert seen.job == get_client().bulk_job(job.upstream_id)
