"""Every list of the settings with an entry at the simulated service, in today's generation and the older one."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from bs4 import BeautifulSoup, Tag
from django.http import HttpResponse, QueryDict
from django.test import Client
from django.urls import reverse

from dashboard.simulator import Simulator
from dashboard.upstream.connection import build_client, use_client
from settings_ui.resources import BY_NAME, RESOURCES, Field, Resource
from settings_ui.resources.description import Shape
from tests.conftest import HTMX
from tests.simulated import simulated_account

Typed = dict[str, str | list[str]]

# As somebody types it: nothing in it is dangerous, and nothing of it is there yet.
RIGHT: Mapping[str, Typed] = {
    "allow_policies": {
        "pattern": "billing@supplier.example",
        "pattern_type": "EMAIL",
        "is_acceptable_sender": "true",
        "verify_sender": "true",
        "comments": "Their invoices",
    },
    "block_senders": {"pattern": "offers@lures.example", "pattern_type": "EMAIL", "comments": "Lures"},
    "trusted_domains": {"pattern": "parent-company.example", "is_similarity": "true"},
    "impersonation_registry": {"name": "Maja Holt", "email": "maja.holt@corp.example", "comments": "CFO"},
    "sending_domain_restrictions": {"domain": "bank.example", "exclude": "news.bank.example\nads.bank.example"},
    "domains": {
        "domain": "protected.example",
        "allowed_delivery_modes": ["API"],
        "drop_dispositions": ["MALICIOUS"],
        "ip_restrictions": "192.0.2.0/24",
        "regions": ["GLOBAL"],
        "lookback_hops": "3",
    },
    "content_policies": {
        "name": "Wire fraud",
        "pattern": "(?i)gift ?cards?",
        "targets": ["SUBJECT"],
        "enabled": "true",
        "notes": "For a week",
    },
    "url_ignore_patterns": {"pattern": r"https://intranet\.corp\.example/.*", "comments": "Ours"},
}
NOT_IN_SEED = {"sending_domain_restrictions", "content_policies", "url_ignore_patterns"}

every_resource = pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.name)


def every_field(*shapes: Shape, also: Callable[[Field], bool] = lambda _field: True) -> pytest.MarkDecorator:
    """Every field that can be written, of every list; of these shapes, where some are named."""
    chosen = [
        (resource, field)
        for resource in RESOURCES
        for field in resource.sent
        if (not shapes or field.shape in shapes) and also(field)
    ]
    ids = [f"{resource.name}.{field.name}" for resource, field in chosen]
    return pytest.mark.parametrize(("resource", "field"), chosen, ids=ids)


@dataclass
class Wire:
    """What went over the wire to the settings, as it was sent."""

    sent: list[tuple[str, str, Any]] = dataclasses.field(default_factory=list)

    def note(self, request: httpx.Request) -> None:
        body = json.loads(request.content) if request.content else None
        self.sent.append((request.method, request.url.path.partition("/settings/")[2], body))

    @property
    def writes(self) -> list[tuple[str, str, Any]]:
        return [one for one in self.sent if one[0] != "GET"]


class _Noting(httpx.BaseTransport):
    def __init__(self, inner: httpx.BaseTransport, wire: Wire) -> None:
        self.inner, self.wire = inner, wire

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if "/settings/" in request.url.path:
            self.wire.note(request)
        return self.inner.handle_request(request)


@pytest.fixture
def wire() -> Wire:
    return Wire()


def _simulated(profile: str, wire: Wire) -> Iterator[Simulator]:
    simulator = simulated_account(
        messages=40,
        wide_search_days=1000.0,  # searches are quick
        seed=7,
        profile=profile,
    )
    with use_client(build_client(_Noting(httpx.WSGITransport(app=simulator), wire))):
        yield simulator


@pytest.fixture
def account(db: None, wire: Wire) -> Iterator[Simulator]:
    """Today's API."""
    yield from _simulated("current", wire)


@pytest.fixture(params=["current", "seed"])
def either(db: None, wire: Wire, request: pytest.FixtureRequest) -> Iterator[Simulator]:
    """Today's API, and that of the older generation."""
    yield from _simulated(request.param, wire)


class _Away(httpx.BaseTransport):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody answers", request=request)


Away = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def away() -> Away:
    """While it lasts, Cloudflare cannot be reached."""

    @contextmanager
    def last() -> Iterator[None]:
        with use_client(build_client(_Away())):
            yield

    return last


