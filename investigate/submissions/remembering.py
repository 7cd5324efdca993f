"""Taking requests for review into the memory, and finding which of them are our own.

The API says who asked as the account it knows, and our receipts do not name the submission they became. So a team's
submission is matched with the action that sent it: the same message, the same verdict asked for, about the same time.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Lower
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.scope import spaced
from dashboard.audit.chain import storable_text
from dashboard.emailsec.enums import SubmitterType
from dashboard.emailsec.types import Submission
from investigate.models import ActionItem, ActionKind, ActionState, SeenMessage, SeenSubmission
from investigate.submissions.figures import Answer, answer_of

AT_ONCE = 200  # rows a statement writes
APART = dt.timedelta(minutes=15)  # clocks differ, and an answer may be long on its way
_MAY_HAVE_BEEN_SENT = (ActionState.SENDING, ActionState.UNKNOWN, ActionState.DONE, ActionState.PARTLY_DONE)
_SAID = (
    "type", "subject", "requested_at", "requested_by", "original", "requested", "outcome", "outcome_text", "status",
    "customer_status", "edf_hash", "postfix_id", "escalated_as", "escalated_at", "escalated_by",
    "escalated_submission_id", "seen_at",
)  # fmt: skip
_KNOWN = ("domains", "outcome_seen_at", "action", "member_name", "reason")  # stays once it is known


def remember_submissions(items: Iterable[Submission], *, seen_at: dt.datetime | None = None) -> None:
    """Keep what these say. The same submission is one row; what was seen later than `seen_at` stays."""
    moment = seen_at or timezone.now()
    found = {item.submission_id: item for item in items if item.submission_id and item.requested_at is not None}
    names = sorted(found)  # always in one order: two writers never hold what the other waits for
    for start in range(0, len(names), AT_ONCE):
        _write([_unwritten(found[name], moment) for name in names[start : start + AT_ONCE]])


def _unwritten(item: Submission, moment: dt.datetime) -> SeenSubmission:
    row = SeenSubmission(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID,
        submission_id=storable_text(item.submission_id, limit=255),
        type=storable_text(str(item.type or ""), limit=20),
        subject=storable_text(item.subject or ""),
        requested_at=item.requested_at or moment,
        requested_by=storable_text(item.requested_by or "", limit=500),
        original=storable_text(str(item.original_disposition or ""), limit=40),
        requested=storable_text(str(item.requested_disposition or ""), limit=40),
        outcome=storable_text(str(item.outcome_disposition or ""), limit=40),
        outcome_text=storable_text(item.outcome or ""),
        status=storable_text(item.status or "", limit=100),
        customer_status=storable_text(str(item.customer_status or ""), limit=40),
        edf_hash=storable_text(item.original_edf_hash or "", limit=255),
        postfix_id=storable_text(item.original_postfix_id or "", limit=255),
        escalated_as=storable_text(str(item.escalated_as or ""), limit=40),
        escalated_at=item.escalated_at,
        escalated_by=storable_text(item.escalated_by or "", limit=500),
        escalated_submission_id=storable_text(item.escalated_submission_id or "", limit=255),
        first_seen_at=moment,
        seen_at=moment,
    )
    if _is_answered(row):
        row.outcome_seen_at = moment
    return row


def _write(rows: Sequence[SeenSubmission]) -> None:
    ours = SeenSubmission.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID)
    with transaction.atomic():
        # Each has its row before it is locked, in one order: two writers never hold what the other waits for, and an
        # older answer never overwrites a newer one that is being written meanwhile.
        SeenSubmission.objects.bulk_create(rows, ignore_conflicts=True)
        locked = ours.select_for_update().order_by("submission_id")
        known = {row.submission_id: row for row in locked.filter(submission_id__in=[row.submission_id for row in rows])}
        news = [
            row for row in rows if row.submission_id not in known or known[row.submission_id].seen_at <= row.seen_at
        ]
        for row in news:
            if earlier := known.get(row.submission_id):
                _keep_known(row, earlier)
        _add_what_we_know(news)
        SeenSubmission.objects.bulk_create(
            news,
            update_conflicts=True,
            unique_fields=["account_id", "submission_id"],
            update_fields=[*_SAID, *_KNOWN],
        )


def _keep_known(row: SeenSubmission, earlier: SeenSubmission) -> None:
    row.domains = earlier.domains
    row.action_id, row.member_name, row.reason = earlier.action_id, earlier.member_name, earlier.reason
    if row.outcome_seen_at and earlier.outcome_seen_at and _is_answered(earlier):
        row.outcome_seen_at = earlier.outcome_seen_at


def _is_answered(row: SeenSubmission) -> bool:
    """A text alone is no answer yet: the API writes "In review" there as well."""
    return answer_of(row.requested, row.outcome, row.outcome_text) != Answer.OPEN


# --- what we know of them ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Sent:
    """One message of an action that asked for another verdict."""

    action_id: object
    at: dt.datetime
    requested: str
    domains: str
    member_name: str
    reason: str


def _add_what_we_know(rows: Sequence[SeenSubmission]) -> None:
    """Whose mailbox it is about, and who of us sent it and why, where that can be told."""
    team = [row for row in rows if row.type == SubmitterType.TEAM]
    for row in rows:
        if row.type == SubmitterType.USER and not row.domains:
            row.domains = storable_text(spaced([row.requested_by]))  # who reports a message had it in the mailbox
    _match(team)
    unknown = {row.postfix_id for row in team if row.postfix_id and not row.domains}
    went_to = _domains_of(unknown) if unknown else {}
    for row in team:
        row.domains = row.domains or went_to.get(row.postfix_id, "")
    _name(team)


def _match(team: Sequence[SeenSubmission]) -> None:
    """Find the action of each that has none yet: the nearest in time, and each message of an action only once."""
    waiting = sorted(
        (row for row in team if row.postfix_id and row.action_id is None), key=lambda row: row.requested_at
    )
    if not waiting:
        return
    names = {row.postfix_id for row in waiting}
    sent = _sent(names, waiting[0].requested_at - APART, waiting[-1].requested_at + APART)
    taken = set(
        SeenSubmission.objects.filter(
            account_id=settings.CLOUDFLARE_ACCOUNT_ID, postfix_id__in=names, action__isnull=False
        ).values_list("action_id", "postfix_id")
    )
    for row in waiting:
        near = [
            each
            for each in sent.get(row.postfix_id, ())
            if each.requested == row.requested
            and abs(each.at - row.requested_at) <= APART
            and (each.action_id, row.postfix_id) not in taken
        ]
        if not near:
            continue
        ours = min(near, key=lambda each: abs(each.at - row.requested_at))
        taken.add((ours.action_id, row.postfix_id))
        row.action_id, row.member_name, row.reason = ours.action_id, ours.member_name, ours.reason
        row.domains = ours.domains or row.domains


def _sent(postfix_ids: Iterable[str], start: dt.datetime, end: dt.datetime) -> Mapping[str, list[_Sent]]:
    rows = ActionItem.objects.filter(
        postfix_id__in=list(postfix_ids),
        action__kind=ActionKind.RECLASSIFY,
        action__sent_at__range=(start, end),
        state__in=_MAY_HAVE_BEEN_SENT,
    ).values_list(
        "postfix_id", "action_id", "action__sent_at", "action__expected_disposition", "domains", "action__actor_name",
        "action__reason", "action__job__reason",
    )  # fmt: skip
    found: dict[str, list[_Sent]] = {}
    for name, action_id, at, requested, domains, who, reason, of_job in rows:
        found.setdefault(name, []).append(_Sent(action_id, at, requested, domains, who, reason or of_job or ""))
    return found


def _domains_of(postfix_ids: Iterable[str]) -> dict[str, str]:
    """Where the messages went, as the memory or one of our actions knows it."""
    names = list(postfix_ids)
    acted = dict(ActionItem.objects.filter(postfix_id__in=names).values_list("postfix_id", "domains"))
    seen = SeenMessage.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID, postfix_id__in=names)
    return acted | dict(seen.exclude(domains="").values_list("postfix_id", "domains"))


def _name(team: Sequence[SeenSubmission]) -> None:
    """Who sent what we did not send: a member whose address the API names."""
    addresses = {row.requested_by.casefold() for row in team if row.requested_by and not row.member_name}
    if not addresses:
        return
    members = Member.objects.annotate(address=Lower("email")).filter(address__in=addresses)
    names = {member.address: member.display_name for member in members}
    for row in team:
        if not row.member_name and (name := names.get(row.requested_by.casefold())):
            row.member_name = storable_text(name, limit=300)
