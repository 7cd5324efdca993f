"""What a link shows beside where it leads."""

from __future__ import annotations

import pytest

from investigate.message import links
from tests.investigate.message.corpus import hostile_strings


def test_the_registrable_domain_stands_out():
    link = links.view(1, "https://login.pay-pal.example/a?b=c", "Sign in")

    assert (link.before, link.domain, link.after) == ("hxxps://login[.]", "pay-pal[.]example", "/a?b=c")
    assert link.defanged == "hxxps://login[.]pay-pal[.]example/a?b=c"
    assert not link.is_deceptive


@pytest.mark.parametrize(
    ("host", "registered"),
    [
        ("a.b.example.com", "example.com"),
        ("a.example.co.uk", "example.co.uk"),
        ("example.co.uk", "example.co.uk"),
        ("example.com.", "example.com"),
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("localhost", "localhost"),
    ],
)
def test_registrable_domains(host, registered):
    assert links.registrable(host) == registered


@pytest.mark.parametrize(
    ("text", "href", "shown"),
    [
        ("https://www.bank.example/login", "https://evil.example.net/", "www.bank.example"),
        ("www.bank.example", "http://bank.example/x", ""),
        ("bank.example", "https://www.bank.example.evil.test/", "bank.example"),
        ("Click here.", "https://evil.test/", ""),
        ("invoice.pdf", "https://files.example/invoice.pdf", ""),
        ("write to a@bank.example", "https://evil.test/", ""),
        ("https://b\u00fccher.example/", "https://xn--bcher-kva.example/", ""),
        ("bank.example", "mailto:a@evil.test", ""),
        ("Visit https://bank.example now", "https://evil.test", "bank.example"),
        (None, "https://evil.test", ""),
    ],
)
def test_a_text_that_names_another_place_is_marked(text, href, shown):
    assert links.view(1, href, text).shown_domain == shown


@pytest.mark.parametrize(
    ("href", "remark"),
    [
        (
            "https://bank.example@evil.test/x",
            "what stands before the @ is not the place it leads to; that is evil[.]test",
        ),
        ("http://192.0.2.7/x", "leads to a bare IP address"),
        ("https://evil.test:8443/", "uses port 8443"),
        ("javascript:alert(1)", "opens as “javascript:”, not as a web page"),
        ("data:text/html,x", "opens as “data:”, not as a web page"),
        ("https://xn--pypal-4ve.example/", "the name is written with letters of other alphabets"),
        ("https://safe.example/?url=https%3A%2F%2Fevil.test%2Fx", "carries a further address inside: evil[.]test"),
        ("http://[::1", "is malformed"),
    ],
)
def test_odd_targets_are_remarked_on(href, remark):
    assert remark in links.view(1, href, "x").remarks


def test_the_host_is_the_one_a_browser_would_open():
    assert links.host_of("https:\\\\evil.test\\x") == "evil.test"
    assert links.host_of("ht\ntps://evil.test") == "evil.test"
    assert links.host_of("//evil.test/x") == "evil.test"
    assert links.host_of("https:/evil.test") == "evil.test"


def test_other_alphabets_get_their_punycode():
    link = links.view(1, "https://p\u0430ypal.example/", "PayPal")

    assert link.ascii_host == "xn--pypal-4ve.example"


def test_nothing_breaks_on_hostile_texts():
    for value in [*hostile_strings(), "a." * 50_000, "http://" + "a" * 100_000, "https://" + "x@" * 20_000]:
        for href, text in ((value, value), ("https://" + value, value), ("https://a.example/?u=" + value, "a.example")):
            link = links.view(1, href, text)
            assert "http://" not in link.defanged.lower()[:8]
            assert "https://" not in link.defanged.lower()[:9]
