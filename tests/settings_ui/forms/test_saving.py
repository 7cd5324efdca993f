"""What a form sends, and what it says of what came back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from dashboard.access.models import Member
from dashboard.simulator import Simulator
from dashboard.simulator.kinds import KINDS
from settings_ui.models import Change, ChangeState, Entry
from settings_ui.resources import BY_NAME, Field, Resource
from settings_ui.resources.description import Shape, alike
from tests.conftest import HTMX
from tests.settings_ui.forms.conftest import (
    FORM,
    NOT_IN_SEED,
    RIGHT,
    Desk,
    Shown,
    Wire,
    every_field,
    every_resource,
    fields_of,
    standing,
    there,
)


def in_this_generation(simulator: Simulator, resource: Resource) -> bool:
    return not (simulator.world.profile.seed_generation and resource.name in NOT_IN_SEED)


def refusal(status: int, *pointed: tuple[str, str]) -> dict[str, Any]:
    """A refusal of the service that points at fields."""
    errors = [{"code": 1400, "message": told, "source": {"pointer": pointer}} for pointer, told in pointed]
    body = json.dumps({"success": False, "errors": errors, "messages": [], "result": None})
    return {"status": status, "body": body, "content_type": "application/json"}


@every_resource
def test_a_new_entry_is_made_as_it_was_typed(resource: Resource, either: Simulator, wire: Wire, desk: Desk) -> None:
    if not in_this_generation(either, resource):
        pytest.skip("the older generation has no such list")
    known = set(there(either, resource))

    shown = desk.create(resource, reason="Agreed with purchasing", ticket="4711")

    if either.world.profile.seed_generation and resource.name == "domains":
        assert "cannot add" in desk.open(resource).text or "does not" in shown.text
        return
    assert shown.response.status_code == 200, shown.text
    assert "settings-saved" in json.loads(shown.response["HX-Trigger-After-Settle"])
    (made,) = set(there(either, resource)) - known
    wanted, problems = resource.cleaned(RIGHT[resource.name])
    assert not problems
    found = there(either, resource)[made]
    if not either.world.profile.seed_generation:
        assert not {name for name, value in wanted.items() if not alike(found[name], value)}
    change = Change.objects.get()
    assert (change.state, change.reason, change.ticket) == (ChangeState.DONE, "Agreed with purchasing", "4711")
    assert Entry.objects.get().upstream_id == made


@every_field(also=lambda field: not field.is_fixed)
def test_an_edit_sends_the_field_that_was_changed_and_no_other(
    resource: Resource, field: Field, account: Simulator, wire: Wire, desk: Desk
) -> None:
    entry_id = standing(account, resource, **BEFORE.get(f"{resource.name}.{field.name}", {}))
    before = dict(there(account, resource)[entry_id])
    typed = other_value(resource, field, before[field.name])
    opened = desk.open(resource, entry_id)

    shown = desk.send(opened, resource, entry_id, **{field.name: typed})
    if "accepted" in str(shown.page.select("button")):
        shown = desk.send(shown, resource, entry_id, click="accepted")

    assert shown.response.status_code == 200, shown.text
    (write,) = wire.writes
    assert write[0] == "PATCH"
    assert set(write[2]) == {field.name}
    after = there(account, resource)[entry_id]
    changed = {name for name in before if before[name] != after[name]} - {"modified_at"}
    assert changed == {field.name}


def other_value(resource: Resource, field: Field, now: Any) -> Any:
    """Something else that may stand in this field, as it is typed; None for a tick that is taken out."""
    match field.shape:
        case Shape.FLAG:
            return None if now else "true"
        case Shape.MAYBE:
            return "false" if now else "true"
        case Shape.NUMBER:
            return "7"
        case Shape.CHOICE | Shape.CHOICES:
            other = next(option.value for option in field.options if option.value not in (now or []))
            return [other] if field.shape is Shape.CHOICES else other
        case Shape.LIST:
            return "198.51.100.0/24" if field.name == "ip_restrictions" else "mail.bank.example"
    return OTHER.get(f"{resource.name}.{field.name}", "something else")


# What the other fields have to say, so that this one may say something else.
BEFORE: dict[str, dict[str, Any]] = {
    "allow_policies.pattern_type": {"pattern": r"@supplier\.example$", "is_regex": True},
    "allow_policies.is_acceptable_sender": {"is_trusted_sender": True},
    "block_senders.pattern_type": {"pattern": r"@lures\.example$", "is_regex": True},
    "trusted_domains.is_similarity": {"is_recent": True},
}
OTHER = {
    "allow_policies.pattern": "invoices@supplier.example",
    "block_senders.pattern": "deals@lures.example",
    "trusted_domains.pattern": "sister-company.example",
    "impersonation_registry.email": "m.holt@corp.example",
    "sending_domain_restrictions.domain": "other-bank.example",
    "content_policies.pattern": "(?i)vouchers?",
    "url_ignore_patterns.pattern": r"https://wiki\.corp\.example/.*",
    "domains.transport": "mx9.protected.example",
    "domains.integration_id": "0f8fad5b-d9cb-469f-a165-70867728950e",
}


@every_field(Shape.TEXT)
def test_a_text_that_is_emptied_is_sent_as_null(
    resource: Resource, field: Field, account: Simulator, wire: Wire, desk: Desk
) -> None:
    entry_id = standing(account, resource, **{field.name: "to be forgotten"})

    desk.send(desk.open(resource, entry_id), resource, entry_id, **{field.name: ""})

    assert [body for _, _, body in wire.writes] == [{field.name: None}]
    assert there(account, resource)[entry_id][field.name] is None


def test_what_cannot_be_emptied_says_so_and_nothing_is_sent(account: Simulator, wire: Wire, desk: Desk) -> None:
    domains = BY_NAME["domains"]
    entry_id = standing(account, domains)

    shown = desk.send(desk.open(domains, entry_id), domains, entry_id, lookback_hops="")

    assert "cannot be emptied" in shown.problem("lookback_hops")
    assert not wire.writes


def test_a_name_that_never_changes_is_shown_and_cannot_be_typed(account: Simulator, wire: Wire, desk: Desk) -> None:
    domains = BY_NAME["domains"]
    entry_id = standing(account, domains)
    opened = desk.open(domains, entry_id)

    assert "protected.example It never changes." in opened.text
    assert not opened.form.select('[name="domain"]')
    desk.send(opened, domains, entry_id, domain="other.example", lookback_hops="5")

    assert [body for _, _, body in wire.writes] == [{"lookback_hops": 5}]


@every_resource
def test_a_save_without_a_difference_sends_nothing(
    resource: Resource, either: Simulator, wire: Wire, desk: Desk
) -> None:
    if not in_this_generation(either, resource):
        pytest.skip("the older generation has no such list")
    entry_id = standing(either, resource)

    shown = desk.send(desk.open(resource, entry_id), resource, entry_id)

    assert "Nothing is different" in shown.text
    assert not wire.writes


@every_resource
def test_an_entry_that_is_there_already_is_told_at_its_field_with_the_way_to_it(
    resource: Resource, account: Simulator, desk: Desk
) -> None:
    entry_id = standing(account, resource)

    shown = desk.create(resource)

    assert shown.response.status_code == 409
    assert shown.response["HX-Retarget"] == "#entry-form"
    first = resource.identity[0]
    assert "already" in shown.problem(first)
    assert_typed(shown, resource)
    if resource.kind.order:
        assert shown.page.select_one(f'.errors a[href$="/{resource.slug}/{entry_id}/"]')


@every_field(also=lambda field: field.shape is not Shape.FLAG)
def test_a_refusal_that_points_at_a_field_is_told_there(
    resource: Resource, field: Field, account: Simulator, desk: Desk
) -> None:
    account.faults.next(
        f"{resource.name}.create", **refusal(422, (f"/{field.name}", f"{field.name}: <b>too odd</b> for us"))
    )

    shown = desk.create(resource)

    assert shown.response.status_code == 422
    assert "<b>too odd</b> for us" in shown.problem(field.name)
    assert not shown.page.select(".error b, .errors b")
    assert_typed(shown, resource)


def assert_typed(shown: Shown, resource: Resource) -> None:
    """Every field holds what was typed into it."""
    for field in resource.sent:
        typed = RIGHT[resource.name].get(field.name)
        wanted = typed if isinstance(typed, list) else [typed] if typed is not None else None
        if wanted is not None:
            assert shown.holds(field.name) == wanted


def test_a_refusal_without_a_field_stands_above_the_form(account: Simulator, desk: Desk, policies: Resource) -> None:
    account.faults.next("allow_policies.create", **refusal(400, ("", "The account is frozen.")))

    shown = desk.create(policies)

    assert "The account is frozen" in shown.page.select_one(".errors").text
    assert_typed(shown, policies)


def test_no_answer_is_said_so_and_nothing_is_sent_again(
    account: Simulator, wire: Wire, desk: Desk, policies: Resource
) -> None:
    account.faults.next("allow_policies.create", applied=True, lose_answer=True)

    shown = desk.create(policies)

    assert "No answer came." in shown.text
    assert "nothing is sent again" in shown.text
    assert len(wire.writes) == 1
    assert Change.objects.get().state == ChangeState.RUNNING


def test_a_used_up_budget_lets_it_wait(account: Simulator, desk: Desk, policies: Resource) -> None:
    account.faults.next("allow_policies.create", status=429, retry_after=300, times=None)

    shown = desk.create(policies)

    assert shown.response.status_code == 200
    assert Change.objects.get().state in (ChangeState.WAITING, ChangeState.RUNNING)
    assert "goes on by itself" in shown.text
    assert shown.page.select(".receipt form button"), "it can still be stopped"


def test_the_same_form_sent_twice_makes_one_entry(
    account: Simulator, wire: Wire, desk: Desk, policies: Resource
) -> None:
    opened = desk.open(policies)

    for _ in range(2):
        desk.send(opened, policies, **RIGHT["allow_policies"])

    assert len(wire.writes) == 1


@every_resource
def test_an_entry_that_is_gone_keeps_what_was_typed_and_is_made_anew_by_one_click(
    resource: Resource, account: Simulator, wire: Wire, desk: Desk
) -> None:
    entry_id = standing(account, resource)
    opened = desk.open(resource, entry_id)
    account.settings._remove(KINDS[resource.name], entry_id, 1_790_000_000.0)
    known = set(there(account, resource))
    note = {"content_policies": "notes", "domains": "transport"}.get(resource.name, "comments")

    shown = desk.send(opened, resource, entry_id, **{note: "mx7.protected.example"})

    assert shown.response.status_code == 404
    assert shown.response["HX-Retarget"] == "#entry-form"
    assert "is gone" in shown.text
    assert "mx7.protected.example" in shown.text
    assert not wire.writes
    anew = shown.page.select_one("form")
    desk.client.post(anew["action"], fields_of(anew).urlencode(), FORM, headers=HTMX)
    (made,) = set(there(account, resource)) - known
    assert there(account, resource)[made][note] == "mx7.protected.example"
    assert resource.key(there(account, resource)[made]) == resource.key(RIGHT[resource.name])


def test_the_form_of_an_entry_that_is_gone_says_so(account: Simulator, desk: Desk, policies: Resource) -> None:
    shown = desk.open(policies, "00000000-0000-4000-8000-000000000000")

    assert shown.response.status_code == 404
    assert "is gone" in shown.text


def test_an_entry_of_a_directory_is_not_edited(account: Simulator, desk: Desk) -> None:
    registry = BY_NAME["impersonation_registry"]
    entry_id = standing(account, registry, provenance="SNOOPY-GOOGLE_DIRECTORY")

    shown = desk.open(registry, entry_id)

    assert "It comes from your directory" in shown.text
    assert not shown.page.select("form.entry")


def test_an_address_proposes_values_of_known_fields_and_no_others(
    account: Simulator, desk: Desk, policies: Resource
) -> None:
    proposed = {"pattern": "a@b.example", "is_trusted_sender": "true", "pattern_type": "EMAIL", "evil": "x"}
    shown = desk.open(policies, **proposed, operation_key="chosen-by-somebody")

    assert shown.holds("pattern") == ["a@b.example"]
    assert shown.holds("is_trusted_sender") == ["true"]
    assert shown.holds("evil") == []
    assert shown.holds("operation_key") != ["chosen-by-somebody"]


def test_a_plain_form_is_led_to_the_change(account: Simulator, plain_desk: Desk, policies: Resource) -> None:
    opened = plain_desk.open(policies)
    assert len(opened.page.select("h1")) == 1

    shown = plain_desk.send(opened, policies, **RIGHT["allow_policies"])

    assert shown.response.status_code == 303
    assert str(Change.objects.get().pk) in shown.response["Location"]


@pytest.mark.parametrize("who", ["analyst", "responder", "auditor", "admin", "viewer"])
def test_only_who_may_write_is_asked(
    who: str, account: Simulator, wire: Wire, request: pytest.FixtureRequest, policies: Resource
) -> None:
    desk = Desk(request.getfixturevalue(who))
    entry_id = standing(account, policies)
    addresses = [desk.url(policies), desk.url(policies, entry_id), "/settings/allow-policies/remove"]

    for address in addresses:
        assert desk.client.get(address, {"id": entry_id}).status_code == 403
        assert desk.client.post(address, {"id": entry_id}).status_code == 403
    assert desk.client.post("/settings/allow-policies/try", {"pattern": "a@b.example"}).status_code == 403
    assert not wire.sent


def test_who_sees_only_some_domains_changes_nothing(account: Simulator, pia: Any, policies: Resource) -> None:
    Member.objects.filter(pk=pia.pk).update(domains=["corp.example"])
    client = Client()
    client.force_login(pia)

    assert client.get("/settings/allow-policies/new").status_code == 403


@pytest.mark.parametrize("key", [None, "", "with a space", "x" * 65])
def test_a_form_without_its_key_sends_nothing_and_keeps_what_was_typed(
    key: str | None, account: Simulator, wire: Wire, desk: Desk, policies: Resource
) -> None:
    entry_id = standing(account, policies)
    opened = desk.open(policies, entry_id)

    for shown in (
        desk.create(policies, pattern="other@supplier.example", operation_key=key),
        desk.send(opened, policies, entry_id, comments="mine", operation_key=key),
    ):
        assert shown.response.status_code == 409, shown.text
        assert "This form is not whole." in shown.text
        assert shown.holds("operation_key") not in ([], [""])
    assert not wire.writes

    assert desk.send(shown, policies, entry_id).response.status_code == 200
    assert there(account, policies)[entry_id]["comments"] == "mine"
