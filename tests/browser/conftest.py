"""A whole installation in processes of its own, and a browser that reports everything it should not do."""

from __future__ import annotations

import json
import os
import shutil
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import serve
from django.conf import settings
from playwright.sync_api import Browser, Page

from dashboard.access.models import Member
from tests import servers
from tests.browser.live import PASSWORD, analyst
from tests.simulated import WEDNESDAY_AFTERNOON

CHROMIUM_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def chromium() -> str:
    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )
    if found is None:
        message = "no Chromium is installed; scripts/test-servers.sh installs it"
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail(message)
        pytest.skip(message)
    return found


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    return {"executable_path": chromium(), "args": CHROMIUM_FLAGS}


@dataclass(frozen=True)
class Desk:
    """A running installation: where it is, and the simulator behind it."""

    url: str
    upstream: str
    stack: serve.Stack

    def simulator(self, path: str, **body: Any) -> Any:
        """Ask the simulator's control address: its ledger, its calls, its faults."""
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(
            f"{self.upstream}/__simulator__/{path}", data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)


def prepare(stack: serve.Stack, folder: Path) -> None:
    """Database, static files and members. The first of a process is kept, and copied for all that want the same."""
    is_embedded = "DATABASE_URL" not in stack.env
    kept = Path(settings.DATA_DIR, f"desk-{os.getpid()}")
    if is_embedded and kept.exists():
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        return
    serve.prepare(stack)
    stack.manage("demo_members", "--address", "http://127.0.0.1")
    if is_embedded:
        shutil.copytree(folder, kept, ignore=shutil.ignore_patterns("logs"))


def start_desk(folder: Path, *, simulator: list[str], env: dict[str, str] | None = None, resources: ExitStack) -> Desk:
    """Start simulator, web, worker and scheduler on free ports; `resources` stops them."""
    port, upstream_port = servers.free_port(), servers.free_port()
    upstream = f"http://127.0.0.1:{upstream_port}"
    logs = folder / "logs"
    logs.mkdir(parents=True)
    stack = serve.Stack(
        {
            **{name: value for name, value in os.environ.items() if not name.startswith(("CLOUDFLARE_", "DJANGO_"))},
            "SECRET_KEY": "only-for-tests-only-for-tests-only-for-tests",
            "MAILWARDEN_DATA_DIR": str(folder),
            "MAILWARDEN_DEMO": "true",
            "MAILWARDEN_HTTPS": "false",
            "MAILWARDEN_WEB_PROCESSES": "1",
            "MAILWARDEN_QUIET_SECONDS": "1",
            "MAILWARDEN_UNDO_SECONDS": "1",
            "CLOUDFLARE_ACCOUNT_ID": serve.DEMO_ACCOUNT,
            "CLOUDFLARE_API_TOKEN": serve.DEMO_TOKEN,
            "CLOUDFLARE_BASE_URL": f"{upstream}/client/v4",
            "MAILWARDEN_CALL_LIMIT": "100000",  # what one test of a file spends must not make another wait
            **(env or {}),
        },
        logs,
    )
    resources.callback(stack.stop)
    stack.start(
        "simulator", serve.PYTHON, "manage.py", "simulator", "--control", "--port", str(upstream_port),
        "--account-id", serve.DEMO_ACCOUNT, "--token", serve.DEMO_TOKEN,
        "--no-rate-limit", "--rhythm-at", str(WEDNESDAY_AFTERNOON), *simulator,
    )  # fmt: skip
    prepare(stack, folder)
    serve.start_processes(stack, port)
    stack.wait_for("simulator", f"{upstream}/client/v4")
    stack.wait_for("web", f"http://127.0.0.1:{port}/healthz")
    return Desk(f"http://127.0.0.1:{port}", upstream, stack)


MAIL = ["--messages", "400", "--seed", "5"]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """An embedded installation for one file: no other file's tests have moved its mail."""
    with ExitStack() as resources:
        yield start_desk(tmp_path_factory.mktemp("desk"), simulator=MAIL, resources=resources)


@pytest.fixture(scope="module")
def production_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """The same on PostgreSQL and Redis."""
    folder = tmp_path_factory.mktemp("production")
    with ExitStack() as resources:
        env = {
            "DATABASE_URL": resources.enter_context(servers.postgres_server(folder)),
            "REDIS_URL": resources.enter_context(servers.redis_server(folder)),
        }
        yield start_desk(folder / "data", simulator=MAIL, env=env, resources=resources)


class Watched:
    """Notes what no page of ours may do: console errors, requests elsewhere, dialogs, CSP violations."""

    def __init__(self, page: Page, origin: str) -> None:
        self.faults: list[str] = []
        self.allowed_statuses: set[int] = set()
        page.on("console", lambda message: message.type == "error" and self._console(message.text))
        page.on("pageerror", lambda error: self.faults.append(f"page error: {error}"))
        page.on(
            "request",
            lambda request: (
                request.url.startswith((origin, "data:", "about:", "blob:"))
                or self.faults.append(f"request to {request.url}")
            ),
        )
        page.on("dialog", lambda dialog: (self.faults.append(f"dialog: {dialog.message}"), dialog.dismiss()))

    def _console(self, text: str) -> None:
        # htmx calls it an error that we abort the request of a pane which another one has overtaken, or leave the page.
        if text.startswith(("htmx:sendAbort", "htmx:afterRequest")):
            return
        # Only a test that took the connection away sees this one: a page that asks by itself asks in vain.
        if "ERR_INTERNET_DISCONNECTED" in text:
            return
        # Chromium reports every answer with an error status itself, and so does htmx; tests that provoke one say which.
        if not any(f"status of {each}" in text or f"Code {each} from" in text for each in self.allowed_statuses):
            self.faults.append(f"console: {text}")


@pytest.fixture
def ana(transactional_db: None) -> Member:
    """Who `open_page` signs in as where the application runs inside the test process."""
    return analyst()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Any]:
    """`open_page(desk, member="ana", width=1440, **context)` gives a signed-in page; its faults fail the test."""
    contexts, watchers = [], []

    def open_(desk: Desk, *, member: str | None = "ana", width: int = 1440, height: int = 900, **options: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, base_url=desk.url, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.watched = Watched(page, desk.url)
        watchers.append(page.watched)
        if member:
            page.goto("/account/login/")
            page.get_by_label("User name").fill(member)
            page.get_by_label("Password", exact=True).fill(PASSWORD)
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url("**/investigate/**")
        return page

    yield open_
    for context in contexts:
        context.close()
    faults = [fault for watcher in watchers for fault in watcher.faults]
    assert not faults, "\n".join(faults)
