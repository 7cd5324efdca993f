"""Searches of a limited member: asked for their domains alone, every row looked at again, and counted from those."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.scope import Scope
from dashboard.emailsec.rows import MessageRow
from dashboard.simulator import Simulator
from investigate.models import SearchRun
from investigate.search import results
from investigate.search.criteria import MOST_BRANCHES, Criteria
from investigate.search.rendering import render_rows
from investigate.search.scoping import asked_for, rows_within, why_not_within
from tests.conftest import HTMX
from tests.scope.conftest import INSIDE, MARK, Mail, is_inside

URL = "/investigate/"
SCOPE = Scope(frozenset({INSIDE}))
OTHER = "tarnfell.example"
ALL = {"last": "30d", "clean": "1"}


def ids_on(page: Any) -> set[str]:
    return {row["data-id"] for row in page.select("tr[data-id]")}


def visible(emailsec: Simulator, *, clean: bool = False, days: int = 30) -> set[str]:
    since = timezone.now().timestamp() - days * 86_400
    return {
        record.id
        for record in emailsec.store.records
        if any(map(is_inside, record.client_recipients))
        and (clean or record.is_detection)
        and record.scanned_at >= since
    }


def test_a_search_finds_what_went_inside_and_nothing_else(
    scoped: Client, emailsec: Simulator, mail: Mail, soup: Any
) -> None:
    answer = scoped.get(URL, {"last": "30d"})
    page = soup(answer)

    assert ids_on(page) == visible(emailsec)
    assert MARK not in answer.content.decode()
    assert soup(answer).select_one("tr.end .meta").text == f"{len(visible(emailsec))} shown, that is all"
    assert [run.parameters["recipient"] for run in SearchRun.objects.all()] == [INSIDE]


def test_the_page_shows_the_search_as_the_member_wrote_it(scoped: Client, mail: Mail, soup: Any) -> None:
    page = soup(scoped.get(URL, {"last": "30d"}))

    assert f"to:{INSIDE}" not in page.select_one("#line, [name=line]")["value"]
    assert not page.select(".filterchips li")


def test_a_recipient_of_ones_own_replaces_the_domain(
    scoped: Client, emailsec: Simulator, mail: Mail, soup: Any
) -> None:
    address = next(one for one in mail.inside[0].client_recipients if is_inside(one))

    found = ids_on(soup(scoped.get(URL, {**ALL, "last": "7d", "recipient": address})))

    wanted = {record.id for record in emailsec.store.records if address in record.client_recipients}
    assert found == wanted & visible(emailsec, clean=True, days=7)
    assert {run.parameters["recipient"] for run in SearchRun.objects.all()} == {address}


@pytest.mark.parametrize("recipient", [OTHER, f"{MARK}.zoe@{OTHER}", "nowhere.example", "zoe"])
def test_recipients_elsewhere_find_nothing_and_ask_nothing(
    recipient: str, scoped: Client, calls: Callable[[], list[str]], mail: Mail, soup: Any
) -> None:
    calls()

    answer = scoped.get(URL, {"last": "30d", "recipient": recipient})

    assert answer.status_code == 200
    assert "No message matches." in answer.content.decode()
    assert calls() == []


def test_one_of_several_recipients_that_is_inside_is_asked_for(
    scoped: Client, emailsec: Simulator, mail: Mail, soup: Any
) -> None:
    found = ids_on(soup(scoped.get(URL, {"last": "30d", "recipient": [OTHER, INSIDE]})))

    assert found == visible(emailsec)
    assert {run.parameters["recipient"] for run in SearchRun.objects.all()} == {INSIDE}


def test_a_server_that_does_not_filter_shows_no_more(
    scoped: Client, emailsec: Simulator, mail: Mail, soup: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the service calls a recipient is its own affair: each row is looked at."""
    from dashboard.simulator import search

    monkeypatch.setattr(search, "_recipients", lambda _record: (f"everybody@{INSIDE}",))

    shown: set[str] = set()
    url = f"{URL}?last=30d"
    while url:
        answer = scoped.get(url)
        page = soup(answer)
        assert MARK not in answer.content.decode()
        shown |= ids_on(page)
        more = page.select_one("#load-more")
        url = f"{URL}{more['href']}" if more else ""

    assert shown == visible(emailsec)


def test_words_are_not_found_by_recipients_elsewhere(scoped: Client, mail: Mail, soup: Any) -> None:
    """Else a guess at an address would tell whether it got a copy."""
    by_words = soup(scoped.get(URL, {**ALL, "last": "7d", "q": f"{MARK}.zoe"}))
    by_domain = soup(scoped.get(URL, {**ALL, "last": "7d", "domain": OTHER}))
    record = next(one for one in mail.mixed if one.from_ and not one.from_.endswith(OTHER))

    assert ids_on(by_words) == set()
    assert record.id not in ids_on(by_domain)


def test_pages_below_are_cut_the_same_way(scoped: Client, emailsec: Simulator, mail: Mail, soup: Any) -> None:
    first = results.search(Criteria(last="30d"), scope=SCOPE, per_page=3)
    shown = [row.id for row in first.rows]
    more, number = first.more, first.shown
    while more:
        page = results.more(Criteria(last="30d"), more, scope=SCOPE, per_page=3)
        shown += [row.id for row in page.rows]
        more, number = page.more, page.shown

    assert len(shown) == len(set(shown)) == number
    assert set(shown) == visible(emailsec)


