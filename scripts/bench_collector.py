"""What the collector costs at 100,000 messages a day: a day's outage caught up, then an hour as it comes.

`collector(say)` measures on the database that is configured; run alone, this file makes a database of its own. Every
call goes through the real client to the simulator, whose own work is measured apart and taken off the times.
"""

from __future__ import annotations

import datetime as dt
import os
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

MESSAGES = 100_000
DAY = 86_400
ACCOUNT, TOKEN = "bebebebebebebebebebebebebebebebe", "token-of-the-benchmark"
CALL_LIMIT, SHARE = 1_200, 25


class Served:
    """The simulator as a WSGI application that counts the seconds it takes itself."""

    def __init__(self, simulator: Any) -> None:
        self.simulator, self.seconds = simulator, 0.0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        started = time.perf_counter()
        try:
            return list(self.simulator(environ, start_response))
        finally:
            self.seconds += time.perf_counter() - started


def collector(say: Callable[[str, str], None], *, messages: int = MESSAGES) -> None:
    """Measure and say it, as pairs of words and figures. Raises AssertionError where a gap or a double is left."""
    import httpx
    from django.test import override_settings

    from dashboard.simulator import Simulator
    from dashboard.simulator.mail import generator
    from dashboard.upstream.connection import build_client, use_client

    now = time.time()
    records = [generator.arrival(11, number, now - 60 - number * DAY / messages) for number in range(messages)]
    simulator = Simulator(
        records=records[::-1], seed=11, account_id=ACCOUNT, token=TOKEN, rate_limit=CALL_LIMIT, wide_search_days=60.0,
        arrival_interval=1e12,
    )  # fmt: skip
    served = Served(simulator)
    with (
        override_settings(
            CLOUDFLARE_ACCOUNT_ID=ACCOUNT, CLOUDFLARE_API_TOKEN=TOKEN, CALL_LIMIT=CALL_LIMIT, COLLECTOR_SHARE=SHARE,
            MEMORY_ALL_MAIL=True, MEMORY_FIRST_DAYS=1, QUEUE_DAYS=1,
        ),
        use_client(build_client(httpx.WSGITransport(app=served))),
    ):  # fmt: skip
        _catch_up(say, simulator, served)
        _an_hour(say, simulator, served, a_minute=round(messages / 24 / 60))


def _catch_up(say: Callable[[str, str], None], simulator: Any, served: Served) -> None:
    from django.conf import settings
    from django.utils import timezone

    from investigate.models import CaseSource, QueueMark

    a_day_ago = timezone.now() - dt.timedelta(days=1)
    QueueMark.objects.create(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID, source=CaseSource.DETECTION, read_until=a_day_ago,
        covered_until=a_day_ago, complete_since=a_day_ago - dt.timedelta(days=30), of_all_mail=True,
    )  # fmt: skip
    before, started = len(simulator.calls), time.perf_counter()
    rounds = _rounds()
    seconds = time.perf_counter() - started
    calls = len(simulator.calls) - before
    number = _compare(simulator)
    ours = seconds - served.seconds
    say("messages of a day's outage caught up", f"{number:,}, no gap, none twice")
    say("calls for that", f"{calls:,} of {CALL_LIMIT:,} in five minutes: {calls / CALL_LIMIT:.1%} (share {SHARE} %)")
    say("most calls in any five minutes", f"{_most_in_five_minutes(simulator):,}")
    say("time for that, without the simulator's", f"{ours:.0f} s in {rounds} rounds: {number / ours:,.0f} a second")


def _an_hour(say: Callable[[str, str], None], simulator: Any, served: Served, *, a_minute: int) -> None:
    """Sixty rounds, a minute apart, with nobody at the desk."""
    import time_machine

    from dashboard.simulator.mail import generator

    before, served.seconds = len(simulator.calls), 0.0
    beginning, spent = time.time(), 0.0
    for minute in range(1, 61):
        with time_machine.travel(beginning + 60 * minute, tick=True):
            for number in range(a_minute):
                at = time.time() - 1 - number * 60 / a_minute
                simulator.add(generator.arrival(12, minute * a_minute + number, at))
            started = time.perf_counter()
            _rounds()
            spent += time.perf_counter() - started
    _compare(simulator)
    calls = len(simulator.calls) - before
    say(f"calls in an hour at {a_minute} messages a minute", f"{calls:,}: {calls / 12:.0f} in five minutes")
    say("time of a round, without the simulator's", f"{(spent - served.seconds) / 60 * 1000:.0f} ms")


def _rounds() -> int:
    """Rounds until the mail is read to its end."""
    from investigate.desk import collecting
    from investigate.models import CaseSource, QueueMark

    for number in range(1, 200):
        QueueMark.objects.update(tried_at=None)
        collecting.collect(CaseSource.DETECTION)
        mark = QueueMark.objects.get(source=CaseSource.DETECTION)
        if mark.explanation:
            raise AssertionError(mark.explanation)
        if not mark.reading:
            return number
    raise AssertionError("it was not caught up")


def _compare(simulator: Any) -> int:
    from investigate.models import Case, SeenMessage

    there = {record.id for record in simulator.store.records}
    names = Counter(SeenMessage.objects.values_list("investigate_id", flat=True))
    _expect(set(names) == there, f"{len(there - set(names)):,} messages are missing")
    _expect(max(names.values()) == 1, "a message is remembered twice")
    wanted = {
        record.id
        for record in simulator.store.records
        if record.final_disposition in ("MALICIOUS", "MALICIOUS-BEC", "SUSPICIOUS", "SPOOF")
    }
    _expect(set(Case.objects.values_list("key", flat=True)) == wanted, "the desk holds something else")
    return len(names)


def _expect(holds: bool, otherwise: str) -> None:  # noqa: FBT001  a statement
    if not holds:
        raise AssertionError(otherwise)


def _most_in_five_minutes(simulator: Any) -> int:
    times = [call.at for call in simulator.calls]
    return max(sum(begin <= at < begin + 300 for at in times) for begin in times)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="mailwarden-bench-") as scratch:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "dashboard.settings",
            "SECRET_KEY": secrets.token_urlsafe(64),
            "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
            "CLOUDFLARE_API_TOKEN": TOKEN,
            "CLOUDFLARE_BASE_URL": "http://127.0.0.1:9/client/v4",
            "MAILWARDEN_DATA_DIR": scratch,
            "MAILWARDEN_LOG_LEVEL": "ERROR",
        }
        import django

        django.setup()
        from django.core.management import call_command
        from django.db import connection

        call_command("migrate", verbosity=0)
        try:
            collector(lambda words, figures: print(f"{words:<52}{figures}"), messages=_asked_for())  # noqa: T201
        finally:
            connection.close()


def _asked_for() -> int:
    return int(sys.argv[1]) if len(sys.argv) > 1 else MESSAGES


if __name__ == "__main__":
    main()
