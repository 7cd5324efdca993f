"""The pages of jobs: what they show in each state, what they poll, what people may do, and who is told."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.celery import app
from investigate.actions import queries, transitions
from investigate.bulk import progress
from investigate.models import Action, ActionItem, ActionState, BulkJob, JobInput, JobSource, JobState
from tests.conftest import HTMX
from tests.investigate.bulk.conftest import rehearsed
from tests.investigate.bulk.job_rows import chunk_of, counted, item_of, job_of, many

pytestmark = pytest.mark.django_db
Soup = Callable[[HttpResponse], BeautifulSoup]
LIST = "/investigate/bulk/"


def url_of(job: BulkJob, name: str = "job") -> str:
    return reverse(f"investigate:{name}", args=[job.pk])


def text_of(node: Any) -> str:
    return " ".join(node.get_text(" ").split())


def button(page: BeautifulSoup, label: str) -> Any:
    return next(one for one in page.select("#progress button") if text_of(one).startswith(label))


@pytest.fixture
def running(ana: Member) -> BulkJob:
    """Two chunks answered, one on its way, some still to come."""
    job = job_of(ana, "running", counts={})
    first = chunk_of(job, 1, "partly_done", counts={"done": 2, "failed": 1, "partly_done": 1})
    item_of(job, "a", "done", chunk=first, copies=[("j.doe@corp.example", True, "")])
    item_of(job, "b", "done", chunk=first, copies=[("j.doe@corp.example", True, "")])
    item_of(job, "c", "failed", chunk=first, explanation="Cloudflare: mailbox full.")
    both = [("j.doe@corp.example", True, ""), ("bea@corp.example", False, "mailbox full")]
    item_of(job, "d", "partly_done", chunk=first, copies=both)
    second = chunk_of(job, 2, "sending")
    item_of(job, "e", "sending", chunk=second)
    many(job, 3)
    item_of(job, "s", "skipped", explanation="The message is in quarantine; release it first.")
    return counted(job)


# --- the page of a job ------------------------------------------------------------------------------------------------


def test_a_running_job_tells_in_numbers_how_far_it_is(running: BulkJob, analyst: Client, soup: Soup) -> None:
    page = soup(analyst.get(url_of(running)))

    assert text_of(page.h1) == "Move 8 messages to Junk"
    assert text_of(page.select_one(".progress .verdicts")) == "Running 50 %"
    assert [text_of(part) for part in page.select(".legend li")] == [
        "2 done", "1 in part", "1 refused", "0 unknown", "4 open",
    ]  # fmt: skip
    assert page.select_one(".jobbar")["aria-label"] == "2 done, 1 in part, 1 refused, 0 unknown, 4 open"
    assert text_of(page.select_one(".told")) == (
        "Moved 2 of 8 messages. 1 in part. 1 refused. 1 left out: it cannot be moved."
    )
    assert "messages a minute" in text_of(page.select_one("#progress"))


def test_the_bar_fills_its_width_and_shows_also_one_of_many_thousands(ana: Member) -> None:
    job = job_of(ana, "running", counts={"done": 99_999, "failed": 1})
    segments = progress.JobView(job, ana).segments

    assert sum(float(segment.width.rstrip("%")) for segment in segments) == pytest.approx(100, abs=0.05)
    assert float(segments[2].width.rstrip("%")) >= 0.5
    assert [segment.number for segment in segments] == [99_999, 0, 1, 0, 0]


def test_what_was_cancelled_is_no_part_of_the_bar_and_not_done_either(ana: Member) -> None:
    view = progress.JobView(job_of(ana, "cancelled", counts={"done": 250, "cancelled": 750}), ana)
    assert [segment.width for segment in view.segments] == ["25.00%", "0.00%", "0.00%", "0.00%", "0.00%"]


def test_each_part_of_the_bar_has_a_pattern_of_its_own(running: BulkJob, analyst: Client, soup: Soup) -> None:
    page = soup(analyst.get(url_of(running)))
    fills = {rect["fill"] for rect in page.select(".legend rect")}

    assert len(fills) == 5
    assert {f"url(#{pattern['id']})" for pattern in page.select("pattern")} == fills


def test_who_why_when_and_where_from(running: BulkJob, analyst: Client, soup: Soup) -> None:
    facts = soup(analyst.get(url_of(running))).select_one(".about .facts")
    told = text_of(facts)

    assert "Who Ana" in told
    assert "Why ticket 4711" in told
    assert facts.select_one("a")["href"] == f"/investigate/?{running.query}"  # type: ignore[union-attr, index]


def test_a_job_made_of_another_leads_to_that_one(running: BulkJob, ana: Member, analyst: Client, soup: Soup) -> None:
    job = job_of(ana, "done", source="job")
    JobInput.objects.create(job=job, terms=[["job", str(running.pk)], ["states", "done"]])

    assert soup(analyst.get(url_of(job))).select_one(f".about a[href='{url_of(running)}']")


def test_every_chunk_says_what_was_answered(running: BulkJob, analyst: Client, soup: Soup) -> None:
    rows = [text_of(row) for row in soup(analyst.get(url_of(running))).select(".chunks tbody tr")]

    assert rows[0] == "1 more chunk to come"
    assert rows[1].startswith("Chunk 2 1 Sending")
    assert rows[2].startswith("Chunk 1 4 Partly done")
    assert rows[2].endswith("4.0 s 2 done 1 in part 1 refused")


def test_many_chunks_have_a_list_of_their_own(ana: Member, analyst: Client, soup: Soup) -> None:
    job = job_of(ana, "done", counts={"done": 250}, kind="reclassify", destination="", expected_disposition="SPAM")
    for number in range(1, 251):
        chunk_of(job, number, "done", counts={"done": 1})
    page = soup(analyst.get(url_of(job)))
    assert len(page.select(".chunks tbody tr")) == progress.MOST_CHUNKS
    assert text_of(page.select_one("#progress > p > a")) == "All 250 chunks"

    seen, address = [], url_of(job, "job_chunks")
    while address:
        fragment = soup(analyst.get(address, headers=HTMX))
        seen += [int(link.contents[-1]) for link in fragment.select("td:first-child a[href*=actions]")]
        more = fragment.select_one("a.button")
        address = str(more["hx-get"]) if more else ""
    assert seen == list(range(250, 0, -1))


def test_a_waiting_job_counts_down_and_can_be_undone(ana: Member, analyst: Client, soup: Soup) -> None:
    job = job_of(ana, "waiting", due_at=timezone.now() + dt.timedelta(seconds=8), started_at=None, counts={"queued": 3})
    many(job, 3)
    page = soup(analyst.get(url_of(job)))
    assert page.select_one(".progress .verdicts time")["data-until"]  # type: ignore[index]
    assert button(page, "Undo")["data-key"] == "z"

    answer = analyst.post(url_of(job, "cancel_job"), headers=HTMX)
    assert "Undone by Ana. Nothing was sent." in answer.content.decode()
    job.refresh_from_db()
    assert job.state == JobState.CANCELLED


def test_a_job_that_rests_for_the_budget_says_until_when(ana: Member, analyst: Client, soup: Soup) -> None:
    told = "The account's call budget is used up; nothing was sent."
    due = timezone.now() + dt.timedelta(minutes=3)
    job = job_of(ana, "running", due_at=due, explanation=told, counts={"queued": 3})
    page = soup(analyst.get(url_of(job)))

    assert text_of(page.select_one(".progress .verdicts")).startswith("Resting, goes on")
    assert text_of(page.select_one(".stands")) == f"{told} Goes on at {due:%H:%M:%S} ."


def test_a_job_others_were_faster_with_says_so_and_leads_there(
    ana: Member, ben: Member, analyst: Client, responder: Client, soup: Soup
) -> None:
    theirs = job_of(ana, "done")
    many(theirs, 379, "done", action=chunk_of(theirs, 1, "done"))
    job = job_of(ben, "done")
    chunk = chunk_of(job, 1, "cancelled")
    for index in range(379):
        item_of(job, f"done-{index:05}", "skipped", chunk=chunk, explanation="Ana is acting on it.")
    item_of(job, "s", "skipped", explanation="The message is in quarantine; release it first.")
    page = soup(responder.get(url_of(counted(job))))

    assert text_of(page.h1) == "Move 379 messages to Junk"
    assert text_of(page.select_one(".verdicts")) == "Nothing done"
    assert page.select_one(".verdicts .state")["data-state"] == "partly_done"  # type: ignore[index]
    assert text_of(page.select_one(".told")) == (
        "Nothing done: 379 messages are in Ana's job. 1 left out: it cannot be moved."
    )
    assert page.select_one("#progress ul a")["href"] == url_of(theirs)  # type: ignore[index]
    assert text_of(page.select_one("#show-skipped")) == "Left out 380"
    fragment = soup(responder.get(reverse("investigate:job_notices"), headers=HTMX))
    assert not fragment.select(".notice[data-kind=ok]")
    assert "Nothing done: 379 messages" in text_of(soup(responder.get(LIST)).main)


def test_what_somebody_was_faster_with_is_apart_from_what_cannot_work(
    running: BulkJob, ben: Member, analyst: Client, soup: Soup
) -> None:
    single = chunk_of(running, 9, "done", actor_name="Ben")
    item_of(running, "x", "done", chunk=single)
    Action.objects.filter(pk=single.pk).update(job=None)
    ActionItem.objects.filter(action=single).update(job=None)
    item_of(running, "x", "skipped", chunk=Action.objects.get(job=running, number=1))
    page = soup(analyst.get(url_of(counted(running))))

    assert text_of(page.h1) == "Move 9 messages to Junk"
    assert "1 left out when its turn came. 1 left out: it cannot be moved." in text_of(page.select_one(".told"))
    (link,) = page.select("#progress > ul a")
    assert (text_of(link), link["href"]) == ("Ben's action", reverse("investigate:action", args=[single.pk]))


@pytest.mark.parametrize(
    "told",
    [
        "Paused by Ben.",
        "Cloudflare does not accept our credentials; whoever runs Mailwarden must renew the API token.",
        "Ana no longer has the right to do this. Somebody who has can resume the job, and takes it over.",
    ],
)
def test_a_paused_job_says_why_and_goes_on_by_a_click(ana: Member, analyst: Client, soup: Soup, told: str) -> None:
    job = job_of(ana, "paused", explanation=told, counts={"queued": 3})
    many(job, 3)
    page = soup(analyst.get(url_of(job)))
    assert text_of(page.select_one(".stands")) == told
    assert not button(page, "Resume").has_attr("disabled")

    fragment = soup(analyst.post(url_of(job, "resume_job"), headers=HTMX))
    assert text_of(fragment.select_one(".verdicts")).startswith("Running")
    assert fragment.select_one("#progress")["hx-trigger"] == "every 1s"  # type: ignore[index]


def test_a_chunk_that_is_looked_up_is_not_sent_twice_and_says_so(ana: Member, analyst: Client, soup: Soup) -> None:
    job = job_of(ana, "running")
    chunk = chunk_of(job, 1, "unknown", looks=1, next_look_at=timezone.now() + dt.timedelta(minutes=1))
    many(job, 1000, "unknown", action=chunk)
    page = soup(analyst.get(url_of(counted(job))))

    assert text_of(page.select_one(".stands")) == "1 chunk of 1,000 is being looked up. Nothing will be sent twice."
    assert not button(page, "Look now").has_attr("disabled")


def test_the_rest_says_for_which_look_it_waits_and_until_when(ana: Member, analyst: Client, soup: Soup) -> None:
    at = timezone.now() + dt.timedelta(minutes=1)
    job = job_of(ana, "running")
    many(job, 1000, "unknown", action=chunk_of(job, 1, "unknown", looks=1, next_look_at=at))
    many(job, 4357)
    told = f"4,357 messages wait until chunk 1 is looked up, next at {at:%H:%M:%S}."
    page, row = soup(analyst.get(url_of(counted(job)))), soup(analyst.get(LIST)).select_one("#live-jobs tr")

    assert told in [text_of(one) for one in page.select(".stands")]
    assert told in text_of(row)
    assert text_of(page.select_one(".verdicts")) == text_of(row.select_one(".state")) == "Waiting for chunk 1"  # type: ignore[union-attr]
    assert "the job goes on once chunk 1 is known, and a notice" in text_of(page.select_one("#progress"))


def test_an_answer_that_is_late_is_said_to_be_though_nothing_has_changed(
    ana: Member, analyst: Client, soup: Soup
) -> None:
    job = job_of(ana, "running")
    chunk = chunk_of(job, 1, "sending", claimed_at=timezone.now())
    item_of(job, "a", "sending", chunk=chunk)
    many(job, 3)
    counted(job)
    rows = str(soup(analyst.get(LIST)).select_one("#live-jobs")["hx-get"])  # type: ignore[index]
    assert poll(analyst, job).status_code == analyst.get(rows, headers=HTMX).status_code == 204

    claimed = timezone.now() - dt.timedelta(seconds=30)
    Action.objects.filter(pk=chunk.pk).update(claimed_at=claimed)
    latest = claimed + dt.timedelta(seconds=transitions.CLAIM_SECONDS)
    told = f"3 messages wait for the answer to chunk 1, at the latest until {latest:%H:%M:%S}."
    fragment = soup(poll(analyst, job))

    assert told in [text_of(one) for one in fragment.select(".stands")]
    assert told in text_of(soup(analyst.get(rows, headers=HTMX)))
    assert "waits=sending" in str(fragment.select_one("#progress")["hx-get"])  # type: ignore[index]
    assert poll(analyst, job, waits="sending").status_code == 204


def test_a_chunk_that_needs_a_person_is_shown_with_what_was_tried(ana: Member, analyst: Client, soup: Soup) -> None:
    job = job_of(ana, "done")
    chunk = chunk_of(
        job, 1, "unknown", needs_person=True, explanation="5 looks could not tell. Look and decide.",
        evidence=[{"at": timezone.now().isoformat(), "found": "12 messages could not be found."}], looks=5,
    )  # fmt: skip
    many(job, 12, "unknown", action=chunk)
    page = soup(analyst.get(url_of(counted(job))))
    receipt = soup(analyst.get(reverse("investigate:action", args=[chunk.pk])))

    assert text_of(page.select_one(".verdicts")) == "Needs a person"
    assert "unknown, needs a person" in text_of(page.select_one("#messages"))
    assert page.select_one(".stands a")["href"] == reverse("investigate:action", args=[chunk.pk])  # type: ignore[index]
    assert "12 messages could not be found." in text_of(receipt)
    assert [text_of(one) for one in receipt.select("#receipt button")] == ["Look now", "It was done", "It was not done"]
    assert receipt.select_one(f"a[href='{url_of(job)}']")


def test_settling_a_chunk_moves_its_job(ana: Member, analyst: Client, soup: Soup) -> None:
    job = job_of(ana, "done")
    chunk = chunk_of(job, 1, "unknown", needs_person=True)
    many(job, 12, "unknown", action=chunk)
    counted(job)

    answer = analyst.post(reverse("investigate:settle", args=[chunk.pk]), {"outcome": "done"}, headers=HTMX)

    assert text_of(soup(answer).select_one(".verdicts")) == "Done"
    assert text_of(soup(analyst.get(url_of(job))).select_one(".legend li")) == "12 done"


def test_a_chunk_of_another_account_does_not_exist(ana: Member, analyst: Client) -> None:
    job = job_of(ana, "done", account_id="another")
    chunk = chunk_of(job, 1, "unknown", needs_person=True)
    item_of(job, "a", "unknown", chunk=chunk)

    assert analyst.get(reverse("investigate:action", args=[chunk.pk])).status_code == 404
    assert analyst.post(reverse("investigate:look", args=[chunk.pk])).status_code == 404
    assert analyst.post(reverse("investigate:settle", args=[chunk.pk]), {"outcome": "done"}).status_code == 404
    chunk.refresh_from_db()
    assert chunk.state == ActionState.UNKNOWN


def test_a_chunk_of_somebody_elses_job_needs_what_the_job_needs(
    ana: Member, ben: Member, analyst: Client, responder: Client, soup: Soup
) -> None:
    job = job_of(ben, "done")
    chunk = chunk_of(job, 1, "unknown", needs_person=True)
    item_of(job, "a", "unknown", chunk=chunk)
    address = reverse("investigate:action", args=[chunk.pk])

    receipt = soup(analyst.get(address))
    assert not receipt.select("#receipt button")
    assert "This is Ben's job; a responder can do this too." in text_of(receipt.select_one("#receipt"))
    assert analyst.post(reverse("investigate:look", args=[chunk.pk]), headers=HTMX).status_code == 403
    assert analyst.post(reverse("investigate:settle", args=[chunk.pk]), {"outcome": "done"}).status_code == 403
    chunk.refresh_from_db()
    assert chunk.state == ActionState.UNKNOWN

    assert len(soup(responder.get(address)).select("#receipt button")) == 3
    assert responder.post(reverse("investigate:settle", args=[chunk.pk]), {"outcome": "done"}).status_code == 303


def test_a_look_at_a_chunk_is_the_work_of_the_workers_for_jobs(
    ana: Member, analyst: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The people's queue must not wait for a look at a thousand messages."""
    bells: list[tuple[str, str]] = []

    def send_task(name: str, *, args: list[str], **_: Any) -> None:
        bells.append((name, args[0]))

    job = job_of(ana, "running")
    chunk = chunk_of(job, 1, "unknown", next_look_at=timezone.now() + dt.timedelta(hours=1))
    item_of(job, "a", "unknown", chunk=chunk)
    monkeypatch.setattr(app, "send_task", send_task)

    analyst.post(reverse("investigate:look", args=[chunk.pk]), headers=HTMX)
    analyst.post(url_of(job, "look_job"), headers=HTMX)

    assert bells == [("investigate.tasks.look_up_chunk", str(chunk.pk))] * 2


