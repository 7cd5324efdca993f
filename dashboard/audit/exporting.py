"""The trail as a file: written while it is read, recorded before and after, and not more often than people need."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.audit import words
from dashboard.audit.chain import line
from dashboard.audit.models import AuditEvent, ChainHead
from dashboard.audit.queries import Filters, export_steps, first_since
from dashboard.audit.recorder import record
from dashboard.installation.values import setting
from dashboard.web import csv_cells

HOUR = dt.timedelta(hours=1)
COLUMNS = (
    "sequence", "time", "who", "member_id", "address", "action", "what", "result", "refers_to", "objects", "reason",
    "detail", "previous_hash", "hash",
)  # fmt: skip

# What counts towards the files of an hour, by when it is written down: with the file, or before and after it.
_WRITTEN_ONCE = (
    "campaign:export", "indicator:export", "job:export", "message:export", "submission:export",
)  # fmt: skip
_WRITTEN_TWICE = ("audit:export", "policy:backup", "policy:export")

Steps = Iterable[Sequence[AuditEvent]]


class TooManyExports(Exception):
    """The member has taken as many files as an hour allows."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"again in {retry_after} s")
        self.retry_after = retry_after


def record_export(
    *,
    actor: Member,
    action: str,
    detail: Mapping[str, Any],
    request: HttpRequest | None,
    phase: str = "done",
    refers_to: int | None = None,
    targets: Iterable[str] = (),
) -> AuditEvent:
    """Write down that a file leaves. Raises TooManyExports; counted and written in one step, so nobody is faster.

    The hour is looked through before the trail is locked; behind the lock, only what was written meanwhile.
    """
    head, taken = _taken_within_the_hour(actor)
    with transaction.atomic():
        now_at = ChainHead.objects.select_for_update().get(pk=1).sequence
        _check_room([*taken, *_exports_of(actor, after=head, until=now_at)])
        return record(
            actor=actor,
            action=action,
            targets=targets,
            detail=detail,
            request=request,
            phase=phase,
            refers_to=refers_to,
        )


def check_room(actor: Member) -> None:
    """Raises TooManyExports where the next file would be one too many: before anything is read for it."""
    _check_room(_taken_within_the_hour(actor)[1])


def _taken_within_the_hour(actor: Member) -> tuple[int, list[dt.datetime]]:
    """The end of the trail, and when the member took files until then."""
    head = ChainHead.objects.get_or_create(pk=1)[0].sequence
    return head, _exports_of(actor, after=first_since(timezone.now() - HOUR, head) - 1, until=head)


def _check_room(taken: Iterable[dt.datetime]) -> None:
    now, most = timezone.now(), setting("EXPORTS_PER_HOUR")
    times = sorted((at for at in taken if at > now - HOUR), reverse=True)[:most]
    if len(times) >= most:
        raise TooManyExports(max(1, int((times[-1] + HOUR - now).total_seconds()) + 1))


def _exports_of(actor: Member, *, after: int, until: int) -> list[dt.datetime]:
    """When the member took files, of these rows of the trail."""
    kinds = Q(action__in=_WRITTEN_ONCE, phase="done") | Q(action__in=_WRITTEN_TWICE, phase="attempt")
    rows = AuditEvent.objects.filter(kinds, actor_id=actor.pk, sequence__gt=after, sequence__lte=until)
    return list(rows.values_list("at", flat=True))


def export(
    *, actor: Member, filters: Filters, kind: str, with_mark: bool, request: HttpRequest | None
) -> Generator[bytes]:
    """The file as it is written. Raises TooManyExports before its first byte; the rest happens while it is read."""
    head = ChainHead.objects.filter(pk=1).values_list("sequence", flat=True).first() or 0
    asked = record_export(
        actor=actor,
        action="audit:export",
        detail={"format": kind, "filter": filters.said(), "until": head},
        request=request,
        phase="attempt",
    )
    return _recorded(asked, actor, export_steps(filters, until=head), _WRITERS[kind], with_mark, request)


def _recorded(
    asked: AuditEvent,
    actor: Member,
    steps: Steps,
    write: Callable[[Steps, bool], Iterator[bytes]],
    with_mark: bool,  # noqa: FBT001
    request: HttpRequest | None,
) -> Generator[bytes]:
    rows, is_whole = 0, False

    def counted() -> Iterator[Sequence[AuditEvent]]:
        nonlocal rows
        for step in steps:
            rows += len(step)
            yield step

    try:
        yield from write(counted(), with_mark)
        is_whole = True
    finally:
        record(
            actor=actor,
            action="audit:export",
            phase="done" if is_whole else "failed",
            detail={"format": asked.detail["format"], "rows": rows},
            refers_to=asked.sequence,
            request=request,
        )


def _csv(steps: Steps, with_mark: bool) -> Iterator[bytes]:  # noqa: FBT001
    return csv_cells.pieces(COLUMNS, (map(_cells, step) for step in steps), with_mark=with_mark)


def _json_lines(steps: Steps, with_mark: bool) -> Iterator[bytes]:  # noqa: ARG001, FBT001  a mark would be no JSON
    for step in steps:
        yield "".join(f"{line(event)}\n" for event in step).encode()


def _cells(event: AuditEvent) -> list[object]:
    at = event.at.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    objects = "; ".join(map(str, event.targets)) if isinstance(event.targets, list) else event.targets
    detail = json.dumps(event.detail, ensure_ascii=False, sort_keys=True) if event.detail else ""
    return [
        event.sequence, at, event.actor_name, event.actor_id, event.address, event.action, words.sentence(event),
        words.result(event), event.refers_to, objects, event.reason, detail, event.previous_hash, event.hash,
    ]  # fmt: skip


_WRITERS: Mapping[str, Callable[[Steps, bool], Iterator[bytes]]] = {"csv": _csv, "jsonl": _json_lines}
KINDS = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}
