"""What each method sends, and what it makes of the answer."""

from __future__ import annotations

import base64
import datetime as dt

import httpx
import pytest

from dashboard.emailsec import BulkSearch, MissedDetection, Reclassification, SearchQuery, errors, every
from dashboard.emailsec.enums import (
    BulkAction,
    BulkJobStatus,
    BulkMessageStatus,
    CustomerStatus,
    DeliveryStatus,
    Disposition,
    MailboxDestination,
    MessageActionFilter,
    SortDirection,
    SubmissionOrder,
    SubmitterType,
)
from dashboard.emailsec.features import BELIEVED_FOR_SECONDS, RememberedHere
from dashboard.emailsec.transport import PICTURE_LIMIT
from dashboard.emailsec.types import Page, RawSearchPage, SearchPage

from .samples import BULK_JOB, CURRENT_DETECTIONS, CURRENT_MESSAGE, MESSAGE_ID, SEED_MESSAGE
from .upstream import ROOT, Clock, Upstream, make_client, ok, refused

START, END = dt.datetime(2026, 11, 1, tzinfo=dt.UTC), dt.datetime(2026, 11, 20, 12, 30, 1, 500_000, tzinfo=dt.UTC)
PNG = b"\x89PNG\r\n\x1a\n and so on"


def asked(request: httpx.Request) -> tuple[str, str, dict[str, str]]:
    return request.method, request.url.raw_path.decode().removeprefix(ROOT).split("?")[0], dict(request.url.params)


def test_search_sends_all_criteria_and_never_page():
    upstream = Upstream(ok([CURRENT_MESSAGE], info={"next": "c2", "count": 1}, headers={"cf-ray": "r"}))
    query = SearchQuery(
        start=START,
        end=END,
        detections_only=False,
        query="a b+c",
        sender="x@y.example",
        recipient="",
        subject=None,
        final_disposition=Disposition.SPAM,
        delivery_status=DeliveryStatus.MOVED,
        message_action=MessageActionFilter.MOVED,
        smtp_helo_ip="192.0.2.1",
    )
    page = make_client(upstream).search(query, cursor="c1", per_page=50)

    assert isinstance(page, SearchPage)
    assert (page.messages[0].id, page.next_cursor, page.ray_id) == (MESSAGE_ID, "c2", "r")
    assert asked(upstream.last) == (
        "GET",
        "/investigate",
        {
            "start": "2026-11-01T00:00:00Z",
            "end": "2026-11-20T12:30:01.500000Z",
            "detections_only": "false",
            "query": "a b+c",
            "sender": "x@y.example",
            "final_disposition": "SPAM",
            "delivery_status": "moved",
            "message_action": "MOVED",
            "smtp_helo_ip": "192.0.2.1",
            "cursor": "c1",
            "per_page": "50",
        },
    )
    assert upstream.last.headers["accept"] == "application/json"


def test_the_clean_mail_switch_is_always_sent():
    upstream = Upstream(ok([]))
    page = make_client(upstream).search_raw(SearchQuery())
    assert upstream.last.url.params["detections_only"] == "true"
    assert isinstance(page, RawSearchPage)
    assert (page.count, page.next_cursor) == (0, None)


@pytest.mark.parametrize("per_page", [0, -1, 1001])
def test_a_page_size_the_api_has_not_is_refused_here(per_page):
    upstream = Upstream(ok([]))
    with pytest.raises(ValueError, match="page"):
        make_client(upstream).search(SearchQuery(), per_page=per_page)
    assert upstream.requests == []