def test_the_receipt_of_a_chunk_does_not_grow_with_its_messages(
    ana: Member, analyst: Client, django_assert_max_num_queries: Callable
) -> None:
    job = job_of(ana, "running")
    chunk = chunk_of(job, 1, "done", counts={"done": 1000})
    many(job, 1000, "done", action=chunk)
    with django_assert_max_num_queries(15):
        answer = analyst.get(reverse("investigate:action", args=[chunk.pk]))
    assert len(answer.content) < 12_000


@pytest.mark.parametrize("state", [state.value for state in JobState])
def test_every_state_has_a_page(state: str, ana: Member, analyst: Client) -> None:
    decided = timezone.now() if state in ("waiting", "running", "paused", "done", "cancelled") else None
    job = job_of(ana, state, decided_at=decided, counts={"queued": 2, "skipped": 1})
    assert analyst.get(url_of(job)).status_code == 200


def test_other_accounts_jobs_and_unknown_ones_do_not_exist(ana: Member, analyst: Client) -> None:
    job = job_of(ana, "running", account_id="another")
    item = item_of(job, "a", "queued")
    for address in (
        *(url_of(job, name) for name in ("job", "job_chunks", "job_messages", "job_result")),
        reverse("investigate:job_message", args=[job.pk, item.pk]),
        reverse("investigate:job", args=[uuid.uuid4()]),
    ):
        assert analyst.get(address).status_code == 404, address
    assert analyst.get(url_of(job, "job_progress"), headers=HTMX).status_code == 404
    assert analyst.post(url_of(job, "cancel_job")).status_code == 404
    assert str(job.pk) not in analyst.get(LIST).content.decode()


