"""Hostile text becomes visible and inert, and nothing of it is lost on the way back."""

from __future__ import annotations

import re
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.web.text import defang, dom_id, punycode, refang, split_address, visible

LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
DOMAIN = st.lists(LABEL, min_size=2, max_size=4).map(".".join)
PATH = st.from_regex(r"(/[a-zA-Z0-9._~%@?&=#-]{0,20}){0,3}", fullmatch=True)
URL = st.builds("{}://{}{}".format, st.sampled_from(["http", "https", "ftp"]), DOMAIN, PATH)
ADDRESS = st.builds("{}@{}".format, st.from_regex(r"[a-z0-9._+-]{1,20}", fullmatch=True), DOMAIN)
IP4 = st.ip_addresses(v=4).map(str)
IP6 = st.ip_addresses(v=6).map(str)


@given(st.one_of(URL, ADDRESS, DOMAIN, IP4, IP6))
def test_refang_gives_back_what_defang_took(value: str) -> None:
    assert refang(defang(value)) == value


@given(st.one_of(URL, ADDRESS, DOMAIN, IP4))
def test_no_program_makes_a_defanged_value_live(value: str) -> None:
    shown = defang(value)
    assert not re.match(r"(https?|ftp)://", shown)
    host = shown.split("://")[-1].split("/")[0].split("?")[0].split("#")[0]
    assert "[.]" in host or "." not in host
    assert not re.search(r"[a-z]\.[a-z]", host), "a domain keeps no dot that a program would follow"


@pytest.mark.parametrize("value", ["http://" + ":" * 2000 + "x", ":" * 2000 + "x", "[.@" * 2000 + "x"])
def test_no_spelling_of_an_address_takes_long(value: str) -> None:
    began = time.thread_time()
    defang(value)
    assert time.thread_time() - began < 0.5


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("https://pay-pal.example/login", "hxxps://pay-pal[.]example/login"),
        ("billing@pay-pal.example", "billing[@]pay-pal[.]example"),
        ("192.0.2.1", "192.0.2[.]1"),
        ("http://192.0.2.1:8080/x", "hxxp://192.0.2[.]1:8080/x"),
        ("2001:db8:0:1", "2001:db8[:]0[:]1"),
        ("d41d8cd98f00b204e9800998ecf8427e", "d41d8cd98f00b204e9800998ecf8427e"),
    ],
)
def test_defanged_forms(value: str, shown: str) -> None:
    assert defang(value) == shown


@pytest.mark.parametrize("pasted", ["hxxps://evil[.]example", "hXXps://evil(.)example", "hxxps://evil{.}example"])
def test_spellings_of_other_tools_are_understood(pasted: str) -> None:
    assert refang(pasted).lower() == "https://evil.example"


@given(st.text())
def test_nothing_invisible_is_left(value: str) -> None:
    shown = visible(value)
    categories = {unicodedata.category(c) for c in shown if c not in "\t\n"}
    assert not categories & {"Cc", "Cs"}
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\u200e\u200f\ufeff")


@given(st.from_regex(r"[\x20-\x7e]*", fullmatch=True))
def test_ordinary_text_is_not_touched(value: str) -> None:
    assert visible(value) == value


def test_a_right_to_left_override_is_named() -> None:
    assert visible("invoice\u202efdp.exe") == "invoice[U+202E]fdp.exe"


def test_long_text_is_cut_with_an_ellipsis() -> None:
    assert visible("a" * 50, limit=10) == "a" * 9 + "…"


def test_nothing_is_empty() -> None:
    assert visible(None) == ""


def test_a_look_alike_domain_shows_its_true_form() -> None:
    assert punycode("bücher.example") == "xn--bcher-kva.example"
    assert punycode("books.example") == ""


def test_addresses_split_at_the_last_at() -> None:
    assert split_address('"a@b"@corp.example') == ('"a@b"', "corp.example")
    assert split_address("nobody") == ("nobody", "")
    assert split_address(None) == ("", "")


@given(st.text())
def test_ids_for_elements_are_safe_whatever_the_message_is_called(value: str) -> None:
    assert re.fullmatch(r"[0-9a-f]{12}", dom_id(value))
