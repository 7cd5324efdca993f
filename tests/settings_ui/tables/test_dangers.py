"""No line of a file hides its danger behind other lines that take the time of the look."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from settings_ui.changes.planning import Draft
from settings_ui.models import Mirrored, Verb
from settings_ui.resources import BY_SLUG, Resource
from settings_ui.tables.dangers import CUT, NOT_LOOKED_AT, warned

ALLOWED, BLOCKED = BY_SLUG["allow-policies"], BY_SLUG["block-senders"]


def line(resource: Resource, number: int, **values: Any) -> Draft:
    usual = {field.name: field.default for field in resource.sent}
    return Draft(number, Verb.ADD, values["pattern"], values=usual | {"pattern_type": "EMAIL"} | values)


def slow(number: int) -> str:
    return rf"^(foo{number}|bar)[a-z]{{1,900}}{number}@x{number}\.example$"


@pytest.fixture
def slow_blocks(db: None) -> None:
    now = timezone.now()
    Mirrored.objects.bulk_create(
        Mirrored(
            account_id=settings.CLOUDFLARE_ACCOUNT_ID,
            resource="block_senders",
            upstream_id=str(number),
            label=slow(number),
            values={"pattern": slow(number), "pattern_type": "EMAIL", "is_regex": True},
            first_seen_at=now,
        )
        for number in range(200)
    )


@pytest.mark.usefixtures("slow_blocks")
def test_slow_entries_of_the_other_list_hide_no_danger() -> None:
    partners = [line(ALLOWED, number, pattern=f"ok{number}@partner.example") for number in range(60)]
    everything = line(ALLOWED, 60, pattern=".*", is_regex=True)

    found, told = warned(ALLOWED, [*partners, everything], seconds=0.1)

    assert "allows all mail" in found[-1].explanation
    assert told == [CUT]


def test_slow_expressions_before_it_hide_no_danger(db: None) -> None:
    slow_ones = [
        line(BLOCKED, number, pattern=f"{slow(number)}{'c{1,1000}' * 50}", is_regex=True) for number in range(60)
    ]
    strangers = line(BLOCKED, 60, pattern="gmail.com", pattern_type="DOMAIN")

    found, _ = warned(BLOCKED, [*slow_ones, strangers], seconds=0.1)

    assert "Anybody gets an address at gmail.com" in found[-1].explanation


def test_a_line_that_was_not_looked_at_says_so_and_counts_as_dangerous(db: None) -> None:
    [found], _ = warned(BLOCKED, [line(BLOCKED, 1, pattern="kim@supplier.example")], seconds=-1)

    assert found.explanation == NOT_LOOKED_AT


def test_what_a_line_says_already_stands_behind_its_danger(db: None) -> None:
    said = Draft(1, Verb.BAD, "x", explanation="This is no address.")
    ended = replace(line(BLOCKED, 2, pattern="gmail.com", pattern_type="DOMAIN"), explanation="Its end is over.")
    removed = Draft(3, Verb.REMOVE, "gmail.com", "e1", {"pattern": "gmail.com", "pattern_type": "DOMAIN"})

    found, _ = warned(BLOCKED, [said, ended, removed])

    assert [one.explanation for one in found][::2] == ["This is no address.", ""]
    assert found[1].explanation.startswith("Anybody gets an address at gmail.com")
    assert found[1].explanation.endswith(" Its end is over.")