def test_reads_of_one_message():
    upstream = Upstream(ok(CURRENT_MESSAGE))
    client = make_client(upstream)
    client.message(MESSAGE_ID, submission=True)
    assert asked(upstream.last) == ("GET", f"/investigate/{MESSAGE_ID}", {"submission": "true"})

    upstream.answers = [ok(CURRENT_DETECTIONS)]
    assert client.detections(MESSAGE_ID).links[0].href == "https://evil.example/"
    assert asked(upstream.last) == ("GET", f"/investigate/{MESSAGE_ID}/detections", {})

    upstream.answers = [ok({"inbound": {"lines": []}, "outbound": {}})]
    assert client.trace(MESSAGE_ID).inbound.lines == ()
    assert asked(upstream.last)[1] == f"/investigate/{MESSAGE_ID}/trace"

    upstream.answers = [ok({"raw": "From: ü\r\n\r\nhi"})]
    assert client.raw(MESSAGE_ID) == "From: ü\r\n\r\nhi"
    assert asked(upstream.last)[1] == f"/investigate/{MESSAGE_ID}/raw"

    upstream.answers = [ok({"screenshot": base64.b64encode(PNG).decode()})]
    assert client.preview(MESSAGE_ID) == PNG
    assert asked(upstream.last) == ("GET", f"/investigate/{MESSAGE_ID}/preview", {})
    assert client.render_preview(MESSAGE_ID) == PNG
    assert asked(upstream.last) == ("POST", "/investigate/preview", {})
    assert upstream.sent() == {"id": MESSAGE_ID}


@pytest.mark.parametrize(
    "screenshot",
    [
        None,
        7,
        "",
        "not base64!",
        base64.b64encode(b"<svg onload=alert(1)>").decode(),
        base64.b64encode(PNG).decode() + "\n",
        base64.b64encode(PNG).decode()[:-1],
        base64.b64encode(PNG + b"\0" * PICTURE_LIMIT).decode(),
    ],
    ids=["null", "number", "empty", "text", "svg", "newline", "cut", "too large"],
)
def test_a_picture_is_strict_base64_of_a_png_of_bearable_size(screenshot):
    with pytest.raises(errors.UnexpectedReply):
        make_client(Upstream(ok({"screenshot": screenshot}))).preview("a")


@pytest.mark.parametrize("result", [{}, {"raw": None}, {"raw": 7}, "text", []])
def test_a_raw_message_is_text(result):
    with pytest.raises(errors.UnexpectedReply):
        make_client(Upstream(ok(result))).raw("a")


def test_the_action_log_comes_from_its_own_endpoint():
    upstream = Upstream(ok([{"operation": "MOVE", "success": False, "properties": None}]))
    (entry,) = make_client(upstream).action_log("a")
    assert (entry.operation, entry.success, entry.properties.folder) == ("MOVE", False, None)
    assert asked(upstream.last) == ("GET", "/investigate/a/action_log", {"per_page": "1000"})


@pytest.mark.parametrize("answer", [refused(404, code=7003), refused(405)])
def test_an_older_server_keeps_the_action_log_in_the_message(answer):
    message = {**SEED_MESSAGE, "action_log": [{"operation": "RELEASE", "completed_timestamp": "2019-11-20T23:22:01"}]}
    upstream = Upstream(answer, ok(message))
    client = make_client(upstream)
    assert client.action_log("a")[0].operation == "RELEASE"
    assert client.action_log("a")[0].operation == "RELEASE"
    assert [asked(request)[1] for request in upstream.requests] == [
        "/investigate/a/action_log",
        "/investigate/a",
        "/investigate/a",
    ], "what the server lacks was asked for again"


def test_a_log_that_is_merely_not_found_teaches_nothing():
    upstream = Upstream(refused(404), ok(SEED_MESSAGE), ok([]))
    client = make_client(upstream)
    assert client.action_log("a") == ()
    client.action_log("b")
    assert asked(upstream.last)[1] == "/investigate/b/action_log"


def test_a_message_that_is_gone_does_not_hide_the_action_log():
    upstream = Upstream(refused(404, code=7003), refused(404), ok([]))
    client = make_client(upstream)
    with pytest.raises(errors.NotFound):
        client.action_log("a")
    assert client.action_log("b") == ()


