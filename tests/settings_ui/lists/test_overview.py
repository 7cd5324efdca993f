"""The first page of the settings: every list in one line, and what happens to them; Cloudflare is not asked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from bs4 import BeautifulSoup
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.simulator import Simulator
from dashboard.upstream.connection import get_client
from settings_ui.models import (
    Change,
    ChangeKind,
    ChangeState,
    Difference,
    Entry,
    EntryState,
    Line,
    LineState,
    Observed,
    Origin,
    Reading,
    Source,
    Verb,
)
from settings_ui.resources import RESOURCES

Shown = Callable[..., BeautifulSoup]
ACCOUNT = settings.CLOUDFLARE_ACCOUNT_ID


def line_of(page: BeautifulSoup, slug: str) -> str:
    row = page.select_one(f'.overview-lists a[href="/settings/{slug}/"]').find_parent("tr")
    return " ".join(row.text.split())


def section(page: BeautifulSoup, heading: str) -> str:
    found = next(one for one in page.select(".overview h2") if one.text == heading)
    return " ".join(found.find_parent("section").text.split())


def test_before_anything_is_known_the_page_says_so_and_asks_nobody(
    emailsec: Simulator, manager: Client, shown: Shown
) -> None:
    page = shown(manager, "/settings/")

    for resource in RESOURCES:
        assert line_of(page, resource.slug).endswith("unknown not read yet none seen")
    assert "Nothing is under way." in section(page, "Open changes")
    assert "No entry ends" in section(page, "Ends soon")
    assert "No reading found anything" in section(page, "Different since yesterday")
    assert page.select_one(".aside .count") is None
    assert not emailsec.calls


def test_counts_have_their_age_here_and_in_the_column(emailsec: Simulator, manager: Client, shown: Shown) -> None:
    at = timezone.now() - dt.timedelta(hours=2, minutes=10)
    Reading.objects.create(account_id=ACCOUNT, resource="block_senders", due_at=at, finished_at=at, count=7)

    page = shown(manager, "/settings/")

    assert " 7 2 h ago" in line_of(page, "block-senders")
    link = page.select_one('.aside a[href="/settings/block-senders/"]')
    assert link.select_one(".count").text == "7 entries"
    assert "Counted 2 h ago" in page.select_one(".aside").text


def test_open_changes_ends_and_differences_lead_to_their_pages(
    emailsec: Simulator, manager: Client, pia: Member, shown: Shown
) -> None:
    now = timezone.now()
    change = Change.objects.create(
        account_id=ACCOUNT, resource="allow_policies", kind=ChangeKind.CREATE, source=Source.FORM, operation_key="k",
        actor=pia, actor_name="Pia", permission="policy:write", state=ChangeState.RUNNING, created_at=now,
        changed_at=now,
    )  # fmt: skip
    Line.objects.create(
        change=change, number=1, verb=Verb.ADD, label="<i>new</i>@supplier.example", holds="h", state=LineState.SENDING
    )
    Entry.objects.create(
        account_id=ACCOUNT, resource="trusted_domains", upstream_id="e-1", operation_key="e", pattern="ends.example",
        owner=pia, owner_name="Pia", origin=Origin.NOTED, expires_at=now + dt.timedelta(days=2),
        state=EntryState.ACTIVE, created_at=now, changed_at=now,
    )  # fmt: skip
    Observed.objects.create(
        account_id=ACCOUNT, resource="domains", upstream_id="d-1", label="lost.example", what=Difference.REMOVED, at=now
    )
    Observed.objects.create(
        account_id=ACCOUNT, resource="domains", upstream_id="d-2", label="old.example", what=Difference.ADDED,
        at=now - dt.timedelta(days=3),
    )  # fmt: skip

    page = shown(manager, "/settings/")

    assert "<i>new</i>@supplier.example running, Pia" in section(page, "Open changes")
    assert "ends.example trusted domain, ends in" in section(page, "Ends soon")
    seen = section(page, "Different since yesterday")
    assert "lost.example protected domain, removed elsewhere" in seen
    assert "old.example" not in seen
    assert page.select_one(f'.news a[href="{reverse("settings:entry", args=["trusted-domains", "e-1"])}"]')
    assert not line_of(page, "domains").endswith("none seen")
    assert not emailsec.calls


def test_lists_the_server_lacks_are_nowhere(emailsec: Simulator, manager: Client, shown: Shown) -> None:
    get_client()._api.missing.remember("settings.content_policies")

    page = shown(manager, "/settings/")

    assert page.select_one('[href="/settings/content-policies/"]') is None
    assert page.select_one('[href="/settings/block-senders/"]') is not None


@pytest.mark.parametrize(
    ("client_of", "is_there"), [("policy_manager", True), ("analyst", True), ("auditor", True), ("viewer", False)]
)
def test_the_entrance_is_there_for_who_may_come_in(
    client_of: str, is_there: bool, emailsec: Simulator, request: pytest.FixtureRequest, shown: Shown
) -> None:
    page = shown(request.getfixturevalue(client_of), "/investigate/actions/")

    entrance = page.select_one('.topbar nav a[href="/settings/"]')
    assert (entrance is not None) == is_there
    assert entrance is None or entrance["data-key"] == "g e"
