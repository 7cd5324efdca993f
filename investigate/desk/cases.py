"""Messages the team works on: who has each, how far it is, what the team says of it.

A change reads the row, locks it, decides, and names the version it leaves; it is recorded and told to open pages in
the same transaction. A case outside somebody's domains is not there for them: `Case.DoesNotExist`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.access.scope import spaced
from dashboard.audit.chain import storable_text
from dashboard.audit.recorder import record
from dashboard.emailsec.types import Disposition, Message
from dashboard.installation.values import setting
from dashboard.web.text import split_address
from investigate.desk import words
from investigate.desk.changes import note_change
from investigate.models import Case, CaseSource, CaseState, OwnVerdict

HOURS_FOR_DELIVERED_MALICIOUS = 1
SEEN_AT_MOST_EVERY = dt.timedelta(seconds=20)  # presence comes every few seconds; the claim needs it less often
MOST_ENDED_AT_ONCE = 500
AT_WORK = (CaseState.NEW, CaseState.IN_WORK)

Changes = dict[str, Any]


class NotPossible(Exception):
    """The change cannot be made, which is known without trying; the text says why."""


class Conflict(Exception):
    """A colleague was faster, or has the case. `case` is how it stands now; `may_take_over` that one may insist."""

    def __init__(self, told: str, case: Case, *, may_take_over: bool = False) -> None:
        super().__init__(told)
        self.case = case
        self.may_take_over = may_take_over


# --- reading ----------------------------------------------------------------------------------------------------------


def all_cases() -> QuerySet[Case]:
    """Cases of the configured account, whose mail alone may be shown."""
    return Case.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID)


def cases_of(member: Member) -> QuerySet[Case]:
    """Those of them this member may know of."""
    return all_cases().filter(member.scope.q("domains"))


def case_for(investigate_id: str) -> Case | None:
    """The case of a message, whoever may see it; None where nobody has worked on it."""
    return all_cases().filter(key=investigate_id).first()


def stands_alone(key: str) -> bool:
    """Whether the case is a report whose message is not known."""
    return all_cases().filter(key=key, investigate_id="").exists()


def held_now(case: Case, *, now: dt.datetime | None = None) -> bool:
    """Whether somebody has it who was not away for too long, and has not left the team."""
    if case.holder is None or not case.holder.is_active:
        return False
    return bool(case.holder_seen_at and case.holder_seen_at > _away_since(now or timezone.now()))


def is_overdue(case: Case, *, now: dt.datetime | None = None) -> bool:
    return case.state != CaseState.DONE and case.due_at < (now or timezone.now())


def is_work(case: Case) -> bool:
    """Whether it is anybody's work: some cases only hold what somebody did to a message in passing."""
    return case.source != CaseSource.PERSON or case.version > 1


def colleagues_for(case: Case, actor: Member) -> list[Member]:
    """Whom it can be handed to: active members who may work on cases and on this one, without oneself."""
    members = Member.objects.filter(is_active=True).exclude(pk=actor.pk).order_by("first_name", "username")
    return [member for member in members if can_work_on(member, case)]


def can_work_on(member: Member, case: Case) -> bool:
    """Whether this person holds the right, and a copy went to their domains."""
    return member.is_active and member.may(Permission.CASE_WORK) and member.scope.sees_domains(case.domains)


# --- making -----------------------------------------------------------------------------------------------------------


def ensure(message: Message, source: str = CaseSource.PERSON) -> Case:
    """The case of a message, made now where there is none. Runs in the caller's transaction.

    Takes the message with all its copies, as `parts.read_message` gives it: the columns are for everybody.
    """
    now = timezone.now()
    case, is_new = Case.objects.get_or_create(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID,
        key=message.id,
        defaults={
            "source": source,
            "created_at": now,
            "changed_at": now,
            **facts_of(message),
            "due_at": due_at(message, now),
        },
    )
    if not is_new and source != CaseSource.PERSON:
        # Somebody looked at it before the queue did: from now on it is the queue's as well.
        raised = all_cases().filter(pk=case.pk, source=CaseSource.PERSON, version=1).update(source=source)
        if raised:
            case.source = source
    return case


