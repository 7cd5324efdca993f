"""What saved views cost the service: calls of five minutes, for one viewer and for many. A part of `make bench`."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

VIEWS = 10
VIEWERS = (1, 50)
SEARCHES = ("status=quarantined", "disposition=MALICIOUS", "disposition=SPAM", "disposition=SPOOF", "action=MOVED")


def views(
    simulator: Any,
    browsers: Sequence[Any],
    *,
    upstream: Callable[[Any], AbstractContextManager[Any]],
    page_of: Callable[[Any, str], str],
    say: Callable[[str], None],
) -> None:
    """Calls while N people keep a list with the counts of ten shared views open for five minutes.

    The last three are the benchmark's own; Django has to be set up.
    """
    import httpx
    import time_machine
    from django.conf import settings

    from dashboard.celery import app as celery_app
    from investigate.models import SavedView, SearchRun
    from investigate.saved import reading

    bells: list[tuple[str, list[str]]] = []
    send, celery_app.send_task = celery_app.send_task, lambda name, args=(), **_: bells.append((name, list(args)))
    say(f"calls of five minutes with the counts of {VIEWS} saved views on the page (target: the same for any number)")
    try:
        for count in VIEWERS:
            SearchRun.objects.all().delete()
            SavedView.objects.all().delete()
            calls = len(simulator.calls)
            with (
                upstream(httpx.WSGITransport(app=simulator)),
                time_machine.travel(dt.datetime.now(dt.UTC), tick=False) as clock,
            ):
                now = dt.datetime.now(dt.UTC)
                for number in range(VIEWS):
                    SavedView.objects.create(
                        account_id=settings.CLOUDFLARE_ACCOUNT_ID, name=f"View {number}", is_shared=True,
                        query=f"{SEARCHES[number % len(SEARCHES)]}&last={number + 1}d", owner_name="Bench",
                        created_at=now, changed_at=now,
                    )  # fmt: skip
                crowd = [browsers[number % len(browsers)] for number in range(count)]
                address = ""
                for browser in crowd:
                    page = page_of(browser, "/investigate/?last=24h")
                    found = re.search(r'hx-get="(/investigate/arrivals[^"]*)"', page)
                    if found is None or page.count('id="new-') != VIEWS:
                        raise SystemExit("the page does not show the views, or does not renew their counts")
                    address = found[1].replace("&amp;", "&")
                for _ in range(20):
                    reading.ring_if_due()
                    for browser in crowd:
                        browser.get(address, HX_REQUEST="true")
                    while bells:
                        name, arguments = bells.pop(0)
                        celery_app.tasks[name](*arguments)
                    clock.shift(15)
                read = SavedView.objects.filter(read_until__isnull=False).count()
                lists = SearchRun.objects.count()
            calls = len(simulator.calls) - calls
            say(f"  {count:4} viewers   {calls:4} calls, {calls - lists:3} of them for {read} views")
    finally:
        SavedView.objects.all().delete()
        celery_app.send_task = send
    say("")


if __name__ == "__main__":
    from scripts import bench

    bench.call_command("migrate", verbosity=0)
    bench.call_command("collectstatic", interactive=False, verbosity=0)
    bench.celery_app.loader.import_default_modules()
    team = [
        bench.Browser(bench.Member.objects.create(username=f"analyst{number}", role=bench.Role.ANALYST))
        for number in range(4)
    ]
    service = bench.Simulator(messages=2000, seed=1, account_id=bench.ACCOUNT, token=bench.TOKEN, rate_limit=None)
    views(service, team, upstream=bench.upstream, page_of=bench.page_of, say=bench.say)
