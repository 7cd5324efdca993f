"""What pages cost: printed by `make bench`, from one run, on a database of its own.

Everything is measured through the real application (`dashboard.wsgi`): middleware, session, templates, compression.
The service's answers are recorded once from the simulator and then replayed, so that its own work is not counted.
"""

from __future__ import annotations

import datetime as dt
import gzip
import io
import os
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
SCRATCH = tempfile.TemporaryDirectory(prefix="mailwarden-bench-")
ACCOUNT, TOKEN = "bebebebebebebebebebebebebebebebe", "token-of-the-benchmark"
os.environ |= {
    "DJANGO_SETTINGS_MODULE": "dashboard.settings",
    "SECRET_KEY": secrets.token_urlsafe(64),
    "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
    "CLOUDFLARE_API_TOKEN": TOKEN,
    "CLOUDFLARE_BASE_URL": "http://127.0.0.1:9/client/v4",
    "MAILWARDEN_DATA_DIR": SCRATCH.name,
    "MAILWARDEN_HTTPS": "false",
    "MAILWARDEN_LOG_LEVEL": "ERROR",
    "MAILWARDEN_CALL_LIMIT": "1000000",
}
for stray in ("DATABASE_URL", "REDIS_URL", "CLOUDFLARE_EMAIL", "CLOUDFLARE_API_KEY", "CLOUDFLARE_READ_TOKEN"):
    os.environ.pop(stray, None)

import brotli  # noqa: E402
import django  # noqa: E402  the settings are read from the environment above

django.setup()

import httpx  # noqa: E402
import time_machine  # noqa: E402
from cloudflare import Cloudflare  # noqa: E402
from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402

from dashboard.access.models import Member  # noqa: E402
from dashboard.access.roles import Role  # noqa: E402
from dashboard.celery import app as celery_app  # noqa: E402
from dashboard.emailsec import SearchQuery  # noqa: E402
from dashboard.simulator import Simulator  # noqa: E402
from dashboard.upstream.connection import build_client, use_client  # noqa: E402
from investigate.models import SearchRun  # noqa: E402
from scripts import instructions  # noqa: E402
from scripts.bench_overview import overview  # noqa: E402
from scripts.bench_views import views  # noqa: E402


def say(text: str = "") -> None:
    print(text, flush=True)  # noqa: T201  printing is what this script is for


class Replay(httpx.BaseTransport):
    """Answers every request with what the service said to the first one like it, after an optional wait."""

    def __init__(self, simulator: Simulator, wait: float = 0.0) -> None:
        self.service = httpx.WSGITransport(app=simulator)
        self.wait = wait
        self.recorded: dict[str, tuple[int, httpx.Headers, bytes]] = {}
        self.calls = 0
        self.slowest = 0.0
        self._lock = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        started = time.perf_counter()
        key = f"{request.method} {request.url.path} {dict(request.url.params).get('cursor', '')}"
        if key not in self.recorded:
            answer = self.service.handle_request(request)
            self.recorded[key] = (answer.status_code, answer.headers, answer.read())
        if self.wait:
            time.sleep(self.wait)
        status, headers, body = self.recorded[key]
        with self._lock:
            self.calls += 1
            self.slowest = max(self.slowest, time.perf_counter() - started)
        return httpx.Response(status, headers=headers, content=body, request=request)


@contextmanager
def upstream(transport: httpx.BaseTransport) -> Iterator[None]:
    with use_client(build_client(transport)):
        yield


class Browser:
    """A signed-in person who asks the WSGI application directly and understands gzip and brotli."""

    def __init__(self, member: Member) -> None:
        client = Client()
        client.force_login(member)
        self.cookie = "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())
        self.application = get_wsgi_application()

    def get(self, path: str, **headers: str) -> tuple[str, bytes]:
        """(status line, body as sent) of one page."""
        path, _, query = path.partition("?")
        seen: list[str] = []
        environ: dict[str, Any] = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "127.0.0.1",
            "HTTP_COOKIE": self.cookie,
            "HTTP_ACCEPT_ENCODING": "gzip, br",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": sys.stderr,
            "wsgi.url_scheme": "http",
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            **{f"HTTP_{name}": value for name, value in headers.items()},
        }
        answer = self.application(environ, lambda status, _headers, _error=None: seen.append(status))
        try:
            return seen[0], b"".join(answer)
        finally:
            answer.close()