def ensure_many(messages: Iterable[Message], source: str) -> list[str]:
    """Cases for all of them, each once however often it is told; the ids of those that are new to the queue."""
    found = {message.id: message for message in messages}
    with transaction.atomic():
        known = dict(all_cases().filter(key__in=list(found)).values_list("key", "source"))
        missing = sorted((found[name] for name in found.keys() - known.keys()), key=_scanned)  # older ones come first
        Case.objects.bulk_create(
            (unwritten(message, source) for message in missing),
            batch_size=200,
            ignore_conflicts=True,
        )
        looked_at = [name for name, first in known.items() if first == CaseSource.PERSON]
        raised = all_cases().filter(key__in=looked_at, source=CaseSource.PERSON, version=1)
        new = [*(message.id for message in missing), *raised.values_list("key", flat=True)]
        raised.update(source=source)
        note_change(new)
    return new


def _scanned(message: Message) -> tuple[bool, dt.datetime | None]:
    return message.scanned_at is not None, message.scanned_at


def unwritten(message: Message, source: str = CaseSource.PERSON) -> Case:
    """The case as it would be; also for a page that only asks what to do with it."""
    now = timezone.now()
    return Case(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID,
        key=message.id,
        source=source,
        created_at=now,
        changed_at=now,
        due_at=due_at(message, now),
        **facts_of(message),
    )


def facts_of(message: Message) -> Changes:
    """What a list shows of a message, in columns."""
    mailboxes = list(dict.fromkeys(message.mailboxes))
    sender = (message.from_ or message.envelope_from or "").strip().casefold()
    return {
        "investigate_id": message.id,
        "subject": storable_text(message.subject or ""),
        "sender": storable_text(sender, limit=500),
        "sender_domain": storable_text(split_address(sender)[1], limit=255),
        "recipients": [storable_text(name) for name in mailboxes],
        "domains": storable_text(spaced(mailboxes)),
        "disposition": storable_text(str(message.final_disposition or ""), limit=40),
        "edf_hash": storable_text(message.edf_hash or "", limit=255),
        "structure_hash": storable_text(message.htmltext_structure_hash or "", limit=255),
        "scanned_at": message.scanned_at,
    }


def due_at(message: Message, created_at: dt.datetime) -> dt.datetime:
    """When it is overdue: sooner where somebody has Malicious mail in front of them.

    Counted from when it came onto the desk: what was scanned before there was a desk is late for nobody.
    """
    hours: int = setting("OVERDUE_HOURS")
    if is_malicious(message.final_disposition) and not message.is_quarantined:
        hours = min(hours, HOURS_FOR_DELIVERED_MALICIOUS)
    return created_at + dt.timedelta(hours=hours)


def is_malicious(disposition: str | None) -> bool:
    return disposition in (Disposition.MALICIOUS, Disposition.MALICIOUS_BEC)


# --- changing ---------------------------------------------------------------------------------------------------------


def take(*, actor: Member, case: Case, take_over: bool = False, request: HttpRequest | None) -> Case:
    """Have it. Where a colleague has it, Conflict says since when; `take_over` insists, and is recorded as such."""

    def decide(now_case: Case, now: dt.datetime) -> Changes | None:
        if now_case.holder_id == actor.pk and now_case.state != CaseState.DONE:
            return None
        _check_free(now_case, actor, now, take_over=take_over)
        return _held_by(actor, now) | _in_work(now_case)

    def told(before: Case) -> Changes:
        return {"taken_over_from": before.holder_name} if before.holder_id and before.holder_id != actor.pk else {}

    return _change(actor, case, decide, action="case:take", told=told, request=request)


