"""What the overview costs: calls for one viewer and for many, its time, its bytes. A part of `make bench`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

VIEWERS = (1, 50)
PAGE, NEEDS, FIGURES = "/?range=7d", "/overview/needs", "/overview/figures?range=7d"


def overview(
    simulator: Any,
    browsers: Sequence[Any],
    *,
    upstream: Callable[[Any], AbstractContextManager[Any]],
    page_of: Callable[[Any, str], str],
    say: Callable[[str], None],
) -> None:
    """Calls while N people keep the overview open for five minutes; then what its answers cost us.

    The last three are the benchmark's own; Django has to be set up.
    """
    import httpx
    import time_machine

    from dashboard.celery import app as celery_app
    from dashboard.overview.models import Snapshot

    bells: list[str] = []
    send, celery_app.send_task = celery_app.send_task, lambda name, **_: bells.append(name)
    _remember(simulator, upstream)
    say("calls while N people keep the overview open for five minutes (target 0; the worker asks once an hour besides)")
    try:
        for count in VIEWERS:
            Snapshot.objects.all().delete()
            before, counted = len(simulator.calls), set()
            with (
                upstream(httpx.WSGITransport(app=simulator)),
                time_machine.travel(dt.datetime.now(dt.UTC), tick=False) as clock,
            ):
                crowd = [browsers[number % len(browsers)] for number in range(count)]
                for browser in crowd:
                    page_of(browser, PAGE)
                for second in range(0, 300, 15):
                    for browser in crowd:
                        browser.get(NEEDS, HX_REQUEST="true")
                        if second % 60 == 0:
                            browser.get(FIGURES, HX_REQUEST="true")
                    counted |= set(Snapshot.objects.values_list("key", "made_at"))
                    clock.shift(15)
            say(
                f"  {count:4} viewers   {len(simulator.calls) - before:4} calls, {len(bells)} bells,"
                f" figures counted {len(counted)} times"
            )
    finally:
        celery_app.send_task = send
    say("")
    _costs(browsers[0], say)


def _costs(browser: Any, say: Callable[[str], None]) -> None:
    from dashboard.overview.models import Snapshot
    from scripts import instructions

    def count() -> None:
        Snapshot.objects.update(made_at=None, claimed_at=None)
        browser.get(FIGURES, HX_REQUEST="true")

    fragment = {"HX_REQUEST": "true"}
    asked = {
        "the whole page, figures shared": (PAGE, {}),
        "what waits for me, every 15 s": (NEEDS, fragment),
        "figures shared, every 60 s": (FIGURES, fragment),
    }
    costs = instructions.compare(
        {
            **{name: partial(browser.get, path, **headers) for name, (path, headers) in asked.items()},
            "figures counted, for everybody": count,
        }
    )
    sizes = {name: len(browser.get(path, **headers)[1]) for name, (path, headers) in asked.items()}
    say("overview: cost of an answer, and its bytes, compressed")
    for name, cost in costs.items():
        amount = f"{cost.instructions:8.1f} million" if cost.instructions is not None else f"{cost.cpu_ms:8.1f} ms"
        size = f"   {sizes[name]:7,} bytes" if name in sizes else ""
        say(f"  {name:34} {amount}{size}")
    say("")


def _remember(simulator: Any, upstream: Callable[[Any], AbstractContextManager[Any]]) -> None:
    """Take every detection of the simulator's mail into the memory, as the worker does."""
    import httpx

    from dashboard.emailsec import SearchQuery
    from dashboard.upstream.connection import get_client
    from investigate.memory.remembering import remember

    now = dt.datetime.now(dt.UTC)
    with upstream(httpx.WSGITransport(app=simulator)):
        page = get_client().search(SearchQuery(start=now - dt.timedelta(days=30), end=now), per_page=1000)
        while not hasattr(page, "messages"):
            page = get_client().poll_search(page.location)
        remember(page.messages)
