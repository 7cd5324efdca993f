"""A notice set up and tried by hand: the secret once, the page that waits for the answer, the list on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings as django_settings
from django.utils import timezone
from playwright.sync_api import Page, expect

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.access.scope import spaced
from dashboard.simulator import Simulator
from investigate.models import Notice, SavedView, ViewHit
from investigate.notices import making, sending
from tests.browser import live
from tests.browser.conftest import PASSWORD
from tests.browser.live import OpenPage
from tests.investigate.notices.receivers import Receiver, receiver
from tests.servers import free_port

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def emailsec(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with live.simulated(monkeypatch, messages=50, seed=11) as simulator:
        yield simulator


@pytest.fixture
def ben(transactional_db: None) -> Member:
    return Member.objects.create_user("ben", "ben@corp.example", PASSWORD, role=Role.RESPONDER, first_name="Ben")


@pytest.fixture
def http(tmp_path: Path, settings: Any) -> Iterator[Receiver]:
    port = free_port()
    settings.NOTICE_HOSTS = frozenset({f"127.0.0.1:{port}"})
    with receiver("http", port, tmp_path / "http") as found:
        yield found


def saved(owner: Member, name: str) -> SavedView:
    now = timezone.now()
    return SavedView.objects.create(
        account_id=django_settings.CLOUDFLARE_ACCOUNT_ID, name=name, query="last=24h&disposition=MALICIOUS",
        owner=owner, owner_name="Ben", created_at=now, changed_at=now,
    )  # fmt: skip


def found(view: SavedView, number: int, **values: Any) -> None:
    now, to = timezone.now(), ["bea@corp.example"]
    ViewHit.objects.create(
        view=view, investigate_id=f"4Njp3P:{number}", recipients=to, domains=spaced(to), scanned_at=now, found_at=now,
        **{"subject": f"Invoice {number}", "sender": "billing@pay-pal.example", "disposition": "MALICIOUS", **values},
    )  # fmt: skip


def work() -> None:
    """What a worker would do."""
    for rule_id in list(making.due_rules(timezone.now()).values_list("pk", flat=True)):
        making.make(rule_id)
    for notice_id in list(sending.due(timezone.now()).values_list("pk", flat=True)):
        sending.send(notice_id)


def whole(page: Page) -> None:
    """Nothing scrolls sideways, and axe finds nothing."""
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert not Axe().run(page).response["violations"]


def test_a_webhook_is_set_up_tried_and_told(
    live_server: Any, emailsec: Simulator, ben: Member, http: Receiver, open_page: OpenPage, settings: Any
) -> None:
    settings.ADDRESS, settings.SENDS_MAIL = live_server.url, True
    view = saved(ben, "Held today")
    page = open_page(live.desk(live_server), member="ben")
    page.goto(f"/investigate/notices/new?view={view.pk}")
    page.get_by_label("By").select_option("webhook")
    page.get_by_label("To", exact=True).fill("http://10.0.0.7/x")
    page.watched.allowed_statuses |= {422}  # type: ignore[attr-defined]
    page.get_by_role("button", name="Set it up").click()
    expect(page.locator("#id_target_error")).to_contain_text("it must begin with https://")
    whole(page)

    page.get_by_label("To", exact=True).fill(http.url)
    page.get_by_role("button", name="Set it up").click()
    expect(page.get_by_label("The secret, shown only now")).not_to_have_value("")
    whole(page)
    page.get_by_role("button", name="Try it now").click()
    expect(page.locator("#outcome")).to_contain_text("It is on its way.")
    work()
    expect(page.locator("#outcome .state")).to_have_attribute("data-state", "done")
    expect(page.locator("#outcome")).to_contain_text("The receiver took it (204).")

    http.answers(500)
    for number in range(3):
        found(view, number, campaign="edf:a" if number else "")
    work()
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/investigate/notices/")
    expect(page.locator(".told").first).to_contain_text("Not taken: it answers 500.")
    whole(page)
    page.get_by_role("link", name="Waiting").first.click()
    expect(page.locator("#said")).to_be_visible()
    expect(page.locator(".said")).to_contain_text("billing[@]pay-pal[.]example")
    expect(page.get_by_role("link", name="Open the campaign")).to_be_visible()
    whole(page)
    assert Notice.objects.count() == 2
