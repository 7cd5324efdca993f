"""What cannot be saved is told beforehand, each time with what to do next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings_ui.patterns import checks
from tests.investigate.message.corpus import hostile_strings, needs_strings


def problem(pattern: str, kind: str | None, *, is_regex: bool = False) -> str:
    return checks.problem_with(pattern, kind, is_regex=is_regex)


@pytest.mark.parametrize(
    ("pattern", "kind"),
    [
        ("anna@supplier.example", "EMAIL"),
        ("Anna.O'Berg+x=1@mail.supplier.example", "EMAIL"),
        ("jörg@supplier.example", "EMAIL"),
        ("anna@bücher.example", "EMAIL"),
        ("supplier.example", "DOMAIN"),
        ("_dmarc.supplier.example", "DOMAIN"),
        ("xn--bcher-kva.example", "DOMAIN"),
        ("bücher.example", "DOMAIN"),
        ("198.51.100.7", "IP"),
        ("198.51.100.0/24", "IP"),
        ("198.51.100.7/24", "IP"),
        ("2001:db8::1", "IP"),
        ("2a00:1450::/32", "IP"),
        ("::ffff:198.51.100.7", "IP"),
        ("8.0.0.0/6", "IP"),
        ("172.32.0.1", "IP"),
    ],
)
def test_what_is_fine_has_no_problem(pattern, kind):
    assert problem(pattern, kind) == ""


@pytest.mark.parametrize(
    ("pattern", "kind", "told"),
    [
        ("", "EMAIL", "Write a pattern"),
        ("supplier.example", "EMAIL", "This is no address"),
        ("@supplier.example", "EMAIL", "This is no address"),
        ("anna@", "EMAIL", "This is no address"),
        ("*@supplier.example", "EMAIL", "takes no *"),
        ("a@b@supplier.example", "EMAIL", "before the @"),
        ("Anna <anna@supplier.example>", "EMAIL", "before the @"),
        ("anna..b@supplier.example", "EMAIL", "before the @"),
        ("a" * 65 + "@supplier.example", "EMAIL", "at most 64"),
        ("anna@supplier", "EMAIL", "behind the @: A domain has a dot"),
        ("anna@198.51.100.7", "EMAIL", "behind the @: This is an IP"),
        ("anna@supplier.example", "DOMAIN", "This is an address"),
        ("https://supplier.example/x", "DOMAIN", "This is a link"),
        ("*.supplier.example", "DOMAIN", "takes no *"),
        ("supplier.example.", "DOMAIN", "dot at the end"),
        (".supplier.example", "DOMAIN", "This is no domain"),
        ("supplier..example", "DOMAIN", "This is no domain"),
        ("-a.example", "DOMAIN", "This is no domain"),
        ("sup plier.example", "DOMAIN", "This is no domain"),
        ("supplier.123", "DOMAIN", "does not end in a number"),
        ("198.51.100.7", "DOMAIN", "This is an IP"),
        ("a" * 64 + ".example", "DOMAIN", "This is no domain"),
        (".".join(["a" * 60] * 5), "DOMAIN", "at most 253"),
        ("☃☃.☃", "DOMAIN", "xn--"),
        ("supplier.example", "IP", "This is no IP"),
        ("198.51.100.0/33", "IP", "This is no IP"),
        ("198.51.100.0/255.255.255.0", "IP", "number of bits: 198.51.100.0/24"),
        ("fe80::1%eth0", "IP", "no zone"),
        ("10.1.2.3", "IP", "a private address"),
        ("172.16.0.0/12", "IP", "a private address"),
        ("192.168.7.0/24", "IP", "a private address"),
        ("::ffff:10.1.2.3", "IP", "a private address"),
        ("::ffff:127.0.0.1", "IP", "a loopback address"),
        ("127.0.0.1", "IP", "a loopback address"),
        ("::1", "IP", "a loopback address"),
        ("fd00::1", "IP", "a unique-local address"),
        ("169.254.1.1", "IP", "a link-local address"),
        ("fe80::/10", "IP", "a link-local address"),
        ("0.0.0.0", "IP", "the unspecified address"),
        ("::", "IP", "the unspecified address"),
        ("255.255.255.255", "IP", "the broadcast address"),
        ("0.0.0.0/0", "IP", "every address there is"),
        ("::/0", "IP", "every address there is"),
        ("x", None, "Choose what the pattern is"),
        ("x", "UNKNOWN", "Choose what the pattern is"),
        ("x", "SOMETHING", "Choose what the pattern is"),
        ("a\x00@supplier.example", "EMAIL", "Character 2 is invisible (U+0000)"),
        ("anna@supplier.example\n", "EMAIL", "Character 22 is invisible (U+000A)"),
        ("supp\u200blier.example", "DOMAIN", "Character 5 is invisible (U+200B)"),
        ("supplier.example\u202e", "DOMAIN", "invisible (U+202E)"),
        ("\ud800.example", "DOMAIN", "invisible (U+D800)"),
        (" supplier.example", "DOMAIN", "begins or ends with a space"),
        ("x" * 1025, "DOMAIN", "1,025 characters; 1,024 is the most"),
    ],
)
def test_what_the_service_would_refuse_is_told_before(pattern, kind, told):
    sentence = problem(pattern, kind)

    assert told in sentence
    assert sentence.endswith(".")


def test_a_regular_expression_must_only_be_sound():
    assert problem(r"@supplier\.example$", "EMAIL", is_regex=True) == ""
    assert problem(r"(?=a)\1", "EMAIL", is_regex=True) == ""  # Java runs it, so it may be saved
    assert "never closed" in problem("(a", "EMAIL", is_regex=True)
    assert "invisible" in problem("a\nb", "EMAIL", is_regex=True)


def test_an_expression_without_a_kind_may_be_longer():
    assert "1,024 is the most" in problem("x" * 1025, "EMAIL", is_regex=True)
    assert problem("x" * 2048, None, is_regex=True) == ""
    assert "2,048 is the most" in problem("x" * 2049, None, is_regex=True)


def test_a_domain_in_other_letters_is_sent_in_its_ascii_form_and_that_is_told():
    assert checks.as_sent("BÜCHER.example", "DOMAIN", is_regex=False) == "xn--bcher-kva.example"
    assert checks.as_sent("jörg@bücher.example", "EMAIL", is_regex=False) == "jörg@xn--bcher-kva.example"
    assert "xn--bcher-kva.example" in checks.told_about("bücher.example", "DOMAIN", is_regex=False)


@pytest.mark.parametrize(("pattern", "is_regex"), [("Supplier.Example", False), ("bücher.example", True)])
def test_what_needs_no_other_form_is_sent_as_it_was_typed(pattern, is_regex):
    assert checks.as_sent(pattern, "DOMAIN", is_regex=is_regex) == pattern
    assert checks.told_about(pattern, "DOMAIN", is_regex=is_regex) == ""


@pytest.mark.parametrize("network", ["198.51.100.0/24", "10.0.0.0/8", "2001:db8::/32", "0.0.0.0/0"])
def test_a_network_that_delivers_can_be_any(network):
    assert checks.problem_with_network(network) == ""


@pytest.mark.parametrize(
    ("network", "told"),
    [
        ("198.51.100.7", "198.51.100.7/32"),
        ("2001:db8::7", "2001:db8::7/128"),
        ("office", "This is no IP"),
        ("198.51.100.0/24\n", "invisible"),
        ("fe80::1%x/64", "no zone"),
        ("", "Write"),
    ],
)
def test_a_network_that_is_none_is_told(network, told):
    assert told in checks.problem_with_network(network)


def test_the_id_of_an_integration_is_a_uuid():
    assert checks.problem_with_uuid("0f8fad5b-d9cb-469f-a165-70867728950e") == ""
    assert "36 characters" in checks.problem_with_uuid("0f8fad5b")


KINDS = st.sampled_from(["EMAIL", "DOMAIN", "IP", "UNKNOWN", "x", None])


@given(st.text(max_size=80) | st.from_regex(r"[\w.:/@-]{1,40}", fullmatch=True), KINDS, st.booleans())
def test_no_text_makes_it_fail(text, kind, is_regex):
    assert isinstance(problem(text, kind, is_regex=is_regex), str)
    checks.problem_with_domain(text)
    checks.problem_with_network(text)
    checks.problem_with_uuid(text)
    checks.told_about(text, kind, is_regex=is_regex)


@given(st.text(min_size=1, max_size=30))
def test_a_domain_that_passes_can_be_sent(text):
    if checks.problem_with_domain(text) == "":
        sent = checks.as_sent(text, "DOMAIN", is_regex=False)
        assert sent.isascii()
        assert checks.problem_with_domain(sent) == ""


@needs_strings
def test_hostile_strings_are_no_trouble():
    for text in hostile_strings():
        for kind in ("EMAIL", "DOMAIN", "IP"):
            assert len(problem(text, kind)) < 300
