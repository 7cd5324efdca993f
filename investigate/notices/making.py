"""Making notices: what a view found since the last one, cut to what the rule's owner may know of, as one row.

The row and the step of `told_hit` are one transaction, and the step is a conditional update: whoever is killed has done
both or neither, and of two who try one does it. While a notice of a rule is on its way no other is made, so that they
arrive in order, and a receiver that was away gets one notice and not one for each minute.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Count, Exists, F, Max, OuterRef, Q, QuerySet, Sum
from django.utils import timezone

from dashboard.access.scope import Scope
from investigate.models import Notice, NoticeCampaign, NoticeRule, NoticeState, Rhythm, ViewHit
from investigate.notices import rights, timing
from investigate.notices.stopping import stop
from investigate.saved.asking import criteria_of
from investigate.saved.queries import hits_within, query_into

log = structlog.get_logger("mailwarden.notices")

KNOWN_FOR = dt.timedelta(hours=24)  # a campaign that was told makes no notice by itself for so long
LISTED_LATE = dt.timedelta(minutes=15)  # so long after its scan a message may first be in a list
MOST_HITS = 5_000  # taken at a time; where more came, the next notice is due as soon as this one has arrived
MOST_GROUPS = 20  # listed one by one
MOST_RECIPIENTS = 5
MOST_IDS = 20
OPEN = (NoticeState.WAITING, NoticeState.SENDING)


def open_notices() -> QuerySet[Notice]:
    """What is on its way; tests, which hold no messages, keep nothing waiting."""
    return Notice.objects.filter(state__in=OPEN, messages__gt=0)


def due_rules(now: dt.datetime) -> QuerySet[NoticeRule]:
    has_news = Exists(ViewHit.objects.filter(view=OuterRef("view"), pk__gt=OuterRef("told_hit")))
    return (
        NoticeRule.objects.filter(Q(has_news) | ~Q(rhythm=Rhythm.AT_ONCE), is_on=True, due_at__lte=now)
        .exclude(Exists(open_notices().filter(rule=OuterRef("pk"))))
        .order_by("due_at")
    )


def make(rule_id: uuid.UUID | str) -> Notice | None:
    """Make the notice of a rule that is due; None where it is not, nothing is new, or somebody else was faster."""
    now = timezone.now()
    with transaction.atomic():
        rule = due_rules(now).select_related("view", "owner").filter(pk=rule_id).first()
        if rule is None:
            return None
        if why := rights.why_not(rule):
            stop(rule, why)
            return None
        fresh = ViewHit.objects.filter(view=rule.view, pk__gt=rule.told_hit).order_by("pk")
        numbers = list(fresh.values_list("pk", flat=True)[: MOST_HITS + 1])
        is_all, numbers = len(numbers) <= MOST_HITS, numbers[:MOST_HITS]
        hits = _hits_for(rule, fresh.filter(pk__lte=numbers[-1])) if numbers else []
        new = _without_known(rule, hits, now)
        if not _step(rule, numbers[-1] if numbers else rule.told_hit, is_told=bool(new), is_all=is_all, now=now):
            return None
        _count_known(rule, hits, new)
        return _write(rule, new, now) if new else None


def _hits_for(rule: NoticeRule, fresh: QuerySet[ViewHit]) -> list[ViewHit]:
    """Those of the hits that the owner may know of, as they are limited now."""
    scope = rule.owner.scope
    if rule.since is not None:  # a view that nobody looked at is read again from where it was left, days ago perhaps
        fresh = fresh.filter(scanned_at__gte=rule.since - LISTED_LATE)
    return hits_within(fresh.filter(scope.q("domains")), criteria_of(rule.view), scope)


def _without_known(rule: NoticeRule, hits: Sequence[ViewHit], now: dt.datetime) -> list[ViewHit]:
    told = rule.campaigns.filter(told_at__gt=now - KNOWN_FOR, campaign__in={hit.campaign for hit in hits})
    known = set(told.values_list("campaign", flat=True))
    return [hit for hit in hits if hit.campaign not in known]


def _step(rule: NoticeRule, told_hit: int, *, is_told: bool, is_all: bool, now: dt.datetime) -> bool:
    """Move on, if nobody did in the meantime. A silent rule "at once" stays due: the next hit may be a new campaign.

    So does a rule of another rhythm that was told a part: with a part a day, it would fall behind for good.
    """
    stays = not is_told if rule.rhythm == Rhythm.AT_ONCE else not is_all
    due_at = rule.due_at if stays else timing.next_due(rule.rhythm, rule.hour, now)
    unchanged = NoticeRule.objects.filter(
        pk=rule.pk, is_on=True, told_hit=rule.told_hit, due_at=rule.due_at, version=rule.version
    )
    return bool(unchanged.update(told_hit=told_hit, due_at=due_at))


def _count_known(rule: NoticeRule, hits: Iterable[ViewHit], new: Sequence[ViewHit]) -> None:
    fresh = {hit.pk for hit in new}
    more: dict[str, int] = {}
    for hit in hits:
        if hit.pk not in fresh:
            more[hit.campaign] = more.get(hit.campaign, 0) + 1
    for campaign, number in more.items():
        rule.campaigns.filter(campaign=campaign).update(untold=F("untold") + number)


def _write(rule: NoticeRule, hits: Sequence[ViewHit], now: dt.datetime) -> Notice:
    """The notice, complete: what it says depends on nothing that may change until it arrives."""
    scope = rule.owner.scope
    grouped: dict[str, list[ViewHit]] = {}
    for hit in hits:
        grouped.setdefault(hit.campaign or f"alone {hit.pk}", []).append(hit)
    campaigns = {hit.campaign for hit in hits if hit.campaign}
    # A campaign told long ago is new again; what came of it silently is counted with the rest.
    known = rule.campaigns.filter(untold__gt=0).aggregate(messages=Sum("untold"), campaigns=Count("pk"))
    rule.campaigns.filter(untold__gt=0).update(untold=0)
    NoticeCampaign.objects.bulk_create(
        [NoticeCampaign(rule=rule, campaign=campaign, told_at=now) for campaign in sorted(campaigns)],
        update_conflicts=True,
        unique_fields=["rule", "campaign"],
        update_fields=["told_at"],
    )
    groups = [_group(found, scope) for found in grouped.values()]
    groups.sort(key=lambda group: (group["count"], group["last_at"]), reverse=True)
    content = {
        "messages": len(hits),
        "campaigns": len(campaigns),
        "alone": sum(not hit.campaign for hit in hits),
        "groups": groups[:MOST_GROUPS],
        "all_groups": len(groups),
        "known": {"messages": known["messages"] or 0, "campaigns": known["campaigns"]},
        "query": query_into(rule.view),
        "domains": sorted(scope.domains),
    }
    notice = Notice.objects.create(
        rule=rule,
        view_name=rule.view.name,
        owner=rule.owner,
        channel=rule.channel,
        shown=rule.shown,
        content=content,
        messages=len(hits),
        campaigns=len(campaigns),
        created_at=now,
        due_at=now,
    )
    log.info("notice_made", notice=str(notice.pk), rule=str(rule.pk), messages=len(hits))
    return notice


def _group(hits: Sequence[ViewHit], scope: Scope) -> dict[str, Any]:
    """Messages of one campaign, shown by the newest of them."""
    newest = max(hits, key=lambda hit: (hit.scanned_at, hit.pk))
    recipients = sorted({address for hit in hits for address in scope.inside(hit.recipients)})
    return {
        "campaign": newest.campaign,
        "count": len(hits),
        "subject": newest.subject[:500],
        "sender": newest.sender,
        "recipients": recipients[:MOST_RECIPIENTS],
        "more_recipients": max(0, len(recipients) - MOST_RECIPIENTS),
        "disposition": newest.disposition,
        "first_at": min(hit.scanned_at for hit in hits).isoformat(),
        "last_at": newest.scanned_at.isoformat(),
        "messages": [hit.investigate_id for hit in hits[:MOST_IDS]],
    }


def newest_hit(view_id: int) -> int:
    """Where a rule begins that is to tell of nothing that was found before it."""
    return ViewHit.objects.filter(view=view_id).aggregate(last=Max("pk"))["last"] or 0
