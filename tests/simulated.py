"""The account that tests meet: known to the settings, and with the same mail at every hour of every day."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
from django.conf import settings

from dashboard.simulator import Simulator
from dashboard.upstream.connection import build_client, use_client

# The rhythm of the mail takes every moment for this one, in the middle of a working day: without it, how many messages
# of an hour there are, and of what kind, would hang on when the tests are run.
WEDNESDAY_AFTERNOON = datetime(2026, 1, 14, 15, 30, tzinfo=UTC).timestamp()


def simulated_account(**options: Any) -> Simulator:
    """The simulator with the account and the token of the settings; `options` are the simulator's own."""
    known = {"account_id": settings.CLOUDFLARE_ACCOUNT_ID, "token": settings.CLOUDFLARE_API_TOKEN}
    return Simulator(**{"rhythm_at": WEDNESDAY_AFTERNOON, **known, **options})


@contextmanager
def serving(simulator: Simulator) -> Iterator[Simulator]:
    """While this lasts, what asks for the client reaches this simulator, without a socket."""
    with use_client(build_client(httpx.WSGITransport(app=simulator))):
        yield simulator
