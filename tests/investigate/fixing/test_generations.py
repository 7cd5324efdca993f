"""The same decision on servers of each generation, and what the official SDK reads of it afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from cloudflare import Cloudflare
from django.conf import settings

from dashboard.access.models import Member
from dashboard.emailsec.types import Message
from dashboard.simulator import Simulator
from investigate.models import Fix
from tests.investigate.fixing.conftest import Worker, effects, rules_at, states
from tests.simulated import serving, simulated_account

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["current", "sunset", "seed"])
def emailsec(db: None, request: pytest.FixtureRequest) -> Iterator[Simulator]:
    simulator = simulated_account(
        messages=300,
        seed=7,
        profile=request.param,
    )
    with serving(simulator):
        yield simulator


@pytest.fixture
def official(emailsec: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("CLOUDFLARE_EMAIL", "CLOUDFLARE_API_KEY", "CLOUDFLARE_CUSTOM_HEADERS"):
        monkeypatch.delenv(name, raising=False)
    with httpx.Client(transport=httpx.WSGITransport(app=emailsec)) as http:
        yield Cloudflare(
            api_token=emailsec.token,
            base_url="https://api.cloudflare.com/client/v4",
            http_client=http,
            max_retries=0,
        ).email_security


def test_each_generation_puts_it_right(
    ana: Member,
    held: Message,
    put_right: Callable[..., Fix],
    worker: Worker,
    emailsec: Simulator,
    official: Any,
) -> None:
    fix = worker.runs(put_right(ana, held, rule=True))

    assert states(fix) == {"release": "done", "submit_clean": "done", "accept_sender": "done"}
    assert effects(emailsec, held) == {"release": len(held.client_recipients), "submission": 1, "rule": 1}
    address = (held.from_ or "").casefold()
    theirs = official.settings.allow_policies.list(account_id=settings.CLOUDFLARE_ACCOUNT_ID, pattern=address).result
    assert [(str(rule.id), rule.pattern, rule.pattern_type) for rule in theirs] == [
        (str(rules_at(emailsec, address)[0]["id"]), address, "EMAIL")
    ]
    assert theirs[0].is_acceptable_sender
    assert theirs[0].verify_sender
    assert not theirs[0].is_trusted_sender
    assert not theirs[0].is_exempt_recipient
