"""Both generations of answers, and answers nobody promised."""

from __future__ import annotations

import datetime as dt

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.emailsec import SearchQuery, decode_rows, errors
from dashboard.emailsec.decoding import read
from dashboard.emailsec.enums import DeliveryStatus, Disposition, Operation
from dashboard.emailsec.times import parse_time, wire_time
from dashboard.emailsec.types import (
    BulkJob,
    Detections,
    Message,
    MoveResult,
    PhishGuardReport,
    ReleaseResult,
    Submission,
    Trace,
)

from .samples import BULK_JOB, CURRENT_DETECTIONS, CURRENT_MESSAGE, SEED_DETECTIONS, SEED_MESSAGE
from .upstream import Upstream, make_client, ok

UTC = dt.UTC


def test_a_message_of_today():
    message = read(CURRENT_MESSAGE, Message)
    assert message.from_ == "billing@supplier.example"
    assert message.final_disposition is Disposition.MALICIOUS
    assert message.delivery_status == (DeliveryStatus.QUARANTINED,)
    assert message.post_delivery_operations == (Operation.PREVIEW, Operation.MOVE)
    assert message.scanned_at == dt.datetime(2026, 11, 20, 10, 0, 0, 123450, UTC)
    assert message.sent_at == dt.datetime(2026, 11, 20, 9, 59, tzinfo=UTC)
    assert message.sent_at.tzinfo is UTC
    assert message.action_log == message.findings == ()


def test_a_message_of_the_older_generation():
    message = read(SEED_MESSAGE, Message)
    assert message.scanned_at == dt.datetime(2019, 11, 20, 23, 22, 1, tzinfo=UTC)
    assert message.sent_at == dt.datetime(2019, 11, 20, 23, 20, tzinfo=UTC)
    assert message.recipients == ("bea@corp.example",)
    assert message.properties.allowlisted_pattern_type == "quarantine_release"
    assert message.findings[0].field_name == "from"
    assert message.findings[0].detection is Disposition.SPOOF


def test_the_new_field_wins_over_the_old():
    message = read({**CURRENT_MESSAGE, "ts": "2001-01-01T00:00:00"}, Message)
    assert message.scanned_at.year == 2026


@pytest.mark.parametrize(
    "log",
    [
        [],
        None,
        {"operation": "MOVE", "completed_timestamp": "2019-11-20T23:22:01"},
        "text",
        7,
        ["x"],
        [{"operation": "MOVE"}],
    ],
)
def test_an_action_log_of_any_shape(log):
    entries = read({**CURRENT_MESSAGE, "action_log": log}, Message).action_log
    assert all(entry.operation is Operation.MOVE for entry in entries)
    if isinstance(log, dict):
        assert entries[0].completed_at == dt.datetime(2019, 11, 20, 23, 22, 1, tzinfo=UTC)


def test_recipients_fall_back_from_header_to_envelope_to_mailbox():
    row = {**CURRENT_MESSAGE, "to": ["a"], "envelope_to": ["b"], "client_recipients": ["c"]}
    assert read(row, Message).recipients == ("a",)
    assert read({**row, "to": None}, Message).recipients == ("b",)
    assert read({**row, "to": [], "envelope_to": None}, Message).recipients == ("c",)


@pytest.mark.matrix(50)
def test_unknown_values_are_shown_as_they_are():
    message = read(
        {**CURRENT_MESSAGE, "final_disposition": "VISHING", "delivery_status": ["Delivered", "teleported"]}, Message
    )
    assert str(message.final_disposition) == "VISHING"
    assert not message.final_disposition.is_known
    assert message.delivery_status[0] is DeliveryStatus.DELIVERED
    assert message.delivery_status[1] == "teleported"


def test_an_id_may_be_a_number_or_only_the_older_one():
    assert read({**CURRENT_MESSAGE, "id": 2400}, Message).id == "2400"
    assert read({"postfix_id": "p"}, Message).id == "p"
    with pytest.raises(msgspec.ValidationError):
        read({"subject": "no id"}, Message)


def test_detections_of_both_generations():
    new, old = read(CURRENT_DETECTIONS, Detections), read(SEED_DETECTIONS, Detections)
    assert (new.attachments[0].filename, old.attachments[0].filename) == ("a.zip", "old.zip")
    assert new.findings[0].score == 0.5
    assert old.findings == ()
    assert old.threat_categories[0].id == 7


def test_traces_of_both_generations():
    trace = read(
        {
            "inbound": {"pending": None, "lines": [{"lineno": 1, "ts": "2019-11-20T23:22:01", "message": "m"}]},
            "outbound": {"pending": True, "lines": None},
        },
        Trace,
    )
    assert trace.inbound.lines[0].logged_at == dt.datetime(2019, 11, 20, 23, 22, 1, tzinfo=UTC)
    assert not trace.inbound.pending
    assert trace.outbound.pending
    assert read({}, Trace).inbound.lines == ()


def test_results_of_both_generations():
    assert read({"postfix_id": "p", "delivered": ["a"]}, ReleaseResult).id == "p"
    assert read({"id": "i", "postfix_id": "p", "failed": None}, ReleaseResult).id == "i"
    old = read({"success": True, "completed_timestamp": "2019-11-20T23:22:01", "item_count": 1}, MoveResult)
    assert old.completed_at.tzinfo is UTC
    assert read({}, MoveResult).success is None, "what the API does not say is not known"


