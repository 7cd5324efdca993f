"""Merging loses no row and doubles none, however the branches are cut into pages."""

from __future__ import annotations

import base64
import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.emailsec.rows import MessageRow
from investigate.search.criteria import Criteria
from investigate.search.merging import BadToken, MoreToken, Place, Stream, mark, merge, read_token

NOW = dt.datetime(2026, 11, 21, 1, 20, tzinfo=dt.UTC)
EPOCH = int(NOW.timestamp())


def row(second: int, number: int) -> MessageRow:
    at = dt.datetime(2026, 11, 20, tzinfo=dt.UTC) + dt.timedelta(seconds=second)
    return MessageRow(id=f"m-{second}-{number}", wire_scanned_at=at.isoformat())


branches = st.lists(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4)), max_size=25).map(
        lambda pairs: [row(*pair) for pair in sorted(set(pairs), reverse=True)]
    ),
    min_size=1,
    max_size=4,
)


@given(branches, st.integers(1, 7), st.integers(1, 9))
def test_every_row_is_shown_once_in_order_of_time(branches, upstream_page, our_page):
    """Each branch is read page by page as the service would give it, and continued over our own pages."""
    positions = [0] * len(branches)  # rows of each branch that went by
    shown: list[MessageRow] = []
    last, last_ids = "", ()
    for _ in range(1000):
        streams = []
        for rows, position in zip(branches, positions, strict=True):
            page_start = position - position % upstream_page
            page = rows[page_start : page_start + upstream_page]
            streams.append(Stream(page, position - page_start, page_start + upstream_page < len(rows)))
        merged = merge(streams, most=our_page, last=last, last_ids=last_ids)
        moved = [
            (position - position % upstream_page) + stream.offset
            for position, stream in zip(positions, streams, strict=True)
        ]
        if moved == positions:
            break
        positions = moved
        shown += merged.rows
        assert not merged.has_changed
        last, last_ids = merged.last, merged.last_ids
    times = [found.scanned_at for found in shown]
    ids = [found.id for found in shown]
    assert times == sorted(times, reverse=True)
    assert len(ids) == len(set(ids))
    assert set(ids) == {found.id for rows in branches for found in rows}


@pytest.mark.matrix(47)
def test_a_row_on_two_pages_of_one_search_is_shown_once_and_said():
    earlier = [row(5, 1), row(4, 1)]
    first = merge([Stream(earlier, 0, has_next=True)], most=10)
    second = merge(
        [Stream([row(5, 1), row(3, 1)], 0, earlier_ids=lambda: {found.id for found in earlier})],
        most=10,
        last=first.last,
        last_ids=first.last_ids,
    )
    assert [found.id for found in second.rows] == ["m-3-1"]
    assert second.has_changed


def test_a_row_twice_on_one_page_is_shown_once_and_said():
    merged = merge([Stream([row(5, 1), row(5, 1), row(4, 1)])], most=10)
    assert [found.id for found in merged.rows] == ["m-5-1", "m-4-1"]
    assert merged.has_changed


def test_a_message_found_by_two_branches_is_no_change():
    merged = merge([Stream([row(5, 1)]), Stream([row(5, 1)])], most=10)
    assert len(merged.rows) == 1
    assert not merged.has_changed


def test_a_row_out_of_order_is_shown_rather_than_lost():
    merged = merge([Stream([row(6, 1), row(3, 1)])], most=10, last=row(4, 1).scanned_at, last_ids=())
    assert [found.id for found in merged.rows] == ["m-6-1", "m-3-1"]
    assert not merged.has_changed


def test_rows_without_a_time_come_last():
    merged = merge([Stream([MessageRow(id="x")]), Stream([row(1, 1)])], most=10)
    assert [found.id for found in merged.rows] == ["m-1-1", "x"]


def token(**changes) -> MoreToken:
    place = {"start": EPOCH - 86_400, "end": EPOCH, "cursor": "abc", "used": (mark("x"),), **changes}
    return MoreToken(1, 100, "2026-11-20T00:00:00.000000Z", (mark("a"),), (Place(**place),))


def test_a_token_is_read_as_it_was_written():
    assert read_token(token().write(), Criteria(), NOW) == token()


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "!!!",
        "%00",
        "AAAA",
        encoded({}),
        encoded([]),
        encoded([2, 100, "", [], [[EPOCH - 86_400, EPOCH]]]),
        encoded([1, -1, "", [], [[EPOCH - 86_400, EPOCH]]]),
        encoded([1, 100, "", [], []]),
        encoded([1, 100, "", [], [[EPOCH - 86_400, EPOCH]] * 2]),
        encoded([1, 100, "", [], [[EPOCH - 86_400, EPOCH, "x", -5]]]),
        encoded([1, 100, "", [], [[EPOCH - 86_400, EPOCH, "x", 0, "../../etc"]]]),
        encoded([1, 100, "", [], [[EPOCH - 86_400, EPOCH, "x" * 7000]]]),
        encoded([1, 100, "", [], [[10**18, 10**18 + 86_400]]]),
        encoded([1, 100, "", [], [["a", "b"]]]),
        encoded([1, 100, "x" * 100, [], [[EPOCH - 86_400, EPOCH]]]),
        "A" * 30_000,
        token(start=EPOCH - 90_000).write(),
        token(start=EPOCH + 86_400, end=EPOCH + 2 * 86_400).write(),
        token(cursor="\x00").write(),
        token(cursor="a\x1b").write(),
    ],
)
def test_a_hostile_token_is_refused(text):
    with pytest.raises(BadToken):
        read_token(text, Criteria(), NOW)


def test_a_token_fits_only_the_range_it_was_made_for():
    start, end = NOW - dt.timedelta(days=1), NOW
    exact = Criteria(start=start, end=end)
    assert read_token(token().write(), exact, NOW)
    with pytest.raises(BadToken):
        read_token(token().write(), Criteria(start=start, end=end - dt.timedelta(seconds=1)), NOW)
    assert read_token(token().write(), Criteria(start=start), NOW)
    with pytest.raises(BadToken):
        read_token(token().write(), Criteria(end=end), NOW)
