"""Allow policies: whose mail detection leaves alone, wholly or in part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboard.emailsec.core import Endpoint
from dashboard.emailsec.decoding import read
from dashboard.emailsec.enums import PatternType, PolicyOrder, SortDirection
from dashboard.emailsec.groups import USUAL_BUDGET, Group
from dashboard.emailsec.requests import NewAllowPolicy
from dashboard.emailsec.transport import Priority
from dashboard.emailsec.types import AllowPolicy, Page

_PATH = "/settings/allow_policies"
LIST = Endpoint("GET", _PATH, writes=False, collection=True)
CREATE = Endpoint("POST", _PATH, writes=True, collection=True)
POLICY = Endpoint("GET", _PATH + "/{policy_id}", writes=False)
EDIT = Endpoint("PATCH", _PATH + "/{policy_id}", writes=True)
DELETE = Endpoint("DELETE", _PATH + "/{policy_id}", writes=True)

CHANGEABLE = frozenset(NewAllowPolicy.__struct_fields__)


class PoliciesGroup(Group):
    """Writes are never repeated here. A create has no key of its own: put one into `comments` and list the pattern."""

    def allow_policies(
        self,
        *,
        pattern: str | None = None,
        pattern_type: PatternType | None = None,
        is_trusted_sender: bool | None = None,
        is_exempt_recipient: bool | None = None,
        is_acceptable_sender: bool | None = None,
        verify_sender: bool | None = None,
        search: str | None = None,
        order: PolicyOrder | None = None,
        direction: SortDirection | None = None,
        page: int = 1,
        per_page: int = 100,
        budget: float = USUAL_BUDGET,
        priority: Priority = Priority.READ,
    ) -> Page[AllowPolicy]:
        """`pattern` is compared as a whole, `search` is fuzzy. Some servers ignore filters: compare what comes."""
        params = [
            ("pattern", pattern),
            ("pattern_type", pattern_type),
            ("is_trusted_sender", is_trusted_sender),
            ("is_exempt_recipient", is_exempt_recipient),
            ("is_acceptable_sender", is_acceptable_sender),
            ("verify_sender", verify_sender),
            ("search", search),
            ("order", order),
            ("direction", direction),
        ]
        return self._page(
            LIST, AllowPolicy, params=params, page=page, per_page=per_page, budget=budget, priority=priority
        )

    def allow_policy(
        self, policy_id: str, *, budget: float = USUAL_BUDGET, priority: Priority = Priority.READ
    ) -> AllowPolicy:
        reply = self._api.send(POLICY, {"policy_id": policy_id}, budget=budget, priority=priority)
        return self._api.result(reply, lambda raw: read(raw, AllowPolicy))

    def create_allow_policy(
        self, policy: NewAllowPolicy, *, budget: float = USUAL_BUDGET, priority: Priority = Priority.ACTION
    ) -> AllowPolicy:
        reply = self._api.send(CREATE, json=policy.wire(), budget=budget, priority=priority)
        return self._api.result(reply, lambda raw: read(raw, AllowPolicy))

    def edit_allow_policy(
        self,
        policy_id: str,
        changes: Mapping[str, Any],
        *,
        budget: float = USUAL_BUDGET,
        priority: Priority = Priority.ACTION,
    ) -> AllowPolicy:
        """Change the named fields of `NewAllowPolicy` and nothing else; at least one."""
        if not changes or not CHANGEABLE.issuperset(changes):
            raise ValueError("name at least one field of an allow policy, and no other")
        reply = self._api.send(EDIT, {"policy_id": policy_id}, json=dict(changes), budget=budget, priority=priority)
        return self._api.result(reply, lambda raw: read(raw, AllowPolicy))

    def delete_allow_policy(
        self, policy_id: str, *, budget: float = USUAL_BUDGET, priority: Priority = Priority.ACTION
    ) -> None:
        """NotFound may come from something in between: `allow_policy` proves that it is gone."""
        reply = self._api.send(DELETE, {"policy_id": policy_id}, budget=budget, priority=priority)
        self._api.envelope(reply)
