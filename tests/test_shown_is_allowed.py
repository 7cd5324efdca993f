"""What a page shows is what its reader may do: no link, form or request of it leads to a refusal."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
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


def pages_of(message: Any) -> list[str]:
    """Every page about a message, and the tabs of its own."""
    name = quote(message.id, safe=":@+")
    found = [
        "/" + re.sub(r"<[^>]+>", name, route)
        for route, _ in ADDRESSES
        if set(re.findall(r"<(?:\w+:)?(\w+)>", route)) == {"investigate_id"}
    ]
    own = f"/investigate/{name}/"
    return [*found, *(f"{own}?tab={tab}" for tab in ("preview", "links", "headers", "raw", "trace", "history"))]


def other_pages() -> list[str]:
    """Every page whose address has no variable part."""
    return [f"/{route}" for route, _ in ADDRESSES if "<" not in route]


class Asked(HTMLParser):
    """Paths that a page links, posts to or asks for."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.paths: set[str] = set()
        self.feed(html)

    def handle_starttag(self, _tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if any(name == "disabled" for name, _ in attributes):
            return
        for name, value in attributes:
            if name in _ASKED and value and value.startswith("/") and not value.startswith(("//", "/static/")):
                self.paths.add(urlsplit(value).path)


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


@pytest.mark.parametrize("is_limited", [False, True], ids=["whole account", "one domain"])
@pytest.mark.parametrize("role", list(Role))
def test_nothing_a_page_offers_is_refused_to_its_reader(
    role: Role, is_limited: bool, emailsec: Simulator, member_with: Callable[..., Client]
) -> None:
    message = a_message(emailsec, "delivered")
    walk(member_with(role, domains_of(message) if is_limited else []), other_pages())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_limited", [False, True], ids=["whole account", "one domain"])
@pytest.mark.parametrize("role", list(Role))
def test_nothing_offered_about_a_message_is_refused_to_its_reader(
    role: Role, is_limited: bool, kind: str, emailsec: Simulator, member_with: Callable[..., Client]
) -> None:
    message = a_message(emailsec, kind)
    walk(member_with(role, domains_of(message) if is_limited else []), pages_of(message))


def a_message(emailsec: Simulator, kind: str) -> Any:
    return next(record for record in emailsec.store.records if KINDS[kind](record))


def domains_of(message: Any) -> list[str]:
    return [message.client_recipients[0].rpartition("@")[2]]


def walk(client: Client, pages: list[str]) -> None:
    """Open each page, whole and as a part, and ask whether its reader may do all it offers."""
    member = Member.objects.get()
    refused: dict[str, set[str]] = {}
    opened = 0
    for page in pages:
        for headers in ({}, HTMX):
            answer = client.get(page, headers=headers)
            if answer.status_code != 200 or "text/html" not in answer.get("Content-Type", ""):
                continue
            opened += 1
            for path in Asked(answer.content.decode()).paths:
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
