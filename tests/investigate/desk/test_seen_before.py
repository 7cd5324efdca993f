"""What the team decided before about mail of the same sender or make, counted right and never across domains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.test import Client
from django.urls import reverse
from msgspec.structs import replace

from dashboard.access.models import Member
from dashboard.emailsec.types import Message
from investigate.desk import cases
from investigate.desk.seen_before import seen_before
from investigate.models import Action, ActionItem, ActionState, Case, OwnVerdict

Soup = Callable[[Any], BeautifulSoup]


@pytest.fixture
def like(detection: Message) -> Callable[..., Case]:
    """A case of another message, like the detection but for what is said."""

    def make(number: int, **other: Any) -> Case:
        values = {"id": f"other-{number}", "edf_hash": f"e{number}", "htmltext_structure_hash": f"s{number}"}
        return cases.ensure(replace(detection, **values | other))

    return make


def test_a_sender_that_was_judged_before_says_so_in_a_sentence(
    detection: Message, ana: Member, ben: Member, like: Callable[..., Case]
) -> None:
    for number in range(3):
        cases.set_verdict(actor=ben, case=like(number), verdict=OwnVerdict.FALSE_POSITIVE, request=None)
    cases.finish(actor=ana, case=like(3), request=None)

    found = seen_before(ana, detection)

    assert found.groups[0].sentence == ("This sender: 4 times before, 3 x false positive, 1 x done without a verdict")
    assert found.groups[0].last.who == "Ana"
    assert [decision.case.key for decision in found.newest] == ["other-3", "other-2", "other-1", "other-0"]


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"edf_hash": "same"}, "This fingerprint"),
        ({"htmltext_structure_hash": "same"}, "This structure"),
        ({}, "This sender's domain"),
    ],
)
def test_the_same_make_from_another_sender_is_found(
    values: dict[str, str], name: str, detection: Message, ana: Member, like: Callable[..., Case]
) -> None:
    domain = (detection.from_ or "").rpartition("@")[2] if not values else "other.example"
    like_it = like(1, **{"from_": f"else@{domain}", **values})
    cases.set_verdict(actor=ana, case=like_it, verdict=OwnVerdict.GRAYMAIL, request=None)

    found = seen_before(ana, replace(detection, **{"edf_hash": "", "htmltext_structure_hash": "", **values}))

    assert [group.sentence for group in found.groups] == [f"{name}: once before, 1 x graymail"]


def test_what_was_done_counts_as_a_decision_and_what_was_not_does_not(
    detection: Message, ana: Member, like: Callable[..., Case], django_assert_num_queries: Any
) -> None:
    for number, state in enumerate([ActionState.DONE, ActionState.FAILED, ActionState.CANCELLED]):
        made = Action.objects.create(
            operation_key=str(number), fingerprint="", actor=ana, actor_name="Ana", kind="release", state=state,
            created_at=like(number).created_at, due_at=like(number).created_at,
        )  # fmt: skip
        ActionItem.objects.create(action=made, investigate_id=f"other-{number}", state=state)

    found = seen_before(ana, detection)

    assert found.groups[0].sentence == "This sender: once before, 1 x released"
    with django_assert_num_queries(5):
        seen_before(ana, detection)


def test_nothing_is_said_of_what_nobody_decided_or_of_the_message_itself(
    detection: Message, ana: Member, like: Callable[..., Case]
) -> None:
    like(1)
    cases.finish(actor=ana, case=cases.ensure(detection), request=None)

    assert seen_before(ana, detection).groups == []


def test_decisions_outside_ones_domains_are_not_counted(
    detection: Message, ana: Member, ben: Member, like: Callable[..., Case]
) -> None:
    outside = like(1, client_recipients=("eva@outside.example",))
    cases.set_verdict(actor=ben, case=outside, verdict=OwnVerdict.TRUE_POSITIVE, request=None)
    assert seen_before(ben, detection).groups

    ana.domains = ["inside.example"]

    assert seen_before(ana, detection).groups == []


def test_the_reasons_of_a_message_tell_of_it_with_links(
    detection: Message, ana: Member, analyst: Client, soup: Soup, like: Callable[..., Case]
) -> None:
    hostile = like(1, subject="<b>pay</b>")
    cases.set_verdict(actor=ana, case=hostile, verdict=OwnVerdict.FALSE_POSITIVE, request=None)

    why = soup(analyst.get(reverse("investigate:message", args=[detection.id]))).select_one("#panel-why")

    assert why is not None
    assert "This sender: once before, 1 x false positive, last by Ana" in why.get_text()
    link = why.select_one('a[href="/investigate/other-1/"]')
    assert link is not None
    assert link.text == "<b>pay</b>"
