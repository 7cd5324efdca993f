"""A new job at Cloudflare: counted before it is decided, decided before it is asked for, asked for once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.http import HttpResponse
from django.test import Client

from dashboard.access.models import Member
from dashboard.audit.models import AuditEvent
from dashboard.emailsec.times import parse_time
from investigate.bulk.upstream import sending, services, words
from investigate.models import ActionState, UpstreamJob
from investigate.search.criteria import Criteria
from tests.conftest import HTMX
from tests.investigate.bulk.upstream_desk import LIST, NEW, SPAM, address, calls, decided, form, made, worked
from tests.simulated import serving, simulated_account

pytestmark = pytest.mark.django_db
Soup = Callable[[HttpResponse], BeautifulSoup]


def spam(simulator: Any) -> list[Any]:
    start = simulator.clock() - 30 * 86400
    return [
        record
        for record in simulator.store.records
        if record.final_disposition == "SPAM" and record.scanned_at >= start
    ]


def text(found: Any) -> str:
    return " ".join(found.get_text(" ").split())


def test_the_page_counts_the_search_before_it_asks(responder: Client, emailsec: Any, soup: Soup) -> None:
    page = soup(responder.get(address()))

    found = spam(emailsec)
    copies = sum(len(record.client_recipients) for record in found)
    assert page.select_one("#sample h2").text == f"{len(found)} messages"
    assert f"{copies} copies in {len(found)} messages" in text(page.select_one("#sample"))
    assert text(page.select_one(".counted tbody tr")) == f"Spam {len(found)}"
    assert len(page.select(".tablewrap tbody tr")) == min(10, len(found))
    assert calls(emailsec, "search") == 1, "one call counts"
    assert f"Start the job: {len(found)} messages" in text(page.select_one("form.form"))
    assert not UpstreamJob.objects.exists()


def test_a_relative_range_becomes_an_exact_one_that_has_passed(responder: Client, emailsec: Any) -> None:
    answer = responder.get(f"{NEW}?{SPAM.query()}")

    assert answer.status_code == 302
    assert "last=" not in answer["Location"]
    assert "start=" in answer["Location"]
    assert "end=" in answer["Location"]
    future = Criteria.from_query({"disposition": ["SPAM"], "start": ["2026-01-01"], "end": ["2190-01-01"]})
    assert "2190" not in responder.get(f"{NEW}?{future.query()}")["Location"]


def test_beyond_the_first_page_it_says_so_and_invents_no_total(ben: Member, db: None, soup: Soup) -> None:
    simulator = simulated_account(messages=2600, seed=3,
        wide_search_days=400,)  # fmt: skip
    client = Client()
    client.force_login(ben)
    domains = Counter(record.client_recipients[0].rpartition("@")[2] for record in simulator.store.records)
    ((domain, number),) = domains.most_common(1)
    assert number > 1000, "the simulator has too few messages for this test"
    with serving(simulator):
        page = soup(client.get(address(Criteria(recipient=(domain,), last="90d", clean=True))))

    assert page.select_one("#sample h2").text == "1,000 messages and more"
    assert "how far nobody knows" in page.select_one("#sample").text
    assert "Start the job: 1,000 messages and more" in text(page.select_one("form.form"))


@pytest.mark.parametrize(
    ("criteria", "sentence"),
    [
        (Criteria(disposition=("SPAM", "BULK")), "one value per filter: choose one, or use a Mailwarden job."),
        (Criteria(sender=("a.example", "b.example")), "several values for sender"),
        (Criteria(last="7d"), "no filter but its range"),
        (Criteria(last="7d", clean=True), "no filter but its range"),
    ],
)
def test_what_a_job_cannot_express_is_refused_with_a_sentence(
    responder: Client, emailsec: Any, soup: Soup, criteria: Criteria, sentence: str
) -> None:
    shown = responder.get(address(criteria))
    posted = responder.post(address(criteria), form())

    assert (shown.status_code, posted.status_code) == (422, 422)
    assert sentence in text(soup(shown).select_one("main"))
    assert emailsec.calls == []
    assert not UpstreamJob.objects.exists()


def test_of_several_values_each_is_offered_alone(responder: Client, emailsec: Any, soup: Soup) -> None:
    page = soup(responder.get(address(Criteria(disposition=("SPAM", "BULK")))))

    (only,) = [link for link in page.select("main a") if link.text == "Only verdict bulk"]
    assert responder.get(f"{NEW}{only['href']}", follow=True).status_code == 200


def test_nothing_is_asked_for_before_the_undo_window_is_over(responder: Client, emailsec: Any) -> None:
    job = decided(responder)

    sending.step(job.pk)
    job.refresh_from_db()
    assert calls(emailsec, "bulk.create") == 0
    assert job.state == ActionState.WAITING

    worked(job)

    assert job.state == ActionState.DONE
    (theirs,) = emailsec.bulk.jobs.values()
    assert job.upstream_id == theirs.job_id
    assert theirs.comment == f"Mailwarden {job.pk}: ticket 4711"
    assert job.request["search_params"]["final_disposition"] == "SPAM"
    for name, value in job.request["search_params"].items():
        same = parse_time if name in ("start", "end") else str
        assert same(theirs.search_params[name]) == same(value), name
    assert theirs.destination == "JunkEmail"
    assert [(event.action, event.phase) for event in AuditEvent.objects.order_by("sequence")] == [
        ("upstream_job:create", "attempt"),
        ("upstream_job:create", "done"),
    ]


def test_the_same_form_twice_is_one_job_and_for_something_else_a_conflict(responder: Client, emailsec: Any) -> None:
    url = address()
    first = responder.post(url, form(key="k" * 32))
    second = responder.post(url, form(key="k" * 32))
    other = responder.post(url, form("Inbox", key="k" * 32))

    job = UpstreamJob.objects.get()
    assert first["Location"] == second["Location"]
    assert other.status_code == 409
    worked(job)
    worked(job)
    assert calls(emailsec, "bulk.create") == 1


@pytest.mark.parametrize("reason", ["", "    ", "spam"])
def test_a_reason_is_asked_for(responder: Client, emailsec: Any, soup: Soup, reason: str) -> None:
    answer = responder.post(address(), form(reason=reason))

    assert answer.status_code == 422
    assert "Say in a few words why" in text(soup(answer).select_one(".errors"))
    assert soup(answer).select_one("input[value=JunkEmail]").has_attr("checked"), "what was chosen stays"
    assert not UpstreamJob.objects.exists()


def test_a_long_reason_never_cuts_the_key_out_of_the_comment(responder: Client, emailsec: Any) -> None:
    job = worked(decided(responder, reason="why " * 240))

    (theirs,) = emailsec.bulk.jobs.values()
    assert theirs.comment.startswith(f"Mailwarden {job.pk}: why why")
    assert len(theirs.comment) < 300


def test_the_subject_exactly_as_written(responder: Client, emailsec: Any, soup: Soup) -> None:
    subjects = [
        record.subject for record in emailsec.store.records if record.subject and record.final_disposition != "NONE"
    ]
    subject = next(one for one in subjects if " ".join(one.split()) == one and one.isascii())
    criteria = Criteria(subject=subject, last="90d")

    page = soup(responder.get(address(criteria, exact="1")))
    answer = responder.post(address(criteria, exact="1"), form())

    start = emailsec.clock() - 90 * 86400
    same = [
        record
        for record in emailsec.store.records
        if record.subject == subject and record.final_disposition != "NONE" and record.scanned_at >= start
    ]
    assert page.select_one("#sample h2").text == ("1 message" if len(same) == 1 else f"{len(same)} messages")
    assert answer.status_code == 303
    params = UpstreamJob.objects.get().request["search_params"]
    assert params["exact_subject"] == subject
    assert "subject" not in params


def test_a_search_that_finds_nothing_makes_no_job(responder: Client, emailsec: Any, soup: Soup) -> None:
    criteria = Criteria(sender=("nobody.example",))

    page = soup(responder.get(address(criteria)))
    answer = responder.post(address(criteria), form())

    assert page.select_one("form.form") is None
    assert "finds nothing" in page.select_one(".empty").text
    assert answer.status_code == 409
    assert not UpstreamJob.objects.exists()


def test_a_slow_search_is_waited_for_and_not_decided_on(responder: Client, emailsec: Any, soup: Soup) -> None:
    criteria = Criteria(recipient=("corp.example",), last="60d", clean=True)
    url = address(criteria)

    page = soup(responder.get(url))
    fragment = responder.get(url, headers=HTMX)
    answer = responder.post(url, form())

    assert page.select_one("#sample")["hx-trigger"].startswith("load delay:")
    assert page.select_one("form.form") is None
    assert fragment.content.decode().lstrip().startswith('<div id="sample"')
    assert answer.status_code == 409
    assert not UpstreamJob.objects.exists()


def test_a_search_that_fails_says_why_and_counts_again_on_request(responder: Client, emailsec: Any, soup: Soup) -> None:
    emailsec.faults.next("search", status=403)
    url = address()

    failed = soup(responder.get(url))
    again = soup(responder.get(f"{url}&fresh=1"))

    assert "Our API token lacks a right." in failed.select_one("#sample .failed").text
    assert again.select_one("#sample h2").text.endswith("messages")


def test_who_may_undo_undoes_before_cloudflare_was_asked(responder: Client, emailsec: Any, soup: Soup) -> None:
    job = decided(responder)
    page = f"{LIST}{job.pk}/"
    assert "Undo" in soup(responder.get(page)).select_one("#upstream-job").text

    answer = responder.post(f"{page}cancel")

    worked(job)
    assert answer.status_code == 303
    assert job.state == ActionState.CANCELLED
    assert calls(emailsec, "bulk.create") == 0
    shown = soup(responder.get(page)).select_one("#upstream-job")
    assert "Undone before Cloudflare was asked." in shown.text
    assert not shown.has_attr("hx-trigger")


def test_a_release_is_asked_for_without_a_folder(responder: Client, emailsec: Any) -> None:
    job = made(responder, "release")

    assert job.state == ActionState.DONE, job.explanation
    (theirs,) = emailsec.bulk.jobs.values()
    assert (theirs.action, theirs.destination) == ("RELEASE", None)


@pytest.mark.parametrize("who", ["analyst", "viewer", "auditor", "policy_manager"])
def test_only_those_who_may_run_large_jobs_make_stop_or_delete_one(
    who: str, responder: Client, emailsec: Any, request: pytest.FixtureRequest
) -> None:
    client, job = request.getfixturevalue(who), made(responder)

    assert client.post(address(), form()).status_code == 403
    for what in ("cancel", "delete", "look", "settle"):
        assert client.post(f"{LIST}{job.upstream_id}/{what}").status_code == 403, what
    assert client.get(LIST).status_code == 200
    page = client.get(f"{LIST}{job.upstream_id}/").content.decode()
    assert "Stop the job" not in page
    assert UpstreamJob.objects.count() == 1


def test_each_kind_needs_the_right_for_its_danger() -> None:
    assert {right.value for right in services.needed_rights("release")} == {
        "job:run_large",
        "message:release",
        "message:release_malicious",
    }
    assert "message:purge" in {right.value for right in services.needed_rights("move", "RecoverableItemsPurges")}
    assert "message:purge" not in {right.value for right in services.needed_rights("move", "JunkEmail")}


@pytest.mark.parametrize("url", [LIST, address()], ids=["list", "new"])
def test_the_older_generation_has_none_and_is_asked_once(ben: Member, db: None, soup: Soup, url: str) -> None:
    simulator = simulated_account(messages=60, seed=7, profile="seed",)  # fmt: skip
    client = Client()
    client.force_login(ben)
    with serving(simulator):
        for _ in range(3):
            page = soup(client.get(url))
            assert "does not offer jobs" in page.select_one("main").text
            assert page.select_one("main form") is None
        client.post(address(), form())

    assert len(simulator.calls) == 1, "that it has none is remembered"
    assert not UpstreamJob.objects.exists()


def test_every_folder_has_a_title() -> None:
    assert words.title("move", "JunkEmail") == "Move to Junk"
    assert words.title("move", "RecoverableItemsPurges") == "Purge"
    assert words.title("release", "") == "Release"
    assert words.title("RELEASE", "") == "Release"
