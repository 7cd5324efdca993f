"""Lists as files, the same way in every room: CSV or JSON, counted, written down, never kept by a browser.

A room that hands out a list writes what it shows as a `Table` and answers with `as_file`:

    table = Table("campaigns", COLUMNS, rows, about={"range": "last 7 days"})
    return as_file(table, kind=kind, action="campaign:export", actor=member, request=request)

- `rows` are already cut to the member's domains and bounded (`MOST_ROWS`); `is_cut` says that there are more, in the
  file itself. Cells are plain values: text, numbers, times, or sequences of these.
- `kind` comes from the address: answer 404 where it is not in `KINDS`.
- `action` is the name for the trail; `dashboard.audit.exporting` counts it towards the hour's files. Raises
  `TooManyExports`, which a middleware words.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.audit.exporting import record_export
from dashboard.web import csv_cells

KINDS = {"csv": "text/csv; charset=utf-8", "json": "application/json"}
MOST_ROWS = 10_000
_UNSAFE = re.compile(r"[^a-z0-9-]+")


@dataclass(frozen=True)
class Table:
    """A list as it is handed out. `name` begins the file's name; `about` says what it is and how it came about."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    about: Mapping[str, object] = field(default_factory=dict)
    is_cut: bool = False

    @property
    def cut(self) -> str:
        """The sentence in the file; "" where nothing is missing."""
        return f"Cut: there are more than these {len(self.rows):,} rows." if self.is_cut else ""


def as_file(
    table: Table,
    *,
    kind: str,
    action: str,
    actor: Member,
    request: HttpRequest,
    detail: Mapping[str, Any] | None = None,
) -> HttpResponse:
    """The table as a file, written down before it leaves. Raises TooManyExports."""
    told = {"format": kind, "rows": len(table.rows), "cut": table.is_cut}
    record_export(actor=actor, action=action, detail={**told, **(detail or {})}, request=request)
    with_mark = request.GET.get("bom") == "1"
    body = b"".join(_csv(table, with_mark=with_mark)) if kind == "csv" else _json(table, actor)
    return attachment(body, KINDS[kind], table.name, kind)


def attachment(body: bytes, content_type: str, name: str, ending: str) -> HttpResponse:
    """A file that is taken, not shown: no browser opens, guesses at or keeps it."""
    response = HttpResponse(body, content_type=content_type)
    at = timezone.now().astimezone(dt.UTC).strftime("%Y-%m-%d-%H%M%S")
    safe = _UNSAFE.sub("-", name.casefold()).strip("-")[:60]
    response["Content-Disposition"] = f'attachment; filename="mailwarden-{safe}-{at}.{ending}"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "no-store"
    return response


def written_time(value: dt.datetime | None) -> str:
    """2026-11-21T21:43:16Z, "" for none."""
    return value.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if value else ""


def _csv(table: Table, *, with_mark: bool) -> Iterator[bytes]:
    rows = [[_cell(value) for value in row] for row in table.rows]
    # A file that was cut must not look whole: the sentence is its last line.
    yield from csv_cells.pieces(table.columns, [rows, [[table.cut]] if table.is_cut else []], with_mark=with_mark)


def _cell(value: object) -> str:
    if isinstance(value, dt.datetime):
        return written_time(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return "; ".join(_cell(one) for one in value)
    return "" if value is None else str(value)


def _json(table: Table, actor: Member) -> bytes:
    whole = {
        "what": table.name,
        "written_at": written_time(timezone.now()),
        "written_by": actor.display_name,
        **table.about,
        "number_of_rows": len(table.rows),
        "is_cut": table.is_cut,
        **({"cut": table.cut} if table.is_cut else {}),
        "rows": [dict(zip(table.columns, map(_plain, row), strict=True)) for row in table.rows],
    }
    # Everything beyond ASCII is escaped: what a sender wrote passes unchanged, also where it is no valid text.
    return json.dumps(whole, indent=1).encode("ascii") + b"\n"


def _plain(value: object) -> object:
    if isinstance(value, dt.datetime):
        return written_time(value)
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)
