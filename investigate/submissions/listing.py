"""The list: as the API filters and orders it, one call for all who look within a minute, or out of our own memory.

Every answer is remembered, and the rows of a page are always read from the memory: so they carry what only we know,
and somebody limited to some domains gets a list that is cut before it is counted and paged. The memory also answers
while the API does not.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec
from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.emailsec import errors
from dashboard.emailsec.enums import CustomerStatus, Disposition, SortDirection, SubmissionOrder
from dashboard.emailsec.transport import Priority
from dashboard.upstream.connection import get_client
from dashboard.upstream.features import SharedMissingFeatures
from investigate.message import store
from investigate.models import SeenSubmission
from investigate.search.window import Window
from investigate.submissions.criteria import UNKNOWN, Criteria
from investigate.submissions.figures import Answer, answered, seen_submissions, with_names
from investigate.submissions.remembering import remember_submissions

PER_PAGE = 50
KEPT = dt.timedelta(hours=1)
CALL_SECONDS = 12.0


class Told(msgspec.Struct, frozen=True):
    """Which submissions a page held when somebody last asked."""

    ids: tuple[str, ...]
    is_last: bool
    at: dt.datetime
    start: dt.datetime
    end: dt.datetime


@dataclass(frozen=True)
class Listing:
    """One page. `seen_at`: when the API said so; None where it was not asked or did not answer."""

    rows: list[SeenSubmission]
    is_last: bool
    window: Window
    seen_at: dt.datetime | None = None
    problem: errors.EmailSecurityError | None = None
    is_ours: bool = False  # out of the memory
    is_older_api: bool = False


def read(member: Member, criteria: Criteria, *, is_forced: bool = False) -> Listing:
    """The page as somebody may see it. What keeps the API from being asked is in `problem`, beside what we know."""
    is_older = is_older_api()
    criteria = without_new_features(criteria) if is_older else criteria
    asked = criteria if member.scope.is_whole and not criteria.asks_us else _newest(criteria)
    told, problem = None, None
    try:
        told = _asked(asked, younger_than=store.shared_for(is_forced=is_forced))
    except errors.EmailSecurityError as error:
        problem = error
    if told is None or asked is not criteria:
        found = _remembered(member, criteria)
        return replace(found, problem=problem, seen_at=told and told.at, is_older_api=is_older)
    known = {row.submission_id: row for row in with_names(seen_submissions(member)).filter(submission_id__in=told.ids)}
    return Listing(
        rows=[known[name] for name in told.ids if name in known],
        is_last=told.is_last,
        window=Window(told.start, told.end),
        seen_at=told.at,
        is_older_api=is_older,
    )


def find(member: Member, submission_id: str) -> SeenSubmission | None:
    """One submission this member may know of: out of the memory, else by a call that remembers it.

    Who is limited to some domains is answered from the memory alone: a call would tell what exists elsewhere.
    """
    ours = with_names(seen_submissions(member)).filter(submission_id=submission_id)
    row = ours.first()
    if row is None and member.scope.is_whole:
        found = get_client().submissions(submission_id=submission_id, start=_long_ago(), budget=CALL_SECONDS)
        remember_submissions(found.items)
        row = ours.first()
    return row


def rows_for_export(member: Member, criteria: Criteria, *, limit: int) -> list[SeenSubmission]:
    """Everything remembered that fits, in the order of the list; no call."""
    return list(_ordered(_matching(member, criteria), criteria)[:limit])


def is_older_api() -> bool:
    """Whether the account's API is of the older generation, which was learned when something was submitted."""
    return SharedMissingFeatures(settings.CLOUDFLARE_ACCOUNT_ID).is_missing("create_submissions")


def without_new_features(criteria: Criteria) -> Criteria:
    """What the older generation of the API does not know."""
    return replace(criteria, order="", direction="", escalated_from_user="")


# --- the API ----------------------------------------------------------------------------------------------------------


