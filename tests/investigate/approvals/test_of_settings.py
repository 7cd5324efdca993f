"""Requests about the account's settings stand among the others: for those who may decide them, and for who asked."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.http import HttpResponse
from django.test import Client

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.emailsec.types import Message
from dashboard.upstream.connection import get_client
from investigate.models import Approval
from settings_ui.changes import services
from settings_ui.models import Change, ChangeState
from settings_ui.resources import BY_NAME
from tests.investigate.approvals.conftest import asked, signed_in

pytestmark = pytest.mark.django_db
Soup = Callable[[HttpResponse], BeautifulSoup]
ROOM = "/investigate/approvals/"
DOMAINS = BY_NAME["domains"]


@pytest.fixture(autouse=True)
def takes_two(settings: Any) -> None:
    settings.SECOND_PERSON = frozenset({"purge", "unprotect"})


@pytest.fixture
def rosa(db: None) -> Member:
    """A second policy manager."""
    return Member.objects.create_user(
        "rosa", "rosa@corp.example", "correct horse battery", role=Role.POLICY_MANAGER, first_name="Rosa"
    )


@pytest.fixture
def unprotect(pia: Member, emailsec: Any) -> Change:
    """Pia asks to end the protection of a domain."""
    (entry, *_) = get_client().entries("domains").items
    change = services.remove(
        actor=pia,
        resource=DOMAINS,
        entries=[entry],
        typed=[DOMAINS.label(entry.values())],
        reason="sold",
        ticket="4711",
        operation_key=uuid.uuid4().hex,
        request=None,
    )
    assert change.state == ChangeState.AWAITING_APPROVAL
    return change


def links(page: BeautifulSoup) -> list[str]:
    return [str(one["href"]) for one in page.select(".requests td a")]


def badge(page: BeautifulSoup) -> str:
    return page.select_one(f".topbar nav a[href='{ROOM}']").get_text(" ", strip=True)


def test_it_waits_for_another_policy_manager_and_counts_in_the_badge(
    policy_manager: Client, rosa: Member, unprotect: Change, soup: Soup
) -> None:
    page = soup(signed_in(rosa).get(ROOM))

    assert links(page) == [f"/settings/changes/{unprotect.pk}/"]
    assert "Pia" in page.select_one(".requests").text
    assert "sold" in page.select_one(".requests").text
    assert "1" in badge(page)
    own = soup(policy_manager.get(ROOM))
    assert not links(own), "nobody decides what they asked for"
    assert badge(own) == "Approvals"
    assert links(soup(policy_manager.get(f"{ROOM}?show=mine"))) == [f"/settings/changes/{unprotect.pk}/"]


@pytest.mark.parametrize("who", ["responder", "analyst", "admin", "auditor", "viewer"])
def test_it_is_nothing_for_those_who_could_not_do_it(
    request: pytest.FixtureRequest, who: str, unprotect: Change, soup: Soup
) -> None:
    page = soup(request.getfixturevalue(who).get(ROOM))
    assert not links(page)
    room = page.select_one(f".topbar nav a[href='{ROOM}']")
    assert "1" not in room.text


def test_who_is_limited_to_some_domains_learns_nothing_of_it(rosa: Member, unprotect: Change, soup: Soup) -> None:
    rosa.domains = ["tarnfell.example"]
    rosa.save(update_fields=["domains"])
    client = signed_in(rosa)
    for show in ("", "mine", "all"):
        page = soup(client.get(f"{ROOM}?show={show}"))
        assert not links(page)
        assert badge(page) == "Approvals"


def test_two_accounts_of_one_person_are_one(rosa: Member, unprotect: Change, soup: Soup) -> None:
    rosa.email = "pia+second@corp.example"
    rosa.save(update_fields=["email"])
    assert not links(soup(signed_in(rosa).get(ROOM)))


def test_what_was_decided_stands_among_all(rosa: Member, unprotect: Change, soup: Soup, policy_manager: Client) -> None:
    services.refuse(actor=rosa, change=unprotect, comment="it is still ours", request=None)

    page = soup(policy_manager.get(f"{ROOM}?show=all"))
    assert links(page) == [f"/settings/changes/{unprotect.pk}/"]
    assert page.select_one(".requests .state")["data-state"] == "cancelled"
    assert "it is still ours" in page.select_one(".requests").text
    assert not links(soup(signed_in(rosa).get(ROOM)))


def test_a_policy_manager_decides_about_no_mail_and_reads_none(
    analyst: Client, policy_manager: Client, clean: Message, soup: Soup
) -> None:
    asked(analyst, clean)
    approval = Approval.objects.get()

    page = soup(policy_manager.get(ROOM))
    assert not links(page)
    assert badge(page) == "Approvals"
    request_page = policy_manager.get(f"{ROOM}{approval.pk}/")
    assert not soup(request_page).select("form[action*='/approve']")
    assert policy_manager.post(f"{ROOM}{approval.pk}/approve", {"fingerprint": approval.fingerprint}).status_code in (
        302,
        403,
    )
    approval.refresh_from_db()
    assert approval.state == "pending"


def test_both_kinds_are_counted_by_one_query(
    rosa: Member, unprotect: Change, django_assert_num_queries: Callable[..., Any]
) -> None:
    from dashboard.web.context import Frame

    request = type("Request", (), {"user": Member.objects.get(pk=rosa.pk), "path": "/"})()
    with django_assert_num_queries(1):
        assert Frame(request).requests_for_me == 1  # type: ignore[arg-type]
