"""Ids in addresses: whatever an id holds, it stays one segment of the path."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.emailsec.paths import encode_segment

from .samples import CURRENT_MESSAGE
from .upstream import ACCOUNT, ROOT, Upstream, make_client, ok


@settings(deadline=None)
@given(st.text(min_size=1))
def test_an_id_is_one_segment_or_refused(investigate_id):
    upstream = Upstream(ok(CURRENT_MESSAGE))
    try:
        make_client(upstream).message(investigate_id)
    except ValueError:
        assert upstream.requests == []
        return
    raw = upstream.last.url.raw_path.decode("ascii")
    assert raw.startswith(f"{ROOT}/investigate/")
    segment = raw.removeprefix(f"{ROOT}/investigate/")
    assert not set(segment) & set("/?#\\ ")
    assert unquote(segment) == investigate_id


@pytest.mark.parametrize("value", ["", ".", "..", "a\r\nb", "a\x00", "\x7f", "\x85", "\ud800"])
def test_what_could_change_the_path_is_refused(value):
    with pytest.raises(ValueError, match=r"address|surrogates"):
        encode_segment(value)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ("a:b@c+d", "a:b@c+d"),
        ("a/b", "a%2Fb"),
        ("../x", "..%2Fx"),
        ("a%2fb", "a%252fb"),
        ("a b?c#d", "a%20b%3Fc%23d"),
        ("ü", "%C3%BC"),
    ],
)
def test_a_segment_is_encoded_once(value, encoded):
    assert encode_segment(value) == encoded


@pytest.mark.parametrize("account", ["", "../x", "a/b", "a" * 33, "a b", "é"])
def test_an_account_id_is_letters_and_digits(account):
    from dashboard.emailsec import EmailSecurityClient, TokenCredentials

    with pytest.raises(ValueError, match="account"):
        EmailSecurityClient(account_id=account, credentials=TokenCredentials("t"), transport=Upstream(ok([])))
    assert len(ACCOUNT) == 32
