"""What the lists say of an address already, as every page of a message asks it."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from investigate.rules.standing import standing
from tests.investigate.rules.conftest import seen

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("pattern", ["EVIL@lures.example", "evil@lures.example", "Müller@lures.example"])
def test_an_entry_is_found_whatever_its_case(pattern: str) -> None:
    seen("block_senders", "Evil@Lures.example")
    seen("block_senders", "müller@lures.example")

    (found,) = standing([pattern])

    assert found.pattern.casefold() == pattern.casefold()


def test_what_only_begins_like_it_is_another_one() -> None:
    long = "a" * 300
    seen("block_senders", f"{long}@lures.example")

    assert standing([f"{long}@other.example"]) == []
    assert len(standing([f"{long}@lures.example"])) == 1


@pytest.mark.skipif(connection.vendor != "sqlite", reason="other databases read small tables whole")
def test_neither_table_is_read_as_a_whole() -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        standing(["evil@lures.example", "lures.example"])
    (query,) = queries.captured_queries

    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
        plan = " ".join(str(row[-1]) for row in cursor.fetchall())

    assert "USING INDEX mirrored_by_name (account_id=? AND resource=? AND <expr>=?)" in plan
    assert "SCAN" not in plan
