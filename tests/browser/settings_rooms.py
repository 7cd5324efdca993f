"""What tests of the settings rooms share: the account as the official SDK reads it, and forms filled in by a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import serve
from cloudflare import Cloudflare
from playwright.sync_api import Locator

from settings_ui.resources import BY_NAME, RESOURCES
from tests.browser.conftest import Desk

State = dict[str, dict[str, Any]]
"""A list of the account: what can be written of each entry, by its id."""

# The official SDK names the id in a path differently in each list.
_ID_NAMES = {
    "allow_policies": "policy_id",
    "block_senders": "pattern_id",
    "trusted_domains": "trusted_domain_id",
    "impersonation_registry": "impersonation_registry_id",
    "sending_domain_restrictions": "sending_domain_restriction_id",
    "domains": "domain_id",
    "content_policies": "policy_id",
    "url_ignore_patterns": "pattern_id",
}
NEW = frozenset({"sending_domain_restrictions", "content_policies", "url_ignore_patterns"})  # not in the seed's API

# Two more policy managers beside the demo's: one takes long to think again, the other no time.
MORE_MANAGERS = """
from dashboard.access.models import Member
from dashboard.access.roles import Role
for name, seconds in (("rosa", 30), ("ines", 0)):
    member = Member(username=name, first_name=name.title(), email=f"{name}@mailwarden.example")
    member.role, member.undo_seconds = Role.POLICY_MANAGER, seconds
    member.set_password(PASSWORD)
    member.save()
"""


@dataclass(frozen=True)
class Account:
    """The account behind a desk, read and changed by the official SDK alone."""

    desk: Desk
    profile: str
    official: Any
    sessions: dict[str, Any] = field(default_factory=dict)  # of members who signed in

    @property
    def is_seed(self) -> bool:
        return self.profile == "seed"

    @property
    def lists(self) -> list[str]:
        return [resource.name for resource in RESOURCES if not (self.is_seed and resource.name in NEW)]

    def state(self, name: str) -> State:
        """A whole list. What the older generation does not show of an entry is not in it."""
        found: State = {}
        for entry in self._group(name).list(account_id=serve.DEMO_ACCOUNT, per_page=100):
            said = _said(entry)
            kept = {field.name: said[field.name] for field in BY_NAME[name].sent if field.name in said}
            found[str(said["id"])] = kept
        return found

    def listed(self, name: str, **asked: str) -> list[str]:
        """The ids of a list as the service gives it to somebody who asks it for this, in its order."""
        flags = {"true": True, "false": False}
        said = {one: flags.get(value, value) for one, value in asked.items()}
        entries = self._group(name).list(account_id=serve.DEMO_ACCOUNT, per_page=100, **said)
        return [str(_said(entry)["id"]) for entry in entries]

    def everything(self) -> dict[str, State]:
        return {name: self.state(name) for name in self.lists}

    def add(self, name: str, values: Mapping[str, Any]) -> str:
        """Make an entry as somebody else would; its id."""
        made = self._group(name).create(account_id=serve.DEMO_ACCOUNT, **values)
        return str(_said(made)["id"])

    def edit(self, name: str, entry_id: str, values: Mapping[str, Any]) -> None:
        self._group(name).edit(account_id=serve.DEMO_ACCOUNT, **{_ID_NAMES[name]: entry_id}, **values)

    def remove(self, name: str, entry_id: str) -> None:
        self._group(name).delete(account_id=serve.DEMO_ACCOUNT, **{_ID_NAMES[name]: entry_id})

    def verification(self, domain_id: str) -> dict[str, Any]:
        """The proof of a domain. The SDK has no method for it."""
        path = f"/accounts/{serve.DEMO_ACCOUNT}/email-security/settings/domains/{domain_id}/verification"
        found: dict[str, Any] = self.official.get(path, cast_to=httpx.Response).json()["result"]
        return found

    def _group(self, name: str) -> Any:
        return getattr(self.official.email_security.settings, name)

    def done(self, name: str, kind: str) -> list[dict[str, Any]]:
        """What was really carried out on a list, by the simulator's ledger: `create`, `patch`, `put`, `delete`."""
        return [
            entry["detail"]
            for entry in self.desk.simulator("ledger")
            if entry["kind"] == kind and entry["detail"].get("resource") == name
        ]

    def calls(self) -> list[str]:
        """The operations that were asked for, by the names of the simulator's routes."""
        return [call["operation"] for call in self.desk.simulator("calls")]


def _said(entry: Any) -> dict[str, Any]:
    # The older generation counts some of its entries: their ids are no texts, as the SDK would have them.
    found: dict[str, Any] = entry.to_dict(mode="python", warnings=False)
    return found


@contextmanager
def account_behind(desk: Desk, profile: str) -> Iterator[Account]:
    with Cloudflare(api_token=serve.DEMO_TOKEN, base_url=f"{desk.upstream}/client/v4", max_retries=0) as official:
        yield Account(desk, profile, official)


def fill_in(form: Locator, values: Mapping[str, Any]) -> None:
    """Say these values in a form, by the API's names; None empties a control."""
    for name, value in values.items():
        controls = form.locator(f"[name={name}]")
        kind = controls.first.evaluate("control => control.type")
        if kind == "checkbox" and isinstance(value, list):
            for control in controls.all():
                control.set_checked(control.get_attribute("value") in value)
        elif kind == "checkbox":
            controls.set_checked(bool(value))
        elif kind == "radio":
            form.locator(f"[name={name}][value={value}]").check()
        elif kind == "select-one":
            controls.select_option({None: "", True: "true", False: "false"}.get(value, value))
        else:
            controls.fill("" if value is None else "\n".join(value) if isinstance(value, list) else str(value))
