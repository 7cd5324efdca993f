"""Sending one notice: claim it, hand it over, note the answer.

The claim is a conditional update, and the answer is noted for that claim alone. A worker that dies in between leaves
the claim; when it is over the notice is sent again under the same Message-ID and `Mailwarden-Notice`, by which a
receiver knows it. So a notice arrives at least once, and a second copy looks like one.
"""

from __future__ import annotations

import datetime as dt
import smtplib
import time
import uuid
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import structlog
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from dashboard.access.sealing import Unreadable, unseal
from dashboard.audit.recorder import record
from dashboard.outbound import posting
from dashboard.outbound.addresses import what_failed
from dashboard.web.text import visible
from investigate.models import Channel, Notice, NoticeRule, NoticeState
from investigate.notices import rendering, rights, words
from investigate.notices.receivers import is_named
from investigate.notices.stopping import stop

log = structlog.get_logger("mailwarden.notices")

# Seconds after each try that failed until the next one: about a day in all.
PAUSES = (30, 60, 120, 300, 600, 1200, 1800, 3600, 3600, 7200, 7200, 10_800, 14_400, 14_400, 21_600)
CLAIM = dt.timedelta(minutes=3)  # longer than any call may take
SURE_AFTER = 4  # tries; what a receiver refuses as often it will not take by being asked again
LONGEST_WAIT = 86_400.0  # however long a receiver asks us to wait
POST_SECONDS = 15.0
_GONE = (404, 410)
_PERHAPS_LATER = (408, 425, 429)


@dataclass(frozen=True)
class Outcome:
    """What came of a try."""

    told: str
    arrived: bool = False
    is_final: bool = False  # it is no use to try again
    is_refusal: bool = False  # a few tries are enough
    is_gone: bool = False  # nor is it of use to send anything else there
    wait: float = 0.0  # seconds, as the receiver asked


def send(notice_id: uuid.UUID | str) -> None:
    """Send a notice that is due. Harmless when it is not, and when another worker has it."""
    now = timezone.now()
    if not _due(now).filter(pk=notice_id).update(state=NoticeState.SENDING, claimed_at=now, attempts=F("attempts") + 1):
        return
    notice = Notice.objects.select_related("rule__owner", "rule__view", "owner").get(pk=notice_id)
    outcome = _tried(notice)
    _note(notice, outcome)


def release_dead() -> None:
    """Let what a dead worker held be sent again; after as many tries as any notice gets it is given up."""
    dead = Notice.objects.filter(state=NoticeState.SENDING, claimed_at__lte=timezone.now() - CLAIM)
    for notice in dead[:500]:
        _note(notice, Outcome(words.NO_ANSWER))


def due(now: dt.datetime) -> QuerySet[Notice]:
    return _due(now).order_by("due_at")


def _due(now: dt.datetime) -> QuerySet[Notice]:
    return Notice.objects.filter(Q(due_at=None) | Q(due_at__lte=now), state=NoticeState.WAITING)


def _go_where_the_rule_does(notice: Notice, rule: NoticeRule) -> None:
    """It may have another receiver by now: what is sent, listed and written down is of that one."""
    if (notice.channel, notice.shown) != (rule.channel, rule.shown):
        notice.channel, notice.shown = rule.channel, rule.shown
        _ours(notice).update(channel=rule.channel, shown=rule.shown)


def _ours(notice: Notice) -> QuerySet[Notice]:
    """The row while this claim has it: whoever was thought dead and comes back late changes nothing."""
    return Notice.objects.filter(pk=notice.pk, state=NoticeState.SENDING, claimed_at=notice.claimed_at)


def _tried(notice: Notice) -> Outcome:
    rule = notice.rule
    if rule is None:
        return Outcome(words.DELETED, is_final=True)
    if not rule.is_on and notice.messages:
        return Outcome(rule.stopped_why or words.OFF, is_final=True)
    if why := rights.why_not(rule):
        if rule.is_on:
            stop(rule, why)
        return Outcome(why, is_final=True)
    if not rights.still_covers(rule, notice.content["domains"]):
        return Outcome(words.NARROWED, is_final=True)
    _go_where_the_rule_does(notice, rule)
    try:
        return _mail(notice, rule) if notice.channel == Channel.MAIL else _post(notice, rule)
    except Unreadable:
        return Outcome(words.UNREADABLE, is_final=True)


