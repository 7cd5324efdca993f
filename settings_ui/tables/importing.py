"""From a file to the dry run of a change."""

from __future__ import annotations

import datetime as dt

from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.upstream.connection import get_client
from settings_ui.changes import services
from settings_ui.models import Change, ChangeKind, ChangeState
from settings_ui.resources.description import Resource
from settings_ui.tables.dangers import warned
from settings_ui.tables.lives import kept
from settings_ui.tables.planning import Mode, plan
from settings_ui.tables.reading import read_table
from settings_ui.watching.queries import seen_ids
from settings_ui.watching.reading import read_whole

KEPT_FOR = dt.timedelta(days=7)  # a dry run that nobody decides
_FORGOTTEN_AT_ONCE = 10  # each may have ten thousand lines


def dry_run(
    *,
    actor: Member,
    resource: Resource,
    data: bytes,
    mode: Mode,
    file_name: str,
    operation_key: str,
    request: HttpRequest | None,
) -> Change:
    """Write down what the file would do to the list as it is now. Raises Unreadable, and what reading raises."""
    table = read_table(data, resource)
    entries = read_whole(resource, known=seen_ids(resource.name))
    planned = plan(
        table,
        resource,
        entries,
        kept=kept(resource, [entry.id for entry in entries]),
        mode=mode,
        may_add=get_client().offers(resource.name, "create"),
    )
    lines, cut = warned(resource, planned.lines)
    return services.draft(
        actor=actor,
        resource=resource,
        kind=ChangeKind.IMPORT,
        lines=lines,
        file_name=file_name,
        remarks=[*table.remarks, *planned.remarks, *cut],
        operation_key=operation_key,
        request=request,
    )


def forget() -> None:
    """Delete dry runs that nobody decided. The rows are held, so that none is decided meanwhile."""
    with transaction.atomic():
        old = Change.objects.select_for_update().filter(
            state=ChangeState.DRAFT, created_at__lt=timezone.now() - KEPT_FOR
        )
        keys = [change.pk for change in old.order_by("created_at")[:_FORGOTTEN_AT_ONCE]]
        Change.objects.filter(pk__in=keys).delete()
