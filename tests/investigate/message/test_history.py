"""What Cloudflare logged and what we did stand in one time line, each under its own name."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.utils import timezone

from dashboard.emailsec.types import ActionEntry, ActionProperties, Message, Operation
from investigate.message import history
from investigate.models import Action, ActionItem, ActionKind, ActionState, Receipt
from tests.conftest import HTMX

NOW = dt.datetime(2026, 11, 21, 10, 0, tzinfo=dt.UTC)


def done_by(member, record, **fields) -> ActionItem:
    now = timezone.now()
    action = Action.objects.create(
        **{
            "operation_key": uuid.uuid4().hex,
            "fingerprint": "f",
            "actor": member,
            "actor_name": member.display_name,
            "kind": ActionKind.RELEASE,
            "state": ActionState.PARTLY_DONE,
            "reason": "known supplier",
            "created_at": now,
            "due_at": now,
            "finished_at": now,
            **fields,
        }
    )
    item = ActionItem.objects.create(
        action=action, investigate_id=record.id, edf_hash=record.edf_hash or "", state=action.state
    )
    Receipt.objects.create(item=item, recipient="a@corp.example", is_done=True)
    Receipt.objects.create(item=item, recipient="b@corp.example", is_done=False, status="mailbox full")
    return item


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (
            ActionEntry(operation=Operation.MOVE, success=True, properties=ActionProperties(folder="JunkEmail")),
            "Moved to Junk.",
        ),
        (
            ActionEntry(operation=Operation.MOVE, success=False, properties=ActionProperties(folder="Archive")),
            "Could not be moved to Archive.",
        ),
        (ActionEntry(operation=Operation.MOVE, completed_at=NOW), "Moved."),
        (ActionEntry(operation=Operation.QUARANTINE_RELEASE, started_at=NOW), "Being released from quarantine."),
        (ActionEntry(operation=Operation.RELEASE, success=True), "Released from quarantine."),
        (
            ActionEntry(
                operation=Operation.SUBMISSION, success=True, properties=ActionProperties(requested_disposition="SPAM")
            ),
            "Submitted as Spam.",
        ),
        (ActionEntry(operation=Operation.RECLASSIFY, success=True), "Submitted for review."),
        (ActionEntry(operation=Operation.PREVIEW, success=True), "Rendered for a preview."),
        (ActionEntry(operation=Operation("BRAND_NEW"), success=True), "Brand new."),
        (ActionEntry(success=True), "Changed."),
    ],
)
@pytest.mark.django_db
def test_the_log_is_told_in_sentences(entry, sentence):
    (event,) = history.timeline(Message(id="m"), (entry,))

    assert event.sentence == sentence
    assert not event.is_ours


@pytest.mark.django_db
def test_newest_first_and_what_is_still_going_on_before_it():
    log = (
        ActionEntry(operation=Operation.PREVIEW, completed_at=NOW),
        ActionEntry(operation=Operation.MOVE, completed_at=NOW + dt.timedelta(hours=1)),
        ActionEntry(operation=Operation.RELEASE),
    )

    sentences = [event.sentence for event in history.timeline(Message(id="m"), log)]

    assert sentences == ["Being released from quarantine.", "Moved.", "Rendered for a preview."]


def test_our_action_stands_with_who_why_and_each_copy(analyst, ana, threat, soup):
    done_by(ana, threat)

    page = soup(analyst.get(f"/investigate/{threat.id}/parts/history", headers=HTMX))

    event = page.select_one("[data-kind=ours]")
    assert event.b.text == "Ana"
    assert "known supplier" in event.text
    assert [(copy["data-state"], copy.text) for copy in event.select(".receipts li")] == [
        ("done", "a@corp.example: delivered"),
        ("failed", "b@corp.example: mailbox full"),
    ]


def test_what_was_done_with_a_copy_of_the_campaign_is_shown_before_anybody_decides(analyst, ben, emailsec, soup):
    hashes = [r.edf_hash for r in emailsec.store.records if r.is_detection and r.edf_hash]
    one, other = [r for r in emailsec.store.records if r.edf_hash == max(set(hashes), key=hashes.count)][:2]
    done_by(ben, one)

    page = soup(analyst.get(f"/investigate/{other.id}/pane", headers=HTMX))

    assert "Ben" in page.select_one("#panel-why .timeline").text


def test_the_head_tells_what_we_asked_cloudflare_to_call_it(analyst, ana, threat, soup):
    done_by(ana, threat, kind=ActionKind.RECLASSIFY, expected_disposition="SPAM", state=ActionState.DONE)

    page = soup(analyst.get(f"/investigate/{threat.id}/pane", headers=HTMX))

    assert page.select_one(".verdicts .answer").text == "[submitted as Spam]"
    assert page.select_one(".verdicts .chip").text == "Malicious"
