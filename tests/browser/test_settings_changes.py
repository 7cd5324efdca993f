"""The pages of changes in a browser: they keep themselves current, work by key, fit a phone and pass axe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.upstream.connection import get_client
from settings_ui.changes import looking, sending, services
from settings_ui.models import Change, ChangeKind, ChangeState
from settings_ui.resources import BY_NAME
from tests.browser import live
from tests.browser.conftest import PASSWORD
from tests.settings_ui.changes.conftest import BLOCK, DOMAINS, EVIL, additions, key, pass_by

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
OpenPage = Callable[..., Page]


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Any]:
    settings.SECOND_PERSON = frozenset({"unprotect"})
    with live.simulated(monkeypatch, messages=20, seed=4) as found:
        yield found


@pytest.fixture
def pia(db: None) -> Member:
    return manager("pia")


def manager(name: str) -> Member:
    return Member.objects.create_user(
        name, f"{name}@corp.example", PASSWORD, role=Role.POLICY_MANAGER, first_name=name.title(), undo_seconds=30
    )


def unknown(actor: Member, simulator: Any) -> Change:
    simulator.faults.next("block_senders.create", applied=True, lose_answer=True)
    return services.create(actor=actor, resource=BLOCK, values=EVIL, operation_key=key(), request=None)


def drafted(actor: Member, number: int) -> Change:
    return services.draft(
        actor=actor,
        resource=BLOCK,
        kind=ChangeKind.IMPORT,
        lines=additions(number),
        file_name="bad-senders.csv",
        operation_key=key(),
        request=None,
    )


def partly(actor: Member, simulator: Any) -> Change:
    """A file of which some lines were refused."""
    for place in (3, 40):
        simulator.settings.seed_entry("block_senders", simulator.clock(), **{**EVIL, "pattern": f"spam{place}.example"})
    change = drafted(actor, 60)
    change = services.confirm(actor=actor, change=change, fingerprint=change.fingerprint, ticket="T-9", request=None)
    pass_by(change, 60)
    sending.step(change.pk)
    return Change.objects.get(pk=change.pk)


def asked(actor: Member) -> Change:
    domains = list(get_client().entries("domains").items[:2])
    return services.remove(
        actor=actor,
        resource=DOMAINS,
        entries=domains,
        typed=[domain.values()["domain"] for domain in domains],
        reason="sold with the northern branch",
        operation_key=key(),
        request=None,
    )


def test_what_is_looked_for_is_told_when_it_is_known(
    simulator: Any, pia: Member, live_server: Any, open_page: OpenPage
) -> None:
    change = unknown(pia, simulator)
    page = open_page(live.desk(live_server), member="pia")
    page.goto(f"/settings/changes/{change.pk}/")
    expect(page.locator("#progress")).to_contain_text("may have been made")
    pass_by(change, 40)
    looking.look_up(change.steps.get().pk)
    expect(page.locator("#progress .state")).to_have_text("Done", timeout=15_000)
    expect(page.locator("#lines")).to_contain_text("it was carried out")
    expect(page.locator("#status")).to_contain_text("evil.example")
    expect(page.locator("#progress[hx-get]")).to_have_count(0)


def test_a_removal_is_undone_by_key(simulator: Any, pia: Member, live_server: Any, open_page: OpenPage) -> None:
    simulator.settings.seed_entry("block_senders", simulator.clock() - 60, **EVIL)
    entry = next(
        one for one in get_client().entries("block_senders").items if one.values()["pattern"] == EVIL["pattern"]
    )
    change = services.remove(actor=pia, resource=BLOCK, entries=[entry], operation_key=key(), request=None)
    page = open_page(live.desk(live_server), member="pia")
    page.goto(f"/settings/changes/{change.pk}/")
    expect(page.locator("#undo-change")).to_be_visible()
    page.keyboard.press("z")
    expect(page.locator("#progress")).to_contain_text("Undone by Pia. Nothing was sent.")
    assert entry.id in simulator.settings.entries["block_senders"]


def test_the_second_person_reads_exactly_what_goes_and_approves(
    simulator: Any, pia: Member, live_server: Any, open_page: OpenPage
) -> None:
    change = asked(pia)
    manager("paul")
    page = open_page(live.desk(live_server), member="paul")
    page.goto("/settings/changes/")
    page.get_by_role("region", name="Waits for you").get_by_role("link").click()
    for line in change.lines.all():
        expect(page.locator("#lines")).to_contain_text(line.label)
    page.get_by_label("Comment").fill("checked with sales")
    page.get_by_role("button", name="Remove 2 protected domains").click()
    expect(page.locator("#progress .state")).to_contain_text("Waiting")
    change.refresh_from_db()
    assert (change.state, change.comment) == (ChangeState.WAITING, "checked with sales")


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_every_page_fits_and_passes_axe(
    simulator: Any, pia: Member, live_server: Any, open_page: OpenPage, width: int, scheme: str
) -> None:
    manager("paul")
    shown = {
        "partly": partly(pia, simulator),
        "unknown": unknown(pia, simulator),
        "asked": asked(pia),
        "draft": drafted(manager("paula"), 5),
    }
    page = open_page(live.desk(live_server), member="paul", width=width, color_scheme=scheme)
    addresses = {name: f"/settings/changes/{change.pk}/" for name, change in shown.items()}
    addresses |= {"list": "/settings/changes/", "lines": f"{addresses['partly']}lines/?show=failed"}
    for name, address in addresses.items():
        page.goto(address)
        expect(page.locator("h1")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        found = Axe().run(page).response["violations"]
        assert not found, (name, [(one["id"], one["nodes"][0]["html"]) for one in found])
    assert BY_NAME["block_senders"].title in page.content()
