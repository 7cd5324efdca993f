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
from investigate.models import Action, ActionItem, ActionKind

PER_PAGE = 1000
MOST_PAGES = 20  # of one search; a window in which others moved more than that is looked at message by message
SIDE_BY_SIDE = 8
PROBES = 20  # messages without a trace that are looked at singly before all of them count as not done
SLOWEST_POLL = 10.0
_FILTERS = {
    ActionKind.MOVE: MessageActionFilter.MOVED,
    ActionKind.RELEASE: MessageActionFilter.QUARANTINE_RELEASED,
}


class NotYet(Exception):
    """The look goes on later, from `looking`."""

    def __init__(self, looking: Mapping[str, Any], after: float) -> None:
        super().__init__("still searching")
        self.looking = dict(looking)
        self.after = after


@dataclass(frozen=True)
class ChunkFindings:
    """What one look found out about the messages of a chunk; `is_complete`: it had the time to look at all of them."""

    findings: list[Finding]
    is_complete: bool = True


def look_at_chunk(
    client: EmailSecurityClient, action: Action, items: Sequence[ActionItem], *, is_last: bool
) -> ChunkFindings:
    """Find out about many messages at once. Raises NotYet while the service is still searching.

    `is_last`: what shows no trace now counts as not done, so a few of those are looked at one by one first.
    """
    deadline = time.monotonic() + LOOK_SECONDS
    kind = ActionKind(action.kind)
    rows = _found_by_search(client, action, items)
    findings: dict[int, Finding] = {}
    doubtful, missing = [], []
    for item in items:
        if rows is None:
            doubtful.append(item)
        elif item.investigate_id not in rows:
            missing.append(item)
        elif (told := _told_by_row(kind, item, rows[item.investigate_id])) is not None:
            findings[item.pk] = told
        else:
            doubtful.append(item)
    if is_last and missing:
        probes = random.sample(missing, min(PROBES, len(missing)))
        looked = _one_by_one(client, action, probes, deadline)
        findings |= looked
        if len(looked) < len(probes) or any(finding.is_certain for finding in looked.values()):
            doubtful += [item for item in missing if item.pk not in looked]
    findings |= _one_by_one(client, action, doubtful, deadline)
    is_complete = all(item.pk in findings for item in doubtful)
    nothing = "no trace of it"
    return ChunkFindings([findings.get(item.pk) or Finding(Outcome(item), nothing) for item in items], is_complete)


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
        looked = _one_by_one(client, action, items, deadline)
        findings = [looked.get(item.pk) or Finding(Outcome(item), "not looked at yet") for item in items]
        return ChunkFindings(findings, is_complete=len(looked) == len(items))
    return ChunkFindings(
        [
            Finding(Outcome(item, (Copy("", True if item.postfix_id in submitted else None),)), "among the submissions")
            for item in items
        ]
    )


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
    client: EmailSecurityClient, action: Action, items: Sequence[ActionItem]
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
    place = dict(action.looking) or {"cursor": "", "location": "", "pages": 0, "polls": 0, "rows": {}}
    started = time.monotonic()
    while True:
        if time.monotonic() - started > LOOK_SECONDS / 2:
            raise NotYet(place, after=0.0)
        if place["location"]:
            answer = client.poll_search_raw(place["location"], budget=CALL_SECONDS, priority=Priority.BULK)
        else:
            answer = client.search_raw(
                query, cursor=place["cursor"] or None, per_page=PER_PAGE, budget=CALL_SECONDS, priority=Priority.BULK
            )
        if isinstance(answer, SlowSearch):
            place |= {"location": answer.location, "polls": place["polls"] + 1}
            raise NotYet(place, after=answer.retry_after or min(SLOWEST_POLL, float(place["polls"])))
        for row in decode_rows(answer.body)[0]:
            if row.id in ours:
                place["rows"][row.id] = _kept(row)
        place |= {"pages": place["pages"] + 1, "location": "", "polls": 0}
        if not answer.next_cursor or answer.next_cursor == place["cursor"]:
            return dict(place["rows"])
        if place["pages"] >= MOST_PAGES:
            return None
        place["cursor"] = answer.next_cursor


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
        elif kind == ActionKind.MOVE and status == DeliveryStatus.MOVE_FAILED:
            copies.append(Copy(recipient, is_done=False, status="move failed"))
        else:
            return None
    return Finding(Outcome(item, tuple(copies)), "found among what was done") if copies else None


def _is_first(kind: ActionKind, item: ActionItem) -> bool:
    """Whether what the service shows of the message can only come from this job."""
    if any(receipt.is_done is not None for receipt in item.receipts.all()):
        return False
    before = item.facts.get("post_delivery_operations") or ()
    return kind == ActionKind.RELEASE or Operation.MOVE not in before


def _one_by_one(
    client: EmailSecurityClient, action: Action, items: Sequence[ActionItem], deadline: float
) -> dict[int, Finding]:
    """Look at messages singly, a few side by side, as far as the time goes."""
    found: dict[int, Finding] = {}
    for first in range(0, len(items), SIDE_BY_SIDE):
        if time.monotonic() > deadline:
            break
        some = items[first : first + SIDE_BY_SIDE]
        answers = side_by_side([partial(looking.look_at, client, action, item) for item in some])
        for item, answer in zip(some, answers, strict=True):
            if isinstance(answer, BaseException):
                raise answer
            found[item.pk] = answer
    return found
