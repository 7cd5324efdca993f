"""The queue and the desk's line on a message, as people and their browsers ask for them."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup, Tag
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.emailsec.types import Message
from dashboard.upstream.connection import get_client
from investigate.desk import cases, collecting, queue
from investigate.models import Case, CaseReport, CaseSource, CaseState, Mention, Note, OwnVerdict, QueueMark
from tests.conftest import HTMX

Soup = Callable[[Any], BeautifulSoup]
Write = Callable[..., Note]
QUEUE = "/investigate/queue/"


@pytest.fixture
def several(emailsec: Any) -> list[Case]:
    """Four cases, the first of them the longest overdue."""
    records = [record for record in emailsec.store.records if record.final_disposition == "SUSPICIOUS"][:4]
    made = [cases.ensure(get_client().message(record.id), CaseSource.DETECTION) for record in records]
    for number, case in enumerate(made):
        Case.objects.filter(pk=case.pk).update(due_at=timezone.now() + dt.timedelta(hours=number * 2 - 3))
    return [Case.objects.get(pk=case.pk) for case in made]


def listed(page: BeautifulSoup) -> list[str]:
    return [str(row["data-id"]) for row in page.select("#rows tr[data-id]")]


def one(page: Tag, selector: str) -> Tag:
    found = page.select_one(selector)
    assert found is not None, f"there is no {selector}"
    return found


def at(name: str, case: Case | Message) -> str:
    return reverse(f"investigate:{name}", args=[case.key if isinstance(case, Case) else case.id])


def from_queue(tab: str) -> dict[str, str]:
    """As htmx asks from the queue's page."""
    return {**HTMX, "HX-Current-URL": f"http://testserver{QUEUE}?list={tab}"}


# --- the queue ---


def test_each_list_holds_what_it_says_in_the_order_of_urgency(
    analyst: Client, ana: Member, ben: Member, several: list[Case], soup: Soup
) -> None:
    first, second, third, fourth = several
    cases.take(actor=ana, case=third, request=None)
    cases.set_state(actor=ben, case=second, state=CaseState.WAITING, request=None)
    cases.finish(actor=ana, case=fourth, request=None)

    found = {tab: listed(soup(analyst.get(QUEUE, {"list": tab}))) for tab in queue.TABS}

    assert found == {
        "mine": [third.key],
        "unclaimed": [first.key],
        "all": [first.key, second.key, third.key],
        "waiting": [second.key],
        "done": [fourth.key],
    }
    page = soup(analyst.get(QUEUE, {"list": "all"}))
    assert [link.get_text() for link in page.select("nav.searchbar li a")] == [
        "Mine 1",
        "Unclaimed 1",
        "All 3",
        "Waiting 1",
        "Done",
    ]
    overdue = [bool(row.select_one(".overdue")) for row in page.select("#rows tr[data-id]")]
    assert overdue == [True, True, False]


def test_the_numbers_of_the_lists_are_taken_from_what_is_open_and_what_names_one(
    ana: Member, ben: Member, several: list[Case], write: Write
) -> None:
    write(ben, several[0], "@ana done, have a look")
    cases.finish(actor=ben, case=several[0], request=None)
    cases.finish(actor=ben, case=several[1], request=None)
    cases.take(actor=ana, case=several[2], request=None)

    with CaptureQueriesContext(connection) as asked:
        counts = queue.counts(ana)

    assert counts == {"mine": 2, "unclaimed": 1, "all": 2, "waiting": 0}
    assert len(asked) == 2
    for query in asked:
        assert "EXISTS" not in query["sql"], "a question for each case of the whole history"
        assert '"state" IN' in query["sql"]


def test_what_an_absent_colleague_had_is_unclaimed(
    analyst: Client, ben: Member, several: list[Case], soup: Soup, away: Callable[..., None]
) -> None:
    cases.take(actor=ben, case=several[0], request=None)
    away(several[0], minutes=20)

    assert several[0].key in listed(soup(analyst.get(QUEUE, {"list": "unclaimed"})))


def test_a_message_somebody_only_acted_on_is_nobodys_work(analyst: Client, detection: Message, soup: Soup) -> None:
    cases.ensure(detection)

    assert listed(soup(analyst.get(QUEUE, {"list": "all"}))) == []


def test_filters_are_the_address(analyst: Client, ana: Member, several: list[Case], soup: Soup) -> None:
    CaseReport.objects.create(
        case=several[1], account_id=several[1].account_id, source=CaseSource.SUBMISSION, upstream_id="1"
    )
    cases.set_verdict(actor=ana, case=several[2], verdict=OwnVerdict.GRAYMAIL, request=None)

    def keys(**query: str) -> list[str]:
        return listed(soup(analyst.get(QUEUE, {"list": "all", **query})))

    assert keys(source="submission") == [several[1].key]
    assert keys(source="detection") == [case.key for case in several]
    assert keys(verdict="graymail") == [several[2].key]
    assert keys(disposition="MALICIOUS") == []
    assert keys(source="nonsense", verdict="'", disposition="<b>") == [case.key for case in several]