# --- polling ----------------------------------------------------------------------------------------------------------


def poll(client: Client, job: BulkJob, **values: Any) -> HttpResponse:
    asked = {"v": job.version, "since": int(timezone.now().timestamp()), "every": 1, "listed": 0} | values
    return client.get(url_of(job, "job_progress"), asked, headers=HTMX)


def test_an_unchanged_job_costs_a_poll_one_small_query(
    running: BulkJob, analyst: Client, django_assert_num_queries: Callable
) -> None:
    poll(analyst, running)
    with django_assert_num_queries(3):  # session, member, and one of ours
        assert poll(analyst, running).status_code == 204


def test_a_changed_job_comes_with_its_bar_and_its_version(running: BulkJob, analyst: Client, soup: Soup) -> None:
    item_of(running, "f", "done")
    before = running.version
    counted(running)
    answer = poll(analyst, running, v=before, listed=4)
    fragment = soup(answer)

    assert text_of(fragment.select_one(".legend li")) == "3 done"
    assert f"v={running.version}&" in str(fragment.select_one("#progress")["hx-get"])  # type: ignore[index]


def test_the_list_of_messages_says_how_much_has_ended_since(running: BulkJob, analyst: Client, soup: Soup) -> None:
    news = soup(poll(analyst, running, v=0, listed=2)).select_one("[hx-swap-oob='innerHTML:#list-news']")
    assert text_of(news) == "3 more finished · refresh"
    silent = soup(poll(analyst, running, v=0, listed=5)).select_one("[hx-swap-oob='innerHTML:#list-news']")
    assert text_of(silent) == ""