def hand_over(
    *,
    actor: Member,
    case: Case,
    to: Member,
    take_over: bool = False,
    request: HttpRequest | None,
) -> Case:
    """Give it to a colleague who may work on it."""

    def decide(now_case: Case, now: dt.datetime) -> Changes | None:
        if not can_work_on(to, now_case):
            raise NotPossible(words.cannot_work(to.display_name))
        if now_case.holder_id == to.pk and held_now(now_case, now=now):
            return None
        _check_free(now_case, actor, now, take_over=take_over)
        return _held_by(to, now) | _in_work(now_case)

    def told(before: Case) -> Changes:
        return {"to": to.display_name, "to_id": to.pk, "from": before.holder_name}

    return _change(actor, case, decide, action="case:hand_over", told=told, request=request)


def let_go(*, actor: Member, case: Case, request: HttpRequest | None) -> Case:
    """Have it no longer: it is there for everybody again."""

    def decide(now_case: Case, now: dt.datetime) -> Changes | None:
        if now_case.holder_id is None:
            return None
        _check_free(now_case, actor, now)
        return _let_go(now_case)

    return _change(actor, case, decide, action="case:let_go", request=request)


def set_state(*, actor: Member, case: Case, state: str, request: HttpRequest | None) -> Case:
    """Say how far it is. In work means that the actor has it; out of *done* is the way to reopen it."""

    def decide(now_case: Case, now: dt.datetime) -> Changes | None:
        if now_case.state == state and (state != CaseState.IN_WORK or now_case.holder_id == actor.pk):
            return None
        _check_free(now_case, actor, now)
        opened: Changes = {"done_at": None, "done_by": ""}
        match CaseState(state):
            case CaseState.NEW:
                return {**_let_go(now_case), **opened, "state": CaseState.NEW}
            case CaseState.IN_WORK:
                return {**_held_by(actor, now), **opened, "state": CaseState.IN_WORK}
            case CaseState.WAITING:
                return {**_held_by(actor, now), **opened, "state": CaseState.WAITING}
            case CaseState.DONE:
                return _done(now_case, actor, now)

    def told(before: Case) -> Changes:
        return {"state": str(state), "was": before.state}

    return _change(actor, case, decide, action="case:state", told=told, request=request)


def set_verdict(
    *,
    actor: Member,
    case: Case,
    verdict: str,
    was: str | None = None,
    request: HttpRequest | None,
) -> Case:
    """What the team says; "" takes it back. `was`: the verdict the person saw, which another one must not follow."""

    def decide(now_case: Case, now: dt.datetime) -> Changes | None:
        if now_case.verdict == verdict:
            return None
        _check_free(now_case, actor, now)
        if was is not None and now_case.verdict != was:
            raise Conflict(words.changed_meanwhile(now_case), now_case)
        return _verdict(actor, verdict, now)

    def told(before: Case) -> Changes:
        return {"verdict": str(verdict), "was": before.verdict}

    return _change(actor, case, decide, action="case:verdict", told=told, request=request)


def finish(*, actor: Member, case: Case, request: HttpRequest | None) -> Case:
    """Done with it."""

    def decide(now_case: Case, now: dt.datetime) -> Changes | None:
        if now_case.state == CaseState.DONE:
            return None
        _check_free(now_case, actor, now)
        return _done(now_case, actor, now)

    def told(before: Case) -> Changes:
        return {"verdict": str(before.verdict), "was": before.state}

    return _change(actor, case, decide, action="case:done", told=told, request=request)


def seen(member: Member, key: str) -> None:
    """The holder looks at the message: the claim goes on. No change, so nothing is recorded or told."""
    now = timezone.now()
    ours = all_cases().filter(key=key, holder=member)
    ours.filter(holder_seen_at__lt=now - SEEN_AT_MOST_EVERY).update(holder_seen_at=now)


