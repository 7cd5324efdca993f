"""A slow search, and where its results may be fetched from."""

from __future__ import annotations

import httpx
import pytest

from dashboard.emailsec import SearchQuery, TokenCredentials, errors
from dashboard.emailsec.types import RawSearchPage, SearchPage, SlowSearch

from .samples import CURRENT_MESSAGE, MESSAGE_ID
from .upstream import ACCOUNT, BASE, ROOT, Upstream, make_client, ok, refused

HOST = "https://api.example.test"
OWN = f"{HOST}{ROOT}/investigate/results/7?token=x"

FOREIGN = [
    f"https://evil.example{ROOT}/x",
    f"http://api.example.test{ROOT}/x",
    f"//evil.example{ROOT}/x",
    f"///evil.example{ROOT}/x",
    f"https:evil.example{ROOT}",
    f"https://api.example.test.evil.example{ROOT}/x",
    f"https://api.example.test@evil.example{ROOT}/x",
    f"https://user:pass@api.example.test{ROOT}/x",
    f"https://@api.example.test{ROOT}/x",
    f"https://evil.example\\@api.example.test{ROOT}/x",
    f"https://api.example.test\\.evil.example{ROOT}/x",
    f"https://api.example.test:8443{ROOT}/x",
    f"https://api.example.test:80{ROOT}/x",
    f"https://api.example.test:99999999{ROOT}/x",
    f"https://api.example.test:port{ROOT}/x",
    f"https://api.example.test.{ROOT}/x",
    f"https://[::1]{ROOT}/x",
    f"https://[::1{ROOT}/x",
    f"https://127.0.0.1{ROOT}/x",
    f"https://api.example.tést{ROOT}/x",
    f"https://api%2eexample.test{ROOT}/x",
    f"https://evil.example#@api.example.test{ROOT}/x",
    f"https://evil.example?{HOST}{ROOT}/x",
    "https://api.example.test/",
    "https://api.example.test",
    f"{BASE}/accounts/{'f' * 32}/email-security/x",
    f"{BASE}/accounts/{ACCOUNT}x/email-security/x",
    f"{BASE}/accounts/{ACCOUNT}",
    f"{BASE}/user/tokens",
    f"{HOST}{ROOT}/../../{'f' * 32}/email-security",
    f"{HOST}{ROOT}/%2e%2e/%2E%2e/{'f' * 32}/x",
    f"{HOST}{ROOT}/%252e%252e/{'f' * 32}/x",
    f"{HOST}{ROOT}/..%2f..%2fx",
    f"{HOST}{ROOT}/..%5c..%5cx",
    f"{HOST}{ROOT}/a/./b",
    f"{HOST}/x/../client/v4/accounts/{ACCOUNT}/x",
    f"{HOST}/client/v4//accounts/{ACCOUNT}/x",
    f"{HOST}/CLIENT/v4/accounts/{ACCOUNT}/x",
    "../../../x",
    "javascript:alert(1)",
    "data:text/html,x",
    "file:///etc/passwd",
    f"ftp://api.example.test{ROOT}/x",
    "",
    f"{OWN}\r\nX-Injected: 1",
    f"{OWN}\n",
    f"{OWN}\t",
    f" {OWN}",
    f"https://api.example.test{ROOT}/x y",
    f"{HOST}{ROOT}/a%0d%0ab",
    f"{HOST}{ROOT}/a\x00b",
    f"{HOST}{ROOT}/{'a' * 8200}",
]


def slow(location: str | None, **headers: str) -> httpx.Response:
    if location is not None:
        headers["location"] = location
    return ok([], status=202, info={"count": 0}, headers=headers)


def is_header(text: str) -> bool:
    return text.isascii() and text.isprintable()


