"""Cases to work on. Time passes by moving columns, never by waiting."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.emailsec.types import Message
from dashboard.upstream.connection import get_client
from investigate.desk import cases, notes
from investigate.models import Case, CaseSource, Note


@pytest.fixture
def detection(emailsec: Any) -> Message:
    """Suspicious mail that was delivered."""
    record = next(
        record
        for record in emailsec.store.records
        if record.final_disposition == "SUSPICIOUS" and not record.is_quarantined and not record.is_phish_submission
    )
    return get_client().message(record.id)


@pytest.fixture
def case(detection: Message) -> Case:
    return cases.ensure(detection, CaseSource.DETECTION)


@pytest.fixture
def report(db: None) -> Case:
    """A report that stands alone, because nobody knows its message."""
    return Case.objects.create(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID, key="phishguard:4711", source=CaseSource.PHISHGUARD,
        created_at=timezone.now(), changed_at=timezone.now(), due_at=timezone.now(), subject="<b>Campaign</b>",
        recipients=["eva@corp.example"], domains=" corp.example ", scanned_at=timezone.now(),
    )  # fmt: skip


@pytest.fixture
def write() -> Callable[..., Note]:
    def add(actor: Member, case: Case, text: str, key: str = "") -> Note:
        return notes.add_note(actor=actor, case=case, text=text, operation_key=key or uuid.uuid4().hex, request=None)

    return add


@pytest.fixture
def away() -> Callable[..., None]:
    """The holder was last seen so many minutes ago."""

    def last_seen(case: Case, *, minutes: int) -> None:
        Case.objects.filter(pk=case.pk).update(holder_seen_at=timezone.now() - dt.timedelta(minutes=minutes))

    return last_seen