def test_moves():
    upstream = Upstream(ok([{"success": True, "recipient": "a"}, {"success": False, "status": "no mailbox"}]))
    client = make_client(upstream)
    results = client.move("a:b", MailboxDestination.JUNK_EMAIL)
    assert [result.success for result in results] == [True, False]
    assert asked(upstream.last) == ("POST", "/investigate/a:b/move", {})
    assert upstream.sent() == {"destination": "JunkEmail"}

    client.move_many(["a", "b", "a"], MailboxDestination.RECOVERABLE_ITEMS_PURGES)
    assert asked(upstream.last) == ("POST", "/investigate/move", {})
    assert upstream.sent() == {"ids": ["a", "b"], "destination": "RecoverableItemsPurges"}


def test_release():
    upstream = Upstream(
        ok([{"id": "a", "delivered": ["x"], "failed": None}, {"postfix_id": "p", "undelivered": ["y"]}])
    )
    results = make_client(upstream).release(["a", "b"])
    assert [(result.id, result.delivered, result.undelivered) for result in results] == [
        ("a", ("x",), ()),
        ("p", (), ("y",)),
    ]
    assert asked(upstream.last) == ("POST", "/investigate/release", {})
    assert upstream.sent() == {"ids": ["a", "b"]}


@pytest.mark.parametrize("ids", [[], [str(n) for n in range(1001)], ["a", ""]])
def test_a_call_takes_1_to_1000_ids(ids):
    upstream = Upstream(ok([]))
    client = make_client(upstream)
    with pytest.raises(ValueError, match="id"):
        client.release(ids)
    with pytest.raises(ValueError, match="id"):
        client.move_many(ids, MailboxDestination.INBOX)
    with pytest.raises(TypeError):
        client.release("one-id")
    assert upstream.requests == []


def test_enums_are_closed_on_write():
    upstream = Upstream(ok([]))
    client = make_client(upstream)
    with pytest.raises(ValueError, match="folder"):
        client.move("a", MailboxDestination("Elsewhere"))
    with pytest.raises(ValueError, match="disposition"):
        client.reclassify("a", Disposition.MALICIOUS_BEC)
    with pytest.raises(ValueError, match="action"):
        client.create_bulk_job(action=BulkAction("ERASE"), search=SearchQuery())
    assert upstream.requests == []


@pytest.mark.parametrize("result", [{"id": "a"}, None, ["text"], "moved"])
def test_a_write_with_an_answer_of_another_shape_is_unknown(result):
    with pytest.raises(errors.OutcomeUnknown):
        make_client(Upstream(ok(result))).release(["a"])


def test_reclassify():
    upstream = Upstream(ok({}, status=202))
    make_client(upstream).reclassify("a", Disposition.NONE, eml=b"From: x", escalated_submission_id="s")
    assert asked(upstream.last) == ("POST", "/investigate/a/reclassify", {})
    assert upstream.sent() == {
        "expected_disposition": "NONE",
        "eml_content": base64.b64encode(b"From: x").decode(),
        "escalated_submission_id": "s",
    }


MISSED = MissedDetection(
    postfix_id="p", message_id="<m>", recipient_emails=("x@y",), expected_disposition=Disposition.SPAM, eml_content=b"E"
)
WRONG_VERDICT = Reclassification(alert_id="al", expected_disposition=Disposition.NONE)


def test_submit_sends_both_kinds():
    upstream = Upstream(ok({"results": [{"id": "al", "accepted": False, "error": "no"}]}, status=202))
    client = make_client(upstream)
    (receipt,) = client.submit([WRONG_VERDICT])
    assert (receipt.id, receipt.accepted, receipt.error) == ("al", False, "no")
    assert asked(upstream.last) == ("POST", "/submissions", {})
    assert upstream.sent() == {
        "type": "reclassification",
        "messages": [{"alert_id": "al", "expected_disposition": "NONE"}],
    }

    client.submit([MISSED])
    assert upstream.sent() == {
        "type": "missed_detection",
        "messages": [
            {
                "postfix_id": "p",
                "message_id": "<m>",
                "recipient_emails": ["x@y"],
                "expected_disposition": "SPAM",
                "eml_content": "RQ==",
            }
        ],
    }
    with pytest.raises(ValueError, match="one kind"):
        client.submit([WRONG_VERDICT, MISSED])
    with pytest.raises(ValueError, match="one kind"):
        client.submit([])


