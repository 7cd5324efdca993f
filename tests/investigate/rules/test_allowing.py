"""Accept the sender for a time, and guard a name: the other rules a message leads to."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.emailsec.types import Message
from settings_ui.entries import sending
from settings_ui.models import Change, Entry, EntryState, Origin
from tests.conftest import HTMX
from tests.investigate.fixing.conftest import emailsec as with_more_mail
from tests.investigate.fixing.conftest import find as find_good
from tests.investigate.rules.conftest import listed, seen, sent
from tests.investigate.rules.test_blocking import said

pytestmark = pytest.mark.django_db
Soup = Callable[[HttpResponse], BeautifulSoup]

emailsec = with_more_mail
find_good = find_good


@pytest.fixture
def supplier(find_good: Callable[..., Message]) -> Message:
    """Mail of somebody who proves who they are, held back by mistake."""
    return find_good("SPAM", held=True)


def in_days(days: int) -> str:
    return f"{timezone.now() + dt.timedelta(days=days):%Y-%m-%d}"


def allowing(**values: str) -> dict[str, str]:
    return {"operation_key": uuid.uuid4().hex, "until": in_days(14), "reason": "known supplier", **values}


def test_the_sender_is_accepted_narrowly_and_for_a_time(
    analyst: Client, ana: Member, supplier: Message, soup: Soup, emailsec: Any
) -> None:
    url = f"/investigate/{supplier.id}/allow"
    panel = soup(analyst.get(url, headers=HTMX))
    assert f"Mail from {(supplier.from_ or '').casefold()} is no longer called Spam, Spoof or Bulk" in said(panel)
    assert panel.select_one("[name=until]")["value"] == in_days(30)
    assert not panel.select("[name=pattern]")
    assert not panel.select("a[href*='/settings/allow-policies/new']")

    outcome = soup(analyst.post(url, allowing(pattern="x@y.example"), headers=HTMX)).select_one("#rule")
    entry = Entry.objects.get()
    assert (entry.pattern, entry.owner) == ((supplier.from_ or "").casefold(), ana)
    assert outcome.select_one("form")["action"] == f"/investigate/rules/accepted/{entry.pk}/undo"
    assert outcome["hx-get"].startswith(f"/investigate/rules/accepted/{entry.pk}/")

    Entry.objects.update(due_at=timezone.now() - dt.timedelta(minutes=1))
    sending.send(entry.pk)
    (rule,) = listed(emailsec, "allow_policies", entry.pattern)
    assert (rule["pattern_type"], rule["is_acceptable_sender"], rule["verify_sender"]) == ("EMAIL", True, True)
    assert (rule["is_trusted_sender"], rule["is_exempt_recipient"], rule["is_regex"]) == (False, False, False)
    later = soup(analyst.get(f"/investigate/rules/accepted/{entry.pk}/?n=2", headers=HTMX))
    assert later.select_one(".state")["data-state"] == "done"
    assert not later.select_one("#rule").has_attr("hx-get")
    assert "is accepted until" in later.select_one("[hx-swap-oob]").text


def test_it_can_be_undone_before_it_is_sent(analyst: Client, supplier: Message, soup: Soup, emailsec: Any) -> None:
    answer = analyst.post(f"/investigate/{supplier.id}/allow", allowing())
    entry = Entry.objects.get()
    assert (answer.status_code, answer["Location"]) == (303, f"/investigate/rules/accepted/{entry.pk}/")
    assert "Rule for" in said(soup(analyst.get(answer["Location"])))

    undone = soup(analyst.post(f"{answer['Location']}undo", headers=HTMX))
    assert "Undone before it was sent." in said(undone)
    entry.refresh_from_db()
    assert entry.state == EntryState.REMOVED
    assert analyst.post(f"{answer['Location']}undo", headers=HTMX).status_code == 409
    assert not emailsec.ledger.of("create")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"reason": ""}, "Say in a few words why."),
        ({"reason": "  x "}, "Say in a few words why."),
        ({"until": ""}, "Say until when: a rule always ends."),
        ({"until": "2001-01-01"}, "From tomorrow to"),
        ({"until": "9999-12-31"}, "From tomorrow to"),
        ({"until": "<b>"}, "Enter a valid date."),
    ],
)
def test_what_is_missing_is_said_at_its_field(
    analyst: Client, supplier: Message, soup: Soup, values: dict[str, str], told: str
) -> None:
    answer = analyst.post(f"/investigate/{supplier.id}/allow", allowing(**values), headers=HTMX)
    assert answer.status_code == 422
    page = soup(answer)
    assert told in said(page.select_one(".field[data-invalid]"))
    assert not Entry.objects.exists()


def test_malicious_mail_and_what_stands_already_lead_to_no_rule(
    analyst: Client, policy_manager: Client, supplier: Message, phish: Message, soup: Soup
) -> None:
    panel = soup(analyst.get(f"/investigate/{phish.id}/allow", headers=HTMX))
    assert "Malicious or BEC gets no rule" in said(panel)
    assert panel.select_one(".do button").has_attr("disabled")
    assert analyst.post(f"/investigate/{phish.id}/allow", allowing(), headers=HTMX).status_code == 409

    form = allowing()
    url = f"/investigate/{supplier.id}/allow"
    seen("block_senders", (supplier.from_ or "").rpartition("@")[2])
    assert "is blocked and covers this address" in said(soup(analyst.get(url, headers=HTMX)))
    assert analyst.post(url, form, headers=HTMX).status_code == 200
    assert analyst.post(url, form, headers=HTMX).status_code == 200, "the same click again is the same rule"
    assert Entry.objects.count() == 1
    refused = policy_manager.post(url, allowing(), headers=HTMX)
    assert refused.status_code == 409
    assert "Ana made a rule for this address already" in said(soup(refused))
    assert Entry.objects.count() == 1


def test_a_policy_manager_can_go_on_to_the_full_form(policy_manager: Client, supplier: Message, soup: Soup) -> None:
    panel = soup(policy_manager.get(f"/investigate/{supplier.id}/allow", headers=HTMX))
    link = panel.select_one("a[href^='/settings/allow-policies/new?']")["href"]
    assert "pattern_type=EMAIL&is_acceptable_sender=on&verify_sender=on" in link


def test_a_name_goes_to_the_registry_with_the_true_address(
    policy_manager: Client, phish: Message, soup: Soup, emailsec: Any
) -> None:
    url = f"/investigate/{phish.id}/guard"
    panel = soup(policy_manager.get(url, headers=HTMX))
    assert panel.select_one("[name=name]")["value"] == phish.from_name
    assert panel.select_one("[name=email]").get("value", "") == ""
    assert phish.client_recipients[0].rpartition("@")[2] in said(panel)

    form = sent(name=phish.from_name or "", email="anna.berg@corp.example", reason="CEO fraud", ticket="4711")
    outcome = soup(policy_manager.post(url, form, headers=HTMX)).select_one("#rule")
    assert f"{phish.from_name} is on the impersonation registry." in said(outcome)
    (entry,) = listed(emailsec, "impersonation_registry", phish.from_name or "")
    assert (entry["email"], entry["is_email_regex"]) == ("anna.berg@corp.example", False)
    assert Change.objects.get().investigate_id == phish.id
    twice = policy_manager.post(url, {**form, "operation_key": uuid.uuid4().hex}, headers=HTMX)
    assert twice.status_code == 409
    assert "on the list already" in said(soup(twice))


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"email": ""}, "email"),
        ({"email": "no address"}, "email"),
        ({"email": "x" * 2000 + "@corp.example"}, "email"),
        ({"name": ""}, "name"),
        ({"name": "x" * 2000}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"ticket": "x" * 101}, "ticket"),
    ],
)
def test_what_cannot_stand_is_said_at_its_field_and_kept(
    policy_manager: Client, phish: Message, soup: Soup, values: dict[str, str], field: str
) -> None:
    form = sent(**{"name": "Anna Berg", "email": "anna.berg@corp.example", "reason": "kept", **values})
    answer = policy_manager.post(f"/investigate/{phish.id}/guard", form, headers=HTMX)
    assert answer.status_code == 422
    page = soup(answer)
    (invalid,) = page.select(".field[data-invalid]")
    assert invalid.select_one("input")["name"] == field
    assert page.select_one("[name=reason]")["value"] == "kept"
    assert not Change.objects.exists()


@pytest.mark.parametrize("who", ["analyst", "responder", "viewer", "auditor", "admin"])
def test_the_registry_is_for_policy_managers(
    request: pytest.FixtureRequest, who: str, phish: Message, soup: Soup
) -> None:
    client = request.getfixturevalue(who)
    url = f"/investigate/{phish.id}/guard"
    assert client.get(url).status_code == 403
    assert client.post(url, sent(name="Anna", email="a@corp.example")).status_code == 403
    assert not Change.objects.exists()
    button = soup(client.get(f"/investigate/{phish.id}/")).select_one("[data-key=p]")
    assert button["data-why"] == "Your role may not change the account's settings: ask a policy manager."


def test_an_entry_of_the_settings_has_no_page_among_the_rules(
    analyst: Client, ana: Member, supplier: Message, emailsec: Any
) -> None:
    analyst.post(f"/investigate/{supplier.id}/allow", allowing())
    entry = Entry.objects.get()
    urls = [f"/investigate/rules/accepted/{entry.pk}/", f"/investigate/rules/accepted/{entry.pk}/undo"]
    assert analyst.get(urls[0]).status_code == 200
    Entry.objects.filter(pk=entry.pk).update(origin=Origin.NOTED)

    assert analyst.get(urls[0]).status_code == 404
    assert analyst.post(urls[1]).status_code == 404