def standing(simulator: Simulator, resource: Resource, **other: Any) -> str:
    """Put the right entry there; its id."""
    values, problems = resource.cleaned(RIGHT[resource.name])
    assert not problems
    entry = simulator.settings.seed_entry(resource.name, 1_780_000_000.0, **{**values, **other})
    return str(entry["id"])


def there(simulator: Simulator, resource: Resource) -> dict[str, dict[str, Any]]:
    """The entries that stand, by id."""
    return simulator.settings.entries[resource.name]


@dataclass
class Shown:
    """An answer as a person sees it."""

    response: HttpResponse

    @property
    def page(self) -> BeautifulSoup:
        return BeautifulSoup(self.response.content.decode(), "html.parser")

    @property
    def form(self) -> Tag:
        found = self.page.select_one("form.entry")
        assert found is not None, self.page.get_text(" ", strip=True)
        return found

    @property
    def text(self) -> str:
        return " ".join(self.page.get_text(" ").split())

    def holds(self, name: str) -> list[str]:
        """What the controls of a field hold now, as a browser would send it."""
        return fields_of(self.form).getlist(name)

    def problem(self, name: str) -> str:
        """What is told at the field itself."""
        control = self.form.select_one(f'[name="{name}"]')
        assert control is not None, name
        holder = control.find_parent(class_="field")
        return " ".join(one.get_text(" ", strip=True) for one in holder.select(".error")) if holder else ""


def fields_of(form: Tag) -> QueryDict:
    """What a browser would send of a form, without its buttons."""
    said = QueryDict(mutable=True)
    for control in form.select("input, textarea, select"):
        name, kind = control.get("name"), control.get("type", "")
        if not name or (kind in ("checkbox", "radio") and not control.has_attr("checked")):
            continue
        if control.name == "textarea":
            said.appendlist(name, control.text.removeprefix("\n"))
        elif control.name == "select":
            chosen = control.select_one("option[selected]") or control.select_one("option")
            said.appendlist(name, chosen.get("value", "") if chosen else "")
        else:
            said.appendlist(name, control.get("value", ""))
    return said


@dataclass
class Desk:
    """A member at the forms, with htmx or without."""

    client: Client
    is_htmx: bool = True

    def url(self, resource: Resource, entry_id: str = "") -> str:
        if entry_id:
            return reverse("settings:edit", args=[resource.slug, entry_id])
        return reverse("settings:new", args=[resource.slug])

    def open(self, resource: Resource, entry_id: str = "", **query: Any) -> Shown:
        headers = HTMX if self.is_htmx else {}
        return Shown(self.client.get(self.url(resource, entry_id), query, headers=headers))

    def send(self, shown: Shown, resource: Resource, entry_id: str = "", *, click: str = "", **typed: Any) -> Shown:
        """Type into the form that is shown, and send it; None empties a field, a list says several things."""
        said = fields_of(shown.form)
        for name, value in typed.items():
            if value is None:
                said.pop(name, None)
            else:
                said.setlist(name, value if isinstance(value, list) else [value])
        if click:
            button = shown.form.select_one(f'button[name="{click}"]')
            assert button is not None, f"no button {click}"
            said[click] = str(button["value"])
        headers = HTMX if self.is_htmx else {}
        return Shown(self.client.post(self.url(resource, entry_id), said.urlencode(), FORM, headers=headers))

    def create(self, resource: Resource, **other: Any) -> Shown:
        """A new entry, with what is right in every field and `other` in some."""
        return self.send(self.open(resource), resource, **{**typed_right(resource), **other})


FORM = "application/x-www-form-urlencoded"


def typed_right(resource: Resource) -> Typed:
    """What is typed into every field; ticks that are not set are emptied."""
    unset = {one.name: None for one in resource.sent if one.shape in (Shape.FLAG, Shape.CHOICES)}
    return {**unset, **RIGHT[resource.name]}  # type: ignore[dict-item]


@pytest.fixture
def desk(policy_manager: Client) -> Desk:
    return Desk(policy_manager)


@pytest.fixture
def plain_desk(policy_manager: Client) -> Desk:
    return Desk(policy_manager, is_htmx=False)


@pytest.fixture
def policies() -> Resource:
    return BY_NAME["allow_policies"]
