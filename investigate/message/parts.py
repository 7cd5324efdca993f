"""The parts of one message: each read by itself, kept for a while, and refused beforehand where it cannot exist.

All may raise the errors of `dashboard.emailsec.errors`; `NotOffered` says that no call was made, and why.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TypeVar, cast

from dashboard.access.scope import WHOLE, Scope
from dashboard.emailsec.errors import EmailSecurityError, NotFound
from dashboard.emailsec.types import Detections, Disposition, Message, Trace
from dashboard.installation.values import setting
from dashboard.upstream.connection import get_client
from dashboard.upstream.parallel import side_by_side
from investigate.message import preview as pictures
from investigate.message import store
from investigate.message.preview import Picture
from investigate.message.wording import is_clean
from investigate.search.memory import known_row

T = TypeVar("T")


class Kept(StrEnum):
    """Names of the copies."""

    MESSAGE = "message"
    DETECTIONS = "detections"
    TRACE = "trace"
    PREVIEW = "preview"
    RAW = "raw"


MESSAGE_FRESH = dt.timedelta(seconds=30)  # its delivery state changes; whether it is clean does not
DETECTIONS_LIFE = dt.timedelta(minutes=10)
TRACE_LIFE = dt.timedelta(minutes=5)
NO_RAW = "Clean mail has no raw file: Cloudflare keeps one only for mail with a detection."
NOT_RENDERED = (
    "Clean mail is not rendered by itself. A click asks Cloudflare to render it; that is written to the log "
    "and works while the message is still in the inbox."
)


class NotOffered(Exception):
    """The part does not exist for this message, which is known without asking; the text says why."""


class NeedsClick(NotOffered):
    """The part can be had, but only by an act that the service writes into its log."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Head and reasons, read side by side. `detections` is None for clean mail and an error where they failed alone."""

    message: Message
    detections: Detections | None
    detections_error: EmailSecurityError | None


def body_life() -> dt.timedelta:
    return dt.timedelta(hours=setting("BODY_RETENTION_HOURS"))


def open_message(investigate_id: str, *, scope: Scope = WHOLE) -> Opened:
    """Message and detections in the time of the slower call. Raises what the message's own call raises.

    Within a scope the detections are asked for once the message is known to be inside.
    """
    if not scope.is_whole:
        return with_detections(read_message(investigate_id, scope=scope))
    message = store.kept_as(Message, investigate_id, Kept.MESSAGE, younger_than=MESSAGE_FRESH)
    if message is not None:
        return with_detections(message)
    if store.kept(investigate_id, Kept.DETECTIONS) is not None or _is_known_clean(investigate_id):
        return with_detections(read_message(investigate_id))
    calls: list[Callable[[], Message | Detections]] = [
        partial(read_message, investigate_id),
        partial(_detections, investigate_id),
    ]
    found, answer = side_by_side(calls)
    if isinstance(found, EmailSecurityError):
        raise found
    message = cast("Message", found)
    if is_clean(message):
        return Opened(message, None, None)
    if isinstance(answer, EmailSecurityError):
        return Opened(message, None, answer)
    return Opened(message, cast("Detections", answer), None)


def with_detections(message: Message) -> Opened:
    """The message beside its detections, or beside what kept them from being read."""
    if is_clean(message):
        return Opened(message, None, None)
    return Opened(message, *settled(partial(detections, message)))


def settled(call: Callable[[], T]) -> tuple[T | None, EmailSecurityError | None]:
    """What a call answered, or the API's error: for what must not take its surroundings with it."""
    try:
        return call(), None
    except EmailSecurityError as error:
        return None, error


def read_message(investigate_id: str, *, scope: Scope = WHOLE) -> Message:
    """One message's metadata. A copy that a person reported is found in the store of submissions.

    A message outside the scope is looked for and missed like one that does not exist: by the same calls and queries.
    """
    message = _kept_message(investigate_id, scope, younger_than=MESSAGE_FRESH)
    if message is not None:
        return message
    before = _kept_message(investigate_id, scope)
    message = _asked_for(investigate_id, scope, is_submission=before is not None and before.is_phish_submission)
    store.keep_struct(investigate_id, Kept.MESSAGE, message, body_life())
    return message


