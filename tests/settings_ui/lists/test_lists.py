"""Each list of the settings: what comes, in which order, how much of it, and what the page says where it cannot."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from bs4 import BeautifulSoup
from django.conf import settings
from django.test import Client
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.simulator import Simulator
from dashboard.upstream.connection import build_client, get_client, use_client
from settings_ui.models import Entry, EntryState, Mirrored, Origin, Reading
from settings_ui.resources import BY_NAME, RESOURCES, Resource
from tests.conftest import HTMX
from tests.settings_ui.lists.conftest import NEW, add, empty, labels, list_calls, there

Shown = Callable[..., BeautifulSoup]
ALLOW, BLOCK, LINKS = BY_NAME["allow_policies"], BY_NAME["block_senders"], BY_NAME["url_ignore_patterns"]
EVERY = pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.slug)


def address(resource: Resource) -> str:
    return f"/settings/{resource.slug}/"


def is_known(simulator: Simulator, resource: Resource) -> bool:
    return not (simulator.profile.seed_generation and resource.name in NEW)


@EVERY
def test_a_list_shows_every_entry_with_one_call(
    resource: Resource, generation: Simulator, manager: Client, shown: Shown
) -> None:
    if not is_known(generation, resource):
        page = shown(manager, address(resource), status=404)
        assert "This account's API has no" in page.select_one("h1").text
        assert resource.title not in [link.contents[0] for link in page.select(".aside a")]
        asked = len(generation.calls)
        shown(manager, address(resource), status=404)
        assert len(generation.calls) == asked  # it is remembered
        return

    page = shown(manager, address(resource))

    assert sorted(labels(page)) == sorted(entry[resource.identity[0]] for entry in there(generation, resource))
    assert page.select_one(".listbar .count").text.startswith(f"{len(there(generation, resource))} entr")
    assert list_calls(generation, resource) == 1


FILTERS = [
    (resource, one.name, option.value) for resource in RESOURCES for one in resource.filters for option in one.options
]


def fits(resource: Resource, name: str, value: str, entry: dict[str, Any]) -> bool:
    if name.endswith("_delivery_mode"):
        return value in entry["allowed_delivery_modes"]
    return entry[name] == {"true": True, "false": False}.get(value, value)


@pytest.mark.parametrize(
    ("resource", "name", "value"), FILTERS, ids=[f"{one.slug}-{name}-{value}" for one, name, value in FILTERS]
)
def test_every_filter_shows_what_fits_and_names_itself(
    resource: Resource, name: str, value: str, emailsec: Simulator, manager: Client, shown: Shown
) -> None:
    expected = [
        entry[resource.identity[0]] for entry in there(emailsec, resource) if fits(resource, name, value, entry)
    ]

    page = shown(manager, f"{address(resource)}?{name}={value}")

    assert sorted(labels(page)) == sorted(expected)
    assert len(page.select(".filterchips li")) == 1
    assert page.select_one(f"#asked-{name} [selected]")["value"] == value
    assert page.select_one(".partial") is None
    assert bool(page.select_one(".empty:not(.teach)")) == (not expected)


@pytest.mark.parametrize("name", ["allow_policies", "block_senders", "trusted_domains", "domains"])
def test_filters_hold_in_every_generation_of_the_api(
    name: str, generation: Simulator, manager: Client, shown: Shown
) -> None:
    resource = BY_NAME[name]
    label = add(generation, resource, "one-of-its-kind.example") and "one-of-its-kind.example"

    page = shown(manager, f"{address(resource)}?{resource.identity[0]}={label}")

    assert labels(page) == [label]


def test_several_domains_are_asked_for_in_one_call(emailsec: Simulator, manager: Client, shown: Shown) -> None:
    resource = BY_NAME["domains"]
    for name in ("one.example", "two.example", "three.example"):
        add(emailsec, resource, name)

    page = shown(manager, f"{address(resource)}?domain=one.example&domain=two.example")

    assert sorted(labels(page)) == ["one.example", "two.example"]
    assert page.select_one("#asked-domain")["value"] == "one.example, two.example"
    assert "Ignored" not in page.text
    assert list_calls(emailsec, resource) == 1


ORDERS = [
    (resource, order.value, direction)
    for resource in RESOURCES
    for order in resource.orders
    for direction in ("asc", "desc")
]


@pytest.mark.parametrize(
    ("resource", "order", "direction"),
    ORDERS,
    ids=[f"{one.slug}-{order}-{direction}" for one, order, direction in ORDERS],
)
def test_every_order_goes_up_and_down(
    resource: Resource, order: str, direction: str, emailsec: Simulator, manager: Client, shown: Shown
) -> None:
    for number, letter in enumerate("bca"):
        name = f"{letter}-{number}.example"
        add(emailsec, resource, name, age_days=number + 1, **({"email": name} if order == "email" else {}))
    key = (lambda entry: str(entry[order]).casefold()) if order != "created_at" else (lambda entry: entry[order])
    expected = [entry[resource.identity[0]] for entry in sorted(there(emailsec, resource), key=key)]

    page = shown(manager, f"{address(resource)}?order={order}&direction={direction}")

    assert labels(page) == (expected if direction == "asc" else expected[::-1])


@EVERY
def test_each_order_has_a_name_and_the_list_comes_in_the_one_that_is_shown(
    resource: Resource, emailsec: Simulator, manager: Client, shown: Shown
) -> None:
    page = shown(manager, address(resource))
    offered = {one["value"]: one.text for one in page.select("#asked-order option")}
    if not resource.orders:
        assert not offered
        return
    assert page.select_one("#asked-order [selected]").text == "newest first"
    newest = [
        entry[resource.identity[0]] for entry in sorted(there(emailsec, resource), key=lambda e: -e["created_at"])
    ]
    assert labels(page) == newest

    for value, word in offered.items():
        chosen = shown(manager, f"{address(resource)}?order={value}")
        assert chosen.select_one("#asked-order [selected]").text == word
        if value.startswith("-"):
            up = shown(manager, f"{address(resource)}?order={value[1:]}&direction=asc")
            assert labels(chosen) == labels(up)[::-1]


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("direction=asc", "oldest first"),
        ("order=created_at", "oldest first"),
        ("order=created_at&direction=desc", "newest first"),
        ("order=pattern&direction=desc", "Pattern, Z to A"),
        ("order=pattern", "Pattern, A to Z"),
    ],
)
def test_an_order_in_the_address_is_the_one_that_is_chosen(
    said: str, word: str, emailsec: Simulator, manager: Client, shown: Shown
) -> None:
    page = shown(manager, f"{address(ALLOW)}?{said}")

    assert page.select_one("#asked-order [selected]").text == word


def test_the_search_of_the_service_is_called_loose_and_a_list_without_one_has_no_field(
    generation: Simulator, manager: Client, shown: Shown
) -> None:
    add(generation, ALLOW, "billing@supplier.example")

    page = shown(manager, f"{address(ALLOW)}?search=supplier")

    assert labels(page) == ["billing@supplier.example"]
    assert "loosely" in page.select_one("#asked-search")["placeholder"]
    assert "about" not in page.select_one(".listbar .count").text  # the service's total is from before the search
    if is_known(generation, LINKS):
        assert shown(manager, address(LINKS)).select_one("#asked") is None


def test_pages_lead_on_and_back_and_each_is_one_call(generation: Simulator, manager: Client, shown: Shown) -> None:
    empty(generation, BLOCK)
    for number in range(120):
        add(generation, BLOCK, f"s{number:03}@spam.example", age_days=number + 1)
    query = "order=pattern&direction=asc&per_page=50"

    page = shown(manager, f"{address(BLOCK)}?{query}")
    seen = labels(page)
    assert page.select_one(".listbar .count").text == "first 50 shown, more below, about 120 in all"
    assert page.select_one('.pager [data-key="["]') is None
    for told in ("51 to 100, more below, about 120 in all", "101 to 120, no more below"):
        page = shown(manager, page.select_one('.pager [data-key="]"]')["href"])
        seen += labels(page)
        assert page.select_one(".listbar .count").text == told

    assert seen == [f"s{number:03}@spam.example" for number in range(120)]
    assert page.select_one('.pager [data-key="]"]') is None
    assert list_calls(generation, BLOCK) == 3
    before = shown(manager, page.select_one('.pager [data-key="["]')["href"])
    assert labels(before)[0] == "s050@spam.example"
    beyond = shown(manager, f"{address(BLOCK)}?{query}&page=9")
    assert "ends before page 9" in beyond.select_one(".empty").text


def test_parameters_nobody_knows_are_named_and_never_an_error(
    emailsec: Simulator, manager: Client, shown: Shown
) -> None:
    page = shown(manager, f"{address(ALLOW)}?foo=bar&page=x&order=%3Cb%3E")

    assert page.select_one(".partial").text == "Ignored: foo=bar, page=x, order=<b>"
    assert labels(page)


class Deaf(httpx.BaseTransport):
    """A server that takes filters and looks at none of them."""

    def __init__(self, simulator: Simulator) -> None:
        self.service = httpx.WSGITransport(app=simulator)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        kept = {name: value for name, value in request.url.params.items() if name in ("page", "per_page")}
        request.url = request.url.copy_with(params=kept)
        return self.service.handle_request(request)


def test_where_the_server_ignores_a_filter_the_page_says_so_and_filters_what_came(
    emailsec: Simulator, manager: Client, shown: Shown
) -> None:
    empty(emailsec, BLOCK)
    for number in range(60):
        kind, host = ("IP", f"192.0.2.{number}") if number < 3 else ("EMAIL", f"a{number}@spam.example")
        add(emailsec, BLOCK, host, pattern_type=kind, age_days=number + 1)

    with use_client(build_client(Deaf(emailsec))):
        page = shown(manager, f"{address(BLOCK)}?pattern_type=IP&per_page=50")
        none = shown(manager, f"{address(BLOCK)}?pattern_type=IP&per_page=50&page=2")

    assert labels(page) == ["192.0.2.0", "192.0.2.1", "192.0.2.2"]
    assert "does not filter by kind" in page.select_one(".partial").text
    assert page.select_one(".listbar .count").text == "3 of 50 fit, more below"
    assert "None of the 10 entries on this page fits." in none.select_one(".empty").text


@EVERY
def test_an_empty_list_teaches(resource: Resource, emailsec: Simulator, manager: Client, shown: Shown) -> None:
    empty(emailsec, resource)

    page = shown(manager, address(resource))

    assert f"There is no {resource.singular} yet" in page.select_one("#entries .empty").text
    assert resource.what in page.select_one("#entries .empty").text


def test_a_filter_that_fits_nothing_can_be_taken_away(emailsec: Simulator, manager: Client, shown: Shown) -> None:
    page = shown(manager, f"{address(ALLOW)}?pattern=nobody@nowhere.example&verify_sender=true")

    assert "No allow policy fits." in page.select_one(".empty").text
    without = [link["href"] for link in page.select(".filterchips a")]
    assert without == [f"{address(ALLOW)}?verify_sender=true", f"{address(ALLOW)}?pattern=nobody%40nowhere.example"]
    assert page.select_one(".empty a")["href"] == address(ALLOW)


def keep(resource: Resource, *kept: str, at: dt.datetime | None = None) -> dt.datetime:
    """A whole reading of the list, as the watch of the lists leaves it."""
    at = at or timezone.now() - dt.timedelta(minutes=40)
    account = settings.CLOUDFLARE_ACCOUNT_ID
    Reading.objects.create(account_id=account, resource=resource.name, due_at=at, finished_at=at, count=len(kept))
    for label in kept:
        values = {resource.identity[0]: label, "pattern_type": "EMAIL", "comments": "from the reading"}
        Mirrored.objects.create(
            account_id=account, resource=resource.name, upstream_id=f"id-{label}", label=label, values=values,
            first_seen_at=at,
        )  # fmt: skip
    return at


@pytest.mark.parametrize("status", [500, 502, 503, 403, 401])
def test_a_list_that_cannot_be_read_says_why_and_offers_another_try_in_place(
    status: int, emailsec: Simulator, manager: Client, shown: Shown
) -> None:
    emailsec.faults.next("allow_policies.list", status=status, times=None)

    answer = manager.get(f"{address(ALLOW)}?order=pattern")
    part = manager.get(f"{address(ALLOW)}?order=pattern", headers=HTMX)

    page = BeautifulSoup(answer.content, "html.parser")
    assert answer.status_code >= 500
    retry = page.select_one("#entries .failed a")
    assert (retry["hx-get"], retry["hx-target"]) == (f"{address(ALLOW)}?order=pattern", "#entries")
    assert page.select_one("h1").text == "Allow policies"
    assert (part.status_code, part["HX-Retarget"]) == (answer.status_code, "#entries")
    assert b"<html" not in part.content


def test_with_the_budget_used_up_the_last_reading_is_shown_with_its_age(
    emailsec: Simulator, manager: Client, shown: Shown
) -> None:
    at = keep(ALLOW, "b@supplier.example", "a@supplier.example")
    emailsec.faults.next("allow_policies.list", status=429, retry_after=192)

    page = shown(manager, address(ALLOW))

    assert labels(page) == ["a@supplier.example", "b@supplier.example"]
    assert "call budget is used up" in page.select_one(".failed").text
    assert page.select_one(".stale time")["datetime"] == at.strftime("%Y-%m-%dT%H:%M:%SZ")
    asked = len(emailsec.calls)
    filtered = shown(manager, f"{address(ALLOW)}?pattern=b@supplier.example")
    searched = shown(manager, f"{address(ALLOW)}?search=a@")
    assert labels(filtered) == ["b@supplier.example"]
    assert labels(searched) == ["a@supplier.example"]
    assert len(emailsec.calls) == asked  # the pause holds for everybody


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("comments", []),  # the name of a field
        ("MÜLLER", ["b@supplier.example"]),
        ("müller", ["b@supplier.example"]),
        ("the reading", ["a@supplier.example"]),
        ("B@Supplier", ["b@supplier.example"]),
        ("EMAIL", []),
    ],
)
def test_the_last_reading_is_searched_by_name_and_note(
    search: str, expected: list[str], emailsec: Simulator, manager: Client, shown: Shown
) -> None:
    keep(ALLOW, "b@supplier.example", "a@supplier.example")
    Mirrored.objects.filter(label="b@supplier.example").update(
        values={"pattern": "b@supplier.example", "comments": "asked for by Müller"}
    )
    emailsec.faults.next("allow_policies.list", status=429, retry_after=192)

    answer = manager.get(address(ALLOW), {"search": search})

    assert labels(BeautifulSoup(answer.content, "html.parser")) == expected


def test_with_no_reading_and_no_budget_the_page_says_so(emailsec: Simulator, manager: Client, shown: Shown) -> None:
    emailsec.faults.next("allow_policies.list", status=429, retry_after=60)

    page = shown(manager, address(ALLOW), status=503)

    assert "call budget is used up" in page.select_one("#entries .failed").text
    assert not labels(page)


def test_htmx_gets_the_rows_alone_with_the_sentence_that_is_read_out(emailsec: Simulator, manager: Client) -> None:
    answer = manager.get(f"{address(ALLOW)}?verify_sender=true", headers=HTMX)

    text = answer.content.decode()
    assert answer.status_code == 200
    assert "<html" not in text
    assert 'hx-swap-oob="innerHTML:#status"' in text
    assert 'id="footer"' in text


# --- who may what -------------------------------------------------------------------------------------------------


def test_viewers_and_members_of_some_domains_do_not_get_in(
    emailsec: Simulator, viewer: Client, pia: Member, manager: Client
) -> None:
    assert viewer.get(address(ALLOW)).status_code == 403
    assert viewer.get("/settings/").status_code == 403
    pia.domains = ["corp.example"]
    pia.save(update_fields=["domains"])
    assert manager.get(address(ALLOW)).status_code == 403
    assert manager.get("/settings/").status_code == 403
    assert not emailsec.calls


@pytest.mark.parametrize("role", ["analyst", "auditor", "admin", "responder"])
def test_who_may_only_read_sees_the_list_and_no_way_to_change_it(
    role: str, emailsec: Simulator, request: pytest.FixtureRequest, shown: Shown
) -> None:
    client = request.getfixturevalue(role)

    page = shown(client, address(ALLOW))
    entry = shown(client, page.select_one("#entries .open")["href"])

    assert labels(page)
    assert page.select_one('[data-key="c"], #remove-ticked, .c-tick, [href$="/import"]') is None
    assert entry.select_one('[href$="/edit"], [href*="/remove"]') is None


def test_who_may_change_the_list_finds_every_door(emailsec: Simulator, manager: Client, shown: Shown) -> None:
    page = shown(manager, f"{address(ALLOW)}?verify_sender=true")

    assert page.select_one('.doors [data-key="c"]')["href"] == f"{address(ALLOW)}new"
    assert page.select_one("#remove-ticked")["form"] == "ticks"
    assert page.select_one("#ticks")["action"] == f"{address(ALLOW)}remove"
    assert {box["value"] for box in page.select(".c-tick input")} == {
        row["data-id"] for row in page.select("tr[data-id]")
    }
    csv = page.select_one(".doors [download]")
    assert csv["href"] == f"{address(ALLOW)}export?verify_sender=true"


def test_a_server_that_makes_no_entries_leaves_the_door_and_says_why(
    emailsec: Simulator, manager: Client, shown: Shown
) -> None:
    get_client()._api.missing.remember("settings.domains.create")

    page = shown(manager, "/settings/domains/")

    door = page.select_one('.doors [data-key="c"]')
    assert door.has_attr("disabled")
    assert "added in Cloudflare's dashboard" in page.select_one(f"#{door['aria-describedby']}").text
    assert door["data-why"] in page.select_one(".doors").text


# --- what is in a row ---------------------------------------------------------------------------------------------

HOSTILE = "<script>alert(1)</script>‮gpj.exe@evil.example"


@EVERY
def test_text_of_an_entry_is_shown_as_text(
    resource: Resource, emailsec: Simulator, manager: Client, shown: Shown
) -> None:
    note = {resource.note: HOSTILE} if resource.note else {}
    entry_id = add(emailsec, resource, HOSTILE, **note)

    page = shown(manager, f"{address(resource)}?foo={HOSTILE}")
    entry = shown(manager, f"{address(resource)}{entry_id}/")

    for one in (page, entry):
        text = str(one)
        assert "<script>alert" not in text
        assert "‮" not in text
        assert "[U+202E]" in one.text
    assert page.select_one(f'tr[data-id="{entry_id}"] th bdi') is not None


def test_an_entry_whose_id_fits_into_no_address_is_listed_without_a_link(
    emailsec: Simulator, manager: Client, shown: Shown
) -> None:
    kept = emailsec.settings.entries[ALLOW.name]
    entry_id = add(emailsec, ALLOW, "odd@supplier.example")
    kept["a/b"] = kept.pop(entry_id) | {"id": "a/b"}

    page = shown(manager, f"{address(ALLOW)}?open=a/b")

    assert page.select_one('tr[data-id="a/b"] th').text == "odd@supplier.example"
    assert page.select_one('tr[data-id="a/b"] a') is None


def test_a_row_names_owner_end_and_who_made_it(emailsec: Simulator, manager: Client, pia: Member, shown: Shown) -> None:
    entry_id = add(emailsec, ALLOW, "billing@supplier.example")
    ends = timezone.now() + dt.timedelta(days=3)
    Entry.objects.create(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID,
        resource=ALLOW.name,
        upstream_id=entry_id,
        operation_key="k",
        pattern="billing@supplier.example",
        owner=pia,
        owner_name="Pia",
        origin=Origin.NOTED,
        reason="known supplier",
        expires_at=ends,
        state=EntryState.ACTIVE,
        created_at=timezone.now(),
        changed_at=timezone.now(),
    )

    row = shown(manager, address(ALLOW)).select_one(f'tr[data-id="{entry_id}"]')

    assert "Pia" in row.select_one(".c-owner").text
    assert row.select_one(".c-owner time")["datetime"] == ends.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert row.select_one(".c-flags").text == "acceptable, verified"
    assert row.select_one(".c-pattern_type").text == "address"
