"""What the client's groups of methods share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from dashboard.emailsec.core import Caller, Endpoint, Params
from dashboard.emailsec.decoding import read_list
from dashboard.emailsec.requests import MOST_PER_PAGE
from dashboard.emailsec.transport import Priority
from dashboard.emailsec.types import Page

T = TypeVar("T")

USUAL_BUDGET = 10.0  # seconds for a call, repeats included


class Group:
    """Methods of one subject; the client inherits from all of them, so that each is called on the client itself."""

    _api: Caller

    def _page(
        self,
        endpoint: Endpoint,
        kind: type[T],
        values: dict[str, str] | None = None,
        *,
        params: Params = (),
        page: int,
        per_page: int,
        budget: float,
        priority: Priority,
    ) -> Page[T]:
        """One page of a page-style list (shapes A and C of the API)."""
        if page < 1:
            raise ValueError("pages are counted from 1")
        asked = [*params, ("page", page), ("per_page", checked_per_page(per_page))]
        reply = self._api.send(endpoint, values, params=asked, budget=budget, priority=priority)
        envelope = self._api.envelope(reply)
        info = envelope.get("result_info")
        items = self._api.result(reply, lambda raw: read_list(raw, kind), envelope)
        served = _positive(info, "per_page") or per_page  # a server may cap what was asked for
        return Page(
            items=items,
            page=page,
            per_page=per_page,
            # Neither count nor total_count can be trusted to end a list; a server without page info has one page.
            is_last=not isinstance(info, dict) or len(items) < min(served, per_page),
            total_hint=_positive(info, "total_count"),
            ray_id=reply.ray_id,
        )


def time_left(budget: float, started: float) -> float:
    """What the first of two calls left of their common budget (`started`: time.monotonic()); a second at least."""
    return max(1.0, budget - (time.monotonic() - started))


def checked_per_page(per_page: int) -> int:
    if not 1 <= per_page <= MOST_PER_PAGE:
        raise ValueError(f"a page holds 1 to {MOST_PER_PAGE} rows")
    return per_page


def every(fetch: Callable[[int], Page[T]], *, most_pages: int = 1000) -> Iterator[T]:
    """All items of a page-style list: `every(lambda page: client.submissions(page=page))`.

    Stops at a short page, and at one that repeats the page before it (a server that ignores `page`).
    """
    before: tuple[T, ...] | None = None
    for number in range(1, most_pages + 1):
        page = fetch(number)
        if page.items == before:
            return
        yield from page.items
        if page.is_last:
            return
        before = page.items


def _positive(info: Any, name: str) -> int | None:
    value = info.get(name) if isinstance(info, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
