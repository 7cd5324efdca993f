"""What a rehearsal tells beforehand of what will be refused."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.celery import app as celery_app
from investigate.bulk import collecting, jobs
from investigate.bulk.rehearsal import summary_of
from investigate.models import Action, ActionItem, ActionKind, ActionState, BulkJob, JobSource, Receipt
from tests.investigate.bulk.test_rehearsal import filled, url

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
