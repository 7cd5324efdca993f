"""The token goes to the API and nowhere else."""

from __future__ import annotations

import logging
import pickle
import traceback

import httpx
import pytest

from dashboard.emailsec import EmailSecurityClient, KeyCredentials, SearchQuery, TokenCredentials, errors
from dashboard.emailsec.types import MailboxDestination

from .samples import CURRENT_MESSAGE
from .upstream import ACCOUNT, TOKEN, Upstream, make_client, ok, refused

KEY = "marker-key-77aa01"
EMAIL = "key-owner@corp.example"
SUBJECT = "marker-subject-93"

CREDENTIALS = {"token": TokenCredentials(TOKEN), "key": KeyCredentials(EMAIL, KEY)}
FAULTS = {
    "connect": httpx.ConnectError("x"),
    "read": httpx.ReadError("x"),
    "html": httpx.Response(200, html=f"<h1>{TOKEN}{KEY}</h1>"),
    "redirect": httpx.Response(302, headers={"location": f"https://evil.example/{TOKEN}"}),
    "echo": refused(400, message=f"Bearer {TOKEN} and {KEY} are wrong", pointer="/ids"),
    **{str(status): refused(status) for status in (401, 403, 404, 429, 500)},
}


def search(client):
    client.search(SearchQuery(query=SUBJECT), budget=2)


def move(client):
    client.move("a", MailboxDestination.INBOX, budget=2)


@pytest.mark.parametrize("credentials", CREDENTIALS.values(), ids=CREDENTIALS)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", [search, move])
def test_no_failure_shows_the_secret(fault, credentials, call, caplog):
    other = next(scheme for scheme in CREDENTIALS.values() if scheme is not credentials)
    client = make_client(Upstream(FAULTS[fault]), credentials=credentials, read_credentials=other)
    caplog.set_level(logging.DEBUG)
    with pytest.raises(errors.EmailSecurityError) as caught:
        call(client)

    error = caught.value
    story = traceback.TracebackException.from_exception(error, capture_locals=True)
    shown = "".join(
        [
            *story.format(),
            repr(error),
            str(error),
            repr(vars(error)),
            repr(client),
            repr(credentials),
            str(credentials),
            *(f"{record.getMessage()} {vars(record)}" for record in caplog.records),
        ]
    )
    assert TOKEN not in shown
    assert KEY not in shown
    assert error.__context__ is None, "the chain leads to objects that hold the request's headers"


def test_logs_name_the_operation_and_nothing_of_its_content(caplog):
    caplog.set_level(logging.DEBUG)
    client = make_client(Upstream(ok([CURRENT_MESSAGE], headers={"cf-ray": "ray-9"})))
    client.search(SearchQuery(query=SUBJECT, sender="victim@corp.example"))
    (record,) = caplog.records
    assert record.getMessage() == "emailsec_call"
    assert (record.method, record.path, record.status, record.ray_id) == ("GET", "/investigate", 200, "ray-9")
    for secret in (SUBJECT, "victim", "Overdue", TOKEN):
        assert secret not in str(vars(record))


def test_credentials_are_not_pickled_nor_shown():
    for credentials in CREDENTIALS.values():
        with pytest.raises(TypeError):
            pickle.dumps(credentials)
        assert repr(credentials) == f"{type(credentials).__name__}(hidden)"
        assert not hasattr(credentials, "__dict__")


@pytest.mark.parametrize("secret", ["", "a b", "a\r\nX-Evil: 1", "tökén", "a\x00"])
def test_a_secret_that_is_no_header_value_is_refused_without_being_repeated(secret):
    with pytest.raises(ValueError, match="printable") as caught:
        TokenCredentials(secret)
    assert not secret or secret not in str(caught.value)
    with pytest.raises(ValueError, match="printable"):
        KeyCredentials("a@b.example", secret)
    with pytest.raises(ValueError, match="printable"):
        KeyCredentials(secret, "key")


def test_exactly_one_scheme_and_none_from_the_environment(monkeypatch, tmp_path):
    for name in ("CLOUDFLARE_EMAIL", "CLOUDFLARE_API_KEY", "CLOUDFLARE_API_TOKEN", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://ambient.example")
    netrc = tmp_path / "netrc"
    netrc.write_text("default login ambient password ambient\n")
    monkeypatch.setenv("NETRC", str(netrc))
    upstream = Upstream(ok(CURRENT_MESSAGE))

    make_client(upstream).message("a")
    assert upstream.last.headers["authorization"] == f"Bearer {TOKEN}"
    assert not [name for name in upstream.last.headers if name.startswith("x-auth")]

    make_client(upstream, credentials=CREDENTIALS["key"]).message("a")
    assert upstream.last.headers["x-auth-email"] == EMAIL
    assert upstream.last.headers["x-auth-key"] == KEY
    assert "authorization" not in upstream.last.headers
    assert "ambient" not in str(upstream.last.headers.raw)


def test_reads_use_the_read_token_and_everything_else_the_other():
    upstream = Upstream(ok(CURRENT_MESSAGE), ok([{"success": True}]), ok({"screenshot": "iVBORw0KGgo="}))
    client = make_client(upstream, read_credentials=TokenCredentials("reader"))
    client.message("a")
    client.move("a", MailboxDestination.INBOX)
    client.render_preview("a")
    used = [request.headers["authorization"] for request in upstream.requests]
    assert used == ["Bearer reader", f"Bearer {TOKEN}", f"Bearer {TOKEN}"]


def test_cookies_are_neither_kept_nor_sent():
    upstream = Upstream(ok(CURRENT_MESSAGE, headers={"set-cookie": "__cf_bm=1"}))
    client = make_client(upstream)
    client.message("a")
    client.message("a")
    assert "cookie" not in upstream.last.headers


def test_a_client_without_a_transport_opens_nothing_by_itself():
    client = EmailSecurityClient(account_id=ACCOUNT, credentials=TokenCredentials(TOKEN))
    assert TOKEN not in repr(client)
    client.close()
