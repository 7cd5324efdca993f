"""One later message of a campaign: who claims its row acts, with a key that is made of rule and message.

Whoever finds a claim without an action makes the same one again and never a second.
"""

from __future__ import annotations

import hashlib

import structlog
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import F, Q
from django.http import HttpRequest
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.audit.chain import storable_text
from dashboard.emailsec import errors
from investigate.actions import services as actions
from investigate.campaigns import words
from investigate.campaigns.rules import all_rules, decision_of, record_for, stored_name
from investigate.desk import cases
from investigate.models import Action, CampaignMember, CampaignRule, FollowMode, MemberState

log = structlog.get_logger("mailwarden.campaigns")

NOT_DONE = (actions.NotPossible, actions.Conflict, actions.ConfirmationNeeded, errors.NotFound)


def is_lost() -> Q:
    """A claim without an action: its worker is at it, or never came back."""
    return Q(state=MemberState.SENT, action=None, explanation="")


def _key(rule: CampaignRule, investigate_id: str) -> str:
    return hashlib.sha256(f"{rule.pk}:{investigate_id}".encode()).hexdigest()


def claim(member: CampaignMember, actor: Member, *, counts_for: CampaignRule | None = None) -> bool:
    """Take the row, and one place of the rule's limit, before anything is done; one of many succeeds."""
    with transaction.atomic():
        if counts_for is not None:
            free = all_rules().filter(pk=counts_for.pk, ended_at=None, handled__lt=F("most"))
            if not free.update(handled=F("handled") + 1):
                return False
        waiting = CampaignMember.objects.filter(pk=member.pk, state=MemberState.OFFERED)
        if waiting.update(state=MemberState.SENT, decided_by=stored_name(actor), explanation="", at=timezone.now()):
            return True
        transaction.set_rollback(True)
    return False


def act(rule: CampaignRule, member: CampaignMember, actor: Member, request: HttpRequest | None) -> None:
    """Make the action, or find the one that was made, and note it at the row."""
    made = actions.act(
        actor=actor,
        decision=decision_of(rule, member.investigate_id),
        operation_key=_key(rule, member.investigate_id),
        request=request,
    )
    _attach(rule, member, made, actor, request)
    if rule.verdict:
        _say_verdict(rule, member, actor, request)


def _attach(
    rule: CampaignRule, member: CampaignMember, made: Action, actor: Member | None, request: HttpRequest | None = None
) -> None:
    with transaction.atomic():
        bare = CampaignMember.objects.filter(pk=member.pk, action=None)
        if bare.update(state=MemberState.SENT, action=made, explanation=""):
            record_for(
                rule,
                "campaign:handle",
                actor=actor,
                request=request,
                targets=[member.investigate_id],
                reason=rule.reason,
                refers_to=made.audit_sequence,
                rule=str(rule.pk),
                made=str(made.pk),
                by_rule=request is None,
            )


def _say_verdict(rule: CampaignRule, member: CampaignMember, actor: Member, request: HttpRequest | None) -> None:
    """The team's own verdict; a case that somebody else works on keeps its own."""
    case = cases.case_for(member.investigate_id)
    if case is None:
        return
    try:
        cases.set_verdict(actor=actor, case=case, verdict=rule.verdict, request=request)
    except (cases.Conflict, cases.NotPossible, cases.Case.DoesNotExist, PermissionDenied) as problem:
        log.info("verdict_not_set", rule=str(rule.pk), error=type(problem).__name__)


def find_lost(rule: CampaignRule, member: CampaignMember) -> None:
    """A claim whose worker never came back: its action is found, or it waits as before."""
    made = Action.objects.filter(operation_key=_key(rule, member.investigate_id)).select_related("actor").first()
    if made is not None:
        _attach(rule, member, made, made.actor)
        return
    was_counted = rule.mode == FollowMode.HANDLE and member.decided_by == rule.owner_name
    why = "" if rule.ended_at is None else words.TOO_LATE
    unclaim(member, MemberState.OFFERED, why, uncounts=rule if was_counted else None)


def give_back(rule: CampaignRule, member: CampaignMember, why: str = "") -> None:
    """Nothing was done by the rule: it waits as before, for a person where it says why."""
    unclaim(member, MemberState.OFFERED, why, uncounts=rule)


def give_up(member: CampaignMember, problem: Exception, *, uncounts: CampaignRule | None = None) -> str:
    """It cannot be done, or takes a person; the answer is the sentence that says so."""
    match problem:
        case actions.ConfirmationNeeded():
            state, told = MemberState.OFFERED, words.NEEDS_PANEL
        case errors.NotFound():
            state, told = MemberState.REFUSED, words.NOT_THERE
        case _:
            state, told = MemberState.LEFT, str(problem)
    unclaim(member, state, told, uncounts=uncounts)
    return told


def unclaim(member: CampaignMember, state: MemberState, told: str, *, uncounts: CampaignRule | None = None) -> None:
    with transaction.atomic():
        claimed = CampaignMember.objects.filter(pk=member.pk, state=MemberState.SENT, action=None)
        changed = claimed.update(state=state, explanation=storable_text(told, limit=500), decided_by="")
        if changed and uncounts is not None:
            all_rules().filter(pk=uncounts.pk, handled__gt=0).update(handled=F("handled") - 1)


def leave_to_person(member: CampaignMember, told: str) -> None:
    waiting = CampaignMember.objects.filter(pk=member.pk, state=MemberState.OFFERED, explanation="")
    waiting.update(explanation=told)
