"""Give a newcomer to the demo something to find: shared views, and a request that waits for a second person."""

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
from dashboard.emailsec.types import SlowSearch
from dashboard.upstream.connection import get_client
from investigate.actions import services as actions
from investigate.actions.decision import Decision
from investigate.models import Action, ActionKind
from investigate.saved import services as views
from investigate.saved.pace import all_views

VIEWS = {
    "Malicious and delivered": "disposition=MALICIOUS&status=delivered&last=7d",
    "Spoofed senders": "disposition=SPOOF&last=7d",
    "Held back today": "status=quarantined&last=24h",
}
REQUEST = "demo-example"  # the operation key of the one request, however often this runs


class Command(BaseCommand):
    help = "Save the demo's shared views, and ask for a release that a second person decides about."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        if not settings.DEMO:
            raise CommandError("Examples are for the demo alone.")
        _share_views(Member.objects.get(username="ben"))
        try:
            _ask_for_release(Member.objects.get(username="ana"))
        except (EmailSecurityError, actions.NotPossible, actions.Conflict) as problem:
            self.stderr.write(f"The demo begins without a request for a second person: {problem}")


def _share_views(ben: Member) -> None:
    known = set(all_views().filter(owner=ben).values_list("name", flat=True))
    for name, query in VIEWS.items():
        if name not in known:
            views.create(actor=ben, wanted=views.Wanted(name, query, is_shared=True), request=None)


def _ask_for_release(ana: Member) -> None:
    """The newest Malicious message in quarantine: releasing it takes a responder as well."""
    if Action.objects.filter(operation_key=REQUEST).exists():
        return
    now = timezone.now()
    query = SearchQuery(start=now - dt.timedelta(days=29), end=now, final_disposition=Disposition.MALICIOUS)
    found = get_client().search(query)
    held = [] if isinstance(found, SlowSearch) else [one.id for one in found.messages if one.is_quarantined]
    if not held:
        raise actions.NotPossible("No Malicious message is in quarantine.")
    decision = Decision(
        kind=ActionKind.RELEASE,
        investigate_ids=(held[0],),
        reason="The recipient expects this invoice, and called the sender back.",
        is_confirmed=True,
    )
    actions.act(actor=ana, decision=decision, operation_key=REQUEST, request=None)