@pytest.mark.matrix(45)
@pytest.mark.parametrize("location", FOREIGN)
def test_a_foreign_location_is_refused_and_nothing_goes_there(location):
    upstream = Upstream(lambda _: slow(location))
    client = make_client(upstream)

    with pytest.raises(errors.ForeignLocation):
        client.poll_search(location)  # as if a stored one had been tampered with
    assert upstream.requests == []

    if is_header(location) and location == location.strip():
        with pytest.raises(errors.ForeignLocation):
            client.search(SearchQuery())
        assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    ("location", "followed"),
    [
        (OWN, OWN),
        (f"{ROOT}/investigate/results/7", f"{HOST}{ROOT}/investigate/results/7"),
        ("/client/v4/accounts/" + ACCOUNT + "/jobs/1", f"{BASE}/accounts/{ACCOUNT}/jobs/1"),
        ("investigate/7", f"{HOST}{ROOT}/investigate/7"),
        ("?job=7", f"{HOST}{ROOT}/investigate?job=7"),
        (f"HTTPS://API.example.test:443{ROOT}/x", f"https://API.example.test:443{ROOT}/x"),
        (f"{OWN}#part", OWN),
        (f"{HOST}{ROOT}/a:b%2Fc", f"{HOST}{ROOT}/a:b%2Fc"),
    ],
)
def test_an_own_location_is_followed_with_the_same_credentials(location, followed):
    upstream = Upstream(slow(location), ok([CURRENT_MESSAGE], info={"next": "c2"}))
    client = make_client(upstream, read_credentials=TokenCredentials("read-token"))

    waiting = client.search(SearchQuery())
    assert isinstance(waiting, SlowSearch)
    assert waiting.location == followed
    page = client.poll_search(waiting.location)

    assert isinstance(page, SearchPage)
    assert [message.id for message in page.messages] == [MESSAGE_ID]
    assert page.next_cursor == "c2"
    assert upstream.last.method == "GET"
    assert upstream.last.headers["authorization"] == "Bearer read-token"


def test_pending_is_not_empty():
    client = make_client(
        Upstream(slow(OWN, **{"retry-after": "7"}), slow(None), httpx.Response(200), slow(OWN + "&n=2"), ok([]))
    )
    first = client.search(SearchQuery())
    assert isinstance(first, SlowSearch)
    assert first.retry_after == 7
    assert client.poll_search(OWN) == SlowSearch(location=OWN)
    assert client.poll_search(OWN) == SlowSearch(location=OWN)
    assert client.poll_search(OWN) == SlowSearch(location=OWN + "&n=2")
    assert client.poll_search(OWN) == SearchPage(messages=())


def test_a_slow_search_can_be_kept_raw():
    client = make_client(Upstream(slow(OWN), ok([CURRENT_MESSAGE])))
    assert isinstance(client.search_raw(SearchQuery()), SlowSearch)
    page = client.poll_search_raw(OWN)
    assert isinstance(page, RawSearchPage)
    assert page.count == 1


@pytest.mark.parametrize(
    "answer", [refused(404), refused(410), httpx.Response(404, html="gone"), refused(404, code=7003)]
)
def test_results_that_are_no_longer_kept(answer):
    with pytest.raises(errors.SearchExpired):
        make_client(Upstream(answer)).poll_search(OWN)


def test_a_slow_search_without_an_address_is_no_empty_result():
    with pytest.raises(errors.UnexpectedReply):
        make_client(Upstream(slow(None))).search(SearchQuery())
    with pytest.raises(errors.UnexpectedReply):
        make_client(Upstream(slow(None))).search_raw(SearchQuery())


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.test/v4",
        "api.example.test",
        "",
        "https://",
        "https://u:p@h/v4",
        "https://h/v4?x=1",
        "https://h/#x",
        "ftp://h/",
        "https://h/ x",
    ],
)
def test_a_base_url_that_would_expose_the_token_is_refused(url):
    with pytest.raises(ValueError, match="base URL"):
        make_client(Upstream(ok([])), base_url=url)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8400/client/v4", "http://localhost:1/", "http://[::1]:1/x", "https://h.example"]
)
def test_plain_http_is_for_this_machine_only(url):
    make_client(Upstream(ok([])), base_url=url)
