"""What comes after a decision: later messages of a campaign are offered to a person, or handled in the owner's name.

A rule is taken further by any number of workers at once, each of which may be killed anywhere. A later message becomes
a row before anything is done about it; who claims the row acts with a key that is made of rule and message, so that
whoever finds a claim without an action makes the same one again and never a second.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.audit.chain import storable_text
from dashboard.audit.recorder import AuditNotWritten, record
from dashboard.emailsec import errors
from dashboard.emailsec.enums import MailboxDestination
from dashboard.installation.values import setting
from dashboard.upstream.ring import ring
from investigate.actions import services as actions
from investigate.actions import words as action_words
from investigate.actions.decision import PURGES, Decision, least_permission_for, may_do_harm
from investigate.approvals.needs import right_to_ask
from investigate.bulk import offers
from investigate.bulk.jobs import LEAST_UNDO, SHORTEST_REASON
from investigate.campaigns import words
from investigate.desk import cases
from investigate.memory.queries import seen_by
from investigate.memory.shapes import COLUMN
from investigate.message.visible import message_for
from investigate.models import (
    Action,
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
MOST_HOURS = 72
MOST_AT_ONCE = 20  # messages a step takes; then it rings for the next
MOST_CLICKED = 10  # that a person decides about at once; more go through a rehearsal
MOST_REFUSED = 3  # then a rule ends by itself
MOST_RULES = 200  # looked at in one sweep
# Answers are remembered with the time they came, by transactions that end later: a step looks back this far.
OVERLAP = dt.timedelta(minutes=15)
# So long after its scan a message may first be seen; what was scanned before that did not come after the decision.
SEEN_LATE = dt.timedelta(minutes=30)
LOST = dt.timedelta(minutes=2)  # a claim without an action after that has lost its worker


class NotPossible(Exception):
    """There can be no such rule; the text says why."""


class Conflict(Exception):
    """Somebody was faster; the text says how it stands."""


@dataclass(frozen=True)
class Decided:
    """What came of deciding about later messages."""

    acted: int = 0
    told: tuple[str, ...] = ()  # why others were not acted on, one sentence each


# --- what people do ---------------------------------------------------------------------------------------------------


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
    _check_rights(actor, mode, kind, destination)
    why = _why_offered_alone(by, mode, kind, destination)
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
            _record(rule, "campaign:follow", actor=actor, request=request, reason=rule.reason, **described(rule))
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
    return _end(rule, "Ended by hand.", actor=actor, request=request)


def may_end(actor: Member, rule: CampaignRule) -> bool:
    """Its owner, and who may make such rules."""
    return rule.owner_id == actor.pk or actor.may(Permission.CAMPAIGN_FOLLOW)


def take(*, actor: Member, rule: CampaignRule, ids: Sequence[str], request: HttpRequest | None) -> Decided:
    """Do with later messages as the rule says, in the actor's own name and with the actor's rights.

    Nothing has been sent when this returns. Raises PermissionDenied, and what reading a message raises.
    """
    _check_rights(actor, FollowMode.OFFER, ActionKind(rule.kind), _destination(rule))
    acted, told = 0, []
    for member in offered(actor, rule).filter(investigate_id__in=ids)[:MOST_CLICKED]:
        if not _claim(member, actor):
            continue
        try:
            _act(rule, member, actor, request)
        except _NOT_DONE as problem:
            told.append(_give_up(member, problem))
        except (PermissionDenied, AuditNotWritten, errors.EmailSecurityError):
            _unclaim(member, MemberState.OFFERED, member.explanation)
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
        left = waiting.update(state=MemberState.LEFT, decided_by=_name(actor), at=timezone.now(), explanation="")
        if left:
            _record(rule, "campaign:leave", actor=actor, request=request, targets=wanted, rule=str(rule.pk))
    return left


# --- asking -----------------------------------------------------------------------------------------------------------


def all_rules() -> QuerySet[CampaignRule]:
    return CampaignRule.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID)


def open_rule(by: str, key: str) -> CampaignRule | None:
    return all_rules().filter(by=by, key=key, ended_at=None).select_related("owner").first()


def waiting(member: Member) -> QuerySet[CampaignMember]:
    """Later messages of any rule that wait for a decision and are remembered, as far as this member may know."""
    remembered = seen_by(member).filter(investigate_id=OuterRef("investigate_id"))
    rules = all_rules().values("pk")
    return CampaignMember.objects.filter(Exists(remembered), rule__in=rules, state=MemberState.OFFERED)


def offered(member: Member, rule: CampaignRule) -> QuerySet[CampaignMember]:
    """Those of one rule, oldest first."""
    return waiting(member).filter(rule=rule).order_by("at", "pk")


def described(rule: CampaignRule) -> dict[str, object]:
    """A rule as the audit trail keeps it."""
    return {
        "rule": str(rule.pk),
        "mode": str(rule.mode),
        "kind": str(rule.kind),
        "destination": rule.destination,
        "verdict": rule.verdict,
        "most": rule.most,
        "until": rule.until.isoformat(),
    }


def decision_of(rule: CampaignRule, investigate_id: str) -> Decision:
    """What the rule would do with a message."""
    is_submission = rule.kind == ActionKind.RECLASSIFY
    return Decision(
        kind=ActionKind(rule.kind),
        investigate_ids=(investigate_id,),
        destination=_destination(rule),
        expected_disposition=rule.destination if is_submission else "",
        reason=rule.reason,
    )


# --- what workers do --------------------------------------------------------------------------------------------------


def sweep() -> None:
    """Ring for the rules that have something to do. Harmless when repeated."""
    mine = CampaignMember.objects.filter(rule=OuterRef("pk"))
    lost = mine.filter(_is_lost(), at__lt=timezone.now() - LOST)
    wanted = all_rules().filter(Q(ended_at=None) | Exists(lost)).select_related("owner").order_by("looked_until")
    for rule in wanted[:MOST_RULES]:
        if is_due(rule) and not ring(FOLLOW_TASK, str(rule.pk)):
            return  # the broker is away; the next sweep is not far


def is_due(rule: CampaignRule) -> bool:
    """Whether a step would change anything."""
    now = timezone.now()
    if rule.members.filter(_is_lost(), at__lt=now - LOST).exists():
        return True
    if rule.ended_at is not None:
        return False
    return bool(why_over(rule, now)) or _pending(rule).exists() or _newcomers(rule).exists()


def step(rule_id: uuid.UUID | str) -> None:
    """Take a rule as far as it goes now: note who came, handle what is to be handled, end it where it is over."""
    rule = all_rules().filter(pk=rule_id).select_related("owner").first()
    if rule is None:
        return
    for member in rule.members.filter(_is_lost(), at__lt=timezone.now() - LOST)[:MOST_AT_ONCE]:
        _find(rule, member)
    if rule.ended_at is not None:
        return
    now = timezone.now()
    is_more = _take_in(rule, now)
    over = why_over(rule, now)
    if over:
        _end(rule, over)
        return
    if rule.mode == FollowMode.HANDLE:
        is_more = _handle(rule) or is_more
    if is_more:
        ring(FOLLOW_TASK, str(rule.pk))


def why_over(rule: CampaignRule, now: dt.datetime) -> str:
    """Why a rule has its end, or ""."""
    if rule.owner is None or not rule.owner.is_active:
        return f"{rule.owner_name} has left the team."
    if lacking := _lacking(rule.owner, FollowMode(rule.mode), ActionKind(rule.kind), _destination(rule)):
        return f"{rule.owner_name} no longer has the right: “{lacking}”."
    if why := _why_offered_alone(rule.by, rule.mode, rule.kind, rule.destination):
        return why
    if now >= rule.until:
        return "Its time is over."
    if rule.mode == FollowMode.HANDLE and rule.handled >= rule.most:
        return f"It has handled {action_words.counted(rule.most, 'message')}, which is its limit."
    refused = _refusals(rule)
    return words.refused(refused) if len(refused) >= MOST_REFUSED else ""


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
        if _lets_in(rule.kind, rule.destination) and may_do_harm(verdicts.get(member.investigate_id)):
            _leave_to_person(member, words.HARMFUL)
            continue
        if not _claim(member, owner, counts_for=rule):
            rule.refresh_from_db(fields=["handled", "ended_at"])
            if rule.ended_at is not None or rule.handled >= rule.most:
                return True  # the next step ends it
            continue
        owner.undo_seconds = max(LEAST_UNDO, owner.undo_seconds)  # of this object alone; it is never saved
        try:
            if _lets_in(rule.kind, rule.destination) and _is_harmful_now(owner, member):
                _give_back(rule, member, words.HARMFUL)
                continue
            _act(rule, member, owner, None)
        except _NOT_DONE as problem:
            _give_up(member, problem, uncounts=rule)
            if isinstance(problem, errors.NotFound) and len(_refusals(rule)) >= MOST_REFUSED:
                return True
        except PermissionDenied as denied:
            _give_back(rule, member, words.lacks_for_this(str(denied)))
        except (AuditNotWritten, errors.EmailSecurityError) as problem:
            log.info("campaign_handling_waits", rule=str(rule.pk), error=type(problem).__name__)
            _give_back(rule, member)
            return False  # the next sweep tries again
    return len(waiting) > MOST_AT_ONCE


def _lets_in(kind: str, destination: str) -> bool:
    """Whether such a rule brings mail into inboxes."""
    return kind == ActionKind.RELEASE or (kind == ActionKind.MOVE and destination == MailboxDestination.INBOX)


def _is_harmful_now(owner: Member, member: CampaignMember) -> bool:
    """What Cloudflare says of it at this moment: the memory's verdict may be days old."""
    return may_do_harm(message_for(owner, member.investigate_id).final_disposition)


