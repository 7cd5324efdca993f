"""The page `/`: its figures against the mail behind them, whose they are, and what looking costs."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from bs4 import BeautifulSoup
from django.conf import settings
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.emailsec.enums import Disposition
from dashboard.emailsec.types import Message
from dashboard.installation import services
from dashboard.overview import links
from dashboard.overview.models import Snapshot
from dashboard.overview.spans import Span
from investigate.memory.remembering import remember
from investigate.models import Action, ActionItem, Approval, Case, CaseSource, CaseState, SeenMessage
from settings_ui.models import Change, ChangeState
from tests.conftest import HTMX

Soup = Callable[[HttpResponse], BeautifulSoup]
THREATS = ("MALICIOUS", "MALICIOUS-BEC", "SUSPICIOUS", "SPOOF")
FIGURES = "/overview/figures?range=7d"


def within(messages: list[Message], span: Span) -> list[Message]:
    range_ = span.at(timezone.now())
    return [one for one in messages if one.scanned_at and range_.start <= one.scanned_at < range_.end]


def numbers_of(page: BeautifulSoup, heading: str) -> dict[str, int]:
    """The rows of a list with bars: name and number."""
    rows = page.select(f"section[aria-labelledby={heading}] tbody tr")
    return {row.select_one("bdi").text: int(row.select_one(".num b").text) for row in rows}


def figures(client: Client, soup: Soup, span: str = "30d") -> BeautifulSoup:
    return soup(client.get(f"/overview/figures?range={span}", headers=HTMX))


def test_the_first_look_shows_the_frame_at_once_and_the_figures_come_in_when_counted(
    analyst: Client, soup: Soup, detections: list[Message]
) -> None:
    page = soup(analyst.get("/"))

    section = page.select_one("#figures")
    assert page.select_one("#needs") is not None
    assert section["hx-trigger"].startswith("load")
    assert section["aria-busy"] == "true"
    assert not Snapshot.objects.exists()

    counted = soup(analyst.get(section["hx-get"], headers=HTMX)).select_one("#figures")
    assert counted["hx-trigger"] == "every 60s"
    assert soup(analyst.get("/")).select_one("#volume") is not None


@pytest.mark.parametrize("span", ["24h", "7d", "30d"])
def test_the_table_of_the_volume_has_every_detection_in_its_step(
    analyst: Client, soup: Soup, detections: list[Message], span: str
) -> None:
    expected = Counter(str(one.final_disposition) for one in within(detections, Span(span)))

    page = figures(analyst, soup, span)

    table = page.select_one("#volume-table table")
    rows = table.select("tbody tr")
    assert len(rows) == Span(span).steps
    names = [cell.text for cell in table.select("thead th")][1:]
    sums = {name: sum(int(row.select("td")[place].text) for row in rows) for place, name in enumerate(names)}
    assert sums["All"] == expected.total() > 0
    assert sums.get("Malicious", 0) == expected["MALICIOUS"]
    assert sums.get("BEC", 0) == expected["MALICIOUS-BEC"]
    assert sums.get("Spam", 0) == expected["SPAM"]
    assert f"{expected.total()} detection" in page.select_one(".basis").text


def test_the_lists_count_what_was_remembered(analyst: Client, soup: Soup, detections: list[Message]) -> None:
    found = within(detections, Span.MONTH)
    people = Counter(
        address.casefold() for one in found if one.final_disposition in THREATS for address in one.mailboxes
    )
    domains = Counter((one.from_ or one.envelope_from or "").casefold().rpartition("@")[2] for one in found)
    reasons = Counter(reason for one in found for reason in set(one.detection_reasons))

    page = figures(analyst, soup)

    for heading, expected in (("h-people", people), ("h-domains", domains), ("h-reasons", reasons)):
        shown = numbers_of(page, heading)
        assert shown, heading
        assert list(shown.values()) == [number for _, number in expected.most_common(len(shown))], heading
        assert all(expected[name] == number for name, number in shown.items()), heading
    assert page.select_one(".answers a").text == next(iter(numbers_of(page, "h-people")))


def test_the_biggest_campaign_says_where_its_copies_are(analyst: Client, soup: Soup, detections: list[Message]) -> None:
    pattern = next(one for one in detections if one.edf_hash)
    people = [f"{name}@corp.example" for name in ("bea", "cem", "dov")]
    wave = [
        msgspec.structs.replace(
            pattern,
            id=f"wave-{number}",
            edf_hash="wave",
            subject="Your parcel",
            scanned_at=timezone.now() - dt.timedelta(minutes=number),
            to=people,
            client_recipients=people,
            is_quarantined=number < 5,
            properties=None,
            delivery_status=("quarantined", "quarantined", "delivered") if number < 5 else ("delivered",),
        )
        for number in range(12)
    ]
    remember(wave)

    page = figures(analyst, soup)

    answer = page.select(".answers > div")[1]
    assert parse_qs(urlsplit(answer.select_one("a")["href"]).query)["key"] == ["wave"]
    assert answer.select_one("b").text == "36"
    assert [piece.text.strip() for piece in answer.select(".piece")] == ["26 delivered", "10 in quarantine"]


def test_a_limited_member_gets_the_figures_of_their_domains_alone(
    soup: Soup, analyst: Client, detections: list[Message]
) -> None:
    domains = Counter(name.rpartition("@")[2] for one in detections for name in one.mailboxes)
    inside = domains.most_common()[-1][0]
    member = Member.objects.create_user("lea", "lea@corp.example", "x", role=Role.ANALYST, domains=[inside])
    client = Client()
    client.force_login(member)
    whole = figures(analyst, soup)

    page = figures(client, soup)

    ours = [one for one in within(detections, Span.MONTH) if any(n.endswith(f"@{inside}") for n in one.mailboxes)]
    assert f"{len(ours)} detection" in page.select_one(".basis").text
    assert all(name.endswith(f"@{inside}") for name in numbers_of(page, "h-people"))
    assert page.select_one(".basis").text != whole.select_one(".basis").text
    assert Snapshot.objects.count() == 2
    others = [name for one in detections for name in one.mailboxes if not name.endswith(f"@{inside}")]
    assert others
    assert not any(name in str(page) for name in others)


def _quoting(pattern: Message) -> None:
    """A wave whose reasons quote its body and name who else got it."""
    reason = "Link to https://pay.evil.example/x that eve@elsewhere.example opened"
    people = (pattern.mailboxes[0], "eve@elsewhere.example")
    given = {"to": people, "client_recipients": people, "detection_reasons": (reason,), "scanned_at": timezone.now()}
    remember(msgspec.structs.replace(pattern, id=f"quoting-{number}", **given) for number in range(300))


def test_reasons_name_nobody_elsewhere_to_a_limited_member(
    soup: Soup, analyst: Client, detections: list[Message]
) -> None:
    pattern = next(one for one in detections if one.mailboxes)
    _quoting(pattern)
    inside = pattern.mailboxes[0].rpartition("@")[2]
    Member.objects.filter(username="ana").update(domains=[inside])

    page = figures(analyst, soup)

    assert numbers_of(page, "h-reasons")["Link to (hidden) that (hidden) opened"] == 300
    assert "elsewhere.example" not in str(page)


def test_privacy_mode_covers_what_reasons_quote_at_once(
    soup: Soup, analyst: Client, ada: Member, detections: list[Message]
) -> None:
    _quoting(detections[0])
    assert "evil.example" in str(figures(analyst, soup))

    services.set_value(actor=ada, name="PRIVACY", value=True, version=0, request=None)

    assert "evil.example" not in str(soup(analyst.get("/?range=30d")))
    page = figures(analyst, soup)
    assert "evil.example" not in str(page)
    (link,) = (one for one in page.select("section[aria-labelledby=h-reasons] a") if "that (hidden)" in one.text)
    assert parse_qs(urlsplit(link["href"]).query)["q"] == ["Link to"]


def test_looking_calls_nobody_and_counts_once_a_minute_for_everybody(
    analyst: Client, responder: Client, detections: list[Message], calls: Callable[[], int]
) -> None:
    before = calls()
    analyst.get("/")
    analyst.get(FIGURES, headers=HTMX)
    made_at = Snapshot.objects.get().made_at

    for client in (analyst, responder) * 3:
        client.get("/?range=7d")
        client.get(FIGURES, headers=HTMX)
        client.get("/overview/needs", headers=HTMX)

    assert Snapshot.objects.get().made_at == made_at
    Snapshot.objects.update(made_at=made_at - dt.timedelta(minutes=2))
    responder.get(FIGURES, headers=HTMX)
    assert Snapshot.objects.get().made_at > made_at
    assert calls() == before


def test_while_somebody_counts_the_others_get_the_older_figures(
    analyst: Client, soup: Soup, detections: list[Message]
) -> None:
    figures(analyst, soup, "7d")
    old = timezone.now() - dt.timedelta(minutes=5)
    Snapshot.objects.update(made_at=old, claimed_at=timezone.now())

    page = figures(analyst, soup, "7d")

    assert "5 min" in page.select_one(".age").text
    assert page.select_one("#volume") is not None
    assert page.select_one("#figures")["hx-trigger"] == "load delay:2s"


def test_a_count_that_never_ended_is_taken_over(analyst: Client, soup: Soup, detections: list[Message]) -> None:
    figures(analyst, soup, "7d")
    old = timezone.now() - dt.timedelta(minutes=5)
    Snapshot.objects.update(made_at=old, claimed_at=old)

    assert figures(analyst, soup, "7d").select_one("#figures")["hx-trigger"] == "every 60s"


def test_the_same_number_of_queries_whatever_is_remembered(
    analyst: Client, detections: list[Message], emailsec: Any
) -> None:
    def cost() -> int:
        Snapshot.objects.update(made_at=timezone.now() - dt.timedelta(hours=1))
        with CaptureQueriesContext(connection) as asked:
            analyst.get(FIGURES, headers=HTMX)
        return len(asked)

    analyst.get(FIGURES, headers=HTMX)
    many = cost()
    keep = list(SeenMessage.objects.order_by("-scanned_at").values_list("pk", flat=True)[:40])
    SeenMessage.objects.exclude(pk__in=keep).delete()

    assert cost() <= many
    assert many <= 40


def test_a_months_figures_stay_five_minutes(analyst: Client, soup: Soup, detections: list[Message]) -> None:
    figures(analyst, soup, "30d")
    two_minutes_ago = timezone.now() - dt.timedelta(minutes=2)
    Snapshot.objects.update(made_at=two_minutes_ago)

    page = figures(analyst, soup, "30d")

    assert Snapshot.objects.get().made_at == two_minutes_ago
    assert page.select_one("#figures")["hx-trigger"] == "every 300s"


def test_an_empty_memory_says_so_and_draws_nothing(analyst: Client, soup: Soup, emailsec: Any) -> None:
    page = figures(analyst, soup)

    assert "0 detections" in page.select_one(".basis").text
    assert page.select_one("#volume") is None
    assert "Nobody in this range" in page.select_one(".answers").text


def test_what_waits_is_counted_for_the_member_and_linked(
    analyst: Client, ana: Member, soup: Soup, detections: list[Message]
) -> None:
    now = timezone.now()
    for number in range(3):
        Case.objects.create(
            account_id=settings.CLOUDFLARE_ACCOUNT_ID,
            key=f"phishguard:{number}", source=CaseSource.PHISHGUARD, created_at=now, changed_at=now,
            due_at=now - dt.timedelta(hours=1) if number == 0 else now + dt.timedelta(hours=5),
            holder=ana if number == 1 else None, held_at=now, holder_seen_at=now,
            state=CaseState.IN_WORK if number == 1 else CaseState.NEW,
        )  # fmt: skip

    page = soup(analyst.get("/overview/needs", headers=HTMX))

    shown = {link["id"]: (int(link.b.text), link["href"]) for link in page.select(".needs a")}
    assert shown["need-mine"] == (1, "/investigate/queue/?list=mine")
    assert shown["need-unclaimed"] == (2, "/investigate/queue/?list=unclaimed")
    assert shown["need-overdue"] == (1, "/investigate/queue/?list=all")
    assert "need-approvals" not in shown  # an analyst approves nothing
    assert page.select_one("[data-urgent] a")["id"] == "need-overdue"


def test_a_viewer_is_told_of_no_work_and_shown_nobodys_load(viewer: Client, soup: Soup, emailsec: Any) -> None:
    needs = soup(viewer.get("/overview/needs", headers=HTMX))

    assert {link["id"] for link in needs.select(".needs a")} == {"need-mentions", "need-notices"}
    assert "Nothing waits for you." in needs.text
    assert figures(viewer, soup).select_one("#h-load") is None


def test_the_list_behind_a_bar_holds_what_the_bar_counts(
    analyst: Client, soup: Soup, detections: list[Message]
) -> None:
    pattern = max(within(detections, Span.WEEK), key=lambda one: one.scanned_at)
    people, sender = ["bea@corp.example"], "boss@bars.example"
    given = {"to": people, "client_recipients": people, "from_": sender, "envelope_from": sender}
    verdicts = [Disposition.MALICIOUS] * 40 + [Disposition.SPAM] * 30 + [Disposition.NONE] * 7
    remember(
        msgspec.structs.replace(pattern, id=f"bar-{number}", final_disposition=verdict, **given)
        for number, verdict in enumerate(verdicts)
    )

    page = figures(analyst, soup, "7d")

    for heading, name, number in (
        ("h-people", people[0], 40), ("h-senders", sender, 70), ("h-domains", "bars.example", 70),
    ):  # fmt: skip
        (link,) = (
            one for one in page.select(f"section[aria-labelledby={heading}] tbody a") if one.text.strip() == name
        )
        behind = soup(analyst.get(link["href"])).select("table.seen tbody tr")
        assert numbers_of(page, heading)[name] == len(behind) == number, heading
    days = [one["href"] for one in page.select("#volume a[href]") if "disposition=DETECTIONS" in one["href"]]
    assert len(days) == Span.WEEK.steps


def test_the_list_of_our_submissions_is_of_the_same_range() -> None:
    range_ = Span.WEEK.at(timezone.now())

    query = parse_qs(urlsplit(links.submissions(range_)).query)

    assert dt.datetime.fromisoformat(query["start"][0]) == range_.start
    assert range_.end < dt.datetime.fromisoformat(query["end"][0]) <= range_.end + dt.timedelta(seconds=1)
    assert "last" not in query


def test_every_figure_leads_to_a_page_that_opens(analyst: Client, soup: Soup, detections: list[Message]) -> None:
    page = figures(analyst, soup)

    hrefs = {link["href"] for link in page.select("a[href]")} - {""}
    one_of_each = {link.partition("?")[0]: link for link in sorted(hrefs)}
    assert len(hrefs) > 20
    wrong = {link: analyst.get(link).status_code for link in one_of_each.values()}
    assert set(wrong.values()) == {200}, wrong


def test_what_waits_for_a_second_person_is_told_in_words_to_whoever_may_know(
    analyst: Client, responder: Client, soup: Soup, detections: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "SECOND_PERSON", frozenset({"purge"}))
    message = next(one for one in detections if not one.is_quarantined and one.delivery_status == ("delivered",))
    form = {"kind": "move", "destination": "RecoverableItemsPurges", "confirmed": "1", "reason": "ticket 4711"}
    analyst.post(reverse("investigate:act", args=[message.id]), {**form, "operation_key": uuid.uuid4().hex})
    approval = Approval.objects.get()

    answer = figures(responder, soup).select(".answers > div")[2]

    assert answer.select_one("b").text == "1"
    assert reverse("investigate:approval", args=[approval.pk]) in [link["href"] for link in answer.select("a")]
    assert "Ana" in answer.text
    needs = soup(responder.get("/overview/needs", headers=HTMX))
    assert needs.select_one("#need-approvals b").text == "1"


def test_every_change_of_the_settings_that_waits_is_counted_and_those_that_expired_are_not(
    responder: Client, pia: Member, soup: Soup, emailsec: Any
) -> None:
    now = timezone.now()
    for number, days in enumerate((5, 1, 4, 3, 2, -1)):
        Change.objects.create(
            account_id=settings.CLOUDFLARE_ACCOUNT_ID, resource="domains", kind="delete", source="form",
            operation_key=f"k{number}", actor=pia, actor_name="Pia", permission="domain:unprotect",
            state=ChangeState.AWAITING_APPROVAL, created_at=now, changed_at=now, why_two="It ends a protection.",
            expires_at=now + dt.timedelta(days=days),
        )  # fmt: skip
    first = Change.objects.get(operation_key="k1")

    answer = figures(responder, soup).select(".answers > div")[2]

    assert answer.select_one("b").text == "5"
    shown = [link["href"] for link in answer.select(".where a")]
    assert len(shown) == 2
    assert shown[0] == reverse("settings:change", args=[first.pk])


def test_rates_are_of_our_own_verdicts_and_releases(
    analyst: Client, ana: Member, soup: Soup, detections: list[Message]
) -> None:
    now = timezone.now()
    verdicts = ["false_positive", "true_positive", "true_positive", "true_positive", "simulation", "unsure"]
    for number, verdict in enumerate(verdicts):
        Case.objects.create(
            account_id=settings.CLOUDFLARE_ACCOUNT_ID, key=f"k{number}", source=CaseSource.DETECTION, created_at=now,
            changed_at=now, due_at=now, state=CaseState.DONE, done_at=now, done_by="Ana", verdict=verdict,
            verdict_at=now - dt.timedelta(days=60 if number == 3 else 0), version=2,
        )  # fmt: skip
    for number, (who, days) in enumerate([("Ben", 0), ("Ana", 60)]):
        Case.objects.create(
            account_id=settings.CLOUDFLARE_ACCOUNT_ID, key=f"other{number}", source=CaseSource.DETECTION, due_at=now,
            created_at=now, changed_at=now, state=CaseState.DONE, done_at=now - dt.timedelta(days=days), done_by=who,
        )  # fmt: skip
    for name, state, kind in (
        ("one", "done", "release"), ("one", "done", "release"), ("two", "partly_done", "release"),
        ("three", "failed", "release"), ("four", "done", "move"),
    ):  # fmt: skip
        action = Action.objects.create(
            operation_key=uuid.uuid4().hex, fingerprint="f", actor=ana, actor_name="Ana", kind=kind, state=state,
            created_at=now, due_at=now, finished_at=now,
        )  # fmt: skip
        ActionItem.objects.create(action=action, investigate_id=name, state=state)

    page = figures(analyst, soup)

    false_positives, released = page.select(".rates dd")
    assert "33.3 %" in false_positives.text
    assert false_positives.a.text == "1 of 3 judged"
    assert released.a.text == "2 released"
    load = page.select_one("section[aria-labelledby=h-load] tbody tr")
    assert load.bdi.text == "Ana"
    assert load.select_one("b").text == str(len(verdicts))
    done, in_hand = (analyst.get(link["href"]) for link in load.select(".num a"))
    assert len(soup(done).select("#rows tr[data-id]")) == len(verdicts)
    assert not soup(in_hand).select("#rows tr[data-id]")