def seen_message(investigate_id: str, *, scope: Scope = WHOLE) -> Message:
    """The message as somebody last saw it: enough for parts, which only ask what cannot change."""
    message = _kept_message(investigate_id, scope)
    return read_message(investigate_id, scope=scope) if message is None else message


def _kept_message(investigate_id: str, scope: Scope, *, younger_than: dt.timedelta | None = None) -> Message | None:
    message = store.kept_as(Message, investigate_id, Kept.MESSAGE, younger_than=younger_than)
    return message if message is not None and scope.sees(message.mailboxes) else None


def _asked_for(investigate_id: str, scope: Scope, *, is_submission: bool) -> Message:
    """The message out of either store of the service; NotFound where neither shows one inside the scope."""
    client = get_client()
    missing: NotFound | None = None
    for in_submissions in (is_submission, not is_submission):
        try:
            message = client.message(investigate_id, submission=in_submissions)
        except NotFound as error:
            missing = missing or error
        else:
            if scope.sees(message.mailboxes):
                return message
    if missing is None or not scope.is_whole:  # what the service says of one is not said of the other
        missing = NotFound(status=404)
    raise missing


def detections(message: Message) -> Detections:
    """Why it was judged so; clean mail has none."""
    if is_clean(message):
        raise NotOffered("Cloudflare keeps findings, headers, links and attachments only for mail with a detection.")
    return _detections(message.id)


def _detections(investigate_id: str) -> Detections:
    found = store.kept_as(Detections, investigate_id, Kept.DETECTIONS)
    if found is None:
        found = get_client().detections(investigate_id)
        store.keep_struct(investigate_id, Kept.DETECTIONS, found, DETECTIONS_LIFE)
    return found


def trace(investigate_id: str) -> Trace:
    """The delivery log; kept once it has stopped growing."""
    found = store.kept_as(Trace, investigate_id, Kept.TRACE)
    if found is None:
        found = get_client().trace(investigate_id)
        if not (found.inbound.pending or found.outbound.pending):
            store.keep_struct(investigate_id, Kept.TRACE, found, TRACE_LIFE)
    return found


def raw(message: Message) -> bytes:
    """The message as it arrived, in UTF-8."""
    if why_not := why_no_raw(message):
        raise NotOffered(why_not)
    found = store.kept(message.id, Kept.RAW)
    if found is None:
        found = get_client().raw(message.id).encode("utf-8", "replace")
        store.keep(message.id, Kept.RAW, found, body_life())
    return found


def why_no_raw(message: Message) -> str:
    """Why there is no raw message, or ""; costs no call."""
    return NO_RAW if is_clean(message) else ""


def why_no_preview(message: Message) -> str:
    """Why there is no picture yet, or ""; costs no call."""
    return NOT_RENDERED if is_clean(message) and store.kept(message.id, Kept.PREVIEW) is None else ""


def preview(message: Message) -> Picture:
    """A picture that is safe to serve; raises UnsafePicture. For clean mail only one that somebody asked for."""
    found = store.kept(message.id, Kept.PREVIEW)
    if found is not None:
        width, height = pictures.png_size(found)
        return Picture(found, width, height)
    if is_clean(message):
        raise NeedsClick(NOT_RENDERED)
    return _redrawn(message.id, get_client().preview(message.id))


def render(message: Message) -> Picture:
    """Ask Cloudflare to render clean mail now."""
    return _redrawn(message.id, get_client().render_preview(message.id))


def _redrawn(investigate_id: str, png: bytes) -> Picture:
    picture = pictures.redraw(png)
    store.keep(investigate_id, Kept.PREVIEW, picture.png, body_life())
    return picture


def _is_known_clean(investigate_id: str) -> bool:
    before = store.kept_as(Message, investigate_id, Kept.MESSAGE)
    if before is not None:
        return is_clean(before)
    row = known_row(investigate_id)
    return row is not None and row.final_disposition == Disposition.NONE
