"""Whatever is typed into a field stands there again when it cannot be saved, and what is wrong is told at the field."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dashboard.simulator import Simulator
from settings_ui.resources import Field, Resource, Wrong
from settings_ui.resources.description import Shape
from tests.investigate.message.corpus import STRINGS
from tests.settings_ui.forms.conftest import Desk, Shown, Wire, every_field, every_resource, standing, there

LONG = "a" * 10_000
TYPED = (Shape.LINE, Shape.PATTERN, Shape.TEXT, Shape.LIST, Shape.NUMBER)


def hostile() -> list[str]:
    """One or two of each kind; all of them in every field would take minutes and find nothing more."""
    if not STRINGS.exists():
        pytest.skip("the shared sample of hostile strings is not on this machine")
    kinds: dict[str, list[str]] = {}
    for one in json.loads(STRINGS.read_text()):
        try:
            one["value"].encode()
        except UnicodeEncodeError:
            continue  # halves of characters: no browser can send them
        kinds.setdefault(one["category"], []).append(one["value"])
    return [text for texts in kinds.values() for text in (texts[0], texts[-1])]


def as_kept(text: str) -> str:
    """A text after a browser or a parser read it from a page: only line breaks change, and only in their spelling."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def is_right(field: Field, typed: Any) -> bool:
    try:
        field.clean(typed)
    except Wrong:
        return False
    return True


def assert_kept(shown: Shown, field: Field, typed: str) -> None:
    """The form stands there with what was typed; where the field is the problem, it says so."""
    assert shown.response.status_code in (409, 422), shown.text[:300]
    if field.shape is Shape.FLAG:
        assert bool(shown.holds(field.name)) == (is_right(field, typed) and field.clean(typed))
    else:
        assert [as_kept(one) for one in shown.holds(field.name)] == (
            [as_kept(typed)] if typed or field.options == () else []
        )
    if not is_right(field, typed):
        control = shown.form.select_one(f'[name="{field.name}"]')
        assert shown.problem(field.name)
        assert control["aria-invalid"] == "true"
        assert shown.page.select_one(f'.errors a[href="#{control["id"]}"]')


@every_field()
def test_ten_thousand_characters_are_told_at_the_field_and_kept(
    resource: Resource, field: Field, account: Simulator, wire: Wire, desk: Desk
) -> None:
    shown = desk.create(resource, **{field.name: LONG})

    assert_kept(shown, field, LONG)
    assert not wire.writes


@every_resource
def test_hostile_text_is_kept_as_text_in_every_field(
    resource: Resource, account: Simulator, wire: Wire, desk: Desk
) -> None:
    for text in hostile():
        everywhere = {field.name: text for field in resource.sent}
        shown = desk.create(resource, **everywhere, reason=text, ticket=text, ends_on="no day", owner="nobody")

        for field in resource.sent:
            assert_kept(shown, field, text)
        assert [as_kept(one) for one in shown.holds("reason")] == [as_kept(text)]
        assert not shown.page.select("script, img, iframe, [onerror], [style]")
    assert not wire.writes


@every_field(*TYPED, Shape.CHOICE, Shape.FLAG, Shape.MAYBE, also=lambda field: field.shape is not Shape.LIST)
@pytest.mark.parametrize("several", [["one", "two"], ["true", "false"]], ids=["texts", "truths"])
def test_two_values_for_one_are_refused_and_both_are_kept(
    resource: Resource, field: Field, several: list[str], account: Simulator, wire: Wire, desk: Desk
) -> None:
    shown = desk.create(resource, **{field.name: several})

    assert shown.response.status_code == 422
    assert shown.problem(field.name)
    if field.shape in TYPED:
        assert shown.holds(field.name) == [("\n" if field.shape is Shape.TEXT else ", ").join(several)]
    assert not wire.writes


@every_field(Shape.CHOICE, Shape.CHOICES, Shape.MAYBE, Shape.FLAG, Shape.NUMBER)
def test_what_is_not_offered_is_refused_and_shown(
    resource: Resource, field: Field, account: Simulator, wire: Wire, desk: Desk
) -> None:
    shown = desk.create(resource, **{field.name: "banana"})

    assert_kept(shown, field, "banana")
    assert not wire.writes


@every_field(also=lambda field: not is_right(field, ""))
def test_what_must_be_said_and_is_not_is_told_at_the_field(
    resource: Resource, field: Field, account: Simulator, wire: Wire, desk: Desk
) -> None:
    shown = desk.create(resource, **{field.name: None if field.shape is Shape.CHOICES else "   "})

    assert shown.response.status_code == 422
    assert shown.problem(field.name)
    assert not wire.writes


def test_the_browser_cuts_nothing(account: Simulator, desk: Desk, policies: Resource) -> None:
    shown = desk.open(policies)

    assert not shown.form.select("[maxlength], [required], [pattern], input[type=number], input[type=email]")


@every_resource
def test_every_field_has_its_label_its_help_and_one_id(resource: Resource, account: Simulator, desk: Desk) -> None:
    shown = desk.open(resource)

    for field in resource.sent:
        control = shown.form.select_one(f'[name="{field.name}"]')
        assert field.label in control.find_parent(class_="field").get_text(" ")
        assert len(shown.page.select(f'[id="{control["id"]}"]')) == 1
        assert shown.form.select_one(f'label[for="{control["id"]}"]')
        if field.help:
            described = (control.get("aria-describedby") or control.find_parent("fieldset")["aria-describedby"]).split()
            assert field.help in " ".join(shown.page.find(id=one).text for one in described)


def test_an_unknown_kind_of_an_old_entry_is_shown_and_has_to_be_chosen_anew(
    account: Simulator, desk: Desk, policies: Resource
) -> None:
    entry_id = standing(account, policies, pattern_type="UNKNOWN")

    opened = desk.open(policies, entry_id)
    assert opened.holds("pattern_type") == ["UNKNOWN"]
    assert "UNKNOWN (cannot be saved)" in opened.text

    shown = desk.send(opened, policies, entry_id, comments="other")
    assert shown.response.status_code == 422
    assert "address, domain, IP" in shown.problem("pattern_type")
    assert there(account, policies)[entry_id]["comments"] == "Their invoices"