def test_a_long_list_comes_in_pages_that_neither_lose_nor_double(
    analyst: Client, several: list[Case], soup: Soup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "PER_PAGE", 3)
    first = soup(analyst.get(QUEUE, {"list": "all"}))
    more = QUEUE + str(one(first, "#load-more")["href"])

    rest = soup(analyst.get(more, headers=HTMX))

    assert listed(first) == [case.key for case in several[:3]]
    assert [row["data-id"] for row in rest.select("tr[data-id]")] == [several[3].key]
    assert "That is all." in rest.get_text()


@pytest.mark.parametrize("after", ["x", "~", "2026-01-01~1", "2026-01-01T00:00:00+00:00~x", "9" * 300])
def test_a_place_that_cannot_be_read_is_the_beginning(
    after: str, analyst: Client, several: list[Case], soup: Soup
) -> None:
    assert len(listed(soup(analyst.get(QUEUE, {"list": "all", "after": after})))) == len(several)


def test_other_domains_are_neither_listed_nor_counted(
    analyst: Client, ana: Member, several: list[Case], soup: Soup
) -> None:
    inside = several[0].domains.split()[0]
    Case.objects.filter(pk__in=[case.pk for case in several[1:]]).update(domains=" outside.example ")
    Member.objects.filter(pk=ana.pk).update(domains=[inside])

    page = soup(analyst.get(QUEUE, {"list": "all"}))

    assert listed(page) == [several[0].key]
    assert one(page, "nav.searchbar li a[aria-current]").get_text() == "All 1"


@pytest.mark.matrix(72)
def test_a_source_that_cannot_be_read_is_named_with_its_reason(analyst: Client, emailsec: Any, soup: Soup) -> None:
    emailsec.faults.next("phishguard", status=403)
    collecting.collect(CaseSource.PHISHGUARD)

    told = one(soup(analyst.get(QUEUE)), ".partial").get_text()

    assert told.startswith("PhishGuard reports could not be read since ")
    assert "the API token may not do this" in told


def test_an_empty_list_says_what_the_others_hold(analyst: Client, several: list[Case], soup: Soup) -> None:
    assert "Nothing waits for you. 4 unclaimed, 4 in all." in one(soup(analyst.get(QUEUE)), ".empty").get_text()


def test_before_anything_was_read_the_queue_says_so(analyst: Client, db: None, soup: Soup) -> None:
    assert "for the first time" in one(soup(analyst.get(QUEUE)), ".empty").get_text()

    QueueMark.objects.create(
        account_id="0123456789abcdef0123456789abcdef", source="detection", read_until=timezone.now(),
        covered_until=timezone.now(),
    )  # fmt: skip
    assert "Nothing waits for you" in one(soup(analyst.get(QUEUE)), ".empty").get_text()


def test_hostile_mail_stays_text_in_the_queue(analyst: Client, several: list[Case], soup: Soup) -> None:
    Case.objects.update(subject="<script>x</script>\u202egnp.exe", sender="a@<b>.example", sender_domain="<b>.example")

    page = soup(analyst.get(QUEUE, {"list": "all"}))

    assert not page.select("#rows script, #rows b b")
    assert "[U+202E]" in one(page, "#rows .open bdi").get_text()


def test_who_may_not_work_on_cases_may_look(viewer: Client, several: list[Case], soup: Soup) -> None:
    assert len(listed(soup(viewer.get(QUEUE, {"list": "all"})))) == 4

    bar = one(soup(viewer.get(at("message", several[0]))), "#case-bar")

    assert not bar.select("form")
    assert viewer.post(at("take", several[0])).status_code == 403


def test_the_queue_asks_as_many_questions_for_many_cases_as_for_one(
    analyst: Client, ana: Member, several: list[Case], django_assert_max_num_queries: Any
) -> None:
    for case in several:
        cases.take(actor=ana, case=case, request=None)
    analyst.get(QUEUE)

    with django_assert_max_num_queries(22):
        analyst.get(QUEUE, {"list": "mine"})


# --- the line on a message ---


def test_a_message_is_taken_from_its_head(analyst: Client, ana: Member, detection: Message, soup: Soup) -> None:
    answer = analyst.post(at("take", detection), headers=HTMX)

    page = soup(answer)
    assert "You have this" in one(page, "#case-bar").get_text()
    assert one(page, '[hx-swap-oob="innerHTML:#status"]').get_text() == "You have this."
    assert Case.objects.get().holder == ana