def _why_offered_alone(by: str, mode: str, kind: str, destination: str) -> str:
    """Why nothing but a person may decide so about later ones, or ""."""
    if mode == FollowMode.HANDLE and by != CampaignBy.FINGERPRINT and _lets_in(kind, destination):
        return words.IMITATED
    return ""


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


# --- one message ------------------------------------------------------------------------------------------------------

_NOT_DONE = (actions.NotPossible, actions.Conflict, actions.ConfirmationNeeded, errors.NotFound)


def _is_lost() -> Q:
    """A claim without an action: its worker is at it, or never came back."""
    return Q(state=MemberState.SENT, action=None, explanation="")


def _key(rule: CampaignRule, investigate_id: str) -> str:
    return hashlib.sha256(f"{rule.pk}:{investigate_id}".encode()).hexdigest()


def _claim(member: CampaignMember, actor: Member, *, counts_for: CampaignRule | None = None) -> bool:
    """Take the row, and one place of the rule's limit, before anything is done; one of many succeeds."""
    with transaction.atomic():
        if counts_for is not None:
            free = all_rules().filter(pk=counts_for.pk, ended_at=None, handled__lt=F("most"))
            if not free.update(handled=F("handled") + 1):
                return False
        waiting = CampaignMember.objects.filter(pk=member.pk, state=MemberState.OFFERED)
        if waiting.update(state=MemberState.SENT, decided_by=_name(actor), explanation="", at=timezone.now()):
            return True
        transaction.set_rollback(True)
    return False


