"""The pages of changes: what they show, what their buttons do, and to whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.emailsec.types import SettingsEntry
from dashboard.simulator import Simulator
from settings_ui.changes import services
from settings_ui.changes.services import Draft
from settings_ui.models import Change, ChangeKind, ChangeState, LineState, Verb
from tests.conftest import HTMX

from .conftest import BLOCK, EVIL, additions, key, looked, named, pass_by, the_line, worked

Soup = Callable[[HttpResponse], BeautifulSoup]
Standing = Callable[..., list[SettingsEntry]]
Do = Callable[..., Change]


def at(change: Change, what: str = "change", query: str = "") -> str:
    return reverse(f"settings:{what}", args=[change.pk]) + query


def shown(soup: Soup, client: Client, url: str, **what: Any) -> BeautifulSoup:
    answer = client.get(url, **what)
    assert answer.status_code == 200, answer.content.decode()
    return soup(answer)


def test_a_saved_entry_is_shown_with_who_why_and_what(
    emailsec: Simulator, pia: Member, policy_manager: Client, soup: Soup, add: Do
) -> None:
    change = add(pia, {**EVIL, "comments": "<b>7</b>"}, reason="phish <script>", ticket="T-7")
    page = shown(soup, policy_manager, at(change))
    assert page.h1.text == "Add blocked sender evil.example"
    assert page.select_one("#progress .state")["data-state"] == "done"
    assert "Added." in page.select_one("#progress").text
    assert page.select_one("#lines .state").text == "Added"
    assert "phish <script>" in page.select_one(".about").text
    assert "<b>7</b>" in page.select_one("#lines").text
    assert not page.select("#progress[hx-get]"), "what has ended is not asked for again"


def test_progress_is_asked_for_until_it_ends_and_not_answered_twice(
    emailsec: Simulator, pia: Member, policy_manager: Client, soup: Soup, add: Do
) -> None:
    emailsec.faults.next("block_senders.create", applied=True, lose_answer=True)
    change = add(pia)
    page = shown(soup, policy_manager, at(change))
    progress = page.select_one("#progress")
    assert "may have been made" in progress.text
    assert progress.select_one(".state")["data-state"] == "unknown"
    url = progress["hx-get"].replace("&amp;", "&")
    assert policy_manager.get(at(change) + url.partition(at(change))[2], headers=HTMX).status_code == 204
    looked(change, after=40)
    answer = shown(soup, policy_manager, url, headers=HTMX)
    assert not answer.select("#progress[hx-get]")
    assert "evil.example" in answer.select_one("#lines[hx-swap-oob]").text
    assert "done" in answer.select_one("[hx-swap-oob*='#status']").text


def test_what_was_refused_stands_at_its_field_and_can_be_sent_again(
    emailsec: Simulator, pia: Member, policy_manager: Client, soup: Soup, add: Do, standing: Standing
) -> None:
    (there,) = standing(pattern="evil.example")
    change = add(pia)
    page = shown(soup, policy_manager, at(change))
    assert "Pattern: There is an entry like this already." in page.select_one("#lines").text
    assert page.select_one("#retry-change").text == "Send it again"
    del emailsec.settings.entries["block_senders"][there.id]
    assert policy_manager.post(at(change, "retry")).status_code == 303
    assert worked(change).state == ChangeState.DONE


def test_undo_while_it_waits_and_too_late_after(
    emailsec: Simulator, pia: Member, policy_manager: Client, soup: Soup, standing: Standing, take_away: Do
) -> None:
    first, second = standing(2)
    change = take_away(pia, [first])
    page = shown(soup, policy_manager, at(change))
    assert page.select_one("#progress time[data-until]")
    assert page.select_one("form[action$=undo] button").text.startswith("Undo")
    assert policy_manager.post(at(change, "undo")).status_code == 303
    change.refresh_from_db()
    assert (change.state, change.explanation) == (ChangeState.CANCELLED, "Undone by Pia.")
    late = worked(take_away(pia, [second]), after=60)
    assert policy_manager.post(at(late, "undo")).status_code == 409


def test_nobody_undoes_or_sends_again_what_is_somebody_elses(
    emailsec: Simulator, pia: Member, analyst: Client, standing: Standing, take_away: Do
) -> None:
    (entry,) = standing()
    change = take_away(pia, [entry])
    for what in ("undo", "cancel", "retry"):
        assert analyst.post(at(change, what)).status_code == 403, what
    change.refresh_from_db()
    assert change.state == ChangeState.WAITING


@pytest.mark.parametrize("what", ["change", "lines", "confirm", "cancel", "undo", "retry", "approve", "refuse", "look"])
def test_a_change_of_another_account_is_not_there(
    emailsec: Simulator, pia: Member, policy_manager: Client, add: Do, what: str
) -> None:
    change = add(pia)
    Change.objects.update(account_id="9" * 32)
    ask = policy_manager.get if what in ("change", "lines") else policy_manager.post
    answer = ask(at(change, what))
    assert answer.status_code in ((404,) if what not in ("approve", "refuse") else (404, 302, 401))


def test_a_dry_run_is_confirmed_on_its_page_and_only_as_it_was_shown(
    emailsec: Simulator, pia: Member, policy_manager: Client, analyst: Client, soup: Soup
) -> None:
    drafts = [*additions(3), Draft(9, Verb.BAD, "x", explanation="No domain.", values={"cells": ["x", "y"]})]
    change = services.draft(
        actor=pia,
        resource=BLOCK,
        kind=ChangeKind.IMPORT,
        lines=drafts,
        file_name="b.csv",
        operation_key=key(),
        request=None,
    )
    page = shown(soup, policy_manager, at(change))
    assert page.select_one("#dry-run")
    assert "No domain." in page.text
    assert not shown(soup, analyst, at(change)).select("form.decide"), "it is not theirs"
    bad = shown(soup, policy_manager, at(change, "lines", "?verb=bad"))
    assert "No domain." in bad.select_one("main").text
    typed = {"reason": "weekly", "ticket": "T-9"}
    refused = policy_manager.post(at(change, "confirm"), {"fingerprint": "0" * 64, **typed})
    assert refused.status_code == 409
    again = soup(refused).select_one("form.decide")
    assert "not what you were shown" in again.select_one(".errors").text
    assert {name: again.select_one(f"[name={name}]")["value"] for name in typed} == typed
    long = policy_manager.post(at(change, "confirm"), {"fingerprint": change.fingerprint, "reason": "x" * 1001})
    assert (long.status_code, "x" * 1001 in long.content.decode()) == (422, True), "what was typed is kept"
    form = page.select_one("form.decide")
    values = {one["name"]: one.get("value", "") for one in form.select("input[name]")}
    assert policy_manager.post(form["action"], {**values, "reason": "weekly"}).status_code == 303
    pass_by(change, 60)
    change = worked(change)
    assert (change.state, change.reason) == (ChangeState.DONE, "weekly")
    done = shown(soup, policy_manager, at(change))
    assert [row.select_one("th").text for row in done.select("#lines tbody tr")] == [
        f"spam{n}.example" for n in range(3)
    ]
    assert len(named(emailsec, "spam0.example", "spam1.example", "spam2.example")) == 3


def test_many_lines_come_in_pages_and_by_what_became_of_them(
    emailsec: Simulator, pia: Member, policy_manager: Client, soup: Soup, imported: Do, standing: Standing
) -> None:
    standing(pattern="spam7.example")
    change = worked(imported(pia, additions(260)))
    page = shown(soup, policy_manager, at(change))
    assert len(page.select("#lines tbody tr")) == 50
    assert page.select_one(".jobbar")["aria-label"] == "259 done, 1 failed, 0 unknown, 0 open"
    everything = shown(soup, policy_manager, at(change, "lines"))
    assert len(everything.select("tbody tr")) == 200
    assert len(shown(soup, policy_manager, at(change, "lines", "?page=2")).select("tbody tr")) == 60
    failed = shown(soup, policy_manager, at(change, "lines", "?show=failed"))
    assert [row.th.text for row in failed.select("tbody tr")] == ["spam7.example"]


def test_the_list_is_filtered_and_what_waits_for_me_stands_on_top(
    emailsec: Simulator,
    pia: Member,
    ana: Member,
    policy_manager: Client,
    soup: Soup,
    add: Do,
    standing: Standing,
    take_away: Do,
    django_assert_max_num_queries: Any,
) -> None:
    address = reverse("settings:changes")
    assert "Nothing was changed here yet" in shown(soup, policy_manager, address).text
    add(pia)
    add(ana, {**EVIL, "pattern": "anas.example"}, permission=Permission.POLICY_BLOCK)
    take_away(pia, standing(2))
    draft = services.draft(
        actor=pia, resource=BLOCK, kind=ChangeKind.IMPORT, lines=additions(1), operation_key=key(), request=None
    )
    page = shown(soup, policy_manager, address)
    on_top, everything = page.select("table.changes")
    assert [row.a["href"] for row in on_top.select("tbody tr")] == [at(draft)]
    assert [row.a.text for row in everything.select("tbody tr")] == [
        "Import into blocked senders",
        "Remove 2 blocked senders",
        "Add blocked sender anas.example",
        "Add blocked sender evil.example",
    ]

    def titles(query: str) -> list[str]:
        return [row.a.text for row in shown(soup, policy_manager, address + query).select("table.changes tbody tr")]

    assert titles("?who=Ana") == ["Add blocked sender anas.example"]
    assert titles("?show=open") == ["Remove 2 blocked senders"]
    assert titles("?state=done&show=mine") == ["Add blocked sender evil.example"]
    assert titles("?resource=domains") == []
    for place in range(20):
        add(pia, {**EVIL, "pattern": f"more{place}.example"})
    with django_assert_max_num_queries(48):
        shown(soup, policy_manager, address)


def test_the_list_counts_the_entries_of_its_page_alone(
    emailsec: Simulator,
    pia: Member,
    policy_manager: Client,
    soup: Soup,
    add: Do,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("settings_ui.views.changes.PER_PAGE", 2)
    for place in range(5):
        add(pia, {**EVIL, "pattern": f"one{place}.example"})
    with CaptureQueriesContext(connection) as asked:
        page = shown(soup, policy_manager, reverse("settings:changes") + "?page=2")
    assert [row.text.split() for row in page.select("table.changes tbody td:nth-child(3)")] == [["1", "entry"]] * 2
    counting = [query["sql"] for query in asked if '"settings_ui_line"' in query["sql"]]
    assert len(counting) == 2
    assert all(sql.count("IN (") and "JOIN" not in sql for sql in counting), "nobody else's lines are read"


def test_a_receipt_on_another_page_keeps_itself_current(
    emailsec: Simulator, pia: Member, policy_manager: Client, soup: Soup, standing: Standing, take_away: Do
) -> None:
    (entry,) = standing()
    change = take_away(pia, [entry])
    answer = shown(soup, policy_manager, at(change, query="?part=receipt"), headers=HTMX)
    receipt = answer.select_one("section.receipt")
    assert receipt["hx-get"].startswith(at(change))
    assert policy_manager.get(receipt["hx-get"], headers=HTMX).status_code == 204
    worked(change, after=60)
    ended = shown(soup, policy_manager, receipt["hx-get"], headers=HTMX).select_one("section.receipt")
    assert "hx-get" not in ended.attrs
    assert "Removed." in ended.text
    assert the_line(change).state == LineState.DONE
