"""What a scope covers, and what stands in the columns that are asked by it."""

from __future__ import annotations

import pytest

from dashboard.access.scope import WHOLE, Scope, spaced

TWO = Scope(frozenset({"a.example", "xn--mnchen-3ya.example"}))


@pytest.mark.parametrize(
    ("address", "is_covered"),
    [
        ("ann@a.example", True),
        ("Ann@A.EXAMPLE", True),
        ("ann@a.example.", True),
        ("ann@münchen.example", True),
        ("ann@MÜNCHEN.example", True),
        ("ann@b.a.example", False),
        ("ann@a.example.evil.example", False),
        ("ann@evil-a.example", False),
        ("a.example", False),
        ("ann@a.example b.example", False),
        ("", False),
        ("@", False),
    ],
)
def test_a_domain_covers_itself_alone(address: str, is_covered: bool) -> None:
    assert TWO.covers(address) == is_covered
    assert WHOLE.covers(address)


def test_a_message_without_recipients_is_nobodys_who_is_limited() -> None:
    assert not TWO.sees([])
    assert not TWO.covers_all([])
    assert WHOLE.covers_all([])


@pytest.mark.parametrize(
    "recipients",
    [
        ["ann@a.example"],
        ["ann@a.example", "bob@b.example"],
        ["ann@a.example", "nowhere"],
        ["nowhere"],
        ["ann@a.example", "bob@münchen.example"],
        [],
    ],
)
def test_a_column_answers_as_the_recipients_do(recipients: list[str]) -> None:
    assert TWO.covers_domains(spaced(recipients)) == TWO.covers_all(recipients)
    assert WHOLE.covers_domains(spaced(recipients))


def test_a_scope_holds_what_lies_within_it() -> None:
    one = Scope(frozenset({"a.example"}))

    assert TWO.holds(one)
    assert not one.holds(TWO)
    assert WHOLE.holds(TWO)
    assert not TWO.holds(WHOLE)
