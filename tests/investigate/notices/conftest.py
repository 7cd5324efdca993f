"""A view, what it found, and receivers that are processes of their own."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.conf import settings as django_settings
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.scope import spaced
from dashboard.access.sealing import seal
from investigate.models import Channel, NoticeRule, Rhythm, SavedView, ViewHit
from investigate.notices import making, sending
from investigate.notices.receivers import shortened
from tests.investigate.notices.receivers import Receiver, receiver
from tests.servers import free_port

ADDRESS = "https://desk.corp.example"
MINUTE = 60.0


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    """Noon, so that a shift by minutes changes neither the hour nor the day; the clock goes on."""
    with time_machine.travel(dt.datetime(2026, 11, 21, 12, 0, 1, tzinfo=dt.UTC), tick=True) as found:
        yield found


@pytest.fixture(autouse=True)
def _desk(settings: Any) -> None:
    settings.ADDRESS = ADDRESS
    settings.SENDS_MAIL = True
    settings.DEFAULT_FROM_EMAIL = "mailwarden@desk.corp.example"


@pytest.fixture
def http(tmp_path: Path, settings: Any) -> Iterator[Receiver]:
    port = free_port()
    settings.NOTICE_HOSTS = frozenset({f"127.0.0.1:{port}"})
    with receiver("http", port, tmp_path / "http") as found:
        yield found


@pytest.fixture
def smtp(tmp_path: Path, settings: Any) -> Iterator[Receiver]:
    port = free_port()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", port, 5
    with receiver("smtp", port, tmp_path / "smtp") as found:
        yield found


@pytest.fixture
def view(ben: Member) -> SavedView:
    now = timezone.now()
    return SavedView.objects.create(
        account_id=django_settings.CLOUDFLARE_ACCOUNT_ID,
        name="Held <today>",
        query="last=24h&disposition=MALICIOUS",
        owner=ben,
        owner_name="Ben",
        is_shared=True,
        created_at=now,
        changed_at=now,
    )


_numbers = itertools.count(1)


@pytest.fixture
def found(view: SavedView) -> Callable[..., ViewHit]:
    """The view finds a message."""

    def find(campaign: str = "", *, to: tuple[str, ...] = ("bea@corp.example",), **values: Any) -> ViewHit:
        number, now = next(_numbers), timezone.now()
        given: dict[str, Any] = {
            "subject": f"Invoice {number}",
            "sender": "billing@pay-pal.example",
            "disposition": "MALICIOUS",
        }
        given |= {"scanned_at": now, "found_at": now}
        return ViewHit.objects.create(
            view=view,
            investigate_id=f"4Njp3P:{number}",
            campaign=campaign,
            recipients=list(to),
            domains=spaced(to),
            **{**given, **values},
        )

    return find


@pytest.fixture
def rule_for(view: SavedView) -> Callable[..., NoticeRule]:
    """A rule as the form would have made it."""

    def make(owner: Member, channel: Channel, target: str, **values: Any) -> NoticeRule:
        now = timezone.now()
        given: dict[str, Any] = {"rhythm": Rhythm.AT_ONCE, "due_at": now, "told_hit": making.newest_hit(view.pk)}
        return NoticeRule.objects.create(
            view=view,
            owner=owner,
            channel=channel,
            target=seal(target),
            shown=target if channel == Channel.MAIL else shortened(target),
            secret=seal("s" * 43) if channel == Channel.WEBHOOK else "",
            created_at=now,
            changed_at=now,
            **{**given, **values},
        )

    return make


@pytest.fixture
def hook(rule_for: Callable[..., NoticeRule], ben: Member, http: Receiver) -> NoticeRule:
    return rule_for(ben, Channel.WEBHOOK, http.url)


def work() -> None:
    """What the sweep rings for, done at once."""
    now = timezone.now()
    sending.release_dead()
    for pk in list(making.due_rules(now).values_list("pk", flat=True)):
        making.make(pk)
    for pk in list(sending.due(timezone.now()).values_list("pk", flat=True)):
        sending.send(pk)
