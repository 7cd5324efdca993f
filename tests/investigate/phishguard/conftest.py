"""Reports of the simulated managed service, as the API lists them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from dashboard.emailsec.types import PhishGuardReport
from dashboard.upstream.connection import get_client


@pytest.fixture
def listed(emailsec: Any) -> tuple[PhishGuardReport, ...]:
    """All reports of the last 30 days; there are some in any simulated account."""
    found = get_client().phishguard_reports(per_page=100).items
    assert len(found) >= 3
    emailsec.calls.clear()
    return found


@pytest.fixture
def report(listed: tuple[PhishGuardReport, ...]) -> PhishGuardReport:
    return listed[0]


@pytest.fixture
def written(emailsec: Any, report: PhishGuardReport) -> Callable[..., None]:
    """Have the service answer with this report alone, with other values in it."""

    def write(**values: Any) -> None:
        told = json.loads(msgspec.json.encode(report))
        told["fields"] |= values.pop("fields", {})
        envelope = {"success": True, "errors": [], "messages": [], "result": [told | values]}
        body = json.dumps(envelope)
        emailsec.faults.next("phishguard", body=body, content_type="application/json", status=200, times=None)

    return write
