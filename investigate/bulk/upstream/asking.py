"""What a job at Cloudflare can be asked for: one value for each filter, an exact range, and at least one filter."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from dashboard.emailsec import BulkSearch
from dashboard.emailsec.enums import BulkAction
from dashboard.web.text import visible
from investigate.models import ActionKind
from investigate.search.criteria import Criteria, search_query
from investigate.search.values import FIELDS, MANY
from investigate.search.window import Window

MOST_COMMENT_REASON = 200  # the documents name no limit; the key stands first, so that a cut never takes it
_NAMES = {"disposition": "verdict", "status": "delivery status"}


@dataclass(frozen=True)
class Narrower:
    """The same search with one value of a filter that has several."""

    label: str
    query: str


def pinned(criteria: Criteria, now: dt.datetime) -> Criteria:
    """The search with an exact range that has passed: mail that is still to come is nobody's decision yet."""
    window = criteria.window(now)
    now = now.replace(microsecond=0)
    return criteria.within(Window(window.start, min(window.end, now)))


def why_not(criteria: Criteria) -> str:
    """Why no job can be made of this search, or ""."""
    several = [_NAMES.get(name, name) for name in MANY if len(getattr(criteria, name)) > 1]
    if several:
        return (
            f"This search has several values for {' and '.join(several)}, and a job at Cloudflare takes one value "
            "per filter: choose one, or use a Mailwarden job."
        )
    if not any(getattr(criteria, name) for name in FIELDS):
        return "This search has no filter but its range: name at least one, or the job acts on all mail of that time."
    return ""


def narrower(criteria: Criteria) -> list[Narrower]:
    """Searches a job could be made of, where this one has several values for a filter."""
    found = []
    for name in MANY:
        values = getattr(criteria, name)
        if len(values) < 2:
            continue
        for value in values:
            changed: dict[str, Any] = {name: (value,)}
            shown = "clean" if value == "NONE" else visible(value.lower(), limit=60)
            found.append(Narrower(f"only {_NAMES.get(name, name)} {shown}", replace(criteria, **changed).query()))
    return found


def search_of(criteria: Criteria, *, is_exact: bool) -> BulkSearch:
    """The search a job acts on; `is_exact`: the subject as it is written, not its words in any order."""
    (parameters,) = criteria.branches()
    if criteria.start is None or criteria.end is None:
        raise ValueError("a job needs an exact range")
    subject = parameters.pop("subject", None) if is_exact else None
    search = search_query(parameters, Window(criteria.start, criteria.end))
    return BulkSearch(**msgspec.structs.asdict(search), exact_subject=subject)


def action_of(kind: str) -> BulkAction:
    return BulkAction.RELEASE if kind == ActionKind.RELEASE else BulkAction.MOVE


def mark(job_id: object) -> str:
    """What a job's comment begins with, so that it is found again when the answer to its making was lost."""
    return f"Mailwarden {job_id}:"


def request_of(job_id: object, kind: str, destination: str, search: BulkSearch, reason: str) -> dict[str, Any]:
    """Exactly what is sent."""
    told = " ".join(reason.split())
    if len(told) > MOST_COMMENT_REASON:
        told = told[: MOST_COMMENT_REASON - 1] + "…"
    request: dict[str, Any] = {
        "action": action_of(kind).value,
        "search_params": search.filters(),
        "comment": f"{mark(job_id)} {told}",
    }
    if destination:
        request["destination"] = destination
    return request


def search_in(request: Mapping[str, Any]) -> BulkSearch:
    """The search of a stored request."""
    return msgspec.convert(request["search_params"], BulkSearch)
