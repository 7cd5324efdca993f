"""What a job is about to release is judged by what Cloudflare calls it now, not by what it was when it was collected.

Read before the claim, because a hundred messages take a while. Nothing is read where the job may release whatever it
holds: then no verdict changes anything.
"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Iterator, Sequence
from functools import partial

import structlog
from django.db.models.functions import Now

from dashboard.access.roles import Permission
from dashboard.emailsec import Priority, errors
from dashboard.emailsec.types import Message
from dashboard.upstream.connection import get_client
from dashboard.upstream.parallel import side_by_side
from investigate.actions import transitions, words
from investigate.actions.decision import may_do_harm
from investigate.approvals.rights import why_not_sent
from investigate.message import store
from investigate.message.parts import Kept, body_life
from investigate.models import Action, ActionItem, ActionKind, ActionState, BulkJob, JobState

log = structlog.get_logger("mailwarden.actions")

READ_SECONDS = 10.0  # of one step; the rest of a chunk is read in the next
CALL_SECONDS = 10.0
FRESH = dt.timedelta(minutes=5)  # a chunk that takes several steps to read is not read from its start each time
AT_ONCE = 8
PAUSE_SECONDS = 15.0
UNREAD = "Its present verdict could not be read: look at it, and release it by itself."
_UNREADABLE = (errors.NotFound, errors.Rejected, errors.UnexpectedReply)


def are_current(chunk_id: uuid.UUID | str) -> bool:
    """Whether a chunk may be claimed: what its job may not release any more is left out of it by then, in words.

    False where there is more to read than one step has time for. Raises what kept all of it from being read; then the
    chunk is due later.
    """
    chunk = (
        Action.objects.filter(pk=chunk_id, state=ActionState.WAITING, due_at__lte=Now(), kind=ActionKind.RELEASE)
        .filter(job__state=JobState.RUNNING)
        .select_related("job")
        .first()
    )
    if chunk is None or chunk.job is None or not _matter(chunk.job):
        return True
    unread = []
    for item in chunk.items.filter(state=ActionState.QUEUED).defer("attachment").order_by("pk"):
        if may_do_harm(item.disposition):
            continue  # its right is asked for in any case
        message = store.kept_as(Message, item.investigate_id, Kept.MESSAGE, younger_than=FRESH)
        if message is None:
            unread.append(item)
        else:
            _judge(chunk, item, message)
    try:
        return _read(chunk, unread)
    except (errors.RateLimited, errors.Unavailable) as problem:
        pause = max(1.0, problem.retry_after or PAUSE_SECONDS)
        transitions.postpone(chunk, after=pause, explanation=words.pause(problem))
        raise


def _matter(job: BulkJob) -> bool:
    """Whether some verdict could need more than the job's owner and its approval have."""
    return bool(why_not_sent(job, {Permission.JOB_RUN, Permission.MESSAGE_RELEASE_MALICIOUS}))


def _read(chunk: Action, items: Sequence[ActionItem]) -> bool:
    """Read these messages, some at a time; whether all of them were."""
    started = time.monotonic()
    for some in _in_turns(items):
        if time.monotonic() - started > READ_SECONDS:
            return False
        found = side_by_side([partial(_now, item.investigate_id) for item in some])
        # One that has no answer while others have is left out; where none has, the service is away.
        is_away = not any(isinstance(one, (Message, *_UNREADABLE)) for one in found)
        for item, answer in zip(some, found, strict=True):
            if isinstance(answer, Message):
                store.keep_struct(item.investigate_id, Kept.MESSAGE, answer, body_life())
                _judge(chunk, item, answer)
            elif isinstance(answer, _UNREADABLE) or (isinstance(answer, errors.Unavailable) and not is_away):
                log.info("verdict_not_read", action=str(chunk.pk), error=type(answer).__name__)
                transitions.leave_out(item, UNREAD)
            else:
                raise answer
    return True


def _in_turns(items: Sequence[ActionItem]) -> Iterator[Sequence[ActionItem]]:
    return (items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE))


def _now(investigate_id: str) -> Message:
    return get_client().message(investigate_id, budget=CALL_SECONDS, priority=Priority.BULK)


def _judge(chunk: Action, item: ActionItem, message: Message) -> None:
    if not may_do_harm(message.final_disposition):
        return
    log.info("verdict_has_risen", action=str(chunk.pk), item=item.pk)
    known = words.disposition(message.final_disposition or "")
    became = f"It became {known} since" if known else "It has no clear verdict any more"
    transitions.leave_out(item, f"{became}: release it by itself.")
