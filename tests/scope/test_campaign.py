"""Other copies of a campaign: looked for, compared and counted inside the member's domains alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from dashboard.access.models import Member
from dashboard.access.scope import Scope
from dashboard.simulator import Simulator
from dashboard.simulator.mail.record import MailRecord
from investigate.message import campaign, parts
from investigate.message.campaign import By
from tests.conftest import HTMX
from tests.scope.conftest import INSIDE, MARK, Mail, is_inside

SCOPE = Scope(frozenset({INSIDE}))


def seen(record: MailRecord) -> bool:
    return any(map(is_inside, record.client_recipients))


@pytest.fixture
def family(emailsec: Simulator, mail: Mail) -> list[MailRecord]:
    """Detections of one sender and one make within some days, that went in- and outside; the first of them inside."""
    detections = [record for record in emailsec.store.records if record.is_detection and record.message_id]
    first = next(record for record in detections if all(map(is_inside, record.client_recipients)))
    near = [record for record in detections if abs(record.scanned_at - first.scanned_at) < 3 * 86_400]
    found = [
        first,
        *[one for one in near if seen(one) and one is not first][:4],
        *[one for one in near if not seen(one)][:6],
    ]
    assert len(found) > 8
    for record in found:
        record.edf_hash, record.from_, record.envelope_from = "one-make", "eve@evil.example", "eve@evil.example"
    return found


def test_copies_elsewhere_are_neither_shown_nor_counted(
    scoped: Client, responder: Client, family: list[MailRecord], emailsec: Simulator, soup: Any
) -> None:
    responder.get("/investigate/", {"last": "30d"})  # what colleagues' searches showed is remembered
    url = reverse("investigate:part", args=[family[0].id, "campaign"])

    mine, theirs = scoped.get(url, headers=HTMX), responder.get(url, headers=HTMX)

    assert MARK not in mine.content.decode()
    linked = {link["href"].strip("/").rpartition("/")[2] for link in soup(mine).select("tbody a")}
    assert linked
    assert linked <= {record.id for record in emailsec.store.records if seen(record)}
    assert len(soup(theirs).select("tbody tr")) > len(linked)


def test_what_was_looked_at_is_counted_from_what_the_member_may_see(
    family: list[MailRecord], emailsec: Simulator, responder: Client
) -> None:
    message = parts.read_message(family[0].id)
    responder.get("/investigate/", {"last": "30d"})

    found = campaign.find(message, By.SENDER, SCOPE)

    terms = campaign.search_terms(message, By.SENDER)
    assert found.start is not None
    assert found.end is not None
    inside = [record for record in emailsec.store.records if seen(record)]
    searched = [
        record
        for record in inside
        if record.is_detection
        and found.start.timestamp() <= record.scanned_at <= found.end.timestamp()
        and terms in ((record.from_ or "").rpartition("@")[2], (record.envelope_from or "").rpartition("@")[2])
    ]
    assert found.searched_messages == len(searched)
    assert found.remembered_messages <= len(inside)
    assert all(is_inside(recipient) for sibling in found.siblings for recipient in sibling.recipients)


def test_answers_are_not_shared_between_scopes(
    family: list[MailRecord], calls: Callable[[], list[str]], ben: Member
) -> None:
    """A colleague's comparison is kept for a while, and is not what a limited member gets."""
    message = parts.read_message(family[0].id)
    campaign.find(message, By.SENDER)
    calls()

    cut = campaign.find(message, By.SENDER, SCOPE)
    asked = calls()
    campaign.find(message, By.SENDER, SCOPE)

    assert asked == ["search"]
    assert calls() == []
    assert not any(MARK in recipient for sibling in cut.siblings for recipient in sibling.recipients)


def test_each_domain_is_searched_by_itself(family: list[MailRecord], emailsec: Simulator) -> None:
    message = parts.read_message(family[0].id)
    before = len(emailsec.calls)

    campaign.find(message, By.SENDER, Scope(frozenset({INSIDE, "tarnfell.example"})))

    asked = [call.query for call in emailsec.calls[before:] if call.operation == "search"]
    assert sorted("recipient=tarnfell.example" in query for query in asked) == [False, True]
    assert any(f"recipient={INSIDE}" in query for query in asked)
