"""Look at the messages of a chunk to find out what an unanswered write did to them.

One search for what was moved or released in their window gives up to a thousand of them in a call. Only what that
cannot tell is looked at one by one.
"""

from __future__ import annotations

import datetime as dt
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from dashboard.emailsec import EmailSecurityClient, Priority, errors
from dashboard.emailsec.enums import MessageActionFilter, Operation
from dashboard.emailsec.requests import SearchQuery
from dashboard.emailsec.rows import MessageRow, decode_rows
from dashboard.emailsec.times import parse_time
from dashboard.emailsec.types import DeliveryStatus, SlowSearch
from dashboard.upstream.parallel import side_by_side
from investigate.actions import looking
from investigate.actions.looking import CALL_SECONDS, LOOK_SECONDS, Finding
from investigate.actions.transitions import Copy, Outcome, same_copy
from investigate.models import Action, ActionItem, ActionKind, ActionState

PER_PAGE = 1000
MOST_PAGES = 20  # of one search; a window in which others moved more than that is looked at message by message
SIDE_BY_SIDE = 8
PROBES = 20  # messages without a trace that are looked at singly before all of them count as not done
SLOWEST_POLL = 10.0
MOST_POLLS = 90  # of one slow search: a quarter of an hour
_FILTERS = {
    ActionKind.MOVE: MessageActionFilter.MOVED,
    ActionKind.RELEASE: MessageActionFilter.QUARANTINE_RELEASED,
}
_CANNOT_TELL = {"rows": None, "is_over": True}
# What stops a look altogether, and is not about a message.
_NOBODYS_FAULT = (errors.RateLimited, errors.Unavailable, errors.CredentialsRefused, errors.NotPermitted)


def _fresh() -> dict[str, Any]:
    """Where a look stands. `rows` None: the search cannot tell; `probed`: whether single looks found more than it."""
    search = {"cursor": "", "location": "", "pages": 0, "polls": 0, "restarts": 0, "rows": {}, "is_over": False}
    return {**search, "probed": None, "looked": []}


class NotYet(Exception):
    """The look goes on later, from `looking`."""

    def __init__(self, looking: Mapping[str, Any], after: float) -> None:
        super().__init__("still searching")
        self.looking = dict(looking)
        self.after = after


@dataclass(frozen=True)
class ChunkFindings:
    """What one look found out about the messages of a chunk; `looking`: where it goes on, if the time was too short."""

    findings: list[Finding]
    looking: Mapping[str, Any] | None = None


def look_at_chunk(
    client: EmailSecurityClient, action: Action, items: Sequence[ActionItem], *, is_last: bool
) -> ChunkFindings:
    """Find out about many messages at once. Raises NotYet while the service is still searching.

    `is_last`: what shows no trace now counts as not done, so a few of those are looked at one by one first.
    """
    deadline = time.monotonic() + LOOK_SECONDS
    kind = ActionKind(action.kind)
    place = _fresh() | action.looking
    rows = _found_by_search(client, action, items, place)
    touched = _touched_by_others(action, items)
    findings: dict[int, Finding] = {}
    doubtful, missing = [], []
    for item in items:
        if rows is None or item.investigate_id in touched:
            doubtful.append(item)
        elif item.investigate_id not in rows:
            missing.append(item)
        elif (told := _told_by_row(kind, item, rows[item.investigate_id])) is not None:
            findings[item.pk] = told
        else:
            doubtful.append(item)
    if is_last and missing and place["probed"] is None:
        looked = _one_by_one(client, action, random.sample(missing, min(PROBES, len(missing))), deadline)
        findings |= looked
        place["probed"] = any(finding.is_certain for finding in looked.values())
    if place["probed"]:  # the search does not show everything that happened
        doubtful += [item for item in missing if item.pk not in findings]
    return _with_singly(client, action, items, doubtful, findings, place, deadline)


def look_for_submissions(client: EmailSecurityClient, action: Action, items: Sequence[ActionItem]) -> ChunkFindings:
    """Which of many messages stand among the team's submissions."""
    since = (action.sent_at or action.created_at) - looking.CLOCK_SLACK
    try:
        submitted = {
            submission.original_postfix_id
            for submission in looking.submissions_since(client, action, since)
            if looking.is_asked_for(action, submission, since)
        }
    except errors.NotOnThisServer:
        deadline = time.monotonic() + LOOK_SECONDS
        return _with_singly(client, action, items, items, {}, _fresh() | action.looking, deadline)
    return ChunkFindings(
        [Finding(Outcome(item, (Copy("", True if _submitted_as(item) in submitted else None),)), "") for item in items]
    )


def _submitted_as(item: ActionItem) -> str:
    return item.postfix_id or item.investigate_id


def summary(findings: Sequence[Finding]) -> str:
    """ "Of 1,000 messages 940 were reached, 3 were not, 57 show no trace." """
    certain = [finding for finding in findings if finding.is_certain]
    reached = sum(any(copy.is_done for copy in finding.outcome.copies) for finding in certain)
    left = len(findings) - len(certain)
    return (
        f"Of {len(findings):,} messages {reached:,} were reached, {len(certain) - reached:,} were not, "
        f"{left:,} show no trace yet."
    )


