"""The application inside the test process, behind a real browser: the test chooses the mail and what goes wrong.

Quicker to start than an installation in processes of its own, and as close to a person's page: same views, same
templates, same scripts. What a worker would do, the test does itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings
from playwright.sync_api import BrowserContext, Page

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.simulator import Simulator
from tests.simulated import serving, simulated_account

OpenPage = Callable[..., Page]
PASSWORD = "mailwarden-demo"
WHOLE_RUN = 120.0  # seconds that some fifty steps made inside the page may take


@contextmanager
def simulated(monkeypatch: pytest.MonkeyPatch, **options: Any) -> Iterator[Simulator]:
    """The simulator behind the client of this process, with budget enough for any test."""
    monkeypatch.setattr(settings, "CALL_LIMIT", 1_000_000)
    simulator = simulated_account(rate_limit=None, **options)
    with serving(simulator):
        yield simulator


def analyst() -> Member:
    """The member `open_page` signs in as."""
    return Member.objects.create_user("ana", "ana@corp.example", PASSWORD, role=Role.ANALYST, first_name="Ana")


def desk(live_server: Any) -> Any:
    """What `open_page` needs to know of an installation."""
    return SimpleNamespace(url=live_server.url)


def requested(context: BrowserContext) -> list[str]:
    """Addresses of all requests from now on."""
    seen: list[str] = []
    context.on("request", lambda request: seen.append(request.url))
    return seen


def run_in_page(page: Page, script: str, *arguments: Any) -> Any:
    """Run an async function in the page and wait for what it returns, with a time limit.

    A pending promise given to `evaluate` would be waited for without one.
    """
    page.evaluate(
        f"""(given) => {{
          window.outcome = null;
          Promise.resolve(({script})(...given)).then(
            (value) => {{ window.outcome = {{ value }}; }},
            (error) => {{ window.outcome = {{ error: String(error) }}; }});
        }}""",
        list(arguments),
    )
    give_up = time.monotonic() + WHOLE_RUN
    while (outcome := page.evaluate("window.outcome")) is None:  # `wait_for_function` needs eval, which our CSP forbids
        assert time.monotonic() < give_up, "the page did not come to an end"
        page.wait_for_timeout(20)
    assert "error" not in outcome, outcome["error"]
    return outcome.get("value")