@pytest.mark.parametrize(("refusal", "calls"), [(refused(404, code=7003), 3), (refused(405), 3), (refused(404), 4)])
def test_submitting_falls_back_to_reclassify_and_remembers(refusal, calls):
    def server(request):
        return refusal if request.url.path.endswith("/submissions") else ok({}, status=202)

    upstream = Upstream(server)
    client = make_client(upstream)
    for _ in range(2):
        receipt = client.submit_or_reclassify("a:b", MISSED)
        assert (receipt.accepted, receipt.via_reclassify) == (True, True)
    assert len(upstream.requests) == calls, "only a clear answer is remembered"
    assert asked(upstream.last)[1] == "/investigate/a:b/reclassify"
    assert upstream.sent() == {"expected_disposition": "SPAM", "eml_content": "RQ=="}


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refused(500), errors.OutcomeUnknown),
        (refused(422), errors.Rejected),
        (ok({"results": []}), errors.OutcomeUnknown),
    ],
)
def test_only_a_missing_operation_falls_back(answer, error):
    upstream = Upstream(answer, ok({}, status=202))
    with pytest.raises(error):
        make_client(upstream).submit_or_reclassify("a", WRONG_VERDICT)
    assert len(upstream.requests) == 1


def test_bulk_jobs():
    upstream = Upstream(ok(BULK_JOB, status=201))
    client = make_client(upstream)
    search = BulkSearch(
        start=START, end=END, sender="x@y", exact_subject="Hello", final_disposition=Disposition.MALICIOUS_BEC
    )
    job = client.create_bulk_job(
        action=BulkAction.MOVE, search=search, destination=MailboxDestination.INBOX, comment="key"
    )
    assert job.status is BulkJobStatus.PROCESSING
    assert asked(upstream.last) == ("POST", "/investigate/bulk", {})
    assert upstream.sent() == {
        "action": "MOVE",
        "destination": "Inbox",
        "comment": "key",
        "search_params": {
            "start": "2026-11-01T00:00:00Z",
            "end": "2026-11-20T12:30:01.500000Z",
            "detections_only": True,
            "sender": "x@y",
            "exact_subject": "Hello",
            "final_disposition": "MALICIOUS-BEC",
            "submissions": False,
        },
    }
    client.bulk_job("j/1")
    assert asked(upstream.last) == ("GET", "/investigate/bulk/j%2F1", {})
    client.cancel_bulk_job("j")
    assert asked(upstream.last) == ("POST", "/investigate/bulk/j/cancel", {})
    upstream.answers = [ok({"id": "j"})]
    client.delete_bulk_job("j")
    assert asked(upstream.last) == ("DELETE", "/investigate/bulk/j", {})
    upstream.answers = [
        ok([{"message_id": "row", "status": "SKIPPED", "message": CURRENT_MESSAGE}], info={"per_page": 1})
    ]
    page = client.bulk_messages("j", status=BulkMessageStatus.SKIPPED, page=2, per_page=1)
    assert asked(upstream.last) == (
        "GET",
        "/investigate/bulk/j/messages",
        {"status": "SKIPPED", "page": "2", "per_page": "1"},
    )
    assert (page.items[0].row_id, page.items[0].message.id, page.is_last) == ("row", MESSAGE_ID, False)
    upstream.answers = [ok([BULK_JOB], info={})]
    client.bulk_jobs(action=BulkAction.MOVE, status=BulkJobStatus.FAILED)
    assert asked(upstream.last)[2] == {"action_type": "MOVE", "status": "FAILED", "page": "1", "per_page": "100"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"action": BulkAction.MOVE, "search": BulkSearch(start=START, end=END)},
        {
            "action": BulkAction.RELEASE,
            "search": BulkSearch(start=START, end=END),
            "destination": MailboxDestination.INBOX,
        },
        {"action": BulkAction.RELEASE, "search": BulkSearch(start=START)},
        {"action": BulkAction.RELEASE, "search": SearchQuery()},
    ],
)
def test_a_job_over_an_open_window_or_without_its_folder_is_refused_here(wrong):
    upstream = Upstream(ok(BULK_JOB))
    with pytest.raises(ValueError, match="needs"):
        make_client(upstream).create_bulk_job(**wrong)
    assert upstream.requests == []


