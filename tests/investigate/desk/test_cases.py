"""Who has a case, how far it is, and what is said of it: one at a time, recorded, and never outside one's domains."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone
from msgspec.structs import replace

from dashboard.access.models import Member
from dashboard.audit.models import AuditEvent
from dashboard.emailsec.types import Disposition, Message
from investigate.desk import cases, cells, queue
from investigate.desk.cases import Conflict, NotPossible
from investigate.models import Case, CaseSource, CaseState, DeskChange, OwnVerdict

Away = Callable[..., None]
OUTSIDE = "outside.example"


def trail() -> list[str]:
    return list(AuditEvent.objects.order_by("sequence").values_list("action", flat=True))


def seen_ago() -> dt.timedelta:
    seen_at = Case.objects.get().holder_seen_at
    assert seen_at is not None
    return timezone.now() - seen_at


def limited(member: Member, *domains: str) -> Member:
    member.domains = list(domains)
    member.save(update_fields=["domains"])
    return member


def test_taking_a_case_puts_it_in_work_and_is_recorded_and_told(ana: Member, case: Case) -> None:
    taken = cases.take(actor=ana, case=case, request=None)

    assert (taken.holder, taken.holder_name, taken.state) == (ana, "Ana", CaseState.IN_WORK)
    assert cases.held_now(taken)
    assert trail() == ["case:take"]
    assert DeskChange.objects.get().investigate_ids == [case.investigate_id]


def test_what_a_colleague_has_is_only_taken_over_by_who_insists(ana: Member, ben: Member, case: Case) -> None:
    cases.take(actor=ben, case=case, request=None)
    Case.objects.update(held_at=timezone.now() - dt.timedelta(minutes=2))

    with pytest.raises(Conflict, match=r"^Ben has this since 2 min\. Take over\?$") as told:
        cases.take(actor=ana, case=case, request=None)
    assert told.value.may_take_over

    taken = cases.take(actor=ana, case=case, take_over=True, request=None)
    assert taken.holder == ana
    assert AuditEvent.objects.order_by("-sequence")[0].detail == {"taken_over_from": "Ben"}


def test_taking_what_one_has_already_changes_nothing(ana: Member, case: Case) -> None:
    first = cases.take(actor=ana, case=case, request=None)

    assert cases.take(actor=ana, case=case, request=None).version == first.version
    assert trail() == ["case:take"]


CHANGES: dict[str, Callable[[Member, Case], Case]] = {
    "state": lambda who, case: cases.set_state(actor=who, case=case, state=CaseState.WAITING, request=None),
    "verdict": lambda who, case: cases.set_verdict(actor=who, case=case, verdict=OwnVerdict.GRAYMAIL, request=None),
    "finish": lambda who, case: cases.finish(actor=who, case=case, request=None),
    "let go": lambda who, case: cases.let_go(actor=who, case=case, request=None),
}


@pytest.mark.parametrize("change", CHANGES)
def test_nobody_works_on_what_a_colleague_has(change: str, ana: Member, ben: Member, case: Case) -> None:
    cases.take(actor=ben, case=case, request=None)

    with pytest.raises(Conflict, match="Ben has this"):
        CHANGES[change](ana, case)
    assert Case.objects.get().holder == ben


@pytest.mark.matrix(71)
def test_a_claim_ends_when_its_holder_is_away(ana: Member, ben: Member, case: Case, away: Away) -> None:
    cases.take(actor=ben, case=case, request=None)
    away(case, minutes=14)
    assert cases.end_idle_claims() == 0

    away(case, minutes=15)
    assert not cases.held_now(Case.objects.get())
    assert cases.end_idle_claims() == 1

    ended = Case.objects.get()
    assert (ended.holder, ended.holder_name, ended.state) == (None, "", CaseState.NEW)
    assert trail() == ["case:take", "case:claim_ended"]
    assert cases.end_idle_claims() == 0


@pytest.mark.matrix(71)
def test_an_idle_claim_is_taken_without_asking(ana: Member, ben: Member, case: Case, away: Away) -> None:
    cases.take(actor=ben, case=case, request=None)
    away(case, minutes=16)

    assert cases.take(actor=ana, case=case, request=None).holder == ana


def test_who_has_left_the_team_has_nothing_any_more(ana: Member, ben: Member, case: Case) -> None:
    cases.take(actor=ben, case=case, request=None)
    assert cells.marks_for([case.key], ana)[case.key].holder == "Ben"

    Member.objects.filter(pk=ben.pk).update(is_active=False)

    assert not cases.held_now(Case.objects.get())
    assert cells.marks_for([case.key], ana) == {}
    assert queue.counts(ana)[queue.Tab.UNCLAIMED] == 1
    assert cases.end_idle_claims() == 1
    assert cases.take(actor=ana, case=case, request=None).holder == ana


def test_looking_and_acting_keep_a_claim(ben: Member, case: Case, away: Away) -> None:
    cases.take(actor=ben, case=case, request=None)
    away(case, minutes=14)
    cases.seen(ben, case.investigate_id)
    assert seen_ago() < dt.timedelta(minutes=1)

    away(case, minutes=14)
    cases.set_verdict(actor=ben, case=case, verdict=OwnVerdict.UNSURE, request=None)
    assert seen_ago() < dt.timedelta(minutes=1)


def test_somebody_elses_looking_keeps_no_claim(ana: Member, ben: Member, case: Case, away: Away) -> None:
    cases.take(actor=ben, case=case, request=None)
    away(case, minutes=14)

    cases.seen(ana, case.investigate_id)

    assert seen_ago() > dt.timedelta(minutes=13)


def test_a_case_is_handed_to_a_colleague_who_may_work_on_it(ana: Member, ben: Member, case: Case) -> None:
    cases.take(actor=ana, case=case, request=None)

    handed = cases.hand_over(actor=ana, case=case, to=ben, request=None)

    assert handed.holder == ben
    event = AuditEvent.objects.order_by("-sequence")[0]
    assert (event.action, event.detail["from"], event.detail["to"]) == ("case:hand_over", "Ana", "Ben")


@pytest.mark.parametrize("flaw", ["inactive", "role", "domains"])
def test_a_case_goes_to_nobody_who_could_not_work_on_it(
    flaw: str, ana: Member, ben: Member, vera: Member, case: Case
) -> None:
    match flaw:
        case "inactive":
            to = ben
            Member.objects.filter(pk=ben.pk).update(is_active=False)
            to.refresh_from_db()
        case "role":
            to = vera
        case _:
            to = limited(ben, OUTSIDE)

    assert to not in cases.colleagues_for(case, ana)
    with pytest.raises(NotPossible):
        cases.hand_over(actor=ana, case=case, to=to, request=None)
    assert Case.objects.get().holder is None


def test_done_ends_the_claim_and_can_be_opened_again(ana: Member, case: Case) -> None:
    cases.take(actor=ana, case=case, request=None)
    cases.set_verdict(actor=ana, case=case, verdict=OwnVerdict.FALSE_POSITIVE, request=None)
    done = cases.finish(actor=ana, case=case, request=None)
    assert (done.state, done.verdict, done.verdict_by, done.done_by) == ("done", "false_positive", "Ana", "Ana")
    assert done.holder is None

    opened = cases.set_state(actor=ana, case=case, state=CaseState.IN_WORK, request=None)
    assert (opened.state, opened.done_at, opened.done_by, opened.holder) == ("in_work", None, "", ana)
    assert opened.verdict == OwnVerdict.FALSE_POSITIVE


@pytest.mark.matrix(71)
def test_who_decided_by_an_older_sight_of_it_is_told_how_it_stands(ana: Member, ben: Member, case: Case) -> None:
    cases.set_verdict(actor=ben, case=case, verdict=OwnVerdict.TRUE_POSITIVE, request=None)

    with pytest.raises(Conflict, match="true positive by Ben"):
        cases.set_verdict(actor=ana, case=case, verdict=OwnVerdict.GRAYMAIL, was=case.verdict, request=None)
    assert Case.objects.get().verdict == OwnVerdict.TRUE_POSITIVE


def test_a_role_without_the_right_changes_nothing(vera: Member, case: Case) -> None:
    with pytest.raises(PermissionDenied):
        cases.take(actor=vera, case=case, request=None)
    assert trail() == []


def test_a_case_outside_ones_domains_is_not_there(ana: Member, case: Case) -> None:
    limited(ana, OUTSIDE)

    assert not cases.cases_of(ana).exists()
    with pytest.raises(Case.DoesNotExist):
        cases.take(actor=ana, case=case, request=None)


def test_a_case_is_made_once_and_becomes_the_queues_when_the_queue_finds_it(detection: Message) -> None:
    first = cases.ensure(detection)
    assert first.source == CaseSource.PERSON

    again = cases.ensure(detection, CaseSource.DETECTION)

    assert (again.pk, again.source) == (first.pk, CaseSource.DETECTION)
    assert Case.objects.count() == 1


def test_delivered_malicious_mail_is_due_within_an_hour(detection: Message) -> None:
    delivered = replace(detection, final_disposition=Disposition.MALICIOUS, is_quarantined=False)
    held = replace(delivered, is_quarantined=True)
    arrived = timezone.now()

    waits = [cases.due_at(message, arrived) - arrived for message in (detection, delivered, held)]

    assert waits == [dt.timedelta(hours=4), dt.timedelta(hours=1), dt.timedelta(hours=4)]
