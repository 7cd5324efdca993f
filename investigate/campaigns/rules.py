"""Rules for the later messages of a campaign: which there are, what each would do, and who may have it."""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.audit.chain import storable_text
from dashboard.audit.recorder import record
from dashboard.emailsec.enums import MailboxDestination
from investigate.actions.decision import Decision, least_permission_for
from investigate.approvals.needs import right_to_ask
from investigate.campaigns import words
from investigate.memory.queries import seen_by
from investigate.models import ActionKind, CampaignBy, CampaignMember, CampaignRule, FollowMode, MemberState


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
        destination=destination_of(rule),
        expected_disposition=rule.destination if is_submission else "",
        reason=rule.reason,
    )


def destination_of(rule: CampaignRule) -> str:
    return rule.destination if rule.kind == ActionKind.MOVE else ""


# --- who may have one, and for what -----------------------------------------------------------------------------------


def check_rights(actor: Member, mode: FollowMode, kind: ActionKind, destination: str) -> None:
    if lacking := lacking_right(actor, mode, kind, destination):
        raise PermissionDenied(lacking.value)


def lacking_right(actor: Member, mode: FollowMode, kind: ActionKind, destination: str) -> Permission | None:
    """The first right that is missing for such a rule; no second person lends one to it."""
    needed = [Permission.JOB_RUN, least_permission_for(kind, destination=destination)]
    if mode == FollowMode.HANDLE:
        needed.append(Permission.CAMPAIGN_FOLLOW)
    else:
        needed[1] = right_to_ask(needed[1])
    return next((right for right in needed if not actor.may(right)), None)


def why_offered_alone(by: str, mode: str, kind: str, destination: str) -> str:
    """Why nothing but a person may decide so about later ones, or ""."""
    if mode == FollowMode.HANDLE and by != CampaignBy.FINGERPRINT and lets_in(kind, destination):
        return words.IMITATED
    return ""


def lets_in(kind: str, destination: str) -> bool:
    """Whether such a rule brings mail into inboxes."""
    return kind == ActionKind.RELEASE or (kind == ActionKind.MOVE and destination == MailboxDestination.INBOX)


# --- its end, and its lines in the audit trail ------------------------------------------------------------------------


def close(rule: CampaignRule, why: str, *, actor: Member | None = None, request: HttpRequest | None = None) -> bool:
    with transaction.atomic():
        ended = all_rules().filter(pk=rule.pk, ended_at=None).update(
            ended_at=timezone.now(),
            ended_why=storable_text(why, limit=500),
            ended_by=stored_name(actor) if actor is not None else "",
        )  # fmt: skip
        if ended:
            record_for(rule, "campaign:follow_end", actor=actor, request=request, why=why, rule=str(rule.pk))
    return bool(ended)


def record_for(
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


def stored_name(actor: Member) -> str:
    return storable_text(actor.display_name, limit=300)
