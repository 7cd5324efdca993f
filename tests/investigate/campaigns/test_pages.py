"""The list of campaigns and one of them, as browsers get them."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.audit.models import AuditEvent
from dashboard.emailsec.enums import DeliveryStatus, Disposition
from dashboard.emailsec.types import Message
from dashboard.upstream.connection import get_client
from investigate.actions import services
from investigate.actions.decision import Decision
from investigate.campaigns import advancing, following, rules
from investigate.campaigns.listing import Filters
from investigate.campaigns.queries import address_of
from investigate.desk import cases
from investigate.memory import purging
from investigate.memory.remembering import remember
from investigate.models import (
    Action,
    ActionKind,
    BulkJob,
    CampaignBy,
    CampaignRule,
    Case,
    FollowMode,
    JobInput,
    MemberState,
    OwnVerdict,
    SeenMessage,
    SeenSubmission,
)
from tests.conftest import HTMX

LIST = "/investigate/campaigns/"
ONE = address_of(CampaignBy.FINGERPRINT, "edf-1")
NAMED = {"by": "edf", "key": "edf-1"}


@pytest.fixture
def alike(emailsec: Any) -> Callable[..., list[Message]]:
    """So many delivered messages of the simulator that share a fingerprint, remembered; `later` ones came just now."""
    free = [
        record
        for record in emailsec.store.records
        if record.final_disposition in ("SUSPICIOUS", "SPAM") and not record.is_quarantined
        and not record.is_phish_submission
    ]  # fmt: skip

    def write(number: int, *, later: bool = False) -> list[Message]:
        for record in free[:number]:
            record.edf_hash = "edf-1"
        found = [get_client().message(record.id) for record in free[:number]]
        del free[:number]
        remember([msgspec.structs.replace(one, scanned_at=timezone.now()) for one in found] if later else found)
        return found

    return write


def _decide(client: Client, ids: list[str], what: str, **more: Any) -> Any:
    data = {**NAMED, "operation_key": uuid.uuid4().hex, "what": what, "message": ids, "last_row": 0}
    return client.post("/investigate/campaigns/one/decide", data | more)


def test_the_list_says_how_far_each_campaign_reaches(viewer: Client, came: Any, soup: Any) -> None:
    came(3, disposition=Disposition.MALICIOUS)
    came(1, disposition=Disposition.SPAM, status=DeliveryStatus.QUARANTINED)

    page = soup(viewer.get(LIST))

    (row,) = page.select("#rows tr")
    text = row.get_text(" ", strip=True)
    assert row.select_one(".open")["href"] == ONE
    for told in ("4 messages", "4 copies, 4 people", "3 Malicious, 1 Spam", "3 in inboxes", "pay-pal.example"):
        assert told in text
    assert "The memory goes back to" in page.get_text()


def test_an_empty_range_says_so_and_offers_others(viewer: Client, came: Any, soup: Any) -> None:
    came(2, ago=dt.timedelta(days=20))
    assert "No two remembered messages are alike" in soup(viewer.get(LIST)).select_one(".empty").get_text()
    assert soup(viewer.get(LIST, {"last": "30d"})).select("#rows tr")
    exact = timezone.now() - dt.timedelta(days=21)
    page = soup(viewer.get(LIST, {"start": exact.isoformat()}))
    assert page.select("#rows tr")
    assert page.select_one("[type=datetime-local]")["value"] == f"{exact:%Y-%m-%dT%H:%M}"


def test_the_list_says_what_was_decided_and_what_waits(
    responder: Client, ben: Member, came: Any, alike: Any, soup: Any
) -> None:
    first, *_ = alike(2)
    case = cases.ensure_many([first], "detection")
    cases.set_verdict(actor=ben, case=Case.objects.get(key=case[0]), verdict=OwnVerdict.TRUE_POSITIVE, request=None)
    rule = _followed(ben)
    alike(1, later=True)
    advancing.step(rule.pk)

    text = soup(responder.get(LIST, {"last": "30d"})).select_one("#rows tr").get_text(" ", strip=True)

    assert "1 true positive" in text
    assert "1 later copy waits" in text
    assert "Later ones: move to Junk, offered" in text


def _followed(actor: Member, mode: FollowMode = FollowMode.OFFER) -> CampaignRule:
    return following.follow(
        actor=actor, by=CampaignBy.FINGERPRINT, key="edf-1", title="", mode=mode, kind=ActionKind.MOVE,
        destination="JunkEmail", reason="ticket 4711", hours=2, most=5, operation_key=uuid.uuid4().hex, request=None,
    )  # fmt: skip


@pytest.mark.parametrize("number", ["9" * 30, "9" * 5000, "000001" + "9" * 30, "000001" + "9" * 5000, "0", "-1", "x"])
def test_no_page_is_too_far(viewer: Client, came: Any, number: str) -> None:
    came(2)
    for address in (f"{LIST}?page={number}", f"{ONE}&page={number}"):
        assert viewer.get(address).status_code == 200, address


def test_nothing_that_no_row_can_hold_is_looked_for(analyst: Client, ana: Member, came: Any) -> None:
    assert Filters.from_query({"domain": "@Pay\x00pal.example"}).domain == "pay\ufffdpal.example"
    came(2)
    rule = following.follow(
        actor=ana, by=CampaignBy.FINGERPRINT, key="edf-1", title="", mode=FollowMode.OFFER, kind=ActionKind.MOVE,
        destination="JunkEmail", reason="ticket 4711", hours=1, most=5, operation_key=uuid.uuid4().hex, request=None,
    )  # fmt: skip
    with CaptureQueriesContext(connection) as asked:
        answer = analyst.post(f"{LIST}one/take", {"rule": str(rule.pk), "message": ["a\x00b", "camp-4711"]})
    assert answer.status_code == 303
    assert any("camp-4711" in one["sql"] for one in asked.captured_queries)
    assert not any("\x00" in one["sql"] for one in asked.captured_queries)


def test_one_campaign_begins_with_how_far_it_has_come(viewer: Client, came: Any, soup: Any) -> None:
    came(2, to=["eva@corp.example", "eva@corp.example"], layout="lay-1")
    came(2, status=DeliveryStatus.QUARANTINED, disposition=Disposition.SPAM)
    came(3, edf="edf-other", layout="lay-1")
    SeenSubmission.objects.create(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID, submission_id="s1", requested_at=timezone.now(),
        original="SPAM", requested="MALICIOUS", outcome="MALICIOUS", edf_hash="edf-1",
        first_seen_at=timezone.now(), seen_at=timezone.now(),
    )  # fmt: skip

    page = soup(viewer.get(ONE))

    assert page.select_one(".sentence").get_text().startswith("4 messages to 3 people since ")
    assert page.select_one(".sentence").get_text().endswith("; 2 copies are still in inboxes.")
    assert "eva@corp.example" in page.select_one(".people").get_text()
    assert "1: was Spam, asked for Malicious: [Malicious]" in page.get_text(" ", strip=True).replace("  ", " ")
    assert page.select_one("#arrivals table td.num")
    assert "5 messages" in page.select_one(".related").get_text()
    assert not page.select("#selection, #later form, .c-tick"), "a viewer is offered what their role may not do"
    assert not page.select("[style]")


def test_a_limited_member_sees_their_own_copies_alone(ana: Member, came: Any, soup: Any) -> None:
    came(2, to=["eva@corp.example max@other.example", "uli@other.example"])
    Member.objects.filter(pk=ana.pk).update(domains=["corp.example"])
    client = Client()
    client.force_login(Member.objects.get(pk=ana.pk))

    answer = client.get(ONE)

    assert soup(answer).select_one(".sentence").get_text().startswith("1 message to 1 person since")
    assert "other.example" not in answer.content.decode()


def test_a_limited_member_is_told_nothing_of_mail_elsewhere(ana: Member, ben: Member, came: Any, soup: Any) -> None:
    came(2, to=["eva@corp.example", "max@corp.example"])
    came(1, edf="elsewhere", to=["uli@other.example"], ago=dt.timedelta(days=5))
    rule = _followed(ben)
    CampaignRule.objects.update(ended_at=timezone.now(), ended_why="It has handled 20 messages, which is its limit.")
    Member.objects.filter(pk=ana.pk).update(domains=["corp.example"])
    client = Client()
    client.force_login(Member.objects.get(pk=ana.pk))

    oldest = soup(client.get(LIST)).select_one(".meta time")["datetime"]
    ended = soup(client.get(ONE)).select_one(".ended").get_text(" ", strip=True)

    first = SeenMessage.objects.filter(edf_hash="edf-1").earliest("scanned_at").scanned_at
    assert dt.datetime.fromisoformat(oldest) == first.replace(microsecond=0)
    assert rule.owner_name in ended
    assert "20 messages" not in ended


def test_an_unknown_campaign_is_not_there(viewer: Client) -> None:
    assert viewer.get(ONE).status_code == 404
    assert viewer.get(f"{LIST}one/").status_code == 404
    assert viewer.get(f"{LIST}one/", {"by": "size", "key": "x"}).status_code == 404


def test_ticked_messages_go_into_a_rehearsal(analyst: Client, alike: Any, soup: Any) -> None:
    first, second, third = alike(3)
    page = soup(analyst.get(ONE))
    assert len(page.select(".c-tick input[checked]")) == 3

    answer = _decide(analyst, [first.id, second.id, "elsewhere"], "move:JunkEmail")

    job = BulkJob.objects.get()
    assert answer.headers["Location"] == f"/investigate/bulk/{job.pk}/"
    assert (job.kind, job.destination) == ("move", "JunkEmail")
    assert JobInput.objects.get().terms == [["investigate_id", one] for one in sorted([first.id, second.id])]
    assert third.id not in str(JobInput.objects.get().terms)


def test_everything_means_what_was_there_when_the_page_was_made(analyst: Client, alike: Any, soup: Any) -> None:
    alike(2)
    last_row = soup(analyst.get(ONE)).select_one("[name=last_row]")["value"]
    alike(1)

    _decide(analyst, [], "move:JunkEmail", source="all", last_row=last_row)

    assert len(JobInput.objects.get().terms) == 2


@pytest.mark.parametrize("address", [ONE, f"{ONE}&page=2"], ids=["first page", "second page"])
def test_everything_is_all_of_it_in_whatever_order_it_was_remembered(
    analyst: Client, came: Any, soup: Any, address: str
) -> None:
    came(101, ago=dt.timedelta(hours=2))
    came(5, ago=dt.timedelta(days=2))  # older mail, read after the newer as every reading does
    page = soup(analyst.get(address))
    assert "All 106 messages" in page.select_one("#taken").get_text()

    _decide(analyst, [], "move:JunkEmail", source="all", last_row=page.select_one("[name=last_row]")["value"])

    assert len(JobInput.objects.get().terms) == 106


def test_what_is_decided_already_is_named_and_not_ticked(analyst: Client, ana: Member, alike: Any, soup: Any) -> None:
    first, second = alike(2)
    _decide(analyst, [first.id], "verdict:true_positive")

    rows = {row["data-id"]: row for row in soup(analyst.get(ONE)).select("#rows tr")}

    assert not rows[first.id].select(".c-tick input[checked]")
    assert "true positive" in rows[first.id].select_one(".c-us").get_text().casefold()
    assert rows[second.id].select(".c-tick input[checked]")


def test_one_verdict_for_all_cases_and_what_a_colleague_has_stays(analyst: Client, ben: Member, alike: Any) -> None:
    first, second, third = alike(3)
    cases.ensure_many([third], "detection")
    cases.take(actor=ben, case=Case.objects.get(key=third.id), request=None)

    answer = _decide(analyst, [one.id for one in (first, second, third)], "verdict:false_positive")

    assert answer.status_code == 409
    assert "2 of 3" in answer.content.decode()
    verdicts = dict(Case.objects.values_list("key", "verdict"))
    assert verdicts == {first.id: "false_positive", second.id: "false_positive", third.id: ""}
    assert AuditEvent.objects.filter(action="case:verdict").count() == 2
    assert AuditEvent.objects.get(action="campaign:decide").detail["messages"] == 2


@pytest.mark.parametrize(
    "data",
    [{"what": "burn:"}, {"what": "move:JunkEmail", "message": []}, {"what": "move:JunkEmail", "operation_key": "x"}],
    ids=["action", "nothing ticked", "key"],
)
def test_what_is_no_decision_begins_nothing(analyst: Client, alike: Any, data: dict[str, Any]) -> None:
    (first,) = alike(1)
    values = {**NAMED, "operation_key": uuid.uuid4().hex, "message": [first.id], "last_row": 0, **data}
    assert analyst.post("/investigate/campaigns/one/decide", values).status_code == 422
    assert not BulkJob.objects.exists()


def test_asking_cloudflare_again_fills_the_memory(viewer: Client, emailsec: Any, alike: Any, soup: Any) -> None:
    first, *_ = alike(1)
    begin = timezone.now() - dt.timedelta(days=6)
    SeenMessage.objects.update(scanned_at=begin)
    twin = next(
        record
        for record in emailsec.store.records
        if record.is_detection and record.id != first.id and record.scanned_at > begin.timestamp()
    )
    twin.edf_hash, twin.from_ = "edf-1", first.from_
    calls = len(emailsec.calls)

    answer = viewer.get(viewer.post("/investigate/campaigns/one/ask", NAMED).headers["Location"])

    assert "Cloudflare was asked. New of this campaign: 1." in answer.content.decode()
    assert len(emailsec.calls) - calls == 1
    assert soup(answer).select_one(".sentence").get_text().startswith("2 messages")


def test_a_slow_answer_is_said_and_not_waited_for(viewer: Client, emailsec: Any, alike: Any) -> None:
    alike(2)
    emailsec.faults.endless_search = True

    answer = viewer.get(viewer.post("/investigate/campaigns/one/ask", NAMED).headers["Location"])

    assert "would take long to search and was not waited for" in answer.content.decode()


def test_a_rule_is_made_shown_and_ended(responder: Client, alike: Any, soup: Any) -> None:
    alike(2)
    data = {
        **NAMED, "operation_key": uuid.uuid4().hex, "what": "move:JunkEmail", "mode": "handle", "hours": 4, "most": 9,
        "verdict": "", "reason": "ticket 4711",
    }  # fmt: skip
    assert responder.post("/investigate/campaigns/one/follow", data | {"hours": 73}).status_code == 422
    assert responder.post("/investigate/campaigns/one/follow", data).status_code == 303

    rule = CampaignRule.objects.get()
    section = soup(responder.get(ONE)).select_one("#later")
    assert "Ben has later copies handled at once: move to Junk, 9 at most" in section.get_text()
    responder.post("/investigate/campaigns/one/end", {"rule": rule.pk})
    assert "ended by Ben" in soup(responder.get(ONE)).select_one(".ended").get_text(" ", strip=True)


def test_analysts_are_not_offered_to_have_it_handled(analyst: Client, alike: Any, soup: Any) -> None:
    alike(2)
    assert [one["value"] for one in soup(analyst.get(ONE)).select("[name=mode]")] == ["offer"]


def test_one_click_decides_about_those_who_came_later(analyst: Client, ana: Member, alike: Any, soup: Any) -> None:
    alike(1)
    rule = _followed(ana)
    first, second = alike(2, later=True)
    advancing.step(rule.pk)
    assert "2 later copies wait" in soup(analyst.get(ONE)).select_one("#waiting").get_text(" ", strip=True)

    analyst.post("/investigate/campaigns/one/take", {"rule": rule.pk, "message": [first.id]})
    analyst.post("/investigate/campaigns/one/leave", {"rule": rule.pk, "message": [second.id]})

    assert Action.objects.get().items.get().investigate_id == first.id
    assert rule.members.get(investigate_id=second.id).state == MemberState.LEFT
    assert not soup(analyst.get(ONE)).select("#waiting")


def test_what_waits_is_on_one_list_and_goes_with_the_memory(analyst: Client, ana: Member, came: Any, soup: Any) -> None:
    came(2, edf="", subject="Invoice overdue", ago=dt.timedelta(days=20))
    rule = following.follow(
        actor=ana, by=CampaignBy.SHAPE, key="pay-pal.example invoice overdue", title="", mode=FollowMode.OFFER,
        kind=ActionKind.MOVE, destination="JunkEmail", reason="ticket 4711", hours=2, most=5,
        operation_key=uuid.uuid4().hex, request=None,
    )  # fmt: skip
    came(2, edf="", subject="Invoice overdue", ago=dt.timedelta(minutes=2))
    advancing.step(rule.pk)
    following.end(actor=ana, rule=rule, request=None)
    for _ in range(7):  # newer rules push it off the list of those that ended, and not what waits
        CampaignRule.objects.create(
            account_id=rule.account_id, by=rule.by, key=rule.key, mode=rule.mode, kind=rule.kind, most=5,
            operation_key=uuid.uuid4().hex, created_at=timezone.now(), until=timezone.now(), ended_at=timezone.now(),
            looked_until=timezone.now(),
        )  # fmt: skip

    link = soup(analyst.get("/")).select_one("#need-offered a, a#need-offered")
    assert link.select_one("b").text == "2"
    row = soup(analyst.get(link["href"])).select_one("#rows tr")
    assert "2 later copies wait" in row.get_text(" ", strip=True)
    page = soup(analyst.get(row.select_one(".open")["href"]))
    assert "2 later copies wait" in page.select_one("#waiting").get_text(" ", strip=True)

    SeenMessage.objects.update(scanned_at=timezone.now() - dt.timedelta(days=4000))
    CampaignRule.objects.update(ended_at=timezone.now() - dt.timedelta(days=4000))
    assert rules.waiting(ana).count() == 2
    purging.forget_old()

    assert not rules.waiting(ana).exists()
    assert not CampaignRule.objects.exists()
    assert "No later copy waits" in soup(analyst.get(link["href"])).select_one(".empty").get_text()


def test_a_rule_of_a_campaign_elsewhere_is_not_there(analyst: Client, ben: Member) -> None:
    rule = _followed(ben)
    for path in ("end", "take", "leave"):
        assert (
            analyst.post(f"/investigate/campaigns/one/{path}", {"rule": rule.pk, "message": ["x"]}).status_code == 404
        )
    assert CampaignRule.objects.get().ended_at is None


def test_a_message_leads_to_its_campaign(analyst: Client, alike: Any, soup: Any) -> None:
    first, *_ = alike(3)

    part = soup(analyst.get(f"/investigate/{first.id}/parts/campaign", headers=HTMX))

    link = part.select_one(f'a[href="{ONE}"]')
    assert link.get_text() == "This campaign: 3 messages"


def test_later_copies_begin_with_what_was_decided_last(analyst: Client, ana: Member, alike: Any, soup: Any) -> None:
    first, *_ = alike(2)
    decision = Decision(kind=ActionKind.MOVE, investigate_ids=(first.id,), destination="DeletedItems")
    services.act(actor=ana, decision=decision, operation_key=uuid.uuid4().hex, request=None)

    assert soup(analyst.get(ONE)).select_one("#id_what option[selected]")["value"] == "move:DeletedItems"
