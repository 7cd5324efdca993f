"""Setting up who is told of a view, changing it, trying it, and sending once more what did not arrive."""

from __future__ import annotations

import datetime as dt
import secrets
import uuid
from dataclasses import dataclass

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.access.sealing import seal
from dashboard.audit.recorder import record
from dashboard.upstream.ring import ring
from investigate.models import Channel, Notice, NoticeRule, NoticeState, Rhythm, SavedView
from investigate.notices import rights, timing, words
from investigate.notices.making import newest_hit
from investigate.notices.receivers import shortened
from investigate.notices.stopping import give_up_waiting
from investigate.saved.queries import query_into

SEND = "investigate.tasks.send_notice"
MOST_RULES = 50  # of one member
TESTS_AN_HOUR = 20  # of one member


class Conflict(Exception):
    """It is not as whoever decided saw it; the text says how it is."""


class NotPossible(Exception):
    """Nothing was done; the text says why."""


@dataclass(frozen=True)
class Wanted:
    """A rule as somebody wants it. `target` "" keeps the one there is."""

    view: SavedView
    rhythm: str
    hour: int
    channel: str
    target: str = ""
    new_secret: bool = False


CHANGED = "Somebody changed it in the meantime. Look at it again."


def create(*, actor: Member, key: uuid.UUID, wanted: Wanted, request: HttpRequest) -> tuple[NoticeRule, str]:
    """Set a rule up; the second value is the secret of a webhook, shown once. `key` makes a second sending harmless."""
    _refuse_others(actor, wanted)
    if not settings.ADDRESS:
        raise NotPossible(words.NO_ADDRESS)
    if NoticeRule.objects.filter(owner=actor).count() >= MOST_RULES:
        raise NotPossible(f"One member has at most {MOST_RULES} notices.")
    now = timezone.now()
    secret = secrets.token_urlsafe(32) if wanted.channel == Channel.WEBHOOK else ""
    rule = NoticeRule(
        id=key,
        view=wanted.view,
        owner=actor,
        rhythm=wanted.rhythm,
        channel=wanted.channel,
        target=seal(wanted.target),
        shown=_shown(wanted.channel, wanted.target),
        secret=seal(secret) if secret else "",
        hour=wanted.hour,
        told_hit=newest_hit(wanted.view.pk),
        since=now,
        due_at=timing.first_due(wanted.rhythm, wanted.hour, now),
        created_at=now,
        changed_at=now,
    )
    try:
        with transaction.atomic():
            rule.save(force_insert=True)
            _record(actor, "notice:create", rule, request)
    except IntegrityError:
        raise Conflict("This notice is set up already.") from None
    return rule, secret


def change(*, actor: Member, rule: NoticeRule, wanted: Wanted, version: int, request: HttpRequest) -> str:
    """Change a rule; gives the new secret of a webhook that got one. Raises Conflict."""
    _check_owner(actor, rule)
    _refuse_others(actor, wanted, rule)
    if not wanted.target and wanted.channel != rule.channel:
        raise NotPossible("Another channel needs another target.")
    now = timezone.now()
    needs_secret = wanted.channel == Channel.WEBHOOK and (wanted.new_secret or not rule.secret)
    secret = secrets.token_urlsafe(32) if needs_secret else ""
    values: dict[str, object] = {
        "view": wanted.view,
        "rhythm": wanted.rhythm,
        "hour": wanted.hour,
        "channel": wanted.channel,
        "due_at": timing.first_due(wanted.rhythm, wanted.hour, now),
    }
    if wanted.target:
        values |= {"target": seal(wanted.target), "shown": _shown(wanted.channel, wanted.target)}
    if secret:
        values["secret"] = seal(secret)
    with transaction.atomic():
        if wanted.view.pk != rule.view_id:
            values |= {"told_hit": newest_hit(wanted.view.pk), "since": now}
            rule.campaigns.all().delete()
            give_up_waiting(rule, "The notice is of another view since.")
        _update(rule, version, **values)
        _record(actor, "notice:change", rule, request)
    return secret


def switch(*, actor: Member, rule: NoticeRule, is_on: bool, version: int, request: HttpRequest) -> None:
    """Switch a rule on or off. What was found while it was off is not told."""
    if is_on:
        _check_owner(actor, rule)
    _check_may_oversee(actor, rule)
    if is_on and (why := rights.why_not(rule)):
        raise NotPossible(why)
    now = timezone.now()
    with transaction.atomic():
        values: dict[str, object] = {"is_on": is_on, "stopped_why": ""}
        if is_on and not rule.is_on:
            due_at = timing.first_due(rule.rhythm, rule.hour, now)
            values |= {"told_hit": newest_hit(rule.view_id), "since": now, "due_at": due_at}
        _update(rule, version, **values)
        if not is_on:
            give_up_waiting(rule)
        _record(actor, "notice:change", rule, request)


