"""One check at a time: begun by a button or by hand, filled in finding by finding while it runs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import structlog
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.audit.chain import storable, storable_text
from dashboard.audit.recorder import record
from dashboard.installation.checking import MACHINE, Finding, State, look_around
from dashboard.installation.models import SelfCheck
from dashboard.upstream.ring import ring
from dashboard.upstream.turns import take_turn

log = structlog.get_logger("mailwarden.self_check")

TASK = "dashboard.installation.tasks.run_check"
LONGEST = dt.timedelta(minutes=3)  # then a check that has not ended never will: its worker is gone
BETWEEN = 10.0  # seconds between two checks
KEPT = 20  # checks


@dataclass(frozen=True)
class Shown:
    """A check as the page shows it."""

    check: SelfCheck

    @property
    def is_running(self) -> bool:
        return self.check.finished_at is None and not self.is_lost

    @property
    def is_lost(self) -> bool:
        return self.check.finished_at is None and timezone.now() - self.check.began_at > LONGEST

    @property
    def groups(self) -> list[tuple[str, list[dict[str, str]]]]:
        labelled = [{**one, "label": State(one["state"]).label} for one in self.check.findings]
        return [(group, list(found)) for group, found in groupby(_by_group(labelled), key=lambda one: one["group"])]

    @property
    def counts(self) -> list[tuple[State, int]]:
        states = [one["state"] for one in self.check.findings]
        return [(state, states.count(state)) for state in State if state in states]


def _by_group(findings: list[dict[str, str]]) -> list[dict[str, str]]:
    order = list(dict.fromkeys(one["group"] for one in findings))
    return sorted(findings, key=lambda one: order.index(one["group"]))


def latest() -> Shown | None:
    check = SelfCheck.objects.first()
    return Shown(check) if check else None


def begin(*, actor: Member | None, asked_by: str, request: HttpRequest | None = None) -> SelfCheck | None:
    """A new check, not yet run; None where one runs, or ended a moment ago."""
    running = SelfCheck.objects.filter(finished_at=None, began_at__gt=timezone.now() - LONGEST)
    if running.exists() or not take_turn("self-check", every=BETWEEN):
        return None
    with transaction.atomic():
        check = SelfCheck.objects.create(began_at=timezone.now(), asked_by=storable_text(asked_by, limit=300))
        record(actor=actor, action="installation:check", targets=[str(check.pk)], request=request)
    SelfCheck.objects.exclude(pk__in=list(SelfCheck.objects.values_list("pk", flat=True)[:KEPT])).delete()
    return check


def begin_in_worker(*, actor: Member, request: HttpRequest) -> SelfCheck | None:
    """The same, run by a worker; where the broker does not take it, that is the finding."""
    check = begin(actor=actor, asked_by=actor.display_name, request=request)
    if check is not None and not ring(TASK, str(check.pk)):
        seen = "The broker did not take the check, so no worker can run it."
        advice = "Run it by hand: manage.py self_check"
        _end(check, [Finding(MACHINE, "Broker", State.BROKEN, seen, advice)])
    return check


def run(check_id: int) -> None:
    """Carry out a check that was begun, once."""
    check = SelfCheck.objects.filter(pk=check_id, finished_at=None, findings=[]).first()
    if check is None:
        return
    waiting = SelfCheck.objects.filter(pk=check_id, finished_at=None, findings=[], began_at=check.began_at)
    if waiting.update(began_at=timezone.now()):
        for _ in carried_out(check):
            pass


def carried_out(check: SelfCheck) -> Iterator[Finding]:
    """Each finding once it is stored; what breaks the check itself is a finding too."""
    found: list[Finding] = []
    try:
        for finding in look_around():
            found.append(finding)
            _store(check, found)
            yield finding
    except Exception as problem:  # noqa: BLE001  a check that breaks must still end, and say so
        log.error("self_check_broke", error=type(problem).__name__)
        broke = Finding(MACHINE, "The check itself", State.UNKNOWN, f"It broke off ({type(problem).__name__}).")
        found.append(broke)
        yield broke
    _end(check, found)


def _store(check: SelfCheck, found: Iterable[Finding], **also: Any) -> None:
    findings = [storable(finding.stored()) for finding in found]
    SelfCheck.objects.filter(pk=check.pk).update(findings=findings, **also)


def _end(check: SelfCheck, found: Iterable[Finding]) -> None:
    _store(check, found, finished_at=timezone.now())