@pytest.mark.parametrize(("seconds", "every"), [(0, 1), (5, 1), (11, 2), (110, 2), (121, 5), (9999, 5)])
def test_polls_grow_calmer(running: BulkJob, analyst: Client, soup: Soup, seconds: int, every: int) -> None:
    since = int(timezone.now().timestamp()) - seconds
    fragment = soup(poll(analyst, running, v=0, since=since)).select_one("#progress")
    assert fragment["hx-trigger"] == f"every {every}s"  # type: ignore[index]
    assert poll(analyst, running, since=since, every=every).status_code == 204


def test_a_page_that_polls_too_often_is_told_to_poll_less(running: BulkJob, analyst: Client, soup: Soup) -> None:
    answer = poll(analyst, running, since=int(timezone.now().timestamp()) - 60, every=1)
    assert soup(answer).select_one("#progress")["hx-trigger"] == "every 2s"  # type: ignore[index]


@pytest.mark.parametrize("state", ["done", "cancelled"])
def test_the_end_stops_the_poll_and_is_read_out(ana: Member, analyst: Client, soup: Soup, state: str) -> None:
    job = job_of(ana, state, counts={"done": 9180, "failed": 34})
    fragment = soup(poll(analyst, job, v=0))

    assert not fragment.select_one("#progress").has_attr("hx-trigger")  # type: ignore[union-attr]
    spoken = text_of(fragment.select_one("[hx-swap-oob='innerHTML:#status']"))
    assert "Moved 9,180 of 9,214 messages. 34 refused." in spoken


ENDED = {"v": 0, "known": "running", "listed": 4, "show": ""}


def test_at_the_end_the_facts_the_form_and_the_list_come_with_it(ana: Member, analyst: Client, soup: Soup) -> None:
    job = job_of(ana, "done")
    many(job, 5, "done")
    fragment = soup(poll(analyst, counted(job), **ENDED))

    about = fragment.select_one("#about[hx-swap-oob=true]")
    assert "Ended" in text_of(about.select_one(".facts"))  # type: ignore[union-attr]
    assert about.select_one("form.again")  # type: ignore[union-attr]
    assert about.select_one("#known")["value"] == "done"  # type: ignore[union-attr, index]
    rows = fragment.select("#messages[hx-swap-oob=true] tbody .state")
    assert [text_of(row) for row in rows] == ["moved to Junk"] * 5
    assert not fragment.select_one("[hx-swap-oob='innerHTML:#list-news']")

    again = soup(poll(analyst, job, **ENDED | {"known": "done", "listed": 5}))
    assert not again.select("#about, #messages")


@pytest.mark.parametrize("reads", [{"reading": "1"}, {"reading": ["1", "1"]}, {"show": "open"}, {"show": "unknown"}])
def test_a_list_somebody_reads_stays_as_it_is(ana: Member, analyst: Client, soup: Soup, reads: dict[str, Any]) -> None:
    job = job_of(ana, "done")
    many(job, 5, "done")
    fragment = soup(poll(analyst, counted(job), **ENDED | reads))

    assert not fragment.select_one("#messages")
    assert text_of(fragment.select_one("[hx-swap-oob='innerHTML:#list-news']")) == "1 more finished · refresh"


def test_while_a_job_runs_nobodys_list_is_renewed(running: BulkJob, analyst: Client, soup: Soup) -> None:
    fragment = soup(poll(analyst, running, v=0, known="waiting", listed=1, show=""))
    assert "First sent" in text_of(fragment.select_one("#about .facts"))
    assert not fragment.select_one("#about form.again")
    assert not fragment.select_one("#messages")


def test_what_is_open_of_a_list_says_so_when_the_page_asks(running: BulkJob, analyst: Client, soup: Soup) -> None:
    many(running, 101, "done")
    page = soup(analyst.get(url_of(running)))
    rows = soup(analyst.get(str(page.select_one("#more-messages")["hx-get"]), headers=HTMX))  # type: ignore[index]
    copies = soup(analyst.get(str(page.select_one("details.more")["hx-get"]), headers=HTMX))  # type: ignore[index]

    assert not page.select("[name=reading]")
    assert len(rows.select("td > [name=reading]")) == 1
    assert len(copies.select("[name=reading]")) == 1
    asked_with = str(page.select_one("#progress")["hx-include"])  # type: ignore[index]
    assert {str(field["name"]) for field in page.select(asked_with)} == {"listed", "show", "known"}


def test_who_cancels_gets_the_end_of_the_job_with_the_answer(running: BulkJob, analyst: Client, soup: Soup) -> None:
    shown = {"known": "running", "listed": "4", "show": ""}
    fragment = soup(analyst.post(url_of(running, "cancel_job"), shown, headers=HTMX))
    assert fragment.select_one("#about form.again")
    assert "not sent" in text_of(fragment.select_one("#messages"))


def test_a_cancelled_job_is_watched_until_its_last_chunk_is_answered(ana: Member, analyst: Client, soup: Soup) -> None:
    job = job_of(ana, "cancelled")
    many(job, 2, "sending", action=chunk_of(job, 1, "sending"))
    assert soup(poll(analyst, counted(job), v=0)).select_one("#progress[hx-trigger]")


@pytest.mark.parametrize("values", [{"since": "x", "every": "-1", "listed": "9" * 30}, {"since": "9" * 18}])
def test_what_a_poll_sends_is_never_trusted(running: BulkJob, analyst: Client, values: dict[str, str]) -> None:
    assert poll(analyst, running, **values).status_code in (200, 204)


# --- messages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("show", "names"),
    [
        ("refused", ["Invoice c"]),
        ("in_part", ["Invoice d"]),
        ("skipped", ["Invoice s"]),
        ("done", ["Invoice a", "Invoice b"]),
    ],
)
def test_messages_are_filtered_by_what_became_of_them(
    running: BulkJob, analyst: Client, soup: Soup, show: str, names: list[str]
) -> None:
    fragment = soup(analyst.get(url_of(running, "job_messages"), {"show": show}, headers=HTMX))
    page = soup(analyst.get(url_of(running), {"show": show}))

    for shown in (fragment, page):
        assert [text_of(link) for link in shown.select(".messages-table .subject-link")] == names
        assert shown.select_one("#messages nav [aria-current]")["href"] == f"{url_of(running)}?show={show}#messages"  # type: ignore[index]


def test_messages_come_by_the_hundred_without_gap_or_double(ana: Member, analyst: Client, soup: Soup) -> None:
    job = job_of(ana, "running")
    many(job, 230)
    seen, address = [], url_of(job, "job_messages")
    while address:
        fragment = soup(analyst.get(address, headers=HTMX))
        seen += [str(link["href"]) for link in fragment.select(".subject-link")]
        more = fragment.select_one("#more-messages")
        address = str(more["hx-get"]) if more else ""
    assert len(seen) == len(set(seen)) == 230


