"""What a rehearsal tells beforehand of what will be refused."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from bs4 import BeautifulSoup
from django.conf import settings
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.audit.models import AuditEvent
from dashboard.celery import app as celery_app
from investigate.bulk import collecting, jobs, outlook
from investigate.bulk.rehearsal import summary_of
from investigate.bulk.searched import searched
from investigate.models import Action, ActionItem, ActionKind, ActionState, BulkJob, JobSource, Receipt
from tests.conftest import HTMX
from tests.investigate.bulk.test_rehearsal import begun, filled, url

pytestmark = pytest.mark.django_db

Soup = Callable[[HttpResponse], BeautifulSoup]
REFUSED = "no active integration <b>for this</b> domain"


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(celery_app, "send_task", lambda *_, **__: None)


def acted(actor: Member, name: str, *, kind: str = "move", state: str = "done", days_ago: float = 0, **values: Any):
    """One message somebody acted on, by itself; `copies` are (recipient, is_done, status)."""
    copies = values.pop("copies", [])
    when = timezone.now() - dt.timedelta(days=days_ago)
    values = {"destination": "JunkEmail"} | values if kind == "move" else values
    action = Action.objects.create(
        operation_key=uuid.uuid4().hex, fingerprint="f", actor=actor, actor_name=actor.display_name, kind=kind,
        state=state, created_at=when, due_at=when, finished_at=when, **values,
    )  # fmt: skip
    item = ActionItem.objects.create(action=action, investigate_id=name, state=state)
    Receipt.objects.bulk_create(
        Receipt(item=item, recipient=recipient, is_done=is_done, status=status) for recipient, is_done, status in copies
    )
    return action


def rehearsed_of(actor: Member, names: list[str], destination: str = "JunkEmail") -> BulkJob:
    job = jobs.begin(
        actor=actor, source=JobSource.SELECTION, kind=ActionKind.MOVE, destination=destination,
        terms=[("investigate_id", name) for name in names], operation_key=uuid.uuid4().hex, request=None,
    )  # fmt: skip
    collecting.collect(job.pk)
    return BulkJob.objects.get(pk=job.pk)


def delivered(emailsec: Any, number: int) -> list[str]:
    found = [
        record.id for record in emailsec.store.records
        if set(record.delivery_status) == {"delivered"} and not record.is_quarantined and not record.is_phish_submission
    ]  # fmt: skip
    assert len(found) >= number
    return found[:number]


# --- copies ---


def test_copies_that_were_never_delivered_are_not_counted_as_movable(ana, analyst: Client, soup: Soup):
    mailboxes = ["a@x.example", "b@y.example", "c@y.example", "d@y.example"]
    facts = {"client_recipients": mailboxes, "delivery_status": ["delivered", "rejected", "bounced", "deferred"]}
    job = filled(ana, 4, recipients=mailboxes, facts=facts)
    summary = summary_of(job)

    assert (summary.messages, summary.copies, summary.undelivered) == (4, 4, 12)
    assert [(domain.name, domain.copies) for domain in summary.by_domain] == [("x.example", 4)]
    page = soup(analyst.get(url(job)))
    assert "12 copies were never delivered: they stay as they are." in page.select_one(".remarks").get_text()
    assert "4 messages, 4 copies," in page.h1.get_text()


def test_without_a_status_for_each_copy_all_are_counted(ana):
    mailboxes = ["a@x.example", "b@y.example"]
    facts = {"client_recipients": mailboxes, "delivery_status": ["delivered", "rejected", "rejected"]}
    summary = summary_of(filled(ana, 1, recipients=mailboxes, facts=facts))
    assert (summary.copies, summary.undelivered) == (2, 0)


# --- moved before ---


def test_messages_we_moved_there_are_left_out_by_name(emailsec, ana, ben, analyst: Client, soup: Soup):
    there, elsewhere, back, partly, untouched = names = delivered(emailsec, 5)
    acted(ben, there)
    acted(ben, elsewhere, days_ago=1)
    acted(ben, elsewhere, destination="DeletedItems")
    acted(ben, back, days_ago=1)
    acted(ben, back, destination="Inbox")
    acted(ben, partly, state="partly_done")
    acted(ben, untouched, state="failed")

    job = rehearsed_of(ana, names)

    left_out = dict(job.items.filter(state=ActionState.SKIPPED).values_list("investigate_id", "explanation"))
    assert left_out == {there: "Already moved to Junk by Ben."}
    assert "Already moved to Junk by Ben." in soup(analyst.get(url(job))).select_one(".reasons").get_text()
    assert rehearsed_of(ana, names, "Inbox").items.get(state=ActionState.SKIPPED).investigate_id == back


def test_messages_moved_we_do_not_know_where_are_told(ana, analyst: Client, soup: Soup):
    job = filled(ana, 3, facts={"delivery_status": ["moved"]})
    ours = job.items.order_by("pk")[0]
    ActionItem.objects.filter(pk=ours.pk).update(facts={**ours.facts, "moved_to": "DeletedItems"})

    told = soup(analyst.get(url(job))).select_one(".remarks").get_text()

    assert "2 messages were moved before; those that lie in Junk already will be refused." in told


def test_where_we_moved_a_message_is_kept_with_it(emailsec, ana):
    (name,) = delivered(emailsec, 1)
    acted(ana, name, destination="DeletedItems")
    assert rehearsed_of(ana, [name]).items.get().facts["moved_to"] == "DeletedItems"


# --- domains that refuse ---


def test_a_domain_where_all_was_refused_lately_is_told(ana, ben, analyst: Client, soup: Soup):
    for number in range(3):
        acted(ben, f"z:{number}", state="failed", copies=[("x@Corp.example", False, REFUSED)])

    page = soup(analyst.get(url(filled(ana, 5))))

    told = page.select_one("section[aria-labelledby=by-domain] .remarks li")
    assert told.get_text() == f"5 copies at corp.example: the last 3 moves there were refused ({REFUSED})."
    assert not told.select("b")


@pytest.mark.parametrize(
    ("copies", "values"),
    [
        ([("x@corp.example", False, REFUSED)], {}),
        ([("x@corp.example", False, REFUSED), ("y@corp.example", True, "OK")], {}),
        ([("x@corp.example", False, REFUSED), ("y@corp.example", False, "another")], {}),
        ([("x@corp.example", False, REFUSED)] * 2, {"days_ago": 8}),
        ([("x@corp.example", False, REFUSED)] * 2, {"kind": "release"}),
        ([("x@other.example", False, REFUSED)] * 2, {}),
    ],
    ids=["one", "one-worked", "two-reasons", "old", "other-kind", "other-domain"],
)
def test_what_does_not_tell_that_a_domain_refuses(ana, copies: list[Any], values: dict[str, Any]):
    acted(ana, "z:1", state="failed", copies=copies, **values)
    assert summary_of(filled(ana, 2)).refusing == []


def test_what_was_told_once_is_kept(ana, django_assert_num_queries):
    acted(ana, "z:1", state="failed", copies=[("x@corp.example", False, REFUSED)] * 2)
    job = filled(ana, 2)
    first = summary_of(job)
    job = BulkJob.objects.get(pk=job.pk)
    with django_assert_num_queries(0):
        again = summary_of(job)
    assert first == again
    assert again.refusing[0].times == 2


# --- others, since the messages were collected ---


def decision(job: BulkJob, **values: Any) -> dict[str, Any]:
    return {
        "reason": "ticket 4711", "decision_key": uuid.uuid4().hex, "expected_count": job.counts["queued"], **values,
    }  # fmt: skip


def fields_of(form: Any) -> dict[str, str]:
    named = {field["name"]: field.get("value", "") for field in form.select("input[name]")}
    return named | {field["name"]: field.get_text() for field in form.select("textarea")}


@pytest.mark.parametrize("headers", [None, HTMX])
@pytest.mark.parametrize("state", ["done", "partly_done", "waiting", "unknown"])
def test_messages_acted_on_since_are_collected_again(ana, ben, analyst: Client, soup: Soup, state: str, headers):
    job = filled(ana, 5)
    for name in ("a:1", "a:2", "z:9"):
        acted(ben, name, state=state)
    told = "2 of these were acted on since they were collected, by Ben. Collect again."

    assert told in soup(analyst.get(url(job))).select_one("#decide").get_text()
    answer = analyst.post(reverse("investigate:decide_job", args=[job.pk]), decision(job), headers=headers)

    assert answer.status_code == 409
    assert answer.get("HX-Retarget") == ("#decide" if headers else None)
    assert told in soup(answer).select_one("#decide").get_text()
    assert BulkJob.objects.get(pk=job.pk).state == "rehearsal"
    form = soup(answer).select_one("#decide form[action$=recollect]")
    again = analyst.post(form["action"], fields_of(form))
    assert again["Location"] == url(BulkJob.objects.exclude(pk=job.pk).get())


@pytest.mark.parametrize("values", [{"days_ago": 1}, {"state": "failed"}, {"state": "cancelled"}])
def test_what_changed_nothing_since_keeps_nobody_from_deciding(ana, ben, analyst: Client, values: dict[str, Any]):
    job = filled(ana, 2)
    acted(ben, "a:1", **values)
    assert analyst.post(reverse("investigate:decide_job", args=[job.pk]), decision(job)).status_code == 303


def test_chunks_of_other_jobs_count_and_ones_own_do_not(ana, ben):
    job, other = filled(ana, 3), filled(ben, 3)
    chunk = acted(ben, "a:1")
    Action.objects.filter(pk=chunk.pk).update(job=other, number=1)
    assert outlook.why_acted_on(job).startswith("1 of these was acted on since it was collected, by Ben.")
    assert outlook.why_acted_on(other) == ""


def test_a_job_that_holds_the_same_messages_needs_a_second_press(ana, ben, analyst: Client, soup: Soup):
    job, other = filled(ana, 4), filled(ben, 3)
    jobs.decide(
        actor=ben, job=other, reason="ticket 1", decision_key=uuid.uuid4().hex, expected_count=3, request=None
    )  # fmt: skip
    address = reverse("investigate:decide_job", args=[job.pk])

    panel = soup(analyst.get(url(job))).select_one("#decide")
    told = panel.select_one(".remarks li")
    assert re.fullmatch(r"Ben's job, decided \d+ s ago, holds 3 of these\.", told.get_text())
    assert told.a["href"] == url(other)
    first = analyst.post(address, fields_of(panel) | {"reason": "ticket 4711"}, headers=HTMX)
    assert first.status_code == 422
    assert BulkJob.objects.get(pk=job.pk).state == "rehearsal"

    panel = soup(first).select_one("#decide")
    assert "press once more" in panel.select_one(".errors").get_text()
    assert analyst.post(address, fields_of(panel)).status_code == 303
    assert BulkJob.objects.get(pk=job.pk).state == "waiting"


def test_reading_of_one_job_is_not_reading_of_another(ana, ben, analyst: Client):
    job, first, second = filled(ana, 2), filled(ben, 2), filled(ben, 1)
    BulkJob.objects.filter(pk__in=[first.pk, second.pk]).update(state="running")
    address = reverse("investigate:decide_job", args=[job.pk])

    assert analyst.post(address, decision(job, acknowledged=str(first.pk))).status_code == 422
    assert analyst.post(address, decision(job, acknowledged=f"{second.pk},{first.pk}")).status_code == 303


# --- jobs larger than their owner may run ---


def test_while_collecting_more_than_the_owner_may_run_it_is_told_who_may(
    monkeypatch, ana, ben, analyst: Client, responder: Client, soup: Soup
):
    monkeypatch.setattr(settings, "LARGE_JOB", 4)

    def page(client: Client, actor: Member, found: int) -> str:
        job = begun(actor)
        BulkJob.objects.filter(pk=job.pk).update(counts={"queued": found})
        return soup(client.get(url(job))).select_one("#rehearsal").get_text()

    assert "More than 4 messages: Ana may collect and look at them" in page(analyst, ana, 5)
    assert "More than 4" not in page(analyst, ana, 4)
    assert "More than 4" not in page(responder, ben, 5)


def test_who_may_run_it_takes_a_large_rehearsal_over_and_decides(
    monkeypatch, ana, ben, analyst: Client, responder: Client, soup: Soup
):
    monkeypatch.setattr(settings, "LARGE_JOB", 4)
    job = filled(ana, 5)
    assert not soup(analyst.get(url(job))).select("#take-over")
    form = soup(responder.get(url(job))).select_one("#take-over")

    first, second = responder.post(form["action"]), responder.post(form["action"])

    assert first["Location"] == second["Location"] == url(job)
    job.refresh_from_db()
    assert (job.actor, job.actor_name, job.state) == (ben, "Ben", "rehearsal")
    event = AuditEvent.objects.get(action="job:take_over")
    assert (event.actor_name, event.detail["from"]) == ("Ben", "Ana")
    assert analyst.post(reverse("investigate:decide_job", args=[job.pk]), decision(job)).status_code == 403
    assert responder.post(reverse("investigate:decide_job", args=[job.pk]), decision(job)).status_code == 303


def test_a_rehearsal_its_owner_may_decide_is_not_taken(ana, analyst: Client, responder: Client, soup: Soup):
    job = filled(ana, 5)
    address = reverse("investigate:take_over_job", args=[job.pk])
    assert not soup(responder.get(url(job))).select("#take-over")
    assert responder.post(address).status_code == 409
    assert analyst.post(address).status_code == 403
    job.refresh_from_db()
    assert job.actor == ana


# --- where it came from ---


@pytest.mark.parametrize("state", ["collecting", "rehearsal", "running"])
def test_the_search_and_its_range_stand_there_as_text_beside_the_link(ana, analyst: Client, soup: Soup, state: str):
    evil = "<b>pay\u202e"
    query = urlencode({"subject": evil, "start": "2025-11-20T00:00Z", "end": "2025-11-21T00:00Z"})
    job = filled(ana, 2)
    BulkJob.objects.filter(pk=job.pk).update(query=query, state=state)

    page = soup(analyst.get(url(job)))

    text = page.select_one("main").get_text(" ", strip=True)
    assert "subject: <b>pay[U+202E]; 20 Nov 2025 00:00 to 21 Nov 2025 00:00 UTC" in text
    assert page.select(f"a[href='{reverse('investigate:search')}?{query}']")


def test_a_search_without_filters_and_a_list_have_their_words(ana):
    job = BulkJob(source="search", query="start=2025-11-20T00:00Z&end=2025-11-21T00:00Z")
    assert searched(job) == "every detection; 20 Nov 2025 00:00 to 21 Nov 2025 00:00 UTC"
    assert searched(BulkJob(source="paste", query=job.query)) == ""
