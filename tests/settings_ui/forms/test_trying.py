"""What a pattern would have matched, while it is typed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from dashboard.access.roles import Permission
from dashboard.simulator import Simulator
from settings_ui.resources import BY_NAME, Resource
from tests.conftest import HTMX
from tests.settings_ui.forms.conftest import RIGHT, Desk, Shown, Wire, every_resource


def tried(desk: Desk, resource: Resource, *, query: str = "", **typed: Any) -> Shown:
    address = reverse("settings:try", args=[resource.slug])
    return Shown(desk.client.post(f"{address}{query}", typed, headers=HTMX))


def some_sender(simulator: Simulator) -> str:
    """The address that recent mail says it is from."""
    return str(simulator.store.records[0].from_.rpartition("<")[2].rstrip(">").casefold())


@every_resource
def test_it_is_asked_for_below_the_field_that_is_tried(resource: Resource, account: Simulator, desk: Desk) -> None:
    form = desk.open(resource).form
    field = resource.tried or resource.sent[0].name

    region = form.select_one("#try")
    assert region["hx-post"] == reverse("settings:try", args=[resource.slug])
    assert region.find_previous(class_="field").select_one(f'[name="{field}"]')
    assert "delay:600ms" in region["hx-trigger"]
    assert f"#entry-{field}" in region["hx-trigger"]


def test_it_counts_messages_and_lists_them(account: Simulator, desk: Desk, policies: Resource) -> None:
    sender = some_sender(account)

    shown = tried(desk, policies, pattern=sender, pattern_type="EMAIL", is_acceptable_sender="true")

    assert "Would have matched" in shown.page.select_one("[data-state=done]").text
    first = shown.page.select_one("details a")
    assert first["href"].startswith("/investigate/")
    listed = shown.page.select_one("details").text
    assert sender in listed.casefold()
    assert not any(word in listed for word in ("MALICIOUS", "BULK", "SPAM", "NONE")), "verdicts are words"


def test_nothing_typed_asks_nothing(account: Simulator, wire: Wire, desk: Desk, policies: Resource) -> None:
    shown = tried(desk, policies, pattern="  ", pattern_type="EMAIL")

    assert not shown.text
    assert not account.calls


def test_a_rule_for_recipients_is_tried_on_recipients(account: Simulator, desk: Desk, policies: Resource) -> None:
    recipient = account.store.records[0].client_recipients[0]
    asked = {"pattern": recipient, "pattern_type": "EMAIL", "is_exempt_recipient": "true"}

    for_recipient = tried(desk, policies, **asked)
    for_sender = tried(desk, policies, **asked, is_acceptable_sender="true")

    assert "Would have matched none" not in for_recipient.text
    assert "nothing" not in for_recipient.page.select_one(".tried").text
    assert for_recipient.page.select_one(".tried").text != for_sender.page.select_one(".tried").text


@pytest.mark.parametrize(
    ("name", "typed", "state"),
    [
        ("allow_policies", {"pattern": "(((", "pattern_type": "EMAIL", "is_regex": "true"}, "broken"),
        ("content_policies", {"pattern": "(?i)invoice", "targets": "SUBJECT"}, "done"),
        ("content_policies", {"pattern": "(?i)invoice", "targets": "BODY"}, "untestable"),
        ("url_ignore_patterns", {"pattern": "https://a.example/.*"}, "untestable"),
        ("sending_domain_restrictions", {"domain": "bank.example"}, "done"),
        ("trusted_domains", {"pattern": "bank.example", "is_recent": "true"}, "done"),
        ("impersonation_registry", {"name": "Maja Holt"}, "broken"),
        ("impersonation_registry", {"name": "Maja Holt", "email": "maja@corp.example"}, "done"),
        ("block_senders", {"pattern": "198.51.100.0/28", "pattern_type": "IP"}, "done"),
        ("block_senders", {"pattern": "a" * 10_000, "pattern_type": "EMAIL"}, "broken"),
    ],
    ids=str,
)
def test_each_state_says_what_it_is(
    name: str, typed: dict[str, str], state: str, account: Simulator, desk: Desk
) -> None:
    shown = tried(desk, BY_NAME[name], **typed)

    assert shown.response.status_code == 200
    told = shown.page.select_one(".tried")
    assert told["data-state"] == state, told.text
    assert told.text.strip()


def test_it_asks_again_while_it_is_searching_and_not_for_ever(
    account: Simulator, desk: Desk, policies: Resource
) -> None:
    account.faults.endless_search = True
    asked = {"pattern": "a@b.example", "pattern_type": "EMAIL"}

    first = tried(desk, policies, **asked).page.select_one("[hx-trigger='load delay:2s']")
    assert first["hx-post"].endswith("?again=1")
    last = tried(desk, policies, query="?again=60", **asked)
    assert not last.page.select("[hx-trigger]")


def test_an_account_that_does_not_answer_leaves_the_form_alone(
    account: Simulator, desk: Desk, policies: Resource
) -> None:
    account.faults.next("search", status=429, retry_after=120, times=None)

    shown = tried(desk, policies, pattern="a@b.example", pattern_type="EMAIL")

    assert shown.page.select_one(".tried")["data-state"] == "unavailable"
    assert "saving needs no try" in shown.text


def test_dangers_are_told_before_anybody_saves(account: Simulator, desk: Desk, policies: Resource) -> None:
    typed = {**RIGHT["allow_policies"], "pattern": "gmail.com", "pattern_type": "DOMAIN"}

    assert "gmail.com" in tried(desk, policies, **typed).page.select_one(".warn").text


def test_hints_of_a_list_without_a_try_are_told_as_well(account: Simulator, desk: Desk) -> None:
    typed = {**RIGHT["domains"], "ip_restrictions": "0.0.0.0/0"}

    for said in (typed, {name: value for name, value in typed.items() if name != "domain"}):
        shown = tried(desk, BY_NAME["domains"], **said)
        assert not shown.page.select(".tried")
        assert shown.page.select_one("p").text


def test_hostile_mail_is_text(account: Simulator, desk: Desk, policies: Resource) -> None:
    record = account.store.records[0]
    sender = record.envelope_from
    for one in account.store.records:
        if one.envelope_from == sender:
            one.subject = "<img src=x onerror=alert(1)>\u202egnp.exe"

    shown = tried(desk, policies, pattern=sender, pattern_type="EMAIL", is_acceptable_sender="true")

    assert "<img src=x" in shown.page.select_one("details").text
    assert not shown.page.select("img, script")
    assert "\u202e" not in shown.response.content.decode()


@pytest.mark.parametrize("value", ["-1", "x", "9" * 40, "٣", ""])
def test_a_count_that_is_none_is_no_error(value: str, account: Simulator, desk: Desk, policies: Resource) -> None:
    assert tried(desk, policies, query=f"?again={value}", pattern="a@b.example").response.status_code == 200


def test_who_may_not_see_messages_is_told_the_dangers_alone(
    account: Simulator, wire: Wire, browser_with: Callable[..., Client], policies: Resource
) -> None:
    writer = Desk(browser_with(Permission.POLICY_READ, Permission.POLICY_WRITE))

    shown = tried(writer, policies, pattern=".*", pattern_type="EMAIL", is_regex="true", is_acceptable_sender="true")

    assert shown.response.status_code == 200
    assert "finds every text" in shown.text
    assert "those who may see messages" in shown.text
    assert not shown.page.select("[data-state], details, a, [hx-post]")
    assert not account.calls, "no mail is read for them"