def test_what_a_colleague_has_is_offered_to_be_taken_over(
    analyst: Client, ana: Member, ben: Member, case: Case, soup: Soup
) -> None:
    cases.take(actor=ben, case=case, request=None)

    answer = analyst.post(at("take", case), headers=HTMX)
    plain = analyst.post(at("take", case))

    assert (answer.status_code, answer["HX-Retarget"]) == (409, "#notice")
    assert "Ben has this since 0 s. Take over?" in soup(answer).get_text()
    assert plain.status_code == 409
    assert one(soup(plain), "main form input[name=take_over]")["value"] == "1"

    assert analyst.post(at("take", case), {"take_over": "1"}).status_code == 303
    assert Case.objects.get().holder == ana


def test_who_decided_beside_an_older_verdict_is_told(analyst: Client, ben: Member, case: Case, soup: Soup) -> None:
    cases.set_verdict(actor=ben, case=case, verdict=OwnVerdict.TRUE_POSITIVE, request=None)

    answer = analyst.post(at("own_verdict", case), {"verdict": "graymail", "was": ""}, headers=HTMX)

    assert answer.status_code == 409
    assert "true positive by Ben" in soup(answer).get_text()


def test_a_case_is_handed_to_a_colleague(analyst: Client, ben: Member, vera: Member, case: Case, soup: Soup) -> None:
    form = soup(analyst.get(at("hand_over", case), headers=HTMX))
    offered = [option.get_text() for option in form.select("option")]

    refused = analyst.post(at("hand_over", case), {"to": vera.pk}, headers=HTMX)
    answer = analyst.post(at("hand_over", case), {"to": ben.pk}, headers=HTMX)

    assert offered == ["Ben (ben)"]
    assert (refused.status_code, refused["HX-Retarget"]) == (422, "#case-panel")
    assert "Ben has this" in one(soup(answer), "#case-bar").get_text()
    assert Case.objects.get().holder == ben


def test_done_opens_the_next_of_the_same_list_that_is_nobodys(
    analyst: Client, ben: Member, several: list[Case]
) -> None:
    first, second, third, _ = several
    cases.take(actor=ben, case=second, request=None)

    answer = analyst.post(at("finish", first), headers=from_queue("all"))

    told = json.loads(answer["HX-Trigger-After-Settle"])["mw:done"]
    assert (told["done"], told["next"]) == (first.key, third.key)
    assert told["url"] == f"/investigate/{third.key}/?queue=all"


def test_done_on_a_page_of_its_own_goes_on_to_the_next_page(analyst: Client, several: list[Case]) -> None:
    first, second, *_ = several
    there = f"/investigate/{second.key}/?queue=unclaimed"
    own_page = {**HTMX, "HX-Current-URL": f"http://testserver/investigate/{first.key}/?queue=unclaimed"}

    answer = analyst.post(at("finish", first), headers=own_page)
    assert answer["HX-Redirect"] == there

    Case.objects.filter(pk=first.pk).update(state=CaseState.NEW)
    plain = analyst.post(at("finish", first), {"queue": "unclaimed"})
    assert (plain.status_code, plain["Location"]) == (303, there)


def test_the_last_one_of_a_list_says_so(analyst: Client, case: Case, soup: Soup) -> None:
    answer = analyst.post(at("finish", case), headers=from_queue("unclaimed"))

    told = one(soup(answer), '[hx-swap-oob="innerHTML:#status"]').get_text()
    assert told == "Done. Nothing else waits in Unclaimed."


def test_who_switched_it_off_stays_where_they_are(analyst: Client, ana: Member, several: list[Case]) -> None:
    Member.objects.filter(pk=ana.pk).update(has_auto_advance=False)

    answer = analyst.post(at("finish", several[0]), headers=from_queue("all"))
    plain = analyst.post(at("finish", several[1]), {"queue": "all"})

    assert "HX-Trigger-After-Settle" not in answer
    assert plain["Location"] == f"/investigate/{several[1].key}/?queue=all"


def test_a_note_that_is_refused_stays_in_its_form(analyst: Client, ben: Member, case: Case, soup: Soup) -> None:
    Member.objects.filter(pk=ben.pk).update(domains=["outside.example"])
    data = {"text": "@ben <b>look</b>", "operation_key": "k"}

    answer = analyst.post(at("notes", case), data, headers=HTMX)

    assert (answer.status_code, answer["HX-Retarget"]) == (422, "#case-notes")
    page = soup(answer)
    assert one(page, "textarea").get_text().strip() == data["text"]
    assert "@ben cannot see this message" in one(page, ".errors").get_text()
    assert not Note.objects.exists()


def test_a_note_is_shown_as_text_with_its_names_marked(analyst: Client, ben: Member, case: Case, soup: Soup) -> None:
    analyst.post(at("notes", case), {"text": "@ben see <i>https://evil.example</i>", "operation_key": "k"})

    notes = one(soup(analyst.get(at("message", case))), "#case-notes .timeline")

    assert one(notes, ".mention").get_text() == "@ben"
    assert not notes.select("i, a")
    assert "<i>https://evil.example</i>" in notes.get_text()