def _act(rule: CampaignRule, member: CampaignMember, actor: Member, request: HttpRequest | None) -> None:
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
            _record(
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


def _find(rule: CampaignRule, member: CampaignMember) -> None:
    """A claim whose worker never came back: its action is found, or it waits as before."""
    made = Action.objects.filter(operation_key=_key(rule, member.investigate_id)).select_related("actor").first()
    if made is not None:
        _attach(rule, member, made, made.actor)
        return
    was_counted = rule.mode == FollowMode.HANDLE and member.decided_by == rule.owner_name
    why = "" if rule.ended_at is None else words.TOO_LATE
    _unclaim(member, MemberState.OFFERED, why, uncounts=rule if was_counted else None)


def _give_back(rule: CampaignRule, member: CampaignMember, why: str = "") -> None:
    """Nothing was done by the rule: it waits as before, for a person where it says why."""
    _unclaim(member, MemberState.OFFERED, why, uncounts=rule)


def _give_up(member: CampaignMember, problem: Exception, *, uncounts: CampaignRule | None = None) -> str:
    """It cannot be done, or takes a person; the answer is the sentence that says so."""
    match problem:
        case actions.ConfirmationNeeded():
            state, told = MemberState.OFFERED, words.NEEDS_PANEL
        case errors.NotFound():
            state, told = MemberState.REFUSED, words.NOT_THERE
        case _:
            state, told = MemberState.LEFT, str(problem)
    _unclaim(member, state, told, uncounts=uncounts)
    return told


def _unclaim(member: CampaignMember, state: MemberState, told: str, *, uncounts: CampaignRule | None = None) -> None:
    with transaction.atomic():
        claimed = CampaignMember.objects.filter(pk=member.pk, state=MemberState.SENT, action=None)
        changed = claimed.update(state=state, explanation=storable_text(told, limit=500), decided_by="")
        if changed and uncounts is not None:
            all_rules().filter(pk=uncounts.pk, handled__gt=0).update(handled=F("handled") - 1)


def _leave_to_person(member: CampaignMember, told: str) -> None:
    waiting = CampaignMember.objects.filter(pk=member.pk, state=MemberState.OFFERED, explanation="")
    waiting.update(explanation=told)


# --- what all have in common ------------------------------------------------------------------------------------------


def _end(rule: CampaignRule, why: str, *, actor: Member | None = None, request: HttpRequest | None = None) -> bool:
    with transaction.atomic():
        ended = all_rules().filter(pk=rule.pk, ended_at=None).update(
            ended_at=timezone.now(),
            ended_why=storable_text(why, limit=500),
            ended_by=_name(actor) if actor is not None else "",
        )  # fmt: skip
        if ended:
            _record(rule, "campaign:follow_end", actor=actor, request=request, why=why, rule=str(rule.pk))
    return bool(ended)


def _same(operation_key: str, actor: Member, by: str, key: str) -> CampaignRule | None:
    rule = CampaignRule.objects.filter(operation_key=operation_key).first()
    if rule is not None and (rule.owner_id, rule.by, rule.key) != (actor.pk, str(by), key):
        raise Conflict("This form was used already, for something else. Reload the page.")
    return rule


def _check_rights(actor: Member, mode: FollowMode, kind: ActionKind, destination: str) -> None:
    if lacking := _lacking(actor, mode, kind, destination):
        raise PermissionDenied(lacking.value)


def _lacking(actor: Member, mode: FollowMode, kind: ActionKind, destination: str) -> Permission | None:
    """The first right that is missing for such a rule; no second person lends one to it."""
    needed = [Permission.JOB_RUN, least_permission_for(kind, destination=destination)]
    if mode == FollowMode.HANDLE:
        needed.append(Permission.CAMPAIGN_FOLLOW)
    else:
        needed[1] = right_to_ask(needed[1])
    return next((right for right in needed if not actor.may(right)), None)


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


def _destination(rule: CampaignRule) -> str:
    return rule.destination if rule.kind == ActionKind.MOVE else ""


def _name(actor: Member) -> str:
    return storable_text(actor.display_name, limit=300)


def _record(
    about: CampaignRule,
    action: str,
    *,
    actor: Member | None,
    request: HttpRequest | None,
    targets: Iterable[str] = (),
    reason: str = "",
    refers_to: int | None = None,
    **detail: object,
) -> None:
    campaign = f"{about.by}:{about.key}"
    record(
        actor=actor,
        action=action,
        targets=list(targets) or [campaign],
        reason=reason,
        refers_to=refers_to,
        detail={"campaign": campaign, **detail},
        request=request,
    )
