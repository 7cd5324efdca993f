"""Rules that go on after a decision: offered, handled, ended; with workers that race and workers that die."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from django.core.exceptions import PermissionDenied
from django.db.models import F
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.audit.models import AuditEvent
from dashboard.celery import app
from dashboard.emailsec.types import Message
from dashboard.upstream.connection import get_client
from investigate.campaigns import advancing, claiming, following, words
from investigate.memory.remembering import remember
from investigate.models import (
    Action,
    ActionKind,
    ActionState,
    CampaignBy,
    CampaignMember,
    CampaignRule,
    FollowMode,
    MemberState,
    OwnVerdict,
    SeenMessage,
)
from tests.investigate.actions.test_races import together

KEY = "edf-campaign"


@pytest.fixture
def later(emailsec: Any) -> Callable[..., list[Message]]:
    """Messages of the simulator that are alike and were scanned just now, remembered."""
    free = [
        record
        for record in emailsec.store.records
        if not record.is_phish_submission and record.final_disposition in ("SUSPICIOUS", "SPAM", "SPOOF", "BULK")
    ]

    def write(number: int, *, held: bool = False) -> list[Message]:
        chosen = [one for one in free if one.is_quarantined == held][:number]
        assert len(chosen) == number
        for one in chosen:
            free.remove(one)
            one.edf_hash = KEY
        now = timezone.now()
        found = [msgspec.structs.replace(get_client().message(one.id), scanned_at=now) for one in chosen]
        remember(found)
        return found

    return write


def _rule(actor: Member, mode: FollowMode = FollowMode.HANDLE, **more: Any) -> CampaignRule:
    values: dict[str, Any] = {
        "by": CampaignBy.FINGERPRINT,
        "key": KEY,
        "title": "Invoice",
        "mode": mode,
        "kind": ActionKind.MOVE,
        "destination": "JunkEmail",
        "reason": "ticket 4711",
        "hours": 24,
        "most": 20,
        "operation_key": uuid.uuid4().hex,
        "request": None,
    }
    return following.follow(actor=actor, **values | more)


def _states(rule: CampaignRule) -> list[tuple[str, bool]]:
    rows = rule.members.order_by("pk")
    return [(row.state, row.action_id is not None) for row in rows]


def test_those_who_come_later_are_handled_in_the_owners_name(ben: Member, later: Any) -> None:
    later(1)  # was there before, and is the decision's
    rule = _rule(ben, verdict=OwnVerdict.TRUE_POSITIVE)
    came = later(2)

    advancing.step(rule.pk)

    actions = list(Action.objects.order_by("items__investigate_id"))
    assert [one.items.get().investigate_id for one in actions] == sorted(one.id for one in came)
    assert {(one.actor_id, one.kind, one.destination, one.reason) for one in actions} == {
        (ben.pk, "move", "JunkEmail", "ticket 4711")
    }
    assert all(one.state == ActionState.WAITING and one.due_at > timezone.now() for one in actions), "no undo window"
    assert _states(rule) == [(MemberState.SENT, True)] * 2
    rule.refresh_from_db()
    assert rule.handled == 2
    noted = AuditEvent.objects.filter(action="campaign:handle")
    assert {event.detail["rule"] for event in noted} == {str(rule.pk)}
    assert AuditEvent.objects.filter(action="case:verdict").count() == 2


def test_an_offering_rule_waits_for_a_person(ben: Member, ana: Member, later: Any) -> None:
    rule = _rule(ana, FollowMode.OFFER)
    first, second = later(2)
    advancing.step(rule.pk)
    assert _states(rule) == [(MemberState.OFFERED, False)] * 2
    assert not Action.objects.exists()

    decided = following.take(actor=ben, rule=rule, ids=[first.id], request=None)
    left = following.leave(actor=ben, rule=rule, ids=[second.id, first.id], request=None)

    assert (decided.acted, left) == (1, 1)
    assert Action.objects.get().actor_id == ben.pk
    assert rule.members.get(investigate_id=second.id).state == MemberState.LEFT
    assert following.take(actor=ana, rule=rule, ids=[first.id, second.id], request=None).acted == 0


def test_handling_needs_its_own_right_and_offering_does_not(ana: Member, vera: Member) -> None:
    with pytest.raises(PermissionDenied):
        _rule(ana, FollowMode.HANDLE)
    with pytest.raises(PermissionDenied):
        _rule(vera, FollowMode.OFFER)
    assert _rule(ana, FollowMode.OFFER).mode == FollowMode.OFFER


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"destination": "RecoverableItemsPurges"}, "never repeated by a rule"),
        ({"hours": 73}, "1 to 72 hours"),
        ({"most": 100_000}, "decided by people"),
        ({"reason": "so"}, "Say in a few words why"),
    ],
    ids=["purge", "hours", "most", "reason"],
)
def test_what_no_rule_may_be(ben: Member, more: dict[str, Any], told: str) -> None:
    with pytest.raises(following.NotPossible, match=told):
        _rule(ben, **more)
    assert not CampaignRule.objects.exists()


def test_one_open_rule_a_campaign(ben: Member, ana: Member) -> None:
    key = uuid.uuid4().hex
    rule = _rule(ben, operation_key=key)

    assert _rule(ben, operation_key=key) == rule, "the second click of a pair made another rule"
    with pytest.raises(following.Conflict, match="Ben follows this campaign already"):
        _rule(ana, FollowMode.OFFER)
    assert following.end(actor=ben, rule=rule, request=None)
    assert _rule(ana, FollowMode.OFFER).owner_id == ana.pk


def test_release_of_harmful_mail_is_left_to_a_person(ben: Member, emailsec: Any, later: Any) -> None:
    rule = _rule(ben, kind=ActionKind.RELEASE, destination="")
    mild, harmful = later(2, held=True)
    SeenMessage.objects.filter(investigate_id=harmful.id).update(disposition="MALICIOUS")

    advancing.step(rule.pk)

    assert [one.items.get().investigate_id for one in Action.objects.all()] == [mild.id]
    waiting = rule.members.get(investigate_id=harmful.id)
    assert (waiting.state, waiting.explanation) == (MemberState.OFFERED, words.HARMFUL)
    advancing.step(rule.pk)
    assert Action.objects.count() == 1


@pytest.mark.parametrize("is_known", [True, False], ids=["as remembered", "as it is now"])
def test_no_rule_moves_harmful_mail_into_inboxes(ben: Member, emailsec: Any, later: Any, is_known: bool) -> None:
    rule = _rule(ben, destination="Inbox")
    (message,) = later(1)
    if is_known:
        SeenMessage.objects.update(disposition="MALICIOUS")
    next(one for one in emailsec.store.records if one.id == message.id).final_disposition = "MALICIOUS"

    advancing.step(rule.pk)

    assert not Action.objects.exists()
    waiting = rule.members.get()
    assert (waiting.state, waiting.explanation) == (MemberState.OFFERED, words.HARMFUL)
    rule.refresh_from_db()
    assert rule.handled == 0


@pytest.mark.parametrize("by", [CampaignBy.SHAPE, CampaignBy.LAYOUT])
@pytest.mark.parametrize(
    "what", [{"kind": ActionKind.RELEASE, "destination": ""}, {"destination": "Inbox"}], ids=["release", "inbox"]
)
def test_what_can_be_imitated_lets_nothing_in_by_itself(ben: Member, by: CampaignBy, what: dict[str, Any]) -> None:
    with pytest.raises(following.NotPossible, match="by fingerprint alone"):
        _rule(ben, by=by, **what)
    rule = _rule(ben, FollowMode.OFFER, by=by, **what)

    CampaignRule.objects.update(mode=FollowMode.HANDLE)  # as one that was made before this was refused
    advancing.step(rule.pk)

    rule.refresh_from_db()
    assert rule.ended_why == words.IMITATED


def test_what_cannot_be_done_is_left_and_said(ben: Member, later: Any) -> None:
    rule = _rule(ben)
    later(1, held=True)

    advancing.step(rule.pk)

    row = rule.members.get()
    assert (row.state, row.explanation) == (MemberState.LEFT, "The message is in quarantine; release it first.")
    rule.refresh_from_db()
    assert (rule.handled, rule.ended_at) == (0, None)


def test_the_limit_ends_the_rule_and_leaves_the_rest_to_people(ben: Member, later: Any) -> None:
    rule = _rule(ben, most=2)
    later(3)

    advancing.step(rule.pk)
    advancing.step(rule.pk)

    assert sorted(_states(rule)) == [(MemberState.OFFERED, False), (MemberState.SENT, True), (MemberState.SENT, True)]
    rule.refresh_from_db()
    assert (rule.handled, rule.ended_why) == (2, "It has handled 2 messages, which is its limit.")


@pytest.mark.matrix(75)
def test_three_refusals_end_the_rule_and_say_why(ben: Member, later: Any) -> None:
    rule = _rule(ben)
    later(3)
    advancing.step(rule.pk)
    Action.objects.update(state=ActionState.FAILED, explanation="Cloudflare: no active integration.")
    later(1)

    advancing.step(rule.pk)

    rule.refresh_from_db()
    assert rule.ended_why == "It was refused 3 times: Cloudflare: no active integration."
    assert Action.objects.count() == 3


def _demoted(ben: Member, rule: CampaignRule) -> None:
    Member.objects.filter(pk=ben.pk).update(role="analyst")


def _gone(ben: Member, rule: CampaignRule) -> None:
    Member.objects.filter(pk=ben.pk).update(is_active=False)


def _late(ben: Member, rule: CampaignRule) -> None:
    CampaignRule.objects.update(until=timezone.now())


@pytest.mark.matrix(75)
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_demoted, "Ben no longer has the right: “campaign:follow”."),
        (_gone, "Ben has left the team."),
        (_late, "Its time is over."),
    ],
    ids=["demoted", "gone", "late"],
)
def test_a_rule_ends_and_handles_nothing_more(ben: Member, later: Any, change: Any, told: str) -> None:
    rule = _rule(ben)
    later(1)
    change(ben, rule)

    advancing.step(rule.pk)

    rule.refresh_from_db()
    assert rule.ended_why == told
    assert not Action.objects.exists()
    assert AuditEvent.objects.filter(action="campaign:follow_end").count() == 1


def test_nobody_but_owner_and_responder_ends_it_by_hand(ben: Member, ana: Member, pia: Member) -> None:
    rule = _rule(ana, FollowMode.OFFER)
    with pytest.raises(PermissionDenied):
        following.end(actor=pia, rule=rule, request=None)
    assert following.end(actor=ben, rule=rule, request=None)
    assert not following.end(actor=ana, rule=rule, request=None)


def test_the_owners_domains_cut_what_a_rule_takes_in(ben: Member, later: Any) -> None:
    Member.objects.filter(pk=ben.pk).update(domains=["nowhere.example"])
    rule = _rule(Member.objects.get(pk=ben.pk))
    later(2)

    advancing.step(rule.pk)

    assert not rule.members.exists()


def test_old_mail_that_is_remembered_now_did_not_come_later(ben: Member, came: Any) -> None:
    rule = _rule(ben)
    came(2, edf=KEY, ago=dt.timedelta(days=20))
    assert not advancing.is_due(rule)

    advancing.step(rule.pk)

    assert not rule.members.exists()


@pytest.mark.matrix(75)
def test_mail_that_was_listed_a_little_late_came_later(ben: Member, came: Any) -> None:
    rule = _rule(ben, FollowMode.OFFER)
    came(1, edf=KEY, ago=dt.timedelta(minutes=10))

    advancing.step(rule.pk)

    assert _states(rule) == [(MemberState.OFFERED, False)]


@pytest.mark.matrix(75)
def test_a_worker_killed_before_or_after_the_action_makes_it_once(
    ben: Member, later: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = _rule(ben)
    later(2)
    killed = iter(["before", "after"])
    act = claiming.actions.act

    def dies(**named: Any) -> Action:
        if next(killed, "") == "after":
            act(**named)
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(claiming.actions, "act", dies)
        for _ in range(2):
            with pytest.raises(SystemExit):
                advancing.step(rule.pk)
    assert Action.objects.count() == 1
    assert _states(rule) == [(MemberState.SENT, False)] * 2

    CampaignMember.objects.update(at=F("at") - dt.timedelta(minutes=5))
    assert advancing.is_due(rule)
    advancing.step(rule.pk)

    assert _states(rule) == [(MemberState.SENT, True)] * 2
    assert Action.objects.count() == 2
    rule.refresh_from_db()
    assert rule.handled == 2


@pytest.mark.matrix(75)
@pytest.mark.django_db(transaction=True)
def test_workers_that_race_handle_each_message_once(ben: Member, later: Any) -> None:
    rule = _rule(ben, most=4)
    later(6)

    together(*[lambda: advancing.step(rule.pk)] * 4)
    advancing.step(rule.pk)

    rule.refresh_from_db()
    assert Action.objects.count() == 4, "the limit was overrun, or a message was handled twice"
    assert rule.handled == 4
    assert rule.members.count() == 6


def test_the_task_of_the_sweep_takes_a_rule_further(ben: Member, later: Any) -> None:
    rule = _rule(ben)
    assert not advancing.is_due(rule)
    later(1)
    assert advancing.is_due(rule)

    advancing.sweep()  # rings for it, and never fails where nobody hears
    app.loader.import_default_modules()
    app.tasks[advancing.FOLLOW_TASK](str(rule.pk))

    assert _states(rule) == [(MemberState.SENT, True)]
    assert not advancing.is_due(CampaignRule.objects.get())


def test_many_rules_without_anything_to_do_keep_no_other_from_its_turn(
    ben: Member, later: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[str] = []
    monkeypatch.setattr(advancing, "ring", lambda _, name: bool(rung.append(name)) or True)
    monkeypatch.setattr(advancing, "MOST_RULES", 3)
    for number in range(3):
        _rule(ben, key=f"quiet-{number}")
    rule = _rule(ben)
    later(1)

    advancing.sweep()
    advancing.sweep()

    assert rung == [str(rule.pk)]
    advancing.step(rule.pk)
    assert _states(rule) == [(MemberState.SENT, True)]


def test_what_came_while_other_rules_had_their_turn_is_taken_in(
    ben: Member, later: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advancing, "MOST_RULES", 1)
    rule = _rule(ben)
    advancing.sweep()
    later(1)

    assert advancing.is_due(CampaignRule.objects.get(pk=rule.pk))