def end_idle_claims() -> int:
    """End the claims of members who were away for too long; who looks again in the same instant keeps theirs."""
    held = all_cases().filter(holder__isnull=False).filter(idle(timezone.now()))
    ended = 0
    for case in held.order_by("holder_seen_at")[:MOST_ENDED_AT_ONCE]:
        with transaction.atomic():
            now = timezone.now()
            unchanged = all_cases().filter(pk=case.pk, version=case.version).filter(idle(now))
            if not unchanged.update(**_let_go(case), version=F("version") + 1, changed_at=now):
                continue
            record(
                actor=None,
                action="case:claim_ended",
                targets=[case.key],
                detail={
                    "holder": case.holder_name,
                    "seen_at": case.holder_seen_at,
                    "minutes": setting("CLAIM_MINUTES"),
                },
            )
            note_change([case.key])
            ended += 1
    return ended


# --- what every change has in common ----------------------------------------------------------------------------------


def check_may_work(actor: Member, case: Case) -> None:
    """The right first, so that who may not work on cases learns nothing about this one."""
    if not actor.may(Permission.CASE_WORK):
        raise PermissionDenied(Permission.CASE_WORK.value)
    if not can_work_on(actor, case):
        raise Case.DoesNotExist


def _change(
    actor: Member,
    case: Case,
    decide: Callable[[Case, dt.datetime], Changes | None],
    *,
    action: str,
    request: HttpRequest | None,
    told: Callable[[Case], Changes] = lambda _: {},
) -> Case:
    """One change of one case as it is now. `decide` gives the new values, or None where nothing is to be done."""
    check_may_work(actor, case)
    with transaction.atomic():
        before = all_cases().select_for_update().get(pk=case.pk)
        check_may_work(actor, before)
        now = timezone.now()
        values = decide(before, now)
        if values is None:
            return before
        if before.holder_id == actor.pk and "holder" not in values:
            values["holder_seen_at"] = now
        unchanged = all_cases().filter(pk=before.pk, version=before.version)
        if not unchanged.update(**values, version=F("version") + 1, changed_at=now):
            before.refresh_from_db()
            raise Conflict(words.changed_meanwhile(before), before)
        record(actor=actor, action=action, targets=[before.key], detail=told(before), request=request)
        note_change([before.key])
        return all_cases().get(pk=before.pk)


def _check_free(case: Case, actor: Member, now: dt.datetime, *, take_over: bool = False) -> None:
    """What a colleague works on is theirs until they let go, are away for long, or somebody insists."""
    if not take_over and case.holder_id != actor.pk and held_now(case, now=now):
        raise Conflict(words.claimed(case, now=now), case, may_take_over=True)


def _held_by(member: Member, now: dt.datetime) -> Changes:
    return {
        "holder": member,
        "holder_name": storable_text(member.display_name, limit=300),
        "held_at": now,
        "holder_seen_at": now,
    }


def _in_work(case: Case) -> Changes:
    """What somebody takes is in work, and not done any more; what waits for somebody outside goes on waiting."""
    if case.state == CaseState.WAITING:
        return {}
    return {"state": CaseState.IN_WORK, "done_at": None, "done_by": ""}


def _let_go(case: Case) -> Changes:
    values: Changes = {"holder": None, "holder_name": "", "held_at": None, "holder_seen_at": None}
    return values | ({"state": CaseState.NEW} if case.state == CaseState.IN_WORK else {})


def _done(case: Case, actor: Member, now: dt.datetime) -> Changes:
    name = storable_text(actor.display_name, limit=300)
    return _let_go(case) | {"state": CaseState.DONE, "done_at": now, "done_by": name}


def _verdict(actor: Member, verdict: str, now: dt.datetime) -> Changes:
    if not verdict:
        return {"verdict": "", "verdict_by": "", "verdict_at": None}
    name = storable_text(actor.display_name, limit=300)
    return {"verdict": OwnVerdict(verdict), "verdict_by": name, "verdict_at": now}


def idle(now: dt.datetime) -> Q:
    """Held by somebody who was away for too long, or has left the team."""
    gone = Member.objects.filter(is_active=False).values("pk")  # no join: updates look at the row itself once more
    return Q(holder_seen_at=None) | Q(holder_seen_at__lte=_away_since(now)) | Q(holder__in=gone)


def _away_since(now: dt.datetime) -> dt.datetime:
    return now - dt.timedelta(minutes=setting("CLAIM_MINUTES"))