def test_submissions_and_reports_of_both_generations():
    new = read(
        {
            "submission_id": "s",
            "requested_at": "2026-01-02T03:04:05Z",
            "requested_ts": "2000-01-01T00:00:00",
            "type": "Team",
        },
        Submission,
    )
    assert new.requested_at.year == 2026
    assert new.type == "TEAM"
    assert read({"submission_id": "s", "requested_ts": "2019-11-20T23:22:01"}, Submission).requested_at.year == 2019
    report = read(
        {"id": 7, "fields": {"to": ["a"], "ts": "2019-11-20T23:22:01"}, "ts": "2019-11-20T23:22:02", "tags": None},
        PhishGuardReport,
    )
    assert report.id == "7"
    assert report.fields.occurred_at.second == 1
    assert report.created_at.second == 2


def test_a_bulk_jobs_counters_add_up():
    job = read(BULK_JOB, BulkJob)
    assert job.counted == job.total_messages_discovered == 10
    assert job.search_params == {"start": "2026-11-01T00:00:00Z", "sender": "a@b.example"}
    assert job.created_at.tzinfo is UTC


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = sorted({*CURRENT_MESSAGE, *SEED_MESSAGE} - {"id"})


@pytest.mark.matrix(50)
@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6))
def test_no_single_odd_field_breaks_a_message(odd):
    raw = {**CURRENT_MESSAGE, **odd}
    message = read(raw, Message)
    assert message.id == CURRENT_MESSAGE["id"]
    for name in ("scanned_at", "sent_at"):
        moment = getattr(message, name)
        assert moment is None or moment.tzinfo is UTC

    rows, _ = decode_rows(ok([raw]).content)
    row = rows[0]
    assert row.recipients == message.recipients
    assert row.final_disposition == message.final_disposition
    assert row.detection_reasons == message.detection_reasons
    assert row.is_quarantined == message.is_quarantined
    assert row.delivery_status == message.delivery_status
    assert (row.subject, row.from_, row.edf_hash) == (message.subject, message.from_, message.edf_hash)


@settings(deadline=None)
@given(JSON)
def test_anything_at_all_is_a_row_or_an_unexpected_reply(raw):
    body = msgspec.json.encode(raw)
    with pytest.raises(errors.UnexpectedReply):
        decode_rows(body)
    for kind in (Message, Detections, Trace, BulkJob, Submission):
        try:
            read(raw, kind)
        except msgspec.ValidationError:
            continue


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (rb"a\ud800b", "a\ufffdb"),
        (rb"\uDFFF", "\ufffd"),
        (rb"\ud800\ud800\udc00", "\ufffd\U00010000"),
        (rb"\\ud800", r"\ud800"),
        (rb"\\\ud800", "\\\ufffd"),
        (rb"\ud83d\ude00 ok", "\U0001f600 ok"),
        (rb"\u0000", "\x00"),
    ],
)
def test_half_a_character_in_one_subject_does_not_hide_the_page(written, shown):
    body = rb'{"success": true, "errors": [], "result": [{"id": "a", "subject": "%s"}, {"id": "b"}]}' % written
    rows, _ = decode_rows(body)
    assert [row.subject for row in rows] == [shown, None]
    page = make_client(Upstream(httpx.Response(200, content=body))).search(SearchQuery())
    assert [message.subject for message in page.messages] == [shown, None]


def test_rows_sort_by_their_time_text():
    times = ["2026-11-20T10:00:00Z", "2026-11-20T10:00:00.5Z", "2026-11-20T10:00:00.25Z", "2026-11-20T12:00:01+02:00"]
    rows, cursor = decode_rows(
        ok([{"id": str(n), "scanned_at": time} for n, time in enumerate(times)], info={"next": ""}).content
    )
    assert [row.id for row in sorted(rows, key=lambda row: row.scanned_at)] == ["0", "2", "1", "3"]
    assert {len(row.scanned_at) for row in rows} == {27}
    assert cursor is None


def test_rows_of_the_older_generation_and_with_nothing_in_them():
    rows, cursor = decode_rows(
        ok([SEED_MESSAGE, {"id": "bare"}, {"postfix_id": "p"}], info={"next": "c", "page": 0}).content
    )
    assert [row.id for row in rows] == ["old:1", "bare", "p"]
    assert rows[0].scanned_at == "2019-11-20T23:22:01.000000Z"
    assert (rows[1].scanned_at, rows[1].recipients, rows[1].validation.spf) == ("", (), None)
    assert cursor == "c"


@pytest.mark.parametrize("row", [{}, {"subject": "no id"}, None, "x", 7, []])
def test_a_row_without_an_id_is_an_error_not_a_gap(row):
    with pytest.raises(errors.UnexpectedReply):
        decode_rows(ok([{"id": "a"}, row]).content if row is not None else ok([{"id": ""}]).content)
    with pytest.raises(errors.UnexpectedReply):
        make_client(Upstream(ok([{"id": "a"}, row or {}]))).search(SearchQuery())


@settings(deadline=None)
@given(st.text() | st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat()))
def test_any_text_is_a_time_or_none(text):
    moment = parse_time(text)
    assert moment is None or moment.tzinfo is UTC


def test_a_naive_time_is_never_sent():
    with pytest.raises(ValueError, match="zone"):
        wire_time(dt.datetime(2026, 1, 1))  # noqa: DTZ001  that is the point
    assert wire_time(dt.datetime(2026, 1, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2)))) == "2026-01-01T00:00:00Z"