def _mail(notice: Notice, rule: NoticeRule) -> Outcome:
    try:
        rendering.mail(notice, unseal(rule.target)).send()
    except smtplib.SMTPRecipientsRefused as problem:
        code, _ = next(iter(problem.recipients.values()))
        return Outcome(f"The mail server refuses the address ({code}).", is_final=code >= 500)
    except smtplib.SMTPResponseException as problem:
        is_final = problem.smtp_code >= 500 and not isinstance(problem, smtplib.SMTPAuthenticationError)
        return Outcome(f"The mail server answers {problem.smtp_code}.", is_final=is_final)
    except smtplib.SMTPException as problem:
        return Outcome(f"The mail server did not take it: {type(problem).__name__}.")
    except OSError as problem:
        return Outcome(f"The mail server was not reached: {what_failed(problem)}.")
    except ValueError:
        return Outcome("The mail cannot be written for this address.", is_final=True)
    return Outcome("The mail server took it.", arrived=True)


def _post(notice: Notice, rule: NoticeRule) -> Outcome:
    url, body = unseal(rule.target), rendering.payload(notice)
    headers = {"Content-Type": "application/json", "Mailwarden-Notice": str(notice.pk)}
    if rule.channel == Channel.WEBHOOK:
        now = str(int(time.time()))
        signature = posting.signature(unseal(rule.secret), now, body)
        headers |= {"Mailwarden-Timestamp": now, "Mailwarden-Signature": signature}
    try:
        answer = posting.post(url, body, headers, may_be_private=is_named(url), seconds=POST_SECONDS)
    except posting.Refused as problem:
        return Outcome(f"The receiver was not reached: {visible(problem, limit=300)}.")
    if answer.is_success:
        return Outcome(f"The receiver took it ({answer.status}).", arrived=True)
    told = answer.told
    if answer.status in _GONE:
        return Outcome(f"Nothing is there: {told}.", is_refusal=True, is_gone=True)
    is_refusal = 400 <= answer.status < 500 and answer.status not in _PERHAPS_LATER
    return Outcome(f"Not taken: {told}.", is_refusal=is_refusal, wait=_asked_wait(answer.retry_after))


def _asked_wait(value: str) -> float:
    """`Retry-After` in seconds: a number, or a date; 0 for anything else."""
    value = value.strip()
    if value.isascii() and value.isdecimal() and len(value) < 10:
        return min(float(value), LONGEST_WAIT)
    try:
        until = parsedate_to_datetime(value)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    until = until if until.tzinfo else until.replace(tzinfo=dt.UTC)
    return max(0.0, min((until - timezone.now()).total_seconds(), LONGEST_WAIT))


def _note(notice: Notice, outcome: Outcome) -> None:
    """Store what came of this claim."""
    now, ours = timezone.now(), _ours(notice)
    is_test = not notice.messages
    was_refused_before = outcome.is_refusal and notice.answer == outcome.told and notice.attempts >= SURE_AFTER
    is_over = outcome.is_final or was_refused_before or is_test or notice.attempts > len(PAUSES)
    log.info("notice_tried", notice=str(notice.pk), attempts=notice.attempts, arrived=outcome.arrived)
    with transaction.atomic():
        if not outcome.arrived and not is_over:
            wait = max(PAUSES[notice.attempts - 1], outcome.wait)
            ours.update(
                state=NoticeState.WAITING,
                due_at=now + dt.timedelta(seconds=wait),
                claimed_at=None,
                answer=outcome.told[:500],
            )
            return
        state = NoticeState.ARRIVED if outcome.arrived else NoticeState.FAILED
        if not ours.update(state=state, finished_at=now, due_at=None, claimed_at=None, answer=outcome.told[:500]):
            return
        record(
            actor=None,
            action="notice:test" if is_test else "notice:send",
            phase="done" if outcome.arrived else "failed",
            targets=[notice.shown],
            detail={
                "notice": str(notice.pk),
                "rule": str(notice.rule_id or ""),
                "messages": notice.messages,
                "tries": notice.attempts,
                "answer": outcome.told,
            },
        )
    if outcome.is_gone and was_refused_before and notice.rule is not None:
        stop(notice.rule, words.GONE.format(answer=outcome.told))