def _found_by_search(
    client: EmailSecurityClient, action: Action, items: Sequence[ActionItem], place: dict[str, Any]
) -> dict[str, dict[str, Any]] | None:
    """What a search for moved (or released) messages says about ours, by id; None where it cannot tell.

    A search that takes long, and one with many pages, goes on with the next look: its place is kept with the action.
    """
    window = _window(items)
    if window is None:
        return None
    query = SearchQuery(
        start=window[0], end=window[1], message_action=_FILTERS[ActionKind(action.kind)], detections_only=False
    )
    ours = {item.investigate_id for item in items}
    started = time.monotonic()
    while not place["is_over"]:
        if time.monotonic() - started > LOOK_SECONDS / 2:
            raise NotYet(place, after=0.0)
        try:
            answer = _next_page(client, query, place)
        except errors.SearchExpired:
            if place["restarts"]:
                place |= _CANNOT_TELL
            else:
                place |= _fresh() | {"restarts": 1}
            continue
        except (errors.ForeignLocation, errors.Rejected, errors.NotOnThisServer, errors.UnexpectedReply):
            place |= _CANNOT_TELL
            break
        if isinstance(answer, SlowSearch):
            place |= {"location": answer.location, "polls": place["polls"] + 1}
            if place["polls"] > MOST_POLLS:
                place |= _CANNOT_TELL
                break
            raise NotYet(place, after=answer.retry_after or min(SLOWEST_POLL, float(place["polls"])))
        for row in decode_rows(answer.body)[0]:
            if row.id in ours:
                place["rows"][row.id] = _kept(row)
        following = answer.next_cursor if answer.next_cursor != place["cursor"] else None
        place |= {"pages": place["pages"] + 1, "location": "", "cursor": following or "", "is_over": not following}
        if following and place["pages"] >= MOST_PAGES:
            place |= _CANNOT_TELL
    rows: dict[str, dict[str, Any]] | None = place["rows"]
    return rows


def _next_page(client: EmailSecurityClient, query: SearchQuery, place: Mapping[str, Any]) -> Any:
    if place["location"]:
        return client.poll_search_raw(place["location"], budget=CALL_SECONDS, priority=Priority.BULK)
    return client.search_raw(
        query, cursor=place["cursor"] or None, per_page=PER_PAGE, budget=CALL_SECONDS, priority=Priority.BULK
    )


def _touched_by_others(action: Action, items: Sequence[ActionItem]) -> set[str]:
    """Messages that other actions of ours reached: what the search shows of those need not come from this one."""
    names = [item.investigate_id for item in items]
    reached = (ActionState.DONE, ActionState.PARTLY_DONE)
    others = ActionItem.objects.filter(investigate_id__in=names, state__in=reached).exclude(job=action.job_id)
    return set(others.values_list("investigate_id", flat=True))


def _window(items: Sequence[ActionItem]) -> tuple[dt.datetime, dt.datetime] | None:
    """When the messages were scanned, from the first to the last; None where that is not known of all."""
    times = [parse_time(item.facts.get("scanned_at") or "") for item in items]
    known = [at for at in times if at is not None]
    if len(known) < len(times):
        return None
    second = dt.timedelta(seconds=1)
    return min(known) - second, max(known) + second


def _kept(row: MessageRow) -> dict[str, Any]:
    return {
        "to": list(row.wire_client_recipients or ()),
        "status": [str(one) for one in row.wire_delivery_status or ()],
    }


def _told_by_row(kind: ActionKind, item: ActionItem, row: Mapping[str, Any]) -> Finding | None:
    """What the row alone proves: only about messages nothing of the kind had happened to before the job."""
    if not _is_first(kind, item) or len(row["to"]) != len(row["status"]):
        return None
    statuses = {same_copy(name): DeliveryStatus(status) for name, status in zip(row["to"], row["status"], strict=True)}
    copies = []
    for recipient in item.recipients:
        status = statuses.get(same_copy(recipient))
        if status in looking.ARRIVED[kind]:
            copies.append(Copy(recipient, is_done=True))
        else:
            return None
    return Finding(Outcome(item, tuple(copies)), "found among what was done") if copies else None


def _is_first(kind: ActionKind, item: ActionItem) -> bool:
    """Whether what the service shows of the message can only come from this job."""
    if any(receipt.is_done is not None for receipt in item.receipts.all()):
        return False
    before = item.facts.get("post_delivery_operations") or ()
    return kind == ActionKind.RELEASE or Operation.MOVE not in before


def _with_singly(
    client: EmailSecurityClient,
    action: Action,
    items: Sequence[ActionItem],
    doubtful: Sequence[ActionItem],
    findings: dict[int, Finding],
    place: Mapping[str, Any],
    deadline: float,
) -> ChunkFindings:
    """The findings of a look, with those of the doubtful messages, which are looked at singly as far as the time goes.

    The look goes on where it stopped: those that were looked at without a result are not looked at again by it.
    """
    before = set(place["looked"])
    left = [item for item in doubtful if item.pk not in before and item.pk not in findings]
    looked = _one_by_one(client, action, left, deadline)
    findings |= looked
    is_over = len(looked) == len(left)
    return ChunkFindings(
        [findings.get(item.pk) or Finding(Outcome(item), "no trace of it") for item in items],
        looking=None if is_over else {**place, "looked": sorted(before | looked.keys())},
    )


def _one_by_one(
    client: EmailSecurityClient, action: Action, items: Sequence[ActionItem], deadline: float
) -> dict[int, Finding]:
    """Look at messages singly, a few side by side, as far as time and budget go; at least at some of them."""
    found: dict[int, Finding] = {}
    for first in range(0, len(items), SIDE_BY_SIDE):
        if found and time.monotonic() > deadline:
            break
        some = items[first : first + SIDE_BY_SIDE]
        answers = side_by_side([partial(looking.look_at, client, action, item) for item in some])
        problem = None
        for item, answer in zip(some, answers, strict=True):
            if isinstance(answer, _NOBODYS_FAULT):
                problem = answer
            elif isinstance(answer, BaseException):  # of this message alone; the others do not wait for it
                found[item.pk] = Finding(Outcome(item), "it could not be looked at")
            else:
                found[item.pk] = answer
        if problem is not None:
            if not found:
                raise problem
            break
    return found
