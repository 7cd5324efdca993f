"""An entry is compared with the opposite list as far as a page has time, and who asks is told where it was not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from settings_ui.patterns import regex
from settings_ui.patterns.comparing import MOST_EXPRESSIONS, NOT_ALL, Comparison
from settings_ui.patterns.linter import Listed


def entry(pattern: str, kind: str = "EMAIL", *, is_regex: bool = False) -> Mapping[str, Any]:
    return {"pattern": pattern, "pattern_type": kind, "is_regex": is_regex}


def listed(*patterns: str, kind: str = "EMAIL", is_regex: bool = False) -> list[Listed]:
    return [Listed(one, entry(one, kind, is_regex=is_regex)) for one in patterns]


def codes(comparison: Comparison, values: Mapping[str, Any]) -> list[str]:
    return [danger.code for danger in comparison.dangers_of(values)]


def test_of_very_many_expressions_only_some_are_compiled_and_that_is_told() -> None:
    others = listed(*(rf"^x{number}@slow\.example$" for number in range(MOST_EXPRESSIONS + 50)), is_regex=True)
    compiled = regex.compiled.cache_info().misses

    comparison = Comparison("block_senders", others)

    assert comparison.dangers_of(entry("kim@supplier.example")) == [NOT_ALL]
    assert comparison.is_cut
    assert regex.compiled.cache_info().misses - compiled <= MOST_EXPRESSIONS


def test_as_many_as_are_compared_leave_nothing_out() -> None:
    others = listed(*(rf"^y{number}@slow\.example$" for number in range(MOST_EXPRESSIONS)), is_regex=True)
    comparison = Comparison("block_senders", others)

    assert codes(comparison, entry("kim@supplier.example")) == []
    assert codes(comparison, entry("y199@slow.example")) == ["conflict"]
    assert not comparison.is_cut


def test_when_its_time_is_over_it_says_so() -> None:
    comparison = Comparison("block_senders", listed("kim@supplier.example"), seconds=-1)

    assert comparison.is_over
    assert codes(comparison, entry("kim@supplier.example")) == ["not_compared"]


def test_what_cannot_be_about_the_same_mail_costs_nothing() -> None:
    names = [f"box{number}@elsewhere.example" for number in range(3000)]
    networks = [f"198.51.{number % 256}.{number // 256}" for number in range(3000)]
    others = [*listed(*names), *listed(*networks, kind="IP"), *listed("kim@supplier.example")]
    comparison = Comparison("block_senders", others)

    assert codes(comparison, entry("kim@supplier.example")) == ["conflict"]
    assert codes(comparison, entry(r"^kim@supplier\.example$", is_regex=True)) == ["not_compared"]
    assert codes(comparison, entry("kim@third.example")) == [], "what one entry left out is not told of the next"
    assert comparison.is_cut


def test_the_same_expression_is_found_among_any_number() -> None:
    many = [rf"^z{number}@slow\.example$" for number in range(MOST_EXPRESSIONS + 50)]
    comparison = Comparison("block_senders", listed(*many, is_regex=True))

    assert codes(comparison, entry(many[-1], is_regex=True)) == ["conflict"]