def test_submissions_and_reports():
    upstream = Upstream(ok([{"submission_id": "s", "status": "done"}], info={"total_count": 9, "per_page": 100}))
    client = make_client(upstream)
    page = client.submissions(
        start=START,
        end=END,
        type=SubmitterType.TEAM,
        status=CustomerStatus.REVIEWED,
        outcome_disposition=Disposition.SPAM,
        escalated_from_user=False,
        order=SubmissionOrder.SUBJECT,
        direction=SortDirection.ASC,
        page=3,
    )
    assert (page.items[0].submission_id, page.is_last, page.total_hint) == ("s", True, 9)
    assert asked(upstream.last) == (
        "GET",
        "/submissions",
        {
            "start": "2026-11-01T00:00:00Z",
            "end": "2026-11-20T12:30:01.500000Z",
            "type": "TEAM",
            "status": "reviewed",
            "outcome_disposition": "SPAM",
            "escalated_from_user": "false",
            "order": "subject",
            "direction": "asc",
            "page": "3",
            "per_page": "100",
        },
    )
    upstream.answers = [ok([{"id": 1, "title": "t", "content": "<b>", "fields": {"to": []}}])]
    reports = client.phishguard_reports(start=START)
    assert (reports.items[0].id, reports.is_last) == ("1", True)
    assert asked(upstream.last)[:2] == ("GET", "/phishguard/reports")


def listing(total: int, *, cap: int = 1000, info: bool = True, ignores_page: bool = False):
    def server(request):
        page, per_page = (int(request.url.params[name]) for name in ("page", "per_page"))
        size = min(per_page, cap)
        begin = 0 if ignores_page else (page - 1) * size
        rows = [{"submission_id": str(n)} for n in range(total)][begin : begin + size]
        return ok(rows, info={"per_page": size, "page": page} if info else None)

    return Upstream(server)


@pytest.mark.parametrize(
    ("server", "found", "calls"),
    [
        (listing(5), 5, 3),
        (listing(4), 4, 3),
        (listing(0), 0, 1),
        (listing(5, cap=1), 5, 6),
        (listing(4, info=False), 2, 1),
        (listing(4, ignores_page=True), 2, 2),
    ],
    ids=["short last page", "full last page", "nothing", "server caps the page", "no page info", "server ignores page"],
)
def test_lists_end_by_a_short_page_and_never_run_for_ever(server, found, calls):
    client = make_client(server)

    def fetch(number: int) -> Page:
        return client.submissions(page=number, per_page=2)

    assert len(list(every(fetch))) == found
    assert len(server.requests) == calls


def test_what_is_missing_is_forgotten_after_a_day():
    clock = Clock()
    missing = RememberedHere(clock)
    missing.remember("bulk_jobs")
    assert missing.is_missing("bulk_jobs")
    assert not missing.is_missing("submissions")
    clock.now += BELIEVED_FOR_SECONDS
    assert not missing.is_missing("bulk_jobs")


@pytest.mark.parametrize("budget", [0, -1, float("nan")])
def test_a_call_needs_time(budget):
    upstream = Upstream(ok(CURRENT_MESSAGE))
    with pytest.raises(ValueError, match="seconds"):
        make_client(upstream).message("a", budget=budget)
    assert upstream.requests == []