def test_a_message_opens_to_its_copies(running: BulkJob, analyst: Client, soup: Soup) -> None:
    row = soup(analyst.get(url_of(running), {"show": "in_part"})).select(".messages-table tbody tr")[0]
    fragment = soup(analyst.get(str(row.details["hx-get"]), headers=HTMX))  # type: ignore[index]

    assert text_of(row.summary).startswith("1 of 2")
    assert [text_of(copy) for copy in fragment.select("li")] == [
        "j.doe@corp.example : moved",
        "bea@corp.example : mailbox full",
    ]


def test_hostile_mail_stays_text(ana: Member, analyst: Client, soup: Soup) -> None:
    job = job_of(ana, "done", reason="<b>why</b>", actor_name="<i>Ana</i>")
    item_of(job, "a", "done", subject="<script>alert(1)</script>\u202egnp", facts={"from": "<img src=x>@x.example"})
    page = soup(analyst.get(url_of(counted(job))))

    assert "[U+202E]" in text_of(page.select_one(".subject-link"))
    assert not page.select("main script, main img, main i, .about dd b")


# --- what people do ---------------------------------------------------------------------------------------------------


def test_rows_say_why_a_message_was_refused_without_a_query_each(
    ana: Member, analyst: Client, soup: Soup, django_assert_max_num_queries: Callable
) -> None:
    job = job_of(ana, "done")
    chunk = chunk_of(job, 1, "failed")
    done, full, hostile = ("a@x.example", True, "OK"), ("b@x.example", False, "mailbox full"), "<img src=x>\u202egpj"
    item_of(job, "own", "failed", chunk=chunk, explanation="Cloudflare: gone.", copies=[full])
    item_of(job, "part", "partly_done", chunk=chunk, copies=[done, full, ("c@x.example", False, "locked")])
    for number in range(30):
        item_of(job, f"h{number}", "failed", chunk=chunk, copies=[("d@x.example", False, hostile)])
    item_of(job, "done", "done", chunk=chunk, copies=[done])
    counted(job)

    with django_assert_max_num_queries(15):
        answer = analyst.get(url_of(job, "job_messages"), headers=HTMX)

    told = [text_of(row.select("td")[3]) for row in soup(answer).select("tbody tr")]
    assert told == ["Cloudflare: gone.", "mailbox full", *["<img src=x>[U+202E]gpj"] * 30, ""]
    assert not soup(answer).select("img")


def test_cancelling_leaves_what_is_on_its_way_and_drops_the_rest(running: BulkJob, analyst: Client, soup: Soup) -> None:
    fragment = soup(analyst.post(url_of(running, "cancel_job"), headers=HTMX))

    assert text_of(fragment.select_one(".told")).startswith("Cancelled by Ana. Moved 2 of 8 messages.")
    assert "3 messages were not sent." in text_of(fragment.select_one(".told"))
    assert running.items.filter(state="sending").count() == 1


def test_a_plain_form_is_led_back_to_the_job(running: BulkJob, analyst: Client) -> None:
    answer = analyst.post(url_of(running, "pause_job"))
    assert (answer.status_code, answer["Location"]) == (303, url_of(running))
    running.refresh_from_db()
    assert (running.state, running.explanation) == (JobState.PAUSED, "Paused by Ana.")


def test_who_comes_too_late_sees_the_job_as_it_is(running: BulkJob, analyst: Client, soup: Soup) -> None:
    BulkJob.objects.filter(pk=running.pk).update(state=JobState.DONE, finished_at=timezone.now())
    answer = analyst.post(url_of(running, "cancel_job"), headers=HTMX)
    fragment = soup(answer)

    assert (answer.status_code, answer["HX-Retarget"]) == (409, "#notice")
    assert "This job has ended already." in text_of(fragment.select_one(".notice"))
    assert "Moved 2 of 8 messages." in text_of(fragment.select_one("#progress[hx-swap-oob=true] .told"))
    assert analyst.post(url_of(running, "cancel_job")).status_code == 409


@pytest.mark.parametrize(
    ("shown", "now", "told"),
    [
        ("rehearsal", "waiting", "This job was decided meanwhile. Nothing was cancelled."),
        ("rehearsal", "running", "This job is being sent already. Nothing was cancelled."),
        ("rehearsal", "done", "This job has ended already."),
        ("waiting", "running", "This job is being sent already. Nothing was cancelled."),
        ("waiting", "paused", "This job is being sent already. Nothing was cancelled."),
        ("running", "done", "This job has ended already."),
    ],
)
def test_a_button_of_a_page_left_open_stops_only_what_it_says(
    ana: Member, analyst: Client, soup: Soup, shown: str, now: str, told: str
) -> None:
    decided = None if shown == "rehearsal" else timezone.now()
    job = job_of(ana, shown, decided_at=decided, collected_at=timezone.now(), due_at=None)
    many(job, 3)
    page = soup(analyst.get(url_of(counted(job))))
    form = page.select_one(f"form[action='{url_of(job, 'cancel_job')}']")
    values = {str(field["name"]): str(field["value"]) for field in form.select("[name=expects]")}  # type: ignore[union-attr]
    BulkJob.objects.filter(pk=job.pk).update(state=now, decided_at=timezone.now())

    for headers in ({}, HTMX):
        answer = analyst.post(url_of(job, "cancel_job"), values, headers=headers)
        assert answer.status_code == 409
        assert told in answer.content.decode()
    job.refresh_from_db()
    assert (job.state, job.items.filter(state="queued").count()) == (now, 3)


@pytest.mark.parametrize(
    ("state", "values", "told"),
    [
        ("rehearsal", {"decided_at": None}, "Discarded by Ben. Nothing was sent."),
        ("waiting", {"started_at": None}, "Undone by Ben. Nothing was sent."),
        ("running", {}, "Cancelled by Ben. Moved 0 of 3 messages. 3 messages were not sent."),
    ],
)
def test_who_stopped_a_job_is_said_and_its_number_stays(
    ana: Member, analyst: Client, responder: Client, soup: Soup, state: str, values: dict[str, Any], told: str
) -> None:
    job = job_of(ana, state, **values)
    many(job, 3)
    counted(job)
    assert responder.post(url_of(job, "cancel_job")).status_code == 303
    page = soup(analyst.get(url_of(job)))

    assert text_of(page.select_one(".told")) == told
    assert text_of(page.h1) == "Move 3 messages to Junk"
    assert told in text_of(soup(analyst.get(LIST)).select_one(".jobs tbody tr:has(a)"))


def test_who_paused_and_resumed_a_job_stays_on_its_page(
    ana: Member, analyst: Client, responder: Client, soup: Soup
) -> None:
    job = job_of(ana, "running", audit_sequence=4711)
    many(job, 3)
    counted(job)
    for client, name in ((responder, "pause_job"), (analyst, "resume_job")):
        assert client.post(url_of(job, name)).status_code == 303

    told = text_of(soup(analyst.get(url_of(job))).select_one(".about .facts"))
    assert told.index("Paused by Ben ,") < told.index("Resumed by Ana ,")