def page_of(browser: Browser, path: str) -> str:
    """The text of a page, which must be one: a benchmark of an error page is worth nothing."""
    status, body = browser.get(path)
    if not status.startswith("200"):
        raise SystemExit(f"{path} answered {status}")
    return plain(body)


def plain(body: bytes) -> str:
    """The text of an answer: pages come in gzip, static files in brotli."""
    if body[:2] == b"\x1f\x8b":
        return gzip.decompress(body).decode()
    try:
        return brotli.decompress(body).decode()
    except brotli.error:
        return body.decode()


def search_page(simulator: Simulator, browser: Browser) -> None:
    """Instructions of a whole search page of 100 rows against the official SDK's `list()` of the same page."""
    replay = Replay(simulator)
    path = "/investigate/?last=30d"
    sdk = Cloudflare(
        api_token=TOKEN,
        base_url="http://127.0.0.1:9/client/v4",
        http_client=httpx.Client(transport=replay),
        max_retries=0,
    )

    def sdk_list() -> None:
        page = sdk.email_security.investigate.list(account_id=ACCOUNT, per_page=100)
        if len(page.result or []) != 100:
            raise SystemExit("the SDK's page does not hold 100 rows")

    with upstream(replay):
        rows = len(re.findall(r"<tr[^>]+data-id=", page_of(browser, path)))
        if rows != 100:
            raise SystemExit(f"the page holds {rows} rows, not 100")
        costs = instructions.compare(
            {
                "SDK list()": sdk_list,
                "search page, asking the service": lambda: browser.get(path + "&fresh=1"),
                "search page, answer shared": lambda: browser.get(path),
            }
        )
    base = costs["SDK list()"]
    counted = base.instructions is not None
    say(f"search page of 100 rows ({'instructions' if counted else 'CPU time, this machine counts no instructions'})")
    for name, cost in costs.items():
        amount = f"{cost.instructions:8.1f} million" if cost.instructions is not None else f"{cost.cpu_ms:8.1f} ms"
        say(f"  {name:34} {amount}   x {cost.over(base):.3f}")
    say("  target: 0.25 of the SDK\n")


def page_bytes(simulator: Simulator, browser: Browser) -> None:
    """Compressed sizes: the page, its rows alone, and everything a first visit loads."""
    with upstream(Replay(simulator)):
        _, whole = browser.get("/investigate/?last=30d")
        text = page_of(browser, "/investigate/?last=30d")
        _, rows = browser.get("/investigate/?last=30d", HX_REQUEST="true", HX_TARGET="results")
    files = {}
    for url in sorted(set(re.findall(r'(?:src|href)="(/static/[^"]+)"', text))):
        _, body = browser.get(url)
        files[url] = len(body)
    # Modules import one another; a browser follows them.
    for url in [url for url in files if url.endswith(".js")]:
        for name in re.findall(r'from\s*["\']\./([^"\']+)["\']', plain(browser.get(url)[1])):
            found = url.rpartition("/")[0] + "/" + name
            files.setdefault(found, len(browser.get(found)[1]))
    say("bytes, compressed")
    say(f"  page of 100 rows               {len(whole):7,}   (rows alone {len(rows):,}; target 13,000)")
    for url, size in files.items():
        say(f"  {url[8:]:48} {size:7,}")
    say(f"  first visit, all files         {len(whole) + sum(files.values()):7,}   (target 60,000)\n")


def message_page(simulator: Simulator, browser: Browser) -> None:
    """Time of a message page over its slowest call, with a service that needs 300 ms; calls of a second look."""
    now = dt.datetime.now(dt.UTC)
    query = SearchQuery(start=now - dt.timedelta(days=30), end=now, final_disposition="MALICIOUS")
    found = build_client(httpx.WSGITransport(app=simulator)).search(query, per_page=6)
    messages = found.messages  # a narrow search is answered at once
    ratios = []
    for message in messages:
        replay = Replay(simulator, wait=0.3)
        with upstream(replay):
            started = time.perf_counter()
            page_of(browser, f"/investigate/{message.id}/")
            ratios.append((time.perf_counter() - started) / replay.slowest)
    replay = Replay(simulator)
    with upstream(replay):
        first = f"/investigate/{messages[0].id}"
        for path in (f"{first}/preview.png", f"{first}/raw.txt"):
            browser.get(path)
        asked = replay.calls
        for path in (f"{first}/preview.png", f"{first}/raw.txt"):
            browser.get(path)
        again = replay.calls - asked
    say("message page")
    say(f"  time / its slowest call (median of {len(ratios)})   {statistics.median(ratios):.2f}   (target 1.25)")
    say(f"  calls for preview and raw, first and second look    {asked}, {again}   (target 0 for the second)\n")


