"""Remembering: one row for a message, the latest answer wins, and what says nothing new is not written again."""

from __future__ import annotations

from django.db import connection
from django.test.utils import CaptureQueriesContext

from dashboard.emailsec.enums import DeliveryStatus
from investigate.models import SeenCopy, SeenMessage
from tests.investigate.memory.conftest import Seen


def test_the_latest_answer_wins_whatever_comes_last(seen: Seen) -> None:
    first = seen("m", scanned_at=None, legacy_ts="2026-11-20T10:00:00Z", seen_ago=30)
    seen("m", scanned_at=first.scanned_at, seen_ago=10, subject="Changed", delivery_status=(DeliveryStatus.MOVED,))
    last = seen("m", scanned_at=first.scanned_at, seen_ago=20, subject="Of an older answer")

    assert (last.subject, last.delivery_status) == ("Changed", ["moved"])
    assert last.first_seen_at == first.first_seen_at
    assert SeenMessage.objects.count() == SeenCopy.objects.count() == 1


def test_what_says_nothing_new_is_only_seen_again(seen: Seen) -> None:
    first = seen("m", seen_ago=30)

    with CaptureQueriesContext(connection) as asked:
        again = seen("m", scanned_at=first.scanned_at, seen_ago=10)

    assert again.seen_at > first.seen_at
    assert not [query for query in asked if query["sql"].startswith("INSERT")]


def test_a_copy_more_is_a_copy_more(seen: Seen) -> None:
    first = seen("m", seen_ago=30)
    seen("m", scanned_at=first.scanned_at, seen_ago=10, to=("eva@corp.example", "MAX@corp.example"))

    assert set(SeenCopy.objects.values_list("address", flat=True)) == {"eva@corp.example", "max@corp.example"}
