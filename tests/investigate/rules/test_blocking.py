"""Block the sender of a message: what is offered, what is sent, who may, and what is told when it does not work."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from bs4 import BeautifulSoup
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.audit.models import AuditEvent
from dashboard.emailsec.types import Message
from investigate.models import DeskChange
from investigate.rules import services
from settings_ui.models import Change, Entry, Line, Source
from settings_ui.patterns.comparing import MOST_EXPRESSIONS
from tests.conftest import HTMX
from tests.investigate.rules.conftest import Find, listed, seen, sent

pytestmark = pytest.mark.django_db
Soup = Callable[[HttpResponse], BeautifulSoup]


def url_of(message: Message) -> str:
    return f"/investigate/{message.id}/block"


def said(page: Any) -> str:
    return " ".join(page.get_text(" ").split())


def domain_of(message: Message) -> str:
    return (message.from_ or "").casefold().rpartition("@")[2]


def test_the_panel_names_whom_the_message_names_and_sends_nothing(
    analyst: Client, find: Find, soup: Soup, emailsec: Any
) -> None:
    message = find("BULK", envelope=True)
    panel = soup(analyst.get(url_of(message), headers=HTMX))

    patterns = [one.text for one in panel.select(".choice code")]
    assert patterns[:2] == [message.from_, domain_of(message)]
    assert message.envelope_from in patterns
    assert [one["value"] for one in panel.select("[name=candidate][checked]")] == ["from"]
    assert "blocked from now on, for every recipient" in said(panel)
    assert panel.select("datalist option")
    assert not panel.select_one("#rule-reason").has_attr("required"), "the key and Enter are enough"
    assert not Change.objects.exists()
    assert not emailsec.ledger.of("create")


def test_one_click_blocks_the_sender_and_says_so_in_the_panel(
    analyst: Client, ana: Member, phish: Message, soup: Soup, emailsec: Any
) -> None:
    page = soup(analyst.post(url_of(phish), sent(reason="Phishing", ticket="4711"), headers=HTMX))

    (entry,) = listed(emailsec, "block_senders", phish.from_ or "")
    assert (entry["pattern"], entry["pattern_type"], entry["is_regex"]) == (phish.from_.casefold(), "EMAIL", False)
    assert entry["comments"] == "Mailwarden, Ana: Phishing (4711)"
    outcome = page.select_one("#rule")
    assert f"{phish.from_} is blocked." in said(outcome)
    assert outcome.select_one(".state")["data-state"] == "done"
    assert not outcome.has_attr("hx-get"), "what is settled is asked for no more"
    assert "is blocked" in page.select_one("[hx-swap-oob='innerHTML:#status']").text
    change = Change.objects.get()
    assert (change.source, change.investigate_id, change.permission) == (Source.MESSAGE, phish.id, "policy:block")
    assert (change.reason, change.ticket, change.actor) == ("Phishing", "4711", ana)
    assert phish.id in DeskChange.objects.latest("pk").investigate_ids
    events = [(event.action, event.phase) for event in AuditEvent.objects.filter(action="policy:create")]
    assert events == [("policy:create", "attempt"), ("policy:create", "done")]


def test_its_domain_is_a_choice(analyst: Client, phish: Message, emailsec: Any) -> None:
    assert analyst.post(url_of(phish), sent(candidate="from-domain"), headers=HTMX).status_code == 200
    (entry,) = listed(emailsec, "block_senders", domain_of(phish))
    assert (entry["pattern"], entry["pattern_type"]) == (domain_of(phish), "DOMAIN")


def test_without_scripts_the_form_leads_to_the_receipt(
    analyst: Client, phish: Message, soup: Soup, emailsec: Any
) -> None:
    assert soup(analyst.get(url_of(phish))).select_one("h1").text == "Block the sender"
    answer = analyst.post(url_of(phish), sent(reason="Phishing"))

    change = Change.objects.get()
    assert (answer.status_code, answer["Location"]) == (303, f"/investigate/rules/{change.pk}/")
    receipt = soup(analyst.get(answer["Location"]))
    assert "is blocked." in said(receipt.select_one("main"))
    assert "Phishing" in said(receipt.select_one("main"))


def test_the_same_form_sent_twice_blocks_once(analyst: Client, phish: Message, soup: Soup, emailsec: Any) -> None:
    form = sent()
    first, second = (analyst.post(url_of(phish), form, headers=HTMX) for _ in range(2))

    assert (first.status_code, second.status_code) == (200, 200)
    assert "is blocked" in said(soup(second))
    assert len(emailsec.ledger.of("create")) == 1


@pytest.mark.parametrize(
    "candidate", ["", "reply-to", "x", "victim@corp.example", "from ", "FROM", "from-domain-domain", "x" * 500]
)
def test_a_form_cannot_name_whom_the_message_does_not_name(
    analyst: Client, find: Find, soup: Soup, emailsec: Any, candidate: str
) -> None:
    message = find("MALICIOUS")
    assert message.replyto is None
    forged = {"pattern": "victim@corp.example", "pattern_type": "DOMAIN"}
    answer = analyst.post(url_of(message), sent(candidate=candidate, reason="kept", **forged), headers=HTMX)

    assert answer.status_code == (200 if candidate == "from " else 422)
    if candidate != "from ":
        assert soup(answer).select_one("#rule-reason")["value"] == "kept"
        assert not Change.objects.exists()
    assert not listed(emailsec, "block_senders", "victim@corp.example")


def test_ones_own_domain_is_shown_with_its_reason_and_cannot_be_chosen(
    analyst: Client, phish: Message, soup: Soup, emailsec: Any
) -> None:
    seen("domains", domain_of(phish), domain=domain_of(phish))
    panel = soup(analyst.get(url_of(phish), headers=HTMX))

    assert all(one.has_attr("disabled") for one in panel.select("[name=candidate]"))
    assert "is your own domain" in said(panel)
    assert not panel.select("a[href*='/settings/']"), "the full form is not for analysts"
    assert panel.select_one("button.danger").has_attr("disabled")
    answer = analyst.post(url_of(phish), sent(candidate="from-domain"), headers=HTMX)
    assert answer.status_code == 422
    assert "is your own domain" in said(soup(answer))
    assert not Change.objects.exists()


def test_the_domains_of_the_mailboxes_are_ours_before_any_list_was_read(
    analyst: Client, find: Find, soup: Soup
) -> None:
    forged = find("SPOOF", "MALICIOUS", own=True)
    panel = soup(analyst.get(url_of(forged), headers=HTMX))
    assert panel.select_one("[value=from-domain]").has_attr("disabled")
    assert "is your own domain" in said(panel)


def test_a_policy_manager_is_led_to_the_full_form(policy_manager: Client, phish: Message, soup: Soup) -> None:
    seen("domains", domain_of(phish), domain=domain_of(phish))
    panel = soup(policy_manager.get(url_of(phish), headers=HTMX))
    links = [one["href"] for one in panel.select(".choices a")]
    assert any(f"pattern={domain_of(phish)}&pattern_type=DOMAIN" in link for link in links), links
    assert all(link.startswith("/settings/block-senders/new?") for link in links)


def test_what_stands_already_is_told_before_anything_is_sent(analyst: Client, phish: Message, soup: Soup) -> None:
    seen("allow_policies", domain_of(phish), is_acceptable_sender=True)
    seen("block_senders", (phish.from_ or "").upper())
    panel = soup(analyst.get(url_of(phish), headers=HTMX))

    assert f"{domain_of(phish)}: allowed since" in said(panel)
    assert "is allowed and covers this address. Which of the two counts is not known" in said(panel)
    assert f"{(phish.from_ or '').upper()}: blocked since" in said(panel)
    (chosen,) = panel.select("[name=candidate][checked]")
    assert chosen["value"] == "from-domain", "what is blocked already is not chosen by itself"


def test_a_duplicate_is_answered_with_the_entry_that_stands(
    analyst: Client, policy_manager: Client, phish: Message, soup: Soup, emailsec: Any
) -> None:
    assert policy_manager.post(url_of(phish), sent(), headers=HTMX).status_code == 200
    answer = analyst.post(url_of(phish), sent(reason="Phishing"), headers=HTMX)

    assert answer.status_code == 409
    told = said(soup(answer))
    assert f"{(phish.from_ or '').casefold()} is on the list already. Nothing was changed." in told
    assert "blocked since" in told
    assert len(listed(emailsec, "block_senders", phish.from_ or "")) == 1


def test_what_cloudflare_says_of_the_pattern_stands_in_the_form(
    analyst: Client, phish: Message, soup: Soup, emailsec: Any
) -> None:
    wrong = {"code": 1001, "message": "pattern: not acceptable", "source": {"pointer": "/pattern"}}
    body = json.dumps({"success": False, "result": None, "messages": [], "errors": [wrong]})
    emailsec.faults.next("block_senders.create", status=422, body=body, content_type="application/json")
    form = sent(reason="Phishing")
    answer = analyst.post(url_of(phish), form, headers=HTMX)

    assert answer.status_code == 422
    page = soup(answer)
    assert page.select_one("#rule-candidate_error").text == "Cloudflare: not acceptable."
    assert page.select_one("#rule-reason")["value"] == "Phishing"
    again = page.select_one("[name=operation_key]")["value"]
    assert again != form["operation_key"], "what is sent next is another decision"
    assert analyst.post(url_of(phish), {**form, "operation_key": again}, headers=HTMX).status_code == 200


def test_a_call_without_an_answer_is_looked_up_and_never_sent_again(
    analyst: Client, phish: Message, soup: Soup, emailsec: Any
) -> None:
    emailsec.faults.next("block_senders.create", lose_answer=True, applied=True)
    page = soup(analyst.post(url_of(phish), sent(), headers=HTMX))

    outcome = page.select_one("#rule")
    change = Change.objects.get()
    assert outcome.select_one(".state")["data-state"] == "unknown"
    assert "No answer came. It may have been made. Checking; nothing is sent again." in said(outcome)
    assert outcome["hx-get"].startswith(f"/investigate/rules/{change.pk}/?n=")
    assert outcome["hx-trigger"] == "load delay:1s"
    assert outcome.select_one("form")["action"] == f"/investigate/rules/{change.pk}/look"
    assert len(emailsec.ledger.of("create")) == 1
    looked = soup(analyst.post(f"/investigate/rules/{change.pk}/look", headers=HTMX))
    assert looked.select_one("#rule")


def test_the_outcome_is_asked_for_ever_more_rarely_and_not_for_ever(
    analyst: Client, phish: Message, soup: Soup, emailsec: Any
) -> None:
    emailsec.faults.next("block_senders.create", lose_answer=True, applied=True)
    analyst.post(url_of(phish), sent(), headers=HTMX)
    url = f"/investigate/rules/{Change.objects.get().pk}/"

    triggers = {n: soup(analyst.get(f"{url}?n={n}", headers=HTMX)).select_one("#rule") for n in (1, 3, 50, 120, 9999)}
    assert triggers[1]["hx-trigger"] == "load delay:2s"
    assert triggers[3]["hx-trigger"] == triggers[50]["hx-trigger"] == "load delay:5s"
    assert not triggers[120].has_attr("hx-trigger")
    assert "Look again" in said(triggers[9999])


@pytest.mark.parametrize(
    ("fault", "state", "told"),
    [
        ({"status": 403}, "failed", "was not blocked. Cloudflare: the API token may not do this"),
        ({"status": 401}, "failed", "was not blocked. Cloudflare does not accept our credentials"),
        ({"status": 422, "message": "no more room"}, "failed", "was not blocked. Cloudflare: no more room."),
        ({"status": 500}, "unknown", "It may have been made. Checking; nothing is sent again."),
        ({"html": True, "status": 502}, "unknown", "It may have been made. Checking; nothing is sent again."),
        ({"status": 429, "retry_after": 100}, "waiting", "budget is used up; nothing was sent. It goes on by itself."),
    ],
)
def test_an_upstream_that_fails_is_told_and_nothing_is_claimed(
    analyst: Client, phish: Message, soup: Soup, emailsec: Any, fault: dict[str, Any], state: str, told: str
) -> None:
    emailsec.faults.next("block_senders.create", **fault)
    outcome = soup(analyst.post(url_of(phish), sent(), headers=HTMX)).select_one("#rule")

    assert outcome.select_one(".state")["data-state"] == state
    assert told in said(outcome)
    assert outcome.has_attr("hx-get") == (state != "failed")
    history = said(soup(analyst.get(f"/investigate/{phish.id}/parts/history", headers=HTMX)))
    assert told in history


def test_without_the_message_nothing_is_offered(analyst: Client, emailsec: Any) -> None:
    assert analyst.get("/investigate/gone/block", headers=HTMX).status_code == 404
    assert analyst.post("/investigate/gone/block", sent(), headers=HTMX).status_code == 404
    assert not Change.objects.exists()


@pytest.mark.parametrize("who", ["viewer", "auditor", "admin"])
def test_who_may_not_block_is_refused_and_told_in_the_foot(
    request: pytest.FixtureRequest, who: str, phish: Message, soup: Soup
) -> None:
    client = request.getfixturevalue(who)
    assert client.get(url_of(phish)).status_code == 403
    assert client.post(url_of(phish), sent()).status_code == 403
    assert not Change.objects.exists()
    button = soup(client.get(f"/investigate/{phish.id}/")).select_one("[data-key=b]")
    assert button.has_attr("disabled")
    assert button["data-why"] == "Your role may not block a sender: ask an analyst, policy manager or responder."


def test_who_is_limited_to_some_domains_sees_why_not(analyst: Client, ana: Member, phish: Message, soup: Soup) -> None:
    ana.domains = [phish.client_recipients[0].rpartition("@")[2]]
    ana.save(update_fields=["domains"])
    page = soup(analyst.get(f"/investigate/{phish.id}/"))
    for key in ("b", "Shift+B"):
        button = page.select_one(f"[data-key='{key}']")
        assert button.has_attr("disabled")
        assert button["data-why"].startswith("A rule holds for the whole account, and you are limited to ")
    assert analyst.get(url_of(phish)).status_code == 403
    assert analyst.post(url_of(phish), sent()).status_code == 403
    assert not Change.objects.exists()


def test_how_much_mail_it_would_have_been_is_counted_when_the_panel_is_open(
    analyst: Client, phish: Message, soup: Soup
) -> None:
    panel = soup(analyst.get(url_of(phish), headers=HTMX))
    counts = panel.select_one("#rule-tried")
    assert counts["hx-get"] == f"/investigate/{phish.id}/block/try"
    assert counts["hx-include"] == "[name=candidate]", "what was typed stays out of addresses"

    url = f"{counts['hx-get']}?candidate=from-domain"
    first = soup(analyst.get(url, headers=HTMX)).select_one("span")
    assert first["hx-get"] == f"{url}&n=1"
    assert first["hx-target"] == "#rule-tried"
    assert not soup(analyst.get(f"{url}&n=20", headers=HTMX)).select_one("span[hx-get]"), "nobody waits for ever"
    with time_machine.travel(timezone.now() + dt.timedelta(seconds=60)):
        told = said(soup(analyst.get(url, headers=HTMX)))
    assert told.startswith("Would have matched ")
    assert "Would have matched nothing" not in told
    assert analyst.get(f"{counts['hx-get']}?candidate=nobody", headers=HTMX).status_code == 404


def test_the_message_and_its_sender_remember_the_block(
    analyst: Client, viewer: Client, phish: Message, soup: Soup
) -> None:
    analyst.post(url_of(phish), sent(candidate="from-domain", reason="Phishing", ticket="4711"), headers=HTMX)

    history = said(soup(analyst.get(f"/investigate/{phish.id}/parts/history", headers=HTMX)))
    assert f"Ana : {domain_of(phish)} is blocked. Ticket 4711." in history
    assert "Phishing" in history
    assert Entry.objects.get().pattern == domain_of(phish)
    before = said(soup(viewer.get(f"/investigate/{phish.id}/parts/why", headers=HTMX)))
    assert f"{domain_of(phish)}: blocked since" in before
    assert "by Ana" in before


def test_nobody_else_looks_at_an_outcome_without_the_right(analyst: Client, viewer: Client, phish: Message) -> None:
    analyst.post(url_of(phish), sent())
    url = f"/investigate/rules/{Change.objects.get().pk}/"
    assert analyst.get(url).status_code == 200
    assert viewer.get(url).status_code == 404
    assert viewer.post(f"{url}look").status_code == 404


def test_hostile_addresses_are_shown_as_text_and_never_offered(
    analyst: Client, emailsec: Any, phish: Message, soup: Soup
) -> None:
    record = next(one for one in emailsec.world.store.records if one.id == phish.id)
    object.__setattr__(record, "from_", '"><script>alert(1)</script>@x.example')
    object.__setattr__(record, "replyto", "rtl\u202e@evil.example")
    answer = analyst.get(url_of(phish), headers=HTMX)

    assert "<script>" not in answer.content.decode()
    panel = soup(answer)
    assert panel.select_one("[value=from]").has_attr("disabled")
    assert panel.select_one("[value=reply-to]").has_attr("disabled")
    assert analyst.post(url_of(phish), sent(candidate="from"), headers=HTMX).status_code == 422
    assert not Line.objects.exists()


@pytest.mark.parametrize("room", ["block", "block/try?candidate=from", "allow", "guard"])
def test_the_right_to_make_rules_shows_no_message(
    room: str, browser_with: Callable[..., Client], phish: Message, emailsec: Any
) -> None:
    makes_rules = (Permission.POLICY_BLOCK, Permission.POLICY_ACCEPT, Permission.POLICY_WRITE, Permission.POLICY_READ)
    url = f"/investigate/{phish.id}/{room}"
    answer = browser_with(*makes_rules).get(url, headers=HTMX)

    assert answer.status_code == 403
    assert domain_of(phish) not in answer.content.decode()
    assert browser_with(*makes_rules, Permission.MESSAGE_READ).get(url, headers=HTMX).status_code == 200


def test_the_service_makes_no_rule_for_who_may_not_see_the_message(
    browser_with: Callable[..., Client], phish: Message, emailsec: Any
) -> None:
    browser_with(Permission.POLICY_BLOCK)
    actor = Member.objects.get(username__startswith="composed")

    with pytest.raises(PermissionDenied, match="message:read"):
        services.block(actor=actor, investigate_id=phish.id, request=None, **sent())
    assert not Change.objects.exists()


def test_thousands_of_expressions_do_not_keep_the_panel_waiting(
    analyst: Client, phish: Message, soup: Soup, emailsec: Any
) -> None:
    for number in range(MOST_EXPRESSIONS + 1):
        seen("allow_policies", rf"^box{number}@slow\.example$", is_regex=True, is_acceptable_sender=True)

    panel = soup(analyst.get(url_of(phish), headers=HTMX))

    assert "Not every entry was compared" in said(panel)
    assert analyst.post(url_of(phish), sent(), headers=HTMX).status_code == 200
    assert Change.objects.exists(), "a hint stops nobody"
