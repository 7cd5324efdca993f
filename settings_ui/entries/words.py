"""Sentences about entries that were made here, in the voice of the rest of the desk."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from dashboard.emailsec import errors
from settings_ui.entries.knowing import Known
from settings_ui.models import Entry, EntryState
from settings_ui.resources.description import shortened


def day(moment: dt.datetime) -> str:
    """21 Nov 2026"""
    utc = moment.astimezone(dt.UTC)
    return f"{utc.day} {utc:%b %Y}"


GONE_ALREADY = "It was gone already: somebody removed it elsewhere."


def until(entry: Entry) -> str:
    return f"until {day(entry.expires_at)}" if entry.expires_at else "without an end"


def short(entry: Entry) -> str:
    """A few words: "accepted until 21 Dec 2026"."""
    match entry.state:
        case EntryState.WAITING:
            return "waiting" if entry.attempt == 0 else "waiting to try again"
        case EntryState.SENDING:
            return "sending"
        case EntryState.ACTIVE:
            return "another entry now" if entry.is_held_back else f"accepted {until(entry)}"
        case EntryState.FAILED:
            return "no rule was made"
        case EntryState.UNKNOWN:
            return "unknown, looking"
        case EntryState.REMOVING:
            return "being removed"
    return "removed" if entry.upstream_id else "undone"


def sentence(entry: Entry) -> str:
    """What is true about the rule now, in full."""
    match entry.state:
        case EntryState.WAITING:
            return f"{entry.explanation} The rule is made next.".strip()
        case EntryState.SENDING:
            return "The rule is being made."
        case EntryState.ACTIVE if entry.is_held_back:
            return entry.explanation
        case EntryState.ACTIVE:
            return f"{entry.explanation} Mail that proves to come from it is accepted {until(entry)}.".strip()
        case EntryState.FAILED:
            return f"No rule was made. {entry.explanation}".strip()
        case EntryState.UNKNOWN:
            told = entry.explanation or "No answer came."
            return f"{told} The rule may have been made. Checking; nothing is sent again."
        case EntryState.REMOVING:
            return f"The rule is being removed. {entry.explanation}".strip()
    return f"The rule was removed. {entry.explanation}".strip() if entry.upstream_id else "Undone before it was sent."


def became_another(entry: Entry, pattern: str) -> str:
    """Why an entry whose time is over was left alone."""
    return (
        f"Its end was over on {day(timezone.now())}, but somebody made another entry of it elsewhere: it was for "
        f"{shortened(entry.pattern)} and is for {shortened(pattern)} now. It was not removed and has no end any more."
    )


def left(moment: dt.datetime, now: dt.datetime | None = None) -> str:
    """How long something stands: "ends today", "ends in 3 days"."""
    days = (moment.astimezone(dt.UTC).date() - (now or timezone.now()).astimezone(dt.UTC).date()).days
    if days <= 0:
        return "ends today"
    return "ends tomorrow" if days == 1 else f"ends in {days} days"


def elsewhere(pattern: str) -> str:
    return f"There is a rule for {pattern} already, made elsewhere. Nothing was sent."


def stands_already(pattern: str, known: Known) -> str:
    """The rule that was to be made stands, and this is what is known about it."""
    if not known.made_by or known.created_at is None:
        return elsewhere(pattern)
    return f"{known.made_by} made a rule for {pattern} already, on {day(known.created_at)}. Nothing was sent."


def pause(problem: errors.EmailSecurityError) -> str:
    """Why it is tried again later."""
    if isinstance(problem, errors.RateLimited):
        return "The account's call budget is used up; nothing was sent."
    if isinstance(problem, errors.Unavailable):
        return "Cloudflare could not be reached; nothing was sent."
    return "Cloudflare's answer could not be read."
