"""What the desk says about cases, in words."""

from __future__ import annotations

import datetime as dt

from django.conf import settings

from dashboard.access.roles import Permission
from dashboard.emailsec import errors
from dashboard.emailsec.enums import Disposition
from dashboard.web.times import age
from investigate.actions import words as action_words
from investigate.message.wording import verdict_word
from investigate.models import Case, CaseReport, CaseSource, CaseState, OwnVerdict

VERDICT_KEYS = {str(number): verdict for number, verdict in enumerate(OwnVerdict, start=1)}  # after t

SOURCES = {
    CaseSource.DETECTION: "Detection",
    CaseSource.SUBMISSION: "User",
    CaseSource.PHISHGUARD: "PhishGuard",
    CaseSource.PERSON: "Colleague",
}


def claimed(case: Case, *, now: dt.datetime | None = None) -> str:
    """ "Ben has this since 2 min. Take over?" """
    return f"{case.holder_name} has this since {age(case.held_at, now=now)}. Take over?"


SOURCE_LISTS = {
    CaseSource.DETECTION: "Detections",
    CaseSource.SUBMISSION: "User submissions",
    CaseSource.PHISHGUARD: "PhishGuard reports",
}

TABS = {"mine": "Mine", "unclaimed": "Unclaimed", "all": "All", "waiting": "Waiting", "done": "Done"}


def dispositions() -> list[tuple[str, str]]:
    """(value, word) of what the queue collects, for the filter."""
    return [(name, verdict_word(Disposition(name))) for name in settings.QUEUE_DISPOSITIONS]


def not_read(problem: errors.EmailSecurityError) -> str:
    """Why a source of the queue could not be read, and when it goes on."""
    match problem:
        case errors.RateLimited():
            return "the account's call budget is used up; it goes on by itself"
        case errors.Unavailable() | errors.UnexpectedReply():
            return "Cloudflare does not answer as it should; it is tried again every minute"
        case errors.SearchExpired() | errors.ForeignLocation():
            return "the search was lost on its way; it is begun again"
    return action_words.refusal(problem).rstrip(".")


def changed_meanwhile(case: Case) -> str:
    """How the case stands, for somebody who decided by an older sight of it."""
    facts = [state(case)]
    if case.holder_name:
        facts.append(f"{case.holder_name} has it")
    if case.verdict:
        facts.append(f"{verdict(case.verdict)} by {case.verdict_by}")
    return f"This was changed meanwhile: {', '.join(facts)}. Look, then decide again."


def has(case: Case, *, is_own: bool) -> str:
    """Who has it, beside its state."""
    if not case.holder_name:
        return "Nobody has it"
    return "You have it" if is_own else f"{case.holder_name} has it"


def state(case: Case) -> str:
    return str(CaseState(case.state).label).lower()


def verdict(value: str) -> str:
    """The team's verdict as a word; what this version does not know is shown as it is stored."""
    return str(dict(OwnVerdict.choices).get(value, value)).lower()


def cannot_work(name: str) -> str:
    return f"{name} cannot take this: their role lacks “{Permission.CASE_WORK}”, or it is outside their domains."


def cannot_see(names: list[str]) -> str:
    listed = ", ".join(f"@{name}" for name in names)
    return f"{listed} cannot see this message and would never read the note. Take the name out, or write it without @."


def reported(report: CaseReport, *, is_named: bool) -> str:
    """ "Reported as MALICIOUS by eva@corp.example" """
    if report.source == CaseSource.PHISHGUARD:
        return f"PhishGuard: {report.title}"
    asked = f" as {action_words.disposition(report.asked_for)}" if report.asked_for else ""
    who = report.reported_by if is_named and report.reported_by else "a user"
    return f"Reported{asked} by {who}"
