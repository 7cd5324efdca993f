"""The proof of a protected domain, on its page."""

from __future__ import annotations

from collections.abc import Callable

from bs4 import BeautifulSoup
from django.http import HttpResponse
from django.test import Client

from dashboard.upstream.connection import get_client
from tests.conftest import HTMX

Soup = Callable[[HttpResponse], BeautifulSoup]

NEW = {
    "domain": "new.example",
    "allowed_delivery_modes": ["DIRECT"],
    "drop_dispositions": [],
    "ip_restrictions": [],
    "regions": ["GLOBAL"],
}


def test_a_new_domain_shows_the_record_that_proves_it(policy_manager: Client, emailsec: object, soup: Soup) -> None:
    made = get_client().create_entry("domains", NEW)

    page = soup(policy_manager.get(f"/settings/domains/{made.id}/verification", headers=HTMX))

    copied = [button["data-copy"] for button in page.select("[data-copy]")]
    assert copied[0] == "_cf-email-sec-challenge.new.example"
    assert copied[1].startswith("cf-verify-")
    assert "Not yet proved" in page.text


def test_a_domain_that_is_gone_says_so(policy_manager: Client, emailsec: object, soup: Soup) -> None:
    page = soup(policy_manager.get("/settings/domains/no-such-id/verification", headers=HTMX))
    assert "not protected any more" in page.text


def test_without_htmx_it_leads_to_the_domain(policy_manager: Client, emailsec: object) -> None:
    made = get_client().create_entry("domains", NEW)
    answer = policy_manager.get(f"/settings/domains/{made.id}/verification")
    assert (answer.status_code, answer["Location"]) == (302, f"/settings/domains/{made.id}/")