def test_who_resumes_the_job_of_who_may_no_longer_is_said_to_have_taken_it_over(
    ana: Member, responder: Client, soup: Soup
) -> None:
    job = job_of(ana, "paused", audit_sequence=4711)
    many(job, 3)
    counted(job)
    Member.objects.filter(pk=ana.pk).update(role=Role.VIEWER)
    assert responder.post(url_of(job, "resume_job")).status_code == 303

    assert "Taken over by Ben ," in text_of(soup(responder.get(url_of(job))).select_one(".about .facts"))


def test_a_discarded_rehearsal_keeps_the_number_it_had_found(ana: Member) -> None:
    job = job_of(ana, "cancelled", decided_at=None, counts={"skipped": 379})
    assert progress.JobView(job, ana).title == "Move 379 messages to Junk"


def test_what_cannot_be_done_is_said_not_done(ana: Member, analyst: Client) -> None:
    job = job_of(ana, "done", counts={"done": 3})
    for name in ("retry_job", "look_job"):
        answer = analyst.post(url_of(job, name), headers=HTMX)
        assert answer.status_code == 409, name
        assert "Nothing was changed." in answer.content.decode()


def test_retrying_takes_what_was_refused_up_again(running: BulkJob, analyst: Client, soup: Soup) -> None:
    assert text_of(button(soup(analyst.get(url_of(running))), "Retry")) == "Retry 1 refused and 1 in part"
    fragment = soup(analyst.post(url_of(running, "retry_job"), headers=HTMX))

    assert [text_of(part) for part in fragment.select(".legend li")][2] == "0 refused"
    assert ActionItem.objects.get(investigate_id="c").state == ActionState.QUEUED


@pytest.mark.parametrize(
    ("kind", "label", "number"), [("move", "Retry 1 refused and 1 in part", 2), ("release", "Retry 1 refused", 1)]
)
def test_the_button_counts_what_is_really_retried(
    ana: Member, analyst: Client, soup: Soup, kind: str, label: str, number: int
) -> None:
    job = job_of(ana, "done", kind=kind, destination="JunkEmail" if kind == "move" else "")
    for name, state in (("a", "failed"), ("b", "partly_done"), ("c", "done")):
        item_of(job, name, state, disposition="SPAM")
    assert text_of(button(soup(analyst.get(url_of(counted(job)))), "Retry")) == label

    analyst.post(url_of(job, "retry_job"))
    assert job.items.filter(state="queued").count() == number


def test_a_release_that_was_done_in_part_is_not_called_unrefused(ana: Member, analyst: Client, soup: Soup) -> None:
    job = job_of(ana, "done", kind="release", destination="", counts={"partly_done": 2})
    reasons = text_of(soup(analyst.get(url_of(job))).select_one(".whynot"))
    assert "Retry refused : What was done in part is not sent again" in reasons


def test_somebody_elses_job_is_theirs_alone_unless_one_may_mend_everybodys(
    running: BulkJob, responder: Client, soup: Soup, client: Client
) -> None:
    cleo = Member.objects.create_user("cleo", "cleo@corp.example", "x", role=Role.ANALYST)
    client.force_login(cleo)
    page = soup(client.get(url_of(running)))
    refused = client.post(url_of(running, "cancel_job"), headers=HTMX)

    assert "This is Ana's job; a responder can do this too." in text_of(page.select_one(".whynot"))
    assert all(one.has_attr("disabled") for one in page.select("#progress button"))
    assert refused.status_code == 403
    assert "This is Ana's job" in text_of(soup(refused))
    assert responder.post(url_of(running, "cancel_job"), headers=HTMX).status_code == 200


def test_a_viewer_reads_everything_and_changes_nothing(running: BulkJob, viewer: Client, soup: Soup) -> None:
    page = soup(viewer.get(url_of(running)))
    assert "Your role may not act on many messages at once" in text_of(page.select_one(".whynot"))
    assert not page.select_one(".again")
    for name in ("cancel_job", "pause_job", "resume_job", "retry_job", "look_job", "job_again"):
        assert viewer.post(url_of(running, name)).status_code == 403, name


def test_each_button_that_cannot_work_says_why(ana: Member, analyst: Client, soup: Soup) -> None:
    page = soup(analyst.get(url_of(job_of(ana, "running", counts={"done": 3, "queued": 1}))))
    reasons = text_of(page.select_one(".whynot"))

    assert all(one["data-why"] for one in page.select("#progress button[disabled]"))
    assert "No message was refused." in reasons
    assert "Nothing is unknown." in reasons


@pytest.mark.parametrize("state", ["done", "cancelled"])
@pytest.mark.parametrize(
    ("counts", "labels"),
    [
        ({"done": 3}, ["Retry refused"]),
        ({"done": 3, "failed": 26, "partly_done": 16}, ["Retry 26 refused and 16 in part"]),
        ({"done": 3, "unknown": 2}, ["Retry refused", "Look now"]),
    ],
)
def test_a_job_that_has_ended_has_no_buttons_that_never_work_again(
    ana: Member, analyst: Client, soup: Soup, state: str, counts: dict[str, int], labels: list[str]
) -> None:
    page = soup(analyst.get(url_of(job_of(ana, state, counts=counts))))
    assert [text_of(one) for one in page.select("#progress .do button")] == labels


def test_another_action_begins_a_rehearsal_of_these_messages(ana: Member, analyst: Client, soup: Soup) -> None:
    job = job_of(ana, "done", counts={"done": 3, "failed": 1})
    many(job, 3, "done")
    form = soup(analyst.get(url_of(job))).select_one("form.again")
    values = {
        "what": "reclassify:SPAM",
        "states": "failed",
        "operation_key": form.select_one("[name=operation_key]")["value"],  # type: ignore[union-attr, index]
    }

    first, second = analyst.post(url_of(job, "job_again"), values), analyst.post(url_of(job, "job_again"), values)

    begun = BulkJob.objects.exclude(pk=job.pk).get()
    assert first["Location"] == second["Location"] == url_of(begun)
    assert (begun.source, begun.kind, begun.expected_disposition) == (JobSource.JOB, "reclassify", "SPAM")
    assert begun.input.terms == [["job", str(job.pk)], ["states", "failed,partly_done"]]


@pytest.mark.parametrize(
    ("counts", "chosen"),
    [({"done": 1, "failed": 2}, "done"), ({"failed": 2, "skipped": 1}, "failed"), ({"cancelled": 3}, "all")],
)
def test_the_form_begins_with_messages_there_are(
    counts: dict[str, int], chosen: str, ana: Member, analyst: Client, soup: Soup
) -> None:
    page = soup(analyst.get(url_of(job_of(ana, "done", counts=counts))))
    assert page.select_one("form.again [name=states] option[selected]")["value"] == chosen  # type: ignore[index]