def test_rows_left_from_before_are_cut_when_the_service_fails(
    scoped: Client, emailsec: Simulator, mail: Mail, soup: Any
) -> None:
    before = ids_on(soup(scoped.get(URL, {"last": "30d"})))
    SearchRun.objects.update(answered_at=timezone.now() - dt.timedelta(hours=1))
    emailsec.faults.next("search", status=429, retry_after=200)

    answer = scoped.get(URL, {"last": "30d", "fresh": "1"})

    assert soup(answer).select_one(".failed [data-until]")
    assert ids_on(soup(answer)) == before
    assert MARK not in answer.content.decode()


def test_arrivals_count_what_came_inside(
    scoped: Client, responder: Client, emailsec: Simulator, mail: Mail, soup: Any
) -> None:
    whole, since = {"last": "30d"}, "2000-01-01T00:00:00.000000Z"
    scoped.get(URL, whole)
    responder.get(URL, whole)

    mine = scoped.get(reverse("investigate:arrivals"), {**whole, "since": since})
    theirs = responder.get(reverse("investigate:arrivals"), {**whole, "since": since})

    (number,) = re.findall(r"\d+", soup(mine).text)
    assert int(number) == len(visible(emailsec))
    assert int(re.findall(r"\d+", soup(theirs).text)[0]) > int(number)


def test_arrivals_elsewhere_are_not_told(scoped: Client, responder: Client, mail: Mail) -> None:
    newest = max(record.scanned_at for record in mail.foreign)
    for record in (*mail.inside, *mail.mixed):  # at some hours the last one came for the member
        record.scanned_at = min(record.scanned_at, newest - 10)
    latest = max(record.scanned_at for record in (*mail.inside, *mail.mixed))
    since = dt.datetime.fromtimestamp(latest + 1, dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    assert any(record.scanned_at > latest + 1 for record in mail.foreign)
    scoped.get(URL, ALL)

    assert scoped.get(reverse("investigate:arrivals"), {**ALL, "since": since}).status_code == 204


def test_rows_cut_and_whole_are_not_mixed_up(rf: Any, sam: Member, ben: Member, mail: Mail) -> None:
    """Rows are remembered as they were written."""
    row = MessageRow(
        id="m",
        subject="Hello",
        wire_client_recipients=(f"ann@{INSIDE}", f"{MARK}@{OTHER}"),
        wire_to=(f"{MARK}@{OTHER}",),
    )

    def written(member: Member) -> str:
        request = rf.get(URL)
        request.user = member
        return str(render_rows(rows_within([row], Criteria(), member.scope), request))

    assert MARK in written(ben)
    assert MARK not in written(sam)
    assert MARK in written(ben)
    assert "+1" not in written(sam)


def test_too_many_domains_are_told_in_words(sam: Member, scoped: Client, mail: Mail) -> None:
    sam.domains = [f"d{number}.example" for number in range(MOST_BRANCHES + 1)]
    sam.save(update_fields=["domains"])

    answer = scoped.get(URL, {"last": "24h"})
    fewer = scoped.get(URL, {"last": "24h", "recipient": "d1.example"})

    assert answer.status_code == 422
    assert "With the 13 recipient domains you are limited to" in answer.content.decode()
    assert fewer.status_code == 200


def test_each_domain_is_a_branch(mail: Mail) -> None:
    two = Scope(frozenset({INSIDE, OTHER}))
    asked = asked_for(Criteria(disposition=("SPAM", "BULK")), two)

    assert asked is not None
    assert {(one["recipient"], one["final_disposition"]) for one in asked.branches()} == {
        (INSIDE, "SPAM"), (INSIDE, "BULK"), (OTHER, "SPAM"), (OTHER, "BULK"),
    }  # fmt: skip
    assert why_not_within(Criteria(), two) == ""


def test_a_colleagues_wide_search_is_not_shared(
    scoped: Client, responder: Client, emailsec: Simulator, mail: Mail
) -> None:
    """Their searches are others, so nobody learns who waits for them, and nobody stops them."""
    slow = {"last": "30d", "clean": "1"}
    emailsec.world.options = replace(emailsec.world.options, wide_search_days=7.0)
    responder.get(URL, slow)
    runs = [str(run.pk) for run in SearchRun.objects.all()]
    scoped.get(URL, slow)

    left = scoped.get(URL, {**slow, "cancelled": runs})
    scoped.post(f"{reverse('investigate:cancel_search')}?last=30d&clean=1", {"run": runs}, headers=HTMX)

    assert SearchRun.objects.filter(pk__in=runs, state__in=["slow", "running"]).exists()
    assert "Ben" not in left.content.decode()
    assert SearchRun.objects.filter(pk__in=runs, state="cancelled").count() == 0


def test_others_searches_ask_and_look_up_no_more_than_before(
    mail: Mail, django_assert_num_queries: Any, calls: Callable[[], list[str]]
) -> None:
    rows = [MessageRow(id="m", wire_to=(f"{MARK}@{OTHER}",))]
    criteria = Criteria(last="30d")

    assert asked_for(criteria, Scope()) is criteria
    assert rows_within(rows, criteria, Scope()) is rows