def delete(*, actor: Member, rule: NoticeRule, version: int, request: HttpRequest) -> None:
    """Delete a rule. What it has sent stays on the list."""
    _check_may_oversee(actor, rule)
    with transaction.atomic():
        _update(rule, version, is_on=False)
        give_up_waiting(rule, words.DELETED)
        _record(actor, "notice:delete", rule, request)
        rule.delete()


def try_now(*, actor: Member, rule: NoticeRule, request: HttpRequest) -> Notice:
    """Send a notice that is marked as a test; its page says what came of it."""
    _check_owner(actor, rule)
    if why := rights.why_not(rule):
        raise NotPossible(why)
    now = timezone.now()
    hour_ago = now - dt.timedelta(hours=1)
    if Notice.objects.filter(owner=actor, messages=0, created_at__gt=hour_ago).count() >= TESTS_AN_HOUR:
        raise NotPossible(f"{TESTS_AN_HOUR} tests an hour are enough. Try again later.")
    with transaction.atomic():
        notice = Notice.objects.create(
            rule=rule,
            view_name=rule.view.name,
            owner=rule.owner,
            channel=rule.channel,
            shown=rule.shown,
            content=_test_content(rule),
            messages=0,
            campaigns=0,
            created_at=now,
            due_at=now,
        )
        record(
            actor=actor,
            action="notice:test",
            phase="attempt",
            targets=[rule.shown],
            detail={"rule": str(rule.pk), "notice": str(notice.pk), "view": rule.view.name},
            request=request,
        )
    ring(SEND, str(notice.pk))
    return notice


def send_again(*, actor: Member, notice: Notice, request: HttpRequest) -> None:
    """Try a notice that failed once more, now."""
    rule = notice.rule
    if rule is None:
        raise NotPossible("Its notice was deleted: nobody knows any more where it was to go.")
    _check_may_oversee(actor, rule)
    if not rule.is_on and notice.messages:
        raise NotPossible("Its notice is switched off. Switch it on first.")
    if why := rights.why_not(rule):
        raise NotPossible(why)
    with transaction.atomic():
        taken = Notice.objects.filter(pk=notice.pk, state=NoticeState.FAILED).update(
            state=NoticeState.WAITING, due_at=timezone.now(), finished_at=None
        )
        if not taken:
            raise Conflict("It is not failed any more.")
        record(
            actor=actor,
            action="notice:send",
            phase="attempt",
            targets=[notice.shown],
            detail={"notice": str(notice.pk), "rule": str(rule.pk)},
            request=request,
        )
    ring(SEND, str(notice.pk))


def _check_owner(actor: Member, rule: NoticeRule) -> None:
    """What tells somebody of the owner's mail is the owner's alone. Raises PermissionDenied."""
    if rule.owner_id != actor.pk:
        raise PermissionDenied(Permission.NOTICE_SEND.value)


def _check_may_oversee(actor: Member, rule: NoticeRule) -> None:
    """Its owner, or somebody who oversees everybody's. Raises PermissionDenied."""
    if not rights.oversees(actor):
        _check_owner(actor, rule)


def _refuse_others(actor: Member, wanted: Wanted, rule: NoticeRule | None = None) -> None:
    """Whoever has no right to tell others has a mail to their own address, and nothing else."""
    if actor.may(Permission.NOTICE_SEND):
        return
    keeps = not wanted.target and rule is not None
    is_own = wanted.channel == Channel.MAIL and (keeps or rights.is_own_address(actor, wanted.target))
    if not is_own:
        raise NotPossible("Notices to others need the right to send notices to others and to other systems.")


def _update(rule: NoticeRule, version: int, **values: object) -> None:
    changed = NoticeRule.objects.filter(pk=rule.pk, version=version).update(
        **values, version=F("version") + 1, changed_at=timezone.now()
    )
    if not changed:
        raise Conflict(CHANGED)
    rule.refresh_from_db()


def _shown(channel: str, target: str) -> str:
    return target[:300] if channel == Channel.MAIL else shortened(target)


def _test_content(rule: NoticeRule) -> dict[str, object]:
    return {
        "test": True,
        "messages": 0,
        "campaigns": 0,
        "alone": 0,
        "groups": [],
        "all_groups": 0,
        "known": {"messages": 0, "campaigns": 0},
        "query": query_into(rule.view),
        "domains": sorted(rule.owner.scope.domains),
    }


def _record(actor: Member, action: str, rule: NoticeRule, request: HttpRequest) -> None:
    record(
        actor=actor,
        action=action,
        targets=[rule.shown],
        detail={
            "rule": str(rule.pk),
            "view": rule.view.name,
            "owner": rule.owner_id,
            "rhythm": rule.rhythm,
            "hour": rule.hour if rule.rhythm == Rhythm.DAILY else None,
            "channel": rule.channel,
            "is_on": rule.is_on,
        },
        request=request,
    )