def test_who_may_leave_is_told_so(
    running: BulkJob, ana: Member, analyst: Client, responder: Client, soup: Soup
) -> None:
    told = "You can leave: the job goes on"
    assert f"{told}, and a notice tells you when it has ended." in text_of(soup(analyst.get(url_of(running))).main)
    assert f"{told}." in text_of(soup(responder.get(url_of(running))).main)
    assert told not in text_of(soup(analyst.get(url_of(job_of(ana, "paused", counts={"queued": 1})))).main)


@pytest.mark.parametrize("what", ["erase", "move:Nowhere", "move:RecoverableItemsPurges"])
def test_what_the_role_may_not_do_is_neither_offered_nor_begun(
    what: str, ana: Member, analyst: Client, responder: Client, soup: Soup
) -> None:
    job = job_of(ana, "done", counts={"done": 3})
    values = {"what": what, "states": "all", "operation_key": uuid.uuid4().hex}

    assert analyst.post(url_of(job, "job_again"), values).status_code == 422
    assert BulkJob.objects.count() == 1
    offered = soup(analyst.get(url_of(job))).select("form.again option")
    assert what not in [option["value"] for option in offered]


@pytest.mark.parametrize("client", ["analyst", "responder"])
def test_all_forms_offer_the_same_actions_in_the_same_words(
    client: str, ana: Member, request: pytest.FixtureRequest, soup: Soup
) -> None:
    signed_in, job = request.getfixturevalue(client), job_of(ana, "done", counts={"done": 3})

    def offered(address: str, name: str) -> list[tuple[str, str]]:
        options = soup(signed_in.get(address)).select(f"select[name={name}] option")
        return [(str(option["value"]), text_of(option)) for option in options]

    assert offered(url_of(job), "what") == offered(reverse("investigate:paste"), "act")
    assert len(offered(url_of(job), "what")) == {"analyst": 10, "responder": 12}[client]


# --- the list ---------------------------------------------------------------------------------------------------------


def test_jobs_under_way_come_first_whoever_began_them(ana: Member, ben: Member, analyst: Client, soup: Soup) -> None:
    now = timezone.now()
    job_of(ana, "done", counts={"done": 1}, created_at=now)
    job_of(ben, "running", counts={"queued": 2}, created_at=now - dt.timedelta(hours=2))
    page = soup(analyst.get(LIST))

    assert [text_of(link) for link in page.select(".jobs td a")] == [
        "Move 2 messages to Junk",
        "Move 1 message to Junk",
    ]
    assert "Ben" in text_of(page.select_one(".jobs tr:has(a)"))


@pytest.mark.parametrize(("show", "number"), [("", 3), ("mine", 2), ("running", 1), ("ended", 2), ("nonsense", 3)])
def test_the_list_is_filtered(ana: Member, ben: Member, analyst: Client, soup: Soup, show: str, number: int) -> None:
    for actor, state in ((ana, "running"), (ana, "done"), (ben, "cancelled")):
        job_of(actor, state)
    assert len(soup(analyst.get(LIST, {"show": show})).select(".jobs tbody tr")) == number


def test_a_desk_without_jobs_teaches_how_to_begin_one(analyst: Client, soup: Soup) -> None:
    page = soup(analyst.get(LIST))
    assert page.select_one(".empty.teach a[href='/investigate/bulk/paste']")
    assert page.select_one("a[href='/investigate/bulk/cloudflare/']")
    assert not page.select_one("#live-jobs")


def test_rows_under_way_are_renewed_together_and_stay_when_they_end(
    ana: Member, analyst: Client, soup: Soup, django_assert_num_queries: Callable
) -> None:
    jobs = [job_of(ana, "running", counts={"queued": 2}) for _ in range(3)]
    address = str(soup(analyst.get(LIST)).select_one("#live-jobs")["hx-get"])  # type: ignore[index]
    with django_assert_num_queries(3):
        assert analyst.get(address, headers=HTMX).status_code == 204

    BulkJob.objects.filter(pk=jobs[0].pk).update(state=JobState.DONE, version=2)
    fragment = soup(analyst.get(address, headers=HTMX))

    assert len(fragment.select("tr")) == 3
    assert fragment.select_one("#live-jobs")["hx-trigger"] == "every 5s"  # type: ignore[index]


def test_other_peoples_live_rows_stay_out_of_a_filtered_list(
    ana: Member, ben: Member, analyst: Client, soup: Soup
) -> None:
    job_of(ana, "running")
    address = str(soup(analyst.get(LIST, {"show": "mine"})).select_one("#live-jobs")["hx-get"])  # type: ignore[index]
    job_of(ben, "running")
    assert analyst.get(address, headers=HTMX).status_code == 204


# --- being told -------------------------------------------------------------------------------------------------------


def test_the_frame_asks_for_news_only_while_there_can_be_any(ana: Member, analyst: Client, soup: Soup) -> None:
    assert not soup(analyst.get(LIST)).select_one("#job-notices")
    job = job_of(ana, "running")
    page = soup(analyst.get("/account/preferences/"))
    assert page.select_one("#job-notices")["hx-trigger"] == "every 15s"  # type: ignore[index]
    assert text_of(page.select_one("nav.wide [data-badge=jobs]")) == "1 running"

    BulkJob.objects.filter(pk=job.pk).update(state=JobState.DONE, finished_at=timezone.now())
    page = soup(analyst.get("/account/preferences/"))
    assert page.select_one("#job-notices")["hx-trigger"] == "load delay:1s, every 15s"  # type: ignore[index]


def test_the_owner_is_told_in_every_tab_until_they_dismiss_it(
    ana: Member, analyst: Client, responder: Client, soup: Soup
) -> None:
    job = job_of(ana, "done", counts={"done": 9180, "failed": 34})
    address = reverse("investigate:job_notices")

    assert "9,180" not in responder.get(address, headers=HTMX).content.decode()
    for _ in ("one tab", "another tab"):
        fragment = soup(analyst.get(address, headers=HTMX))
        notice = fragment.select_one("[hx-swap-oob='innerHTML:#notice'] .notice")
        assert text_of(notice.p).startswith("Moved 9,180 of 9,214 messages. 34 refused.")  # type: ignore[union-attr]
        assert notice.a["href"] == url_of(job)  # type: ignore[union-attr, index]
    shown = {"told": notice.select_one("[name=told]")["value"]}  # type: ignore[union-attr, index]
    assert analyst.get(address, shown, headers=HTMX).status_code == 204

    dismiss = str(notice.select_one("[data-close]")["hx-post"])  # type: ignore[union-attr, index]
    assert responder.post(dismiss, shown, headers=HTMX).status_code == 204
    assert analyst.get(address, shown, headers=HTMX).status_code == 204
    assert analyst.post(dismiss, shown, headers=HTMX).status_code == 204
    other = soup(analyst.get(address, shown, headers=HTMX))
    assert text_of(other.select_one("[hx-swap-oob='innerHTML:#notice']")) == ""
    assert not other.select_one("#job-notices").has_attr("hx-get")  # type: ignore[union-attr]
    assert "9,180" not in analyst.get(address, headers=HTMX).content.decode()


