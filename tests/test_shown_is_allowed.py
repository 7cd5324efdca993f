"""What a page shows is what its reader may do: no link, form or request of it leads to a refusal."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from bs4 import BeautifulSoup
from django.test import Client
from django.urls import Resolver404, resolve

from dashboard.access.models import Member
from dashboard.access.roles import Permission, Role
from dashboard.simulator import Simulator
from tests.conftest import HTMX
from tests.test_invariants import ADDRESSES

_ASKED = ("href", "action", "hx-get", "hx-post", "formaction")
KINDS = {
    "quarantined": lambda record: record.final_disposition == "MALICIOUS" and record.is_quarantined,
    "delivered": lambda record: record.final_disposition == "SUSPICIOUS" and not record.is_quarantined,
    "clean": lambda record: record.final_disposition == "NONE" and not record.is_phish_submission,
}


def pages(message: Any) -> list[str]:
    """Every address that is a page: those whose parts can be filled in, and the tabs of a message."""
    found = []
    for route, _ in ADDRESSES:
        names = re.findall(r"<(?:\w+:)?(\w+)>", route)
        if names and set(names) != {"investigate_id"}:
            continue
        found.append("/" + re.sub(r"<[^>]+>", quote(message.id, safe=":@+"), route))
    own = f"/investigate/{quote(message.id, safe=':@+')}/"
    return [*found, *(f"{own}?tab={tab}" for tab in ("preview", "links", "headers", "raw", "trace", "history"))]


def asked_by(html: str) -> Iterator[str]:
    """Paths that a page links, posts to or asks for."""
    soup = BeautifulSoup(html, "html.parser")
    for element in soup.find_all(True):
        if element.has_attr("disabled"):
            continue
        for name in _ASKED:
            value = element.get(name)
            if isinstance(value, str) and value.startswith("/") and not value.startswith(("//", "/static/")):
                yield urlsplit(value).path


@pytest.fixture
def member_with(db: None) -> Callable[..., Client]:
    def make(role: str, domains: list[str]) -> Client:
        member = Member.objects.create(
            username=f"{role}-{len(domains)}", first_name="Mo", role=role, domains=domains, undo_seconds=30
        )
        client = Client()
        client.force_login(member)
        return client

    return make


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_limited", [False, True], ids=["whole account", "one domain"])
@pytest.mark.parametrize("role", list(Role))
def test_nothing_a_page_offers_is_refused_to_its_reader(
    role: Role, is_limited: bool, kind: str, emailsec: Simulator, member_with: Callable[..., Client]
) -> None:
    message = next(record for record in emailsec.store.records if KINDS[kind](record))
    domains = [message.client_recipients[0].rpartition("@")[2]] if is_limited else []
    client = member_with(role, domains)
    member = Member.objects.get()
    refused: dict[str, set[str]] = {}
    opened = 0

    for page in pages(message):
        for headers in ({}, HTMX):
            answer = client.get(page, headers=headers)
            if answer.status_code != 200 or "text/html" not in answer.get("Content-Type", ""):
                continue
            opened += 1
            for path in asked_by(answer.content.decode()):
                if why := _refusal(path, member):
                    refused.setdefault(path, set()).add(f"{page}: {why}")

    assert opened > 5
    assert not refused


def _refusal(path: str, member: Member) -> str:
    """Why this member may not ask for the path; "" where they may."""
    try:
        view = resolve(path).func
    except Resolver404:
        return "nothing is there"
    permission: Permission | None = getattr(view, "required_permission", None)
    if permission is not None and not member.may(permission):
        return f"needs {permission}"
    if getattr(view, "needs_whole_account", False) and not member.scope.is_whole:
        return "needs the whole account"
    return ""
