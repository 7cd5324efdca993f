"""What each kind of answer becomes, for a read and for a write."""

from __future__ import annotations

import httpx
import pytest

from dashboard.emailsec import errors
from dashboard.emailsec.types import MailboxDestination

from .upstream import Upstream, make_client, ok, refused

HTML = httpx.Response(200, html="<h1>hold on</h1>")
HTML_502 = httpx.Response(502, html="<h1>bad gateway</h1>")
TRUNCATED = httpx.Response(200, content=b'{"success": true, "errors": [], "result": {"id": "a')
CLAIMS_FAILURE = httpx.Response(200, json={"success": False, "errors": [{"code": 1, "message": "x"}], "result": None})
BAD_BODIES = {
    "html": HTML,
    "truncated": TRUNCATED,
    "success false": CLAIMS_FAILURE,
    "empty": httpx.Response(200),
    "list": httpx.Response(200, json=[]),
    "number": httpx.Response(200, json=7),
    "not a number": httpx.Response(200, content=b'{"success":true,"result":NaN}'),
    "nesting": httpx.Response(200, content=b'{"success":true,"result":' + b"[" * 1_000_000),
    "closed nesting": httpx.Response(200, content=b'{"success":true,"result":' + b"[" * 900 + b"]" * 900 + b"}"),
    "bad utf-8": httpx.Response(200, content=b'{"success":true,"result":{"id":"\xff\xfe"}}'),
    "no success": httpx.Response(200, json={"result": {"id": "a"}}),
    "no result": httpx.Response(200, json={"success": True}),
    "text result": ok("done"),
    "redirect": httpx.Response(302, headers={"location": "https://elsewhere.example/"}),
}


def read(client):
    return client.message("a")


def write(client):
    return client.move("a", MailboxDestination.INBOX)


@pytest.mark.matrix(32)
@pytest.mark.parametrize("name", BAD_BODIES)
def test_an_answer_that_is_not_the_apis_is_an_error_for_a_read_and_unknown_for_a_write(name):
    with pytest.raises(errors.UnexpectedReply):
        read(make_client(Upstream(BAD_BODIES[name])))

    upstream = Upstream(BAD_BODIES[name])
    with pytest.raises(errors.OutcomeUnknown):
        write(make_client(upstream))
    assert len(upstream.requests) == 1, "a write was sent twice"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, errors.Rejected),
        (401, errors.CredentialsRefused),
        (403, errors.NotPermitted),
        (404, errors.NotFound),
        (409, errors.Rejected),
        (410, errors.Rejected),
        (413, errors.Rejected),
        (422, errors.Rejected),
        (429, errors.RateLimited),
    ],
)
@pytest.mark.parametrize("call", [read, write])
def test_a_refusal_has_its_own_class_and_is_final(status, expected, call):
    upstream = Upstream(refused(status, code=1234, message="because", headers={"cf-ray": "ray-1"}))

    with pytest.raises(expected) as caught:
        call(make_client(upstream))

    error = caught.value
    assert type(error) is expected
    assert (error.status, error.codes, error.api_message, error.ray_id) == (status, (1234,), "because", "ray-1")
    assert len(upstream.requests) == 1
    assert str(status) in str(error)
    assert "ray-1" in str(error)
    assert "because" not in str(error)


@pytest.mark.matrix(31)
@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 524, 408])
def test_5xx_is_unavailable_for_a_read_and_unknown_for_a_write(status):
    upstream = Upstream(refused(status))
    with pytest.raises(errors.Unavailable):
        read(make_client(upstream))
    assert len(upstream.requests) == 4, "reads are repeated"

    upstream = Upstream(refused(status))
    with pytest.raises(errors.OutcomeUnknown):
        write(make_client(upstream))
    assert len(upstream.requests) == 1


def test_html_from_the_edge_is_survived():
    with pytest.raises(errors.Unavailable):
        read(make_client(Upstream(HTML_502)))


def test_somebody_elses_404_does_not_say_that_the_message_is_gone():
    foreign = httpx.Response(404, html="<h1>nginx</h1>")
    with pytest.raises(errors.UnexpectedReply):
        read(make_client(Upstream(foreign)))


def test_pointers_lead_to_the_form_field_and_chains_are_read():
    body = {
        "success": False,
        "errors": [
            {
                "code": 6003,
                "message": "bad",
                "source": {"pointer": "/ids/0"},
                "error_chain": [{"code": 6103, "message": "key"}],
            },
            "nonsense",
            {"code": "text", "message": None},
        ],
        "result": None,
    }
    with pytest.raises(errors.Rejected) as caught:
        write(make_client(Upstream(httpx.Response(400, json=body))))
    assert caught.value.pointers == [("/ids/0", "bad")]
    assert caught.value.codes == (6003, 6103)
    assert caught.value.api_message == "bad; key"


def test_a_product_not_bought_is_told_from_a_missing_permission():
    message = "Feature is Not Available in the current subscription."
    with pytest.raises(errors.NotPermitted) as caught:
        read(make_client(Upstream(refused(403, message=message))))
    assert caught.value.not_subscribed

    with pytest.raises(errors.NotPermitted) as caught:
        read(make_client(Upstream(refused(403))))
    assert not caught.value.not_subscribed


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("1", 1), ("300", 300), ("-5", 300), ("1000000000", 900), ("soon", 300), ("0", 300), (None, 300), ("nan", 300)],
)
def test_retry_after_is_believed_only_within_reason(header, seconds):
    headers = {"retry-after": header} if header else {}
    with pytest.raises(errors.RateLimited) as caught:
        make_client(Upstream(refused(429, headers=headers))).message("a", budget=0.5)
    assert caught.value.retry_after == seconds


def test_errors_survive_a_trip_between_processes():
    import copy

    error = errors.Rejected("why", operation="GET /x", status=422, codes=(1,), pointers=[("/a", "b")], retry_after=2.0)
    twin = copy.copy(error)
    assert type(twin) is errors.Rejected
    assert (str(twin), twin.pointers, twin.retry_after) == (str(error), error.pointers, 2.0)


def test_a_collection_that_is_not_there_is_remembered():
    upstream = Upstream(refused(404, code=7003))
    client = make_client(upstream)
    for _ in range(3):
        with pytest.raises(errors.NotOnThisServer):
            client.bulk_jobs()
    with pytest.raises(errors.NotOnThisServer):
        client.bulk_job("1")
    assert len(upstream.requests) == 1


def test_a_missing_job_does_not_hide_the_whole_feature():
    upstream = Upstream(refused(404, code=7003), ok([], info={}))
    client = make_client(upstream)
    with pytest.raises(errors.NotFound):
        client.bulk_job("1")
    assert client.bulk_jobs().items == ()
