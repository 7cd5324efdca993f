"""Rules are taken further by any number of workers at once, each of which may be killed anywhere.

A later message becomes a row before anything is done about it; what is done with one is in `claiming`.
"""

from __future__ import annotations

import datetime as dt
import uuid

import structlog
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.audit.recorder import AuditNotWritten
from dashboard.emailsec import errors
from dashboard.upstream.ring import ring
from investigate.actions import words as action_words
from investigate.actions.decision import may_do_harm
from investigate.bulk.jobs import LEAST_UNDO
from investigate.campaigns import words
from investigate.campaigns.claiming import NOT_DONE, act, claim, find_lost, give_back, give_up, is_lost, leave_to_person
from investigate.campaigns.rules import all_rules, close, destination_of, lacking_right, lets_in, why_offered_alone
from investigate.memory.queries import seen_by
from investigate.memory.shapes import COLUMN
from investigate.message.visible import message_for
from investigate.models import (
    ActionKind,
    ActionState,
    CampaignBy,
    CampaignMember,
    CampaignRule,
    FollowMode,
    MemberState,
    SeenMessage,
)

log = structlog.get_logger("mailwarden.campaigns")

FOLLOW_TASK = "investigate.tasks.follow_campaign"
MOST_AT_ONCE = 20  # messages a step takes; then it rings for the next
MOST_REFUSED = 3  # then a rule ends by itself
MOST_RULES = 200  # looked at in one sweep
# Answers are remembered with the time they came, by transactions that end later: a step looks back this far.
OVERLAP = dt.timedelta(minutes=15)
# So long after its scan a message may first be seen; what was scanned before that did not come after the decision.
SEEN_LATE = dt.timedelta(minutes=30)
LOST = dt.timedelta(minutes=2)  # a claim without an action after that has lost its worker


def sweep() -> None:
    """Ring for the rules that have something to do. Harmless when repeated."""
    mine = CampaignMember.objects.filter(rule=OuterRef("pk"))
    lost = mine.filter(is_lost(), at__lt=timezone.now() - LOST)
    wanted = all_rules().filter(Q(ended_at=None) | Exists(lost)).select_related("owner").order_by("looked_until")
    now, looked_at = timezone.now(), list(wanted[:MOST_RULES])
    quiet = []
    for rule in looked_at:
        if not is_due(rule):
            quiet.append(rule.pk)
        elif not ring(FOLLOW_TASK, str(rule.pk)):
            return  # the broker is away; the next sweep is not far
    if len(looked_at) == MOST_RULES:  # the next sweep looks at others first
        all_rules().filter(pk__in=quiet, looked_until__lt=now).update(looked_until=now)


def is_due(rule: CampaignRule) -> bool:
    """Whether a step would change anything."""
    now = timezone.now()
    if rule.members.filter(is_lost(), at__lt=now - LOST).exists():
        return True
    if rule.ended_at is not None:
        return False
    return bool(why_over(rule, now)) or _pending(rule).exists() or _newcomers(rule).exists()


def step(rule_id: uuid.UUID | str) -> None:
    """Take a rule as far as it goes now: note who came, handle what is to be handled, end it where it is over."""
    rule = all_rules().filter(pk=rule_id).select_related("owner").first()
    if rule is None:
        return
    for member in rule.members.filter(is_lost(), at__lt=timezone.now() - LOST)[:MOST_AT_ONCE]:
        find_lost(rule, member)
    if rule.ended_at is not None:
        return
    now = timezone.now()
    is_more = _take_in(rule, now)
    over = why_over(rule, now)
    if over:
        close(rule, over)
        return
    if rule.mode == FollowMode.HANDLE:
        is_more = _handle(rule) or is_more
    if is_more:
        ring(FOLLOW_TASK, str(rule.pk))


def why_over(rule: CampaignRule, now: dt.datetime) -> str:
    """Why a rule has its end, or ""."""
    if rule.owner is None or not rule.owner.is_active:
        return f"{rule.owner_name} has left the team."
    if lacking := lacking_right(rule.owner, FollowMode(rule.mode), ActionKind(rule.kind), destination_of(rule)):
        return f"{rule.owner_name} no longer has the right: “{lacking}”."
    if why := why_offered_alone(rule.by, rule.mode, rule.kind, rule.destination):
        return why
    if now >= rule.until:
        return "Its time is over."
    if rule.mode == FollowMode.HANDLE and rule.handled >= rule.most:
        return f"It has handled {action_words.counted(rule.most, 'message')}, which is its limit."
    refused = _refusals(rule)
    return words.refused(refused) if len(refused) >= MOST_REFUSED else ""