def test_who_is_named_finds_it_under_mine_until_they_look(
    analyst: Client, responder: Client, ana: Member, ben: Member, case: Case, write: Write, soup: Soup
) -> None:
    write(ana, case, "@ben can you?")

    page = soup(responder.get(QUEUE))
    assert listed(page) == [case.key]
    assert "names you" in one(page, "#rows .c-source").get_text()

    assert one(page, "[data-badge=queue]").get_text(" ", strip=True) == "1 mention of you"

    pane = soup(responder.get(reverse("investigate:pane", args=[case.key]), headers=HTMX))
    live = soup(responder.get(at("case", case), headers=HTMX))  # as a live update asks

    assert "names you" in one(pane, "#case-bar").get_text()
    assert Mention.objects.get().seen_at is None, "nobody has opened the notes"
    assert listed(soup(responder.get(QUEUE))) == [case.key]

    assert "can you?" in one(live, "#notes-written[hx-swap-oob]").get_text(), "who has it open gets the note, too"
    assert not live.select("form textarea"), "what is typed stays"

    opening = "#notes-written [hx-trigger='intersect once']"
    assert one(live, opening)["hx-post"] == one(pane, opening)["hx-post"]
    answer = responder.post(str(one(pane, opening)["hx-post"]), headers=HTMX)

    assert one(soup(answer), "[hx-swap-oob='innerHTML:[data-badge=queue]']").get_text(strip=True) == ""
    assert Mention.objects.get().seen_at is not None
    assert listed(soup(responder.get(QUEUE))) == []
    pane = soup(responder.get(reverse("investigate:pane", args=[case.key]), headers=HTMX))
    assert not pane.select("[hx-trigger='intersect once'], .casebar .mention")


def test_the_notes_as_a_page_of_their_own_are_seen_by_who_opens_them(
    responder: Client, ana: Member, case: Case, write: Write
) -> None:
    write(ana, case, "@ben can you?")

    responder.get(at("notes", case))

    assert Mention.objects.get().seen_at is not None


def test_a_live_update_brings_the_number_of_mentions(
    responder: Client, ana: Member, case: Case, write: Write, soup: Soup
) -> None:
    write(ana, case, "@ben can you?")

    news = soup(responder.get(reverse("investigate:live"), {"since": 0}, headers=HTMX))

    assert one(news, "[hx-swap-oob='innerHTML:[data-badge=queue]']").get_text(" ", strip=True) == "1 mention of you"


@pytest.mark.parametrize(
    "name", ["take", "let_go", "case_state", "own_verdict", "finish", "notes", "notes_seen", "hand_over"]
)
def test_a_foreign_case_is_like_one_that_does_not_exist(name: str, analyst: Client, ana: Member, case: Case) -> None:
    Member.objects.filter(pk=ana.pk).update(domains=["outside.example"])
    data = {"state": "done", "verdict": "graymail", "text": "hello", "operation_key": "k", "to": "1"}

    foreign = analyst.post(at(name, case), data, headers=HTMX)
    unknown = analyst.post(reverse(f"investigate:{name}", args=["no-such-message"]), data, headers=HTMX)

    assert (foreign.status_code, unknown.status_code) == (404, 404)
    assert foreign.content == unknown.content
    assert not Note.objects.exists()
    assert Case.objects.get().version == 1


def test_a_report_without_a_message_is_worked_on_like_any_other(
    analyst: Client, ana: Member, report: Case, soup: Soup
) -> None:
    link = one(soup(analyst.get(QUEUE, {"list": "unclaimed"})), "#rows .open")

    page = soup(analyst.get(str(link["href"])))
    analyst.post(at("finish", report))

    assert one(page, "h1").get_text() == "<b>Campaign</b>"
    assert Case.objects.get().state == CaseState.DONE
    assert analyst.get(reverse("investigate:queue_case_pane", args=[report.pk]), headers=HTMX).status_code == 200

    Member.objects.filter(pk=ana.pk).update(domains=["outside.example"])
    assert analyst.get(str(link["href"])).status_code == 404


def test_acting_on_a_message_makes_sure_there_is_a_case(analyst: Client, detection: Message) -> None:
    analyst.post(
        reverse("investigate:act", args=[detection.id]),
        {"kind": "reclassify", "expected_disposition": "NONE", "operation_key": uuid.uuid4().hex},
    )

    assert Case.objects.get().source == CaseSource.PERSON


def test_opening_a_message_nobody_worked_on_makes_no_case(viewer: Client, detection: Message) -> None:
    viewer.get(at("message", detection))
    viewer.get(at("notes", detection))

    assert not Case.objects.exists()
