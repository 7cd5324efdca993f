"""The page of what changed: by list, who it was, each field before and after, and how old the knowledge is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from bs4 import BeautifulSoup, Tag
from django.db import connection
from django.db.models import F
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from dashboard.access.models import Member
from dashboard.simulator import Simulator
from dashboard.upstream.connection import get_client
from settings_ui.changes import services as changes
from settings_ui.entries import sweep
from settings_ui.models import Entry, Observed, Reading
from settings_ui.resources import BY_NAME
from tests.conftest import HTMX
from tests.settings_ui.changes.conftest import EVIL, key
from tests.settings_ui.conftest import Time
from tests.settings_ui.entries.conftest import Keep
from tests.settings_ui.watching.conftest import asked_for, read, seed, take_away

Soup = Callable[[HttpResponse], BeautifulSoup]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("emailsec")]


def rows(page: BeautifulSoup) -> list[list[str]]:
    return [[" ".join(cell.get_text(" ").split()) for cell in row.select("td")[1:]] for row in page.select("tbody tr")]


def shown(browser: Client, soup: Soup, query: str = "") -> BeautifulSoup:
    answer = browser.get(reverse("settings:observed") + query)
    assert answer.status_code == 200
    return soup(answer)


def test_everything_is_told_with_who_it_was(auditor: Client, pia: Member, emailsec: Simulator, soup: Soup) -> None:
    read()
    change = changes.create(
        actor=pia, resource=BY_NAME["block_senders"], values=EVIL, operation_key=key(), request=None
    )
    (theirs,) = seed(emailsec, 1)
    read()
    get_client().edit_entry("block_senders", theirs, {"comments": "<b>new</b>\u202e", "is_regex": True})
    read()
    take_away(emailsec, theirs)
    read()

    page = shown(auditor, soup)

    assert rows(page) == [
        ["bad0.example", "removed", "elsewhere"],
        [
            "bad0.example",
            "changed Regular expression no yes Comments ticket 7 <b>new</b>[U+202E]",
            "elsewhere",
        ],
        ["evil.example", "added", "Pia"],
        ["bad0.example", "added", "elsewhere"],
    ]
    links = [link["href"] for link in page.select("tbody a")]
    assert reverse("settings:entry", args=["block-senders", theirs]) in links
    assert reverse("settings:change", args=[change.pk]) in links
    assert "As of" in page.select_one("#block-senders + p").text


def test_what_we_remove_at_its_end_is_not_called_elsewhere(
    auditor: Client, keep: Keep, time_: Time, soup: Soup
) -> None:
    kept = keep()
    read()
    time_.passes(kept, 31 * 86_400)
    sweep.sweep_entries()
    time_.removed(kept)
    read()

    assert rows(shown(auditor, soup)) == [["evil.example", "removed", "Mailwarden"]]


def test_what_we_only_found_gone_is_called_elsewhere(
    auditor: Client, keep: Keep, emailsec: Simulator, soup: Soup
) -> None:
    kept = keep()
    read()
    take_away(emailsec, kept.upstream_id)
    read()

    assert rows(shown(auditor, soup)) == [["evil.example", "removed", "elsewhere"]]


def test_a_rule_for_one_sender_is_its_makers(
    auditor: Client, ana: Member, accept: Callable[..., Entry], time_: Time, soup: Soup
) -> None:
    read("allow_policies")
    time_.sent(accept(ana))
    read("allow_policies")

    assert rows(shown(auditor, soup)) == [["billing@supplier.example", "added", "Ana"]]


def test_the_time_is_chosen_and_nonsense_is_a_day(auditor: Client, emailsec: Simulator, soup: Soup) -> None:
    read()
    seed(emailsec, 1)
    read()
    Observed.objects.update(at=F("at") - dt.timedelta(days=5))

    assert rows(shown(auditor, soup)) == []
    assert "Nothing was different since yesterday" in shown(auditor, soup, "?days=-3").text
    assert len(rows(shown(auditor, soup, "?days=7"))) == 1
    assert shown(auditor, soup, "?days=7").select_one("[aria-current=true]").text == "7 days"


def test_very_many_differences_are_cut_and_counted(auditor: Client, emailsec: Simulator, soup: Soup) -> None:
    read()
    seed(emailsec, 250)
    read()

    page = shown(auditor, soup)

    assert len(rows(page)) == 200
    assert "50 more are not shown" in page.text
    assert "250 different" in page.text


def test_the_page_asks_its_questions_once_however_much_happened(
    auditor: Client, emailsec: Simulator, soup: Soup
) -> None:
    read()
    shown(auditor, soup)
    with CaptureQueriesContext(connection) as few:
        shown(auditor, soup)
    seed(emailsec, 100)
    read()
    with CaptureQueriesContext(connection) as many:
        shown(auditor, soup)
    assert len(many) <= len(few) + 1


def test_a_policy_manager_has_the_lists_read_again_and_sees_it_happen(
    policy_manager: Client, emailsec: Simulator, soup: Soup, rung: Callable[[], list[tuple[str, str]]]
) -> None:
    read()
    Reading.objects.update(finished_at=F("finished_at") - dt.timedelta(minutes=5))
    before = rung().count(("settings_ui.tasks.read_list", "block_senders"))

    answer = soup(policy_manager.post(reverse("settings:observed_read"), {"days": "7"}, headers=HTMX))

    section = answer.select_one("#observed")
    assert isinstance(section, Tag)
    assert section["hx-trigger"] == "load delay:2s"
    assert "days=7" in str(section["hx-get"])
    assert rung().count(("settings_ui.tasks.read_list", "block_senders")) == before + 1
    for name in Reading.objects.values_list("resource", flat=True):
        read(name)
    assert "hx-trigger" not in shown(policy_manager, soup).select_one("#observed").attrs
    calls = asked_for(emailsec, "block_senders.list")
    again = soup(policy_manager.post(reverse("settings:observed_read"), headers=HTMX))
    assert "within the last minute" in again.text
    assert asked_for(emailsec, "block_senders.list") == calls


def test_without_a_script_the_button_leads_back(policy_manager: Client) -> None:
    answer = policy_manager.post(reverse("settings:observed_read"), {"days": "30"})
    assert (answer.status_code, answer["Location"]) == (303, "/settings/observed/?days=30")


def test_who_only_reads_has_no_button(auditor: Client, viewer: Client, soup: Soup) -> None:
    assert shown(auditor, soup).select_one("#observed form") is None
    assert auditor.post(reverse("settings:observed_read")).status_code == 403
    assert viewer.get(reverse("settings:observed")).status_code == 403


def test_a_worker_that_does_not_come_is_not_waited_for(auditor: Client, soup: Soup) -> None:
    read()
    Reading.objects.update(due_at=F("due_at") - dt.timedelta(hours=3), claimed_at=None)
    assert "hx-trigger" not in shown(auditor, soup).select_one("#observed").attrs
