"""Patterns are Java's, run in linear time; what cannot be run is told apart from what is broken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings_ui.patterns.regex import LONGEST, Broken, Pattern, Untestable, compiled
from tests.investigate.message.corpus import hostile_strings, needs_strings


def finds(pattern: str, text: str) -> bool:
    runs = compiled(pattern)
    assert isinstance(runs, Pattern), runs
    return runs.found_in(text)


@pytest.mark.parametrize(
    ("pattern", "found", "not_found"),
    [
        (r"invoice", "an invoice came", "Invoice"),
        (r"(?i)INVOICE", "an invoice came", "voice"),
        (r"a(?i:B)c", "abc", "Abc"),
        (r"(?-i:a)b", "ab", "Ab"),
        (r"^x$", "x", "xx"),
        (r"\hinvoice\H", "\u3000invoice7", "invoice "),
        (r"a\Rb", "a\r\nb", "a b"),
        (r"a\vb", "a\u2028b", "avb"),
        (r"a\sb", "a\x0bb", "a\u3000b"),
        (r"[\s\d]x", "\x0bx", "yx"),
        (r"[^\S]x", " x", "yx"),
        (r"(?<year>20\d\d)", "in 2026", "in 1999"),
        (r"end\Z", "the end\n", "end of it"),
        (r"\Qa.b*\E+$", "a.b**", "axb*"),
        (r"[\Q]^\Ex]", "^", "y"),
        (r"\x41\u0042\x{43}\0104", "ABCD", "ABC"),
        (r"\ud83d\ude00", "so \U0001f600", "so"),
        (r"\cA", "\x01", "A"),
        (r"\e\t", "\x1b\t", "et"),
        (r"\p{Lu}\p{IsLatin}\p{Alpha}", "Éab", "éab"),
        (r"\pL\P{L}", "a1", "ab"),
        (r"[\p{Alnum}_]{3}", "a_1", "a-1"),
        (r"(?x) a b # a remark" + "\n c [ d ]", "abcd", "a b"),
        (r"(?d)(?u)a", "a", "b"),
        (r"^(?x: a b )c d$", "abc d", "abcd"),
        ("(?x)^[ d # e\n ]$", "d", " "),
        (r"[]a]", "]", "b"),
        (r"[a\-z]", "-", "b"),
        (r"a{2,3}?b", "aab", "ab"),
        (r"\@\-\_", "@-_", "@"),
        (r"a|", "", None),
        (r"gmail.com", "gmailxcom", "gmail"),
    ],
)
def test_java_s_spelling_means_here_what_it_means_there(pattern, found, not_found):
    assert finds(pattern, found)
    assert not_found is None or not finds(pattern, not_found)


@pytest.mark.parametrize(
    ("pattern", "construct"),
    [
        (r"(?=a)", "look-ahead at character 1"),
        (r"b(?!a)", "look-ahead at character 2"),
        (r"(?<=a)b", "look-behind"),
        (r"(?<!a)b", "look-behind"),
        (r"(?>a)", "an atomic group"),
        (r"a*+", "a possessive repetition at character 2"),
        (r"a{2}+", "a possessive repetition"),
        (r"(a)\1", "a back-reference at character 4"),
        (r"(?<n>a)\k<n>", "a back-reference"),
        (r"[a-z&&[^b]]", "an intersection"),
        (r"[a[b]]", "a class within a class"),
        (r"(?U)\w", "the flag U"),
        (r"\b{g}", r"\b at character 1"),
        (r"\X", r"\X"),
        (r"\p{InGreek}", "the property"),
        (r"\N{DIGIT ONE}", "a character by its name"),
        (r"a{2}{3}", "a repetition of a repetition"),
        (r"\ud800", "half of a character"),
    ],
)
def test_what_only_java_can_run_is_named_and_may_be_saved(pattern, construct):
    outcome = compiled(pattern)

    assert isinstance(outcome, Untestable)
    assert construct in outcome.told
    assert "Cloudflare may accept it all the same." in outcome.told


@pytest.mark.parametrize("pattern", ["a{1001}", "(a{40}){40}", "((((a{9}){9}){9}){9}){9}", r"\p{IsKlingon}"])
def test_what_is_too_large_cannot_be_tested(pattern):
    assert isinstance(compiled(pattern), Untestable)


def test_a_pattern_may_take_only_so_much_memory():
    """Three hundred letters of any language, five hundred times over: millions of states."""
    assert isinstance(compiled("(?:" + r"\p{L}" * 300 + "){500}"), Untestable)


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("", "empty"),
        ("a(b", "The ( at character 2 is never closed"),
        ("ab)", "The ) at character 3 closes nothing"),
        ("a[bc", "The [ at character 2 is never closed"),
        ("a\\", "lone \\"),
        ("*a", "The * at character 1 has nothing to repeat"),
        ("a|+b", "The + at character 3 has nothing to repeat"),
        ("(?:?)", "The ? at character 4 has nothing to repeat"),
        ("a**", "The * at character 3"),
        ("a{", "The { at character 2 is no repetition"),
        ("a{3,2}", "The { at character 2 is no repetition"),
        ("{2}", "The { at character 1 has nothing to repeat"),
        ("[z-a]", "backwards"),
        ("(?P<n>a)", "Python's spelling"),
        ("(?<n_1>a)", "begins nothing that Java knows"),
        ("(?<n>a)(?<n>b)", "Two groups are called n"),
        (r"\y", r"\y at character 1 means nothing"),
        (r"[\b]", "no meaning between [ and ]"),
        (r"\u12", "wants a number"),
        (r"\x{110000}", "no character with the number"),
        (r"\09", "octal"),
        (r"\p", "wants a property"),
        ("a\ud800", "half of a character"),
        ("x" * (LONGEST + 1), "2,049 characters; 2,048 is the most"),
    ],
)
def test_what_is_broken_says_where_and_what_to_do(pattern, told):
    outcome = compiled(pattern)

    assert isinstance(outcome, Broken)
    assert told in outcome.told
    assert outcome.told.endswith((".", "#"))


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|aa)+$", "^((a*)*)*$", "(.*a){20}$", "(?:a?){60}a{60}$", "^(([a-z])+.)+[A-Z]$"]
)
def test_patterns_that_never_end_elsewhere_end_here(pattern):
    """With an engine that goes back and tries again, each of these runs for longer than anybody lives."""
    assert not finds(pattern, "a" * 2_000 + "!")


@pytest.mark.parametrize("text", ["a\ud800b", "\x00", "", "\U0001f600" * 10])
def test_any_text_can_be_looked_through(text):
    assert finds(r"(?s)^.*$", text)


@given(st.text(max_size=60) | st.text(alphabet=r"\[](){}|*+?^$-.&:<>=!PQEpxubdR01,ai ", max_size=40))
def test_no_text_makes_it_fail(text):
    outcome = compiled(text)

    if isinstance(outcome, Pattern):
        outcome.found_in(text)
    else:
        assert outcome.told


@needs_strings
def test_hostile_strings_are_no_trouble():
    for text in hostile_strings():
        outcome = compiled(text)
        if isinstance(outcome, Pattern):
            outcome.found_in(text)
        else:
            assert len(outcome.told) < 300
