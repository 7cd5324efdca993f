"""Lists of the settings as a page shows them, and the account behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup, Tag
from django.http import HttpResponse
from django.test import Client

from dashboard.access.models import Member
from dashboard.simulator import Simulator
from settings_ui.resources import Resource

NEEDED: dict[str, dict[str, Any]] = {
    "allow_policies": {
        "pattern_type": "EMAIL",
        "is_regex": False,
        "is_trusted_sender": False,
        "is_exempt_recipient": False,
        "is_acceptable_sender": True,
        "verify_sender": True,
    },
    "block_senders": {"pattern_type": "EMAIL", "is_regex": False},
    "trusted_domains": {"is_regex": False, "is_recent": True, "is_similarity": False},
    "impersonation_registry": {"email": "a@corp.example", "is_email_regex": False},
    "sending_domain_restrictions": {"exclude": []},
    "domains": {
        "allowed_delivery_modes": ["API"],
        "drop_dispositions": [],
        "ip_restrictions": [],
        "regions": ["GLOBAL"],
    },
    "content_policies": {"pattern": "x", "targets": ["SUBJECT"], "enabled": True},
    "url_ignore_patterns": {},
}
"""What an entry of each list cannot be without, besides its name."""

NEW = ("sending_domain_restrictions", "content_policies", "url_ignore_patterns")  # not known to the older generation


def add(simulator: Simulator, resource: Resource, label: str, *, age_days: float = 1, **values: Any) -> str:
    """Put an entry into the account without a call; its id, as text."""
    at = simulator.clock() - age_days * 86_400
    given = NEEDED[resource.name] | {resource.identity[0]: label} | values
    return str(simulator.settings.seed_entry(resource.name, at, **given)["id"])


def there(simulator: Simulator, resource: Resource) -> list[dict[str, Any]]:
    """What the account holds."""
    return list(simulator.settings.entries[resource.name].values())


def empty(simulator: Simulator, resource: Resource) -> None:
    for entry in there(simulator, resource):
        del simulator.settings.entries[resource.name][entry["id"]]


def labels(page: BeautifulSoup | Tag) -> list[str]:
    """The entries of a list, by name, from above."""
    return [one.text.strip() for one in page.select("#entries tr[data-id] th")] or [
        one.text.strip() for one in page.select("tr[data-id] th")
    ]


def list_calls(simulator: Simulator, resource: Resource) -> int:
    return sum(call.operation == f"{resource.name}.list" for call in simulator.calls)


@pytest.fixture
def manager(pia: Member) -> Client:
    client = Client()
    client.force_login(pia)
    return client


@pytest.fixture
def shown(soup: Callable[[HttpResponse], BeautifulSoup]) -> Callable[..., BeautifulSoup]:
    """A page that must be there: `shown(client, "/settings/…")`."""

    def show(client: Client, url: str, *, status: int = 200, **headers: str) -> BeautifulSoup:
        answer = client.get(url, headers=headers)
        assert answer.status_code == status, f"{url}: {answer.status_code}"
        return soup(answer)

    return show
