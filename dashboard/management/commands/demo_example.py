"""Give a newcomer to the demo something to find: a desk that colleagues work at, shared views, a request that waits."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.emailsec.enums import Disposition
from dashboard.emailsec.errors import EmailSecurityError
from dashboard.emailsec.requests import SearchQuery
from dashboard.emailsec.types import Message, SlowSearch
from dashboard.upstream.connection import get_client
from investigate.actions import services as actions
from investigate.actions.decision import Decision
from investigate.desk import cases, notes
from investigate.models import Action, ActionKind, Case, CaseSource, CaseState, OwnVerdict
from investigate.saved import services as views
from investigate.saved.pace import all_views

VIEWS = {
    "Malicious and delivered": "disposition=MALICIOUS&status=delivered&last=7d",
    "Spoofed senders": "disposition=SPOOF&last=7d",
    "Held back today": "status=quarantined&last=24h",
}
REQUEST = "demo-example"  # the operation key of the one request, however often this runs
NOT_DONE = (actions.NotPossible, actions.Conflict, cases.NotPossible, cases.Conflict)
NOTE = "demo-note"  # and of the one note
FOR_THE_DESK = (Disposition.MALICIOUS, Disposition.MALICIOUS_BEC, Disposition.SPOOF, Disposition.SUSPICIOUS)


class Command(BaseCommand):
    help = "Save the demo's shared views, work on some cases, and ask for a release that a second person decides about."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        if not settings.DEMO:
            raise CommandError("Examples are for the demo alone.")
        ana, ben = (Member.objects.get(username=name) for name in ("ana", "ben"))
        _share_views(ben)
        try:
            _work(ana, ben)
            _ask_for_release(ana)
        except (EmailSecurityError, *NOT_DONE) as problem:
            self.stderr.write(f"The demo begins without colleagues at work, or without a request of theirs: {problem}")


def _share_views(ben: Member) -> None:
    known = set(all_views().filter(owner=ben).values_list("name", flat=True))
    for name, query in VIEWS.items():
        if name not in known:
            views.create(actor=ben, wanted=views.Wanted(name, query, is_shared=True), request=None)


def _work(ana: Member, ben: Member) -> None:
    """Of the detections of two days every third one is done, one is in work, and about one Ana has asked Ben."""
    if cases.all_cases().exclude(verdict="").exists():
        return
    wanted = [one for one in _found(days=2) if one.final_disposition in FOR_THE_DESK]
    cases.ensure_many(wanted, CaseSource.DETECTION)
    known = {case.key: case for case in cases.all_cases().filter(key__in=[one.id for one in wanted])}
    mine = [known[one.id] for one in wanted if one.id in known]
    for number, case in enumerate(mine[2::3]):
        actor = (ana, ben)[number % 2]
        case = cases.set_verdict(actor=actor, case=case, verdict=_verdict_on(case, number), request=None)
        cases.finish(actor=actor, case=case, request=None)
    if len(mine) < 2:
        return
    cases.take(actor=ben, case=mine[0], request=None)
    asked = cases.set_state(actor=ana, case=mine[1], state=CaseState.WAITING, request=None)
    text = "@ben you know this supplier: did they announce new bank details? I wait for their call."
    notes.add_note(actor=ana, case=asked, text=text, operation_key=NOTE, request=None)


def _verdict_on(case: Case, number: int) -> OwnVerdict:
    if cases.is_malicious(case.disposition):
        return OwnVerdict.TRUE_POSITIVE
    return (OwnVerdict.FALSE_POSITIVE, OwnVerdict.GRAYMAIL, OwnVerdict.TRUE_POSITIVE)[number % 3]


def _found(*, days: int, disposition: Disposition | None = None) -> list[Message]:
    """Detections, newest first; none where the service does not answer at once."""
    now = timezone.now()
    query = SearchQuery(start=now - dt.timedelta(days=days), end=now, final_disposition=disposition)
    found = get_client().search(query)
    return [] if isinstance(found, SlowSearch) else list(found.messages)


def _ask_for_release(ana: Member) -> None:
    """The newest Malicious message in quarantine: releasing it takes a responder as well."""
    if Action.objects.filter(operation_key=REQUEST).exists():
        return
    held = [one.id for one in _found(days=29, disposition=Disposition.MALICIOUS) if one.is_quarantined]
    if not held:
        raise actions.NotPossible("No Malicious message is in quarantine.")
    decision = Decision(
        kind=ActionKind.RELEASE,
        investigate_ids=(held[0],),
        reason="The recipient expects this invoice, and called the sender back.",
        is_confirmed=True,
    )
    actions.act(actor=ana, decision=decision, operation_key=REQUEST, request=None)