def viewers(simulator: Simulator, members: list[Browser]) -> None:
    """Calls to the service while N people keep the same list open for five minutes and look every 15 seconds."""
    bells: list[tuple[str, list[str]]] = []
    send, celery_app.send_task = celery_app.send_task, lambda name, args=(), **_: bells.append((name, list(args)))
    say("calls while N people keep one list open for five minutes, looking every 15 s (target 20)")
    try:
        for count in (1, 200):
            SearchRun.objects.all().delete()
            replay = Replay(simulator)
            with upstream(replay), time_machine.travel(dt.datetime.now(dt.UTC), tick=False) as clock:
                crowd = [members[number % len(members)] for number in range(count)]
                url = None
                for browser in crowd:
                    url = re.search(
                        r'hx-get="(/investigate/arrivals[^"]*)"', page_of(browser, "/investigate/?last=24h")
                    )
                if url is None:
                    raise SystemExit("the page does not look for arrivals")
                address = url[1].replace("&amp;", "&")
                for _ in range(19):
                    clock.shift(15)
                    for browser in crowd:
                        browser.get(address, HX_REQUEST="true")
                    while bells:
                        name, arguments = bells.pop(0)
                        celery_app.tasks[name](*arguments)
            say(f"  {count:4} viewers   {replay.calls:4} calls")
    finally:
        celery_app.send_task = send
    say()


LISTS = ("allow-policies", "block-senders")


def settings_lists(browser: Browser) -> None:
    """Pages of the settings' lists by what the account holds: cost, bytes, and calls of one page."""
    say("list of the settings, 100 entries on a page, by how many the account holds")
    for entries in (96, 996, 9996):  # the simulator's account holds four of each besides
        simulator = Simulator(messages=20, seed=1, account_id=ACCOUNT, token=TOKEN, rate_limit=None, entries=entries)
        for slug in LISTS:
            replay, path = Replay(simulator), f"/settings/{slug}/"
            with upstream(replay):
                rows = len(re.findall(r"<tr[^>]+data-id=", page_of(browser, path)))
                calls = replay.calls
                if rows != 100:
                    raise SystemExit(f"{path} holds {rows} rows, not 100")
                _, whole = browser.get(path)
                _, part = browser.get(path, HX_REQUEST="true", HX_TARGET="entries")
                cost = instructions.compare({path: lambda path=path: browser.get(path)})[path]
            amount = f"{cost.cpu_ms:.1f} ms"
            if cost.instructions is not None:
                amount = f"{cost.instructions:.1f} million instructions"
            say(
                f"  {slug:15} {entries + 4:6,} entries   {amount:28} {len(whole):7,} bytes"
                f" (rows alone {len(part):,})   {calls} call"
            )
    say("  target: the same at 10,000 entries as at 100\n")


def collector() -> None:
    """What reading the account's mail costs, in a process and on a database of its own: it compares all there is."""
    say("the collector at 100,000 messages a day")
    subprocess.run([sys.executable, str(ROOT / "scripts" / "bench_collector.py")], check=True)  # noqa: S603  our own
    say()


def main() -> None:
    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    celery_app.loader.import_default_modules()
    members = [
        Browser(Member.objects.create(username=f"analyst{number}", role=Role.ANALYST, has_single_keys=True))
        for number in range(4)
    ]
    simulator = Simulator(messages=2000, seed=1, account_id=ACCOUNT, token=TOKEN, rate_limit=None)
    parts: list[Callable[[], None]] = [
        lambda: search_page(simulator, members[0]),
        lambda: page_bytes(simulator, members[0]),
        lambda: message_page(simulator, members[0]),
        lambda: viewers(simulator, members),
        lambda: settings_lists(members[0]),
        lambda: overview(simulator, members, upstream=upstream, page_of=page_of, say=say),
        lambda: views(simulator, members, upstream=upstream, page_of=page_of, say=say),
        collector,
    ]
    try:
        for part in parts:
            part()
    finally:
        connection.close()
        SCRATCH.cleanup()
    if settings.DEBUG:
        raise SystemExit("DEBUG was on; the figures are worth nothing")


if __name__ == "__main__":
    main()