def _newest(criteria: Criteria) -> Criteria:
    """The plain list of the range: what keeps the memory current for those who are answered from it."""
    return Criteria(type=criteria.type, last=criteria.last, start=criteria.start, end=criteria.end)


def _asked(criteria: Criteria, *, younger_than: dt.timedelta) -> Told:
    part = f"submissions {criteria.fingerprint()}"
    told = store.kept_as(Told, "", part, younger_than=younger_than)
    if told is not None:
        return told
    window = criteria.window()
    page = get_client().submissions(
        start=window.start,
        end=window.end,
        type=criteria.kind,
        status=CustomerStatus(criteria.status) if criteria.status else None,
        submission_id=criteria.submission_id or None,
        original_disposition=_disposition(criteria.original_disposition),
        requested_disposition=_disposition(criteria.requested_disposition),
        outcome_disposition=_disposition(criteria.outcome_disposition),
        query=criteria.query or None,
        escalated_from_user=criteria.is_escalated,
        order=SubmissionOrder(criteria.order) if criteria.order else None,
        direction=SortDirection(criteria.direction) if criteria.direction else None,
        page=criteria.page,
        per_page=PER_PAGE,
        budget=CALL_SECONDS,
        priority=Priority.READ,
    )
    now = timezone.now()
    remember_submissions(page.items, seen_at=now)
    told = Told(tuple(item.submission_id for item in page.items), page.is_last, now, window.start, window.end)
    store.keep_struct("", part, told, KEPT)
    return told


def _disposition(value: str) -> Disposition | None:
    return Disposition(value) if value else None


def _long_ago() -> dt.datetime:
    return timezone.now() - dt.timedelta(days=366)


# --- the memory -------------------------------------------------------------------------------------------------------


def _remembered(member: Member, criteria: Criteria) -> Listing:
    first = (criteria.page - 1) * PER_PAGE
    found = list(_ordered(_matching(member, criteria), criteria)[first : first + PER_PAGE + 1])
    return Listing(found[:PER_PAGE], len(found) <= PER_PAGE, criteria.window(), is_ours=True)


def _matching(member: Member, criteria: Criteria) -> QuerySet[SeenSubmission]:
    window = criteria.window()
    rows = with_names(seen_submissions(member)).filter(requested_at__range=(window.start, window.end))
    exact = {
        "type": "" if criteria.kind is None else criteria.kind.value,
        "customer_status": criteria.status,
        "submission_id": criteria.submission_id,
        "original": criteria.original_disposition,
        "requested": criteria.requested_disposition,
        "outcome": criteria.outcome_disposition,
    }
    rows = rows.filter(**{name: value for name, value in exact.items() if value})
    rows = rows.filter(
        **{
            name: "" if value == UNKNOWN else value
            for name, value in {"who": criteria.by, "sender": criteria.sender, "reason": criteria.reason}.items()
            if value
        }
    )
    if criteria.is_escalated is not None:
        none = Q(escalated_submission_id="")
        rows = rows.filter(~none if criteria.is_escalated else none)
    if criteria.answer:
        rows = rows.filter(answered(Answer(criteria.answer)))
    for word in criteria.query.split():
        said = Q(subject__icontains=word) | Q(requested_by__icontains=word) | Q(submission_id__icontains=word)
        rows = rows.filter(said | Q(postfix_id__icontains=word))
    return rows


def _ordered(rows: QuerySet[SeenSubmission], criteria: Criteria) -> QuerySet[SeenSubmission]:
    columns: Mapping[str, str] = {
        SubmissionOrder.ORIGINAL_DISPOSITION: "original",
        SubmissionOrder.REQUESTED_DISPOSITION: "requested",
        SubmissionOrder.OUTCOME_DISPOSITION: "outcome",
    }
    order = criteria.order or SubmissionOrder.REQUESTED_AT.value
    column = F(columns.get(order, order))
    goes_up = criteria.direction == SortDirection.ASC
    return rows.order_by(column.asc() if goes_up else column.desc(), "-requested_at", "-pk")
