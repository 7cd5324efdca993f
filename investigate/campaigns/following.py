"""What people decide about the later messages of a campaign: to be offered them, or to have them handled in their name.

`advancing` takes a rule further; `rules` knows which there are.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.audit.chain import storable_text
from dashboard.audit.recorder import AuditNotWritten
from dashboard.emailsec import errors
from dashboard.installation.values import setting
from investigate.actions.decision import PURGES, SHORTEST_REASON
from investigate.bulk import offers
from investigate.campaigns import words
from investigate.campaigns.claiming import NOT_DONE, act, claim, give_up, unclaim
from investigate.campaigns.rules import (
    check_rights,
    close,
    described,
    destination_of,
    offered,
    open_rule,
    record_for,
    stored_name,
    why_offered_alone,
)
from investigate.models import ActionKind, CampaignBy, CampaignRule, FollowMode, MemberState

MOST_HOURS = 72
MOST_CLICKED = 10  # that a person decides about at once; more go through a rehearsal


class NotPossible(Exception):
    """There can be no such rule; the text says why."""


class Conflict(Exception):
    """Somebody was faster; the text says how it stands."""


@dataclass(frozen=True)
class Decided:
    """What came of deciding about later messages."""

    acted: int = 0
    told: tuple[str, ...] = ()  # why others were not acted on, one sentence each


def follow(
    *,
    actor: Member,
    by: CampaignBy,
    key: str,
    title: str,
    mode: FollowMode,
    kind: ActionKind,
    destination: str = "",
    expected_disposition: str = "",
    verdict: str = "",
    reason: str,
    hours: int,
    most: int,
    operation_key: str,
    request: HttpRequest | None,
) -> CampaignRule:
    """For the next hours, later messages are offered or handled like this; one open rule a campaign.

    The same key is the same rule. Raises NotPossible, Conflict, PermissionDenied, AuditNotWritten.
    """
    again = _same(operation_key, actor, by, key)
    if again is not None:
        return again
    check_rights(actor, mode, kind, destination)
    why = why_offered_alone(by, mode, kind, destination)
    if why := why or _why_not(kind, destination, expected_disposition, reason, hours, most):
        raise NotPossible(why)
    now = timezone.now()
    try:
        with transaction.atomic():
            rule = CampaignRule.objects.create(
                account_id=settings.CLOUDFLARE_ACCOUNT_ID,
                by=by,
                key=key,
                title=storable_text(title, limit=1000),
                mode=mode,
                kind=kind,
                destination=destination or expected_disposition,
                verdict=verdict,
                reason=storable_text(reason.strip(), limit=1000),
                most=most,
                owner=actor,
                owner_name=storable_text(actor.display_name, limit=300),
                operation_key=operation_key,
                created_at=now,
                until=now + dt.timedelta(hours=hours),
                looked_until=now,
            )
            record_for(rule, "campaign:follow", actor=actor, request=request, reason=rule.reason, **described(rule))
    except IntegrityError:
        again = _same(operation_key, actor, by, key)
        if again is not None:
            return again
        raise Conflict(words.another_rule(open_rule(by, key))) from None
    return rule


def end(*, actor: Member, rule: CampaignRule, request: HttpRequest | None) -> bool:
    """End a rule by hand; False where it had its end. Raises PermissionDenied."""
    if not may_end(actor, rule):
        raise PermissionDenied(Permission.CAMPAIGN_FOLLOW.value)
    return close(rule, "Ended by hand.", actor=actor, request=request)


def may_end(actor: Member, rule: CampaignRule) -> bool:
    """Its owner, and who may make such rules."""
    return rule.owner_id == actor.pk or actor.may(Permission.CAMPAIGN_FOLLOW)


def take(*, actor: Member, rule: CampaignRule, ids: Sequence[str], request: HttpRequest | None) -> Decided:
    """Do with later messages as the rule says, in the actor's own name and with the actor's rights.

    Nothing has been sent when this returns. Raises PermissionDenied, and what reading a message raises.
    """
    check_rights(actor, FollowMode.OFFER, ActionKind(rule.kind), destination_of(rule))
    acted, told = 0, []
    for member in offered(actor, rule).filter(investigate_id__in=ids)[:MOST_CLICKED]:
        if not claim(member, actor):
            continue
        try:
            act(rule, member, actor, request)
        except NOT_DONE as problem:
            told.append(give_up(member, problem))
        except (PermissionDenied, AuditNotWritten, errors.EmailSecurityError):
            unclaim(member, MemberState.OFFERED, member.explanation)
            raise
        else:
            acted += 1
    return Decided(acted, tuple(told))


def leave(*, actor: Member, rule: CampaignRule, ids: Sequence[str], request: HttpRequest | None) -> int:
    """These are different: nothing is done about them. How many were left."""
    if not actor.may(Permission.JOB_RUN):
        raise PermissionDenied(Permission.JOB_RUN.value)
    with transaction.atomic():
        wanted = list(offered(actor, rule).filter(investigate_id__in=ids).values_list("investigate_id", flat=True))
        waiting = rule.members.filter(investigate_id__in=wanted, state=MemberState.OFFERED)
        left = waiting.update(state=MemberState.LEFT, decided_by=stored_name(actor), at=timezone.now(), explanation="")
        if left:
            record_for(rule, "campaign:leave", actor=actor, request=request, targets=wanted, rule=str(rule.pk))
    return left


def _same(operation_key: str, actor: Member, by: str, key: str) -> CampaignRule | None:
    rule = CampaignRule.objects.filter(operation_key=operation_key).first()
    if rule is not None and (rule.owner_id, rule.by, rule.key) != (actor.pk, str(by), key):
        raise Conflict("This form was used already, for something else. Reload the page.")
    return rule


def _why_not(kind: str, destination: str, expected: str, reason: str, hours: int, most: int) -> str:
    if not offers.is_possible(kind, destination, expected):
        return "There is no such action."
    if destination in PURGES:
        return "What takes mail out of mailboxes for good is never repeated by a rule."
    if len(reason.strip()) < SHORTEST_REASON:
        return "Say in a few words why, or name the ticket."
    if not 1 <= hours <= MOST_HOURS:
        return f"From 1 to {MOST_HOURS} hours."
    large = setting("LARGE_JOB")
    if not 1 <= most <= large:
        return f"From 1 to {large:,} messages; more than that is decided by people."
    return ""