def test_a_page_that_polls_its_job_takes_the_notice_from_no_other_tab(ana: Member, analyst: Client, soup: Soup) -> None:
    job = job_of(ana, "running", counts={"done": 3})
    page = soup(analyst.get(url_of(job)))
    BulkJob.objects.filter(pk=job.pk).update(state=JobState.DONE, finished_at=timezone.now(), version=9)
    own = {str(field["name"]): str(field["value"]) for field in page.select("#about [name=page]")}
    poll(analyst, job, v=1)

    address = reverse("investigate:job_notices")
    assert not soup(analyst.get(address, own, headers=HTMX)).select(".notice")
    assert soup(analyst.get(address, headers=HTMX)).select(".notice")


def test_there_is_no_news_while_a_job_runs(ana: Member, analyst: Client) -> None:
    job_of(ana, "running")
    assert analyst.get(reverse("investigate:job_notices"), headers=HTMX).status_code == 204


def test_who_has_seen_the_end_on_the_jobs_own_page_is_not_told_again(ana: Member, analyst: Client, soup: Soup) -> None:
    job = job_of(ana, "done", counts={"done": 3})
    assert not soup(analyst.get(url_of(job))).select_one("#job-notices")
    job.refresh_from_db()
    assert job.seen_at is not None


# --- where single actions are shown -----------------------------------------------------------------------------------


def test_chunks_are_not_among_single_actions(running: BulkJob, ana: Member, analyst: Client, soup: Soup) -> None:
    chunk_of(running, 3, "waiting")
    assert queries.latest(ana) == []
    page = soup(analyst.get("/investigate/actions/"))
    assert "waiting 0" in text_of(page.select_one("#footer"))
    assert page.select_one(f".empty a[href='{LIST}']")


def test_the_undo_key_never_takes_a_chunk(running: BulkJob, analyst: Client) -> None:
    chunk = chunk_of(running, 3, "waiting")
    assert analyst.post(reverse("investigate:undo_last"), headers=HTMX).status_code == 409
    answer = analyst.post(reverse("investigate:undo", args=[chunk.pk]), headers=HTMX)
    assert answer.status_code == 409
    assert "cancel the job instead" in answer.content.decode()
    assert Action.objects.get(pk=chunk.pk).state == ActionState.WAITING


def test_the_undo_key_takes_back_what_was_decided_last_a_job_too(
    ana: Member, ben: Member, analyst: Client, soup: Soup
) -> None:
    now, address = timezone.now(), reverse("investigate:undo_last")
    waiting = {"started_at": None, "due_at": now + dt.timedelta(seconds=8)}
    older = job_of(ana, "waiting", decided_at=now - dt.timedelta(seconds=4), **waiting)
    single = chunk_of(older, 0, "waiting", due_at=now + dt.timedelta(seconds=8))
    Action.objects.filter(pk=single.pk).update(job=None, created_at=now - dt.timedelta(seconds=3))
    ActionItem.objects.filter(pk=item_of(older, "single", "waiting", chunk=single).pk).update(job=None)
    newer = job_of(ana, "waiting", decided_at=now - dt.timedelta(seconds=2), **waiting)
    many(newer, 3)
    counted(newer)
    bens = job_of(ben, "waiting", decided_at=now, **waiting)

    first = soup(analyst.post(address, headers=HTMX))
    told = "Move 3 messages to Junk: Undone by Ana. Nothing was sent."
    assert text_of(first.select_one("[hx-swap-oob='innerHTML:#status']")) == told
    assert first.select_one(f"[hx-swap-oob='innerHTML:#notice'] a[href='{url_of(newer)}']")
    assert Action.objects.get(pk=single.pk).state == ActionState.WAITING
    assert "Undone by" not in analyst.get(reverse("investigate:job_notices"), headers=HTMX).content.decode()

    assert analyst.post(address, headers=HTMX).status_code == 200
    assert Action.objects.get(pk=single.pk).state == ActionState.CANCELLED
    plain = analyst.post(address)
    assert (plain.status_code, plain["Location"]) == (303, url_of(older))
    assert analyst.post(address, headers=HTMX).status_code == 409
    states = {job.pk: job.state for job in BulkJob.objects.all()}
    assert states == {older.pk: "cancelled", newer.pk: "cancelled", bens.pk: "waiting"}


def test_rows_of_a_search_tell_what_a_job_did_with_each_message(running: BulkJob) -> None:
    found = queries.states_for(["a", "c", "d", "e", "s", "queued-00001", "never"])

    assert {name: view.text for name, view in found.items()} == {
        "a": "moved to Junk",
        "c": "not moved",
        "d": "moved 1 of 2",
        "e": "sending",
        "queued-00001": "queued in Ana's job",
    }
    assert {view.url for view in found.values()} == {url_of(running)}


@pytest.mark.parametrize("state", ["collecting", "rehearsal", "failed"])
def test_a_rehearsal_leaves_no_trace_in_a_search(ana: Member, state: str) -> None:
    many(job_of(ana, state, decided_at=None), 3)
    assert queries.states_for(["queued-00001"]) == {}


def test_a_message_nobody_touched_in_a_job_keeps_what_was_done_before(ana: Member, emailsec: Any) -> None:
    earlier = job_of(ana, "done")
    item_of(earlier, "a", "done", chunk=chunk_of(earlier, 1, "done"))
    item_of(job_of(ana, "cancelled", decided_at=timezone.now()), "a", "cancelled")
    item_of(job_of(ana, "done", decided_at=timezone.now()), "a", "skipped")
    assert queries.states_for(["a"])["a"].text == "moved to Junk"


def test_pages_without_acted_messages_pay_one_query(running: BulkJob, django_assert_num_queries: Callable) -> None:
    with django_assert_num_queries(1):
        assert queries.states_for(["x", "y", "s"]) == {}
    with django_assert_num_queries(2):
        queries.states_for(["a", "b", "queued-00001"])


# --- all of it --------------------------------------------------------------------------------------------------------


def test_a_job_over_the_simulator_from_its_decision_to_its_notice(
    run: Callable[..., BulkJob], emailsec: Any, ana: Member, analyst: Client, soup: Soup
) -> None:
    delivered = [
        record
        for record in emailsec.store.records
        if record.delivery_status[0] == "delivered" and not record.is_quarantined and not record.is_phish_submission
    ][:5]
    job = run(rehearsed(ana, "move", delivered))  # type: ignore[arg-type]
    fragment = soup(analyst.get(reverse("investigate:job_notices"), headers=HTMX))
    page = soup(analyst.get(url_of(job)))

    assert job.state == JobState.DONE
    assert text_of(page.select_one(".legend li")) == f"{job.counts['done']} done"
    assert f"of {sum(job.counts.values())} messages." in text_of(fragment.select_one(".notice p"))
    assert text_of(page.select_one(".messages-table .state")) == "moved to Junk"
