"""Every sentence about a rule that is made from a message."""

from __future__ import annotations

import datetime as dt

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from investigate.actions.words import lacks
from settings_ui.changes import words as change_words
from settings_ui.entries.words import day
from settings_ui.models import Change, ChangeState

_BLOCKS = "block_senders"
NO_SUCH = "This message names no such sender. Choose one of those that are shown."
NO_SENDER = "The message names no address and no domain that a rule could be about."
NO_NAME = "The message shows no name beside the sender's address."
USED = "This form was used already, for something else. Nothing was sent."

BLOCK_REASONS = (
    "Phishing",
    "Payment fraud",
    "Malware",
    "Unwanted mail that does not end",
)
ALLOW_REASONS = (
    "Known supplier, confirmed by phone",
    "A service of our own",
    "A newsletter the recipient subscribed to",
)
GUARD_REASONS = (
    "Somebody writes under this name",
    "Pays invoices, often impersonated",
)


def why_not(member: Member, permission: Permission) -> str:
    """Why this member makes no such rule from any message, or ""."""
    if not member.may(permission):
        return lacks(permission)
    if not member.scope.is_whole:
        return f"A rule holds for the whole account, and you are limited to {member.scope}."
    return ""


def blocks(pattern: str, *, is_domain: bool) -> str:
    whose = f"everybody at {pattern}" if is_domain else pattern
    return f"Mail from {whose} is blocked from now on, for every recipient of the account."


def stands(resource: str, pattern: str, since: dt.datetime | None, who: str, until: dt.datetime | None) -> str:
    """ "pay-pal.example: blocked since 12 Nov 2026, by Ana, until 21 Dec 2026." """
    what = {_BLOCKS: "blocked", "allow_policies": "allowed"}.get(resource, "on the list")
    parts = [f"{what} since {day(since)}" if since else what]
    parts += [f"by {who}"] if who else []
    parts += [f"until {day(until)}"] if until else []
    return f"{pattern}: {', '.join(parts)}."


def on_the_list(pattern: str) -> str:
    return f"{pattern} is on the list already. Nothing was changed."


def remark(reason: str, ticket: str, who: str) -> str:
    """What stands beside the entry at Cloudflare."""
    said = " ".join(part for part in (reason, f"({ticket})" if ticket else "") if part)
    return f"Mailwarden, {who}: {said or 'from a message'}"[:1000]


def short(change: Change, state: str) -> str:
    """A word or two: "blocked", "not blocked"."""
    done = "blocked" if change.resource == _BLOCKS else "added"
    return {"done": done, "failed": f"not {done}", "unknown": "unknown, looking"}.get(state, state)


def made(change: Change, label: str) -> str:
    """What is true about a rule that was made from a message: "pay-pal.example is blocked." """
    is_block = change.resource == _BLOCKS
    if change.state == ChangeState.DONE:
        return f"{label} is blocked." if is_block else f"{label} is on the impersonation registry."
    told = change_words.sentence(change)
    if change.state == ChangeState.FAILED:
        return f"{label} was not {'blocked' if is_block else 'added to the impersonation registry'}. {told}"
    return f"{label}: {told}"


def event(change: Change, label: str) -> str:
    """A line of the message's history."""
    ticket = f" Ticket {change.ticket}." if change.ticket else ""
    return f"{made(change, label)}{ticket}"


def true_address(domain: str) -> str:
    """Help beside the address of a person whose name is misused."""
    usual = f" Your own people write from {domain}." if domain else ""
    return f"The address this person really writes from, which the message cannot tell.{usual}"