def _take_in(rule: CampaignRule, now: dt.datetime) -> bool:
    """Rows for those who came since; True where more came than a step takes."""
    found = list(_newcomers(rule).order_by("first_seen_at", "pk")[: MOST_AT_ONCE + 1])
    rows = [
        CampaignMember(
            rule=rule, investigate_id=seen.investigate_id, domains=seen.domains, state=MemberState.OFFERED, at=now
        )
        for seen in found[:MOST_AT_ONCE]
    ]
    CampaignMember.objects.bulk_create(rows, ignore_conflicts=True)
    if len(found) <= MOST_AT_ONCE:
        all_rules().filter(pk=rule.pk, looked_until__lt=now).update(looked_until=now)
    return len(found) > MOST_AT_ONCE


def _newcomers(rule: CampaignRule) -> QuerySet[SeenMessage]:
    """Messages of the campaign that the owner may know of, and that came within the rule's time and have no row yet.

    Old mail that a search, or the first reading of all mail, brings up now did not come later.
    """
    if rule.owner is None:
        return SeenMessage.objects.none()
    known = rule.members.filter(investigate_id=OuterRef("investigate_id"))
    since = max(rule.created_at, rule.looked_until - OVERLAP)
    alike = seen_by(rule.owner).filter(**{COLUMN[CampaignBy(rule.by)]: rule.key})
    came = alike.filter(scanned_at__gt=rule.created_at - SEEN_LATE, scanned_at__lte=rule.until)
    return came.filter(~Exists(known), first_seen_at__gt=since, first_seen_at__lte=rule.until)


def _handle(rule: CampaignRule) -> bool:
    """Do what the rule says with those who wait; True where more wait than a step takes."""
    owner = rule.owner
    if owner is None:
        return False
    waiting = list(_pending(rule)[: MOST_AT_ONCE + 1])
    verdicts = dict(
        seen_by(owner)
        .filter(investigate_id__in=[one.investigate_id for one in waiting])
        .values_list("investigate_id", "disposition")
    )
    for member in waiting[:MOST_AT_ONCE]:
        if lets_in(rule.kind, rule.destination) and may_do_harm(verdicts.get(member.investigate_id)):
            leave_to_person(member, words.HARMFUL)
            continue
        if not claim(member, owner, counts_for=rule):
            rule.refresh_from_db(fields=["handled", "ended_at"])
            if rule.ended_at is not None or rule.handled >= rule.most:
                return True  # the next step ends it
            continue
        owner.undo_seconds = max(LEAST_UNDO, owner.undo_seconds)  # of this object alone; it is never saved
        try:
            if lets_in(rule.kind, rule.destination) and _is_harmful_now(owner, member):
                give_back(rule, member, words.HARMFUL)
                continue
            act(rule, member, owner, None)
        except NOT_DONE as problem:
            give_up(member, problem, uncounts=rule)
            if isinstance(problem, errors.NotFound) and len(_refusals(rule)) >= MOST_REFUSED:
                return True
        except PermissionDenied as denied:
            give_back(rule, member, words.lacks_for_this(str(denied)))
        except (AuditNotWritten, errors.EmailSecurityError) as problem:
            log.info("campaign_handling_waits", rule=str(rule.pk), error=type(problem).__name__)
            give_back(rule, member)
            return False  # the next sweep tries again
    return len(waiting) > MOST_AT_ONCE


def _is_harmful_now(owner: Member, member: CampaignMember) -> bool:
    """What Cloudflare says of it at this moment: the memory's verdict may be days old."""
    return may_do_harm(message_for(owner, member.investigate_id).final_disposition)


def _pending(rule: CampaignRule) -> QuerySet[CampaignMember]:
    """Those a worker handles: what was left to a person says why."""
    if rule.mode != FollowMode.HANDLE:
        return CampaignMember.objects.none()
    return rule.members.filter(state=MemberState.OFFERED, explanation="").order_by("at", "pk")


def _refusals(rule: CampaignRule) -> list[str]:
    """What was answered to those that were refused, newest first."""
    refused = rule.members.filter(
        Q(state=MemberState.REFUSED) | Q(state=MemberState.SENT, action__state=ActionState.FAILED)
    )
    rows = refused.order_by("-at").values_list("explanation", "action__explanation")[: MOST_REFUSED + 1]
    return [told or of_action or "" for told, of_action in rows]
