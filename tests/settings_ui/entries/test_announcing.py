"""An end is announced before it comes: on the screens, and to its owner by mail, once."""

from __future__ import annotations

import datetime as dt
import smtplib
import socket
from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends import locmem

from dashboard.access.models import Member
from dashboard.audit.models import AuditEvent
from dashboard.upstream.connection import get_client
from settings_ui.entries import announcing, sweep
from settings_ui.models import Entry, EntryState
from tests.settings_ui.conftest import Time
from tests.settings_ui.entries.conftest import Keep

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("emailsec")]

A_DAY = 86_400.0


@pytest.fixture(autouse=True)
def _sends_mail(settings: Any) -> None:
    settings.SENDS_MAIL, settings.ADDRESS = True, "https://desk.corp.example"
    settings.END_NOTICE_DAYS = 7


@pytest.fixture
def ending(keep: Keep, time_: Time, ana: Member) -> Callable[..., Entry]:
    """An entry of Ana's that was given 30 days, so many days before its end."""

    def make(days: float = 3, **what: Any) -> Entry:
        entry = keep(**({"owner": ana, "days": 30} | what))
        passes(entry, time_, 30 - days)
        return entry

    return make


def passes(entry: Entry, time_: Time, days: float) -> None:
    time_.passes(entry, days * A_DAY)
    Entry.objects.filter(pk=entry.pk).update(changed_at=entry.changed_at - dt.timedelta(days=days))
    entry.refresh_from_db()


def told() -> list[tuple[str, str]]:
    events = AuditEvent.objects.filter(action="policy:announce").order_by("sequence")
    return [(event.actor_name, event.phase) for event in events]


def test_the_owner_gets_one_mail_with_a_link(ending: Callable[..., Entry]) -> None:
    entry = ending(3)

    announcing.announce(entry.pk)
    announcing.announce(entry.pk)

    (sent,) = mail.outbox
    assert (sent.to, sent.subject) == (["ana@corp.example"], "Mailwarden: blocked sender ends in 3 days")
    assert "evil.example" in sent.body
    assert "phishing wave" in sent.body
    assert f"https://desk.corp.example/settings/block-senders/{entry.upstream_id}/life" in sent.body
    assert told() == [("Mailwarden", "attempt"), ("Mailwarden", "done")]


def test_nobody_is_told_before_the_notice_begins_or_after_the_end(ending: Callable[..., Entry], time_: Time) -> None:
    entry = ending(8)
    announcing.announce(entry.pk)
    assert not mail.outbox
    passes(entry, time_, 9)
    announcing.announce(entry.pk)
    assert not mail.outbox


def test_what_stands_for_two_days_is_announced_on_the_second(keep: Keep, time_: Time) -> None:
    entry = keep(days=2)
    announcing.announce(entry.pk)
    assert not mail.outbox, "who set the end knows it"
    passes(entry, time_, 1.1)
    announcing.announce(entry.pk)
    assert len(mail.outbox) == 1


@pytest.mark.parametrize("away", ["left", "no address", "nobody", "no mail"])
def test_who_cannot_be_told_is_not(ending: Callable[..., Entry], ana: Member, settings: Any, away: str) -> None:
    entry = ending(3)
    match away:
        case "left":
            Member.objects.filter(pk=ana.pk).update(is_active=False)
        case "no address":
            Member.objects.filter(pk=ana.pk).update(email="")
        case "nobody":
            Entry.objects.update(owner=None)
        case "no mail":
            settings.SENDS_MAIL = False
    announcing.announce(entry.pk)
    assert not mail.outbox
    assert not told()
    assert announcing.ending_soon(), "the screens tell it all the same"


def test_another_end_or_owner_is_announced_again(
    ending: Callable[..., Entry], keep: Keep, pia: Member, time_: Time
) -> None:
    entry = ending(3)
    announcing.announce(entry.pk)
    upstream = get_client().entry("block_senders", entry.upstream_id)
    entry = keep(entry=upstream, owner=pia, days=4)
    assert entry.announced_at is None
    passes(entry, time_, 2.5)

    announcing.announce(entry.pk)

    assert [sent.to for sent in mail.outbox] == [["ana@corp.example"], ["pia@corp.example"]]


def test_the_sweep_rings_for_each_owner_who_is_to_be_told(
    ending: Callable[..., Entry], rung: Callable[[], list[tuple[str, str]]]
) -> None:
    entry = ending(3)
    ending(20, pattern="later.example")

    sweep.sweep_entries()

    assert rung() == [("settings_ui.tasks.announce_end", str(entry.pk))]


@pytest.mark.parametrize(
    ("problem", "phase", "is_tried_again"),
    [
        (ConnectionRefusedError(111, "refused"), "failed", True),
        (socket.gaierror(-2, "no such name"), "failed", True),
        (smtplib.SMTPRecipientsRefused({"ana@corp.example": (550, b"no such user")}), "refused", False),
        (smtplib.SMTPServerDisconnected("in the middle"), "unknown", False),
        (TimeoutError(), "unknown", False),
    ],
)
def test_a_mail_that_provably_did_not_leave_is_tried_again_and_no_other(
    ending: Callable[..., Entry],
    time_: Time,
    monkeypatch: pytest.MonkeyPatch,
    problem: Exception,
    phase: str,
    is_tried_again: bool,
) -> None:
    entry = ending(3)

    def fail(*_: object, **__: object) -> int:
        raise problem

    with monkeypatch.context() as patch:
        patch.setattr(locmem.EmailBackend, "send_messages", fail)
        announcing.announce(entry.pk)
        announcing.announce(entry.pk)
    assert told() == [("Mailwarden", "attempt"), ("Mailwarden", phase)], "not again at once"

    passes(entry, time_, 0.1)
    announcing.announce(entry.pk)

    assert len(mail.outbox) == is_tried_again


def test_the_owner_of_what_was_not_removed_is_told_once(ending: Callable[..., Entry], ana: Member, time_: Time) -> None:
    entry = ending(3)
    announcing.announce(entry.pk)
    get_client().edit_entry("block_senders", entry.upstream_id, {"pattern": "partner.example"})
    time_.passes(entry, 4 * A_DAY)
    sweep.sweep_entries()
    time_.removed(entry)
    assert entry.state == EntryState.ACTIVE

    announcing.announce(entry.pk)
    announcing.announce(entry.pk)

    _, second = mail.outbox
    assert second.subject == "Mailwarden: blocked sender was not removed at its end"
    assert "evil.example" in second.body
    assert "partner.example" in second.body


def test_a_pattern_with_line_breaks_makes_no_header_and_no_lines(ending: Callable[..., Entry]) -> None:
    entry = ending(3)
    Entry.objects.filter(pk=entry.pk).update(pattern="a\r\nBcc: x@evil.example\r\n\r\nbody")

    announcing.announce(entry.pk)

    (sent,) = mail.outbox
    assert sent.recipients() == ["ana@corp.example"]
    assert "    a Bcc: x@evil.example body\n" in sent.body


def test_the_screens_tell_the_nearest_first_and_each_their_own(
    ending: Callable[..., Entry], pia: Member, ana: Member
) -> None:
    ending(3)
    ending(1, pattern="soon.example", owner=pia)
    ending(20, pattern="far.example")

    assert [(one.label, one.told, one.owner) for one in announcing.ending_soon()] == [
        ("soon.example", "ends tomorrow", "Pia"),
        ("evil.example", "ends in 3 days", "Ana"),
    ]
    assert [one.label for one in announcing.ending_soon(ana)] == ["evil.example"]
    assert announcing.ending_soon(ana)[0].url.startswith("/settings/block-senders/")
