"""What is removed is exactly what was shown, and for domains what was typed by hand."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.http import QueryDict
from django.test import Client
from django.urls import reverse

from dashboard.access.models import Member
from dashboard.audit.models import AuditEvent
from dashboard.simulator import Simulator
from dashboard.simulator.kinds import KINDS
from settings_ui.models import Change, ChangeState
from settings_ui.resources import BY_NAME, Resource
from tests.conftest import HTMX
from tests.settings_ui.forms.conftest import (
    FORM,
    NOT_IN_SEED,
    Away,
    Desk,
    Shown,
    Wire,
    every_resource,
    fields_of,
    standing,
)


def address(resource: Resource) -> str:
    return reverse("settings:remove", args=[resource.slug])


def asked(desk: Desk, resource: Resource, *ids: str) -> Shown:
    """The page that lists what goes, as the list asks for it."""
    said = QueryDict(mutable=True)
    said.setlist("id", list(ids))
    return Shown(desk.client.post(address(resource), said.urlencode(), FORM, headers=HTMX))


def confirmed(desk: Desk, resource: Resource, page: Shown, /, *, is_htmx: bool = True, **typed: str) -> Shown:
    said = fields_of(page.form)
    for name, value in typed.items():
        said[name] = value
    headers = HTMX if is_htmx else {}
    return Shown(desk.client.post(address(resource), said.urlencode(), FORM, headers=headers))


@every_resource
def test_the_page_lists_what_goes_and_the_button_lets_it_go_after_a_while(
    resource: Resource, either: Simulator, wire: Wire, desk: Desk, pia: Member
) -> None:
    if either.world.profile.seed_generation and resource.name in NOT_IN_SEED:
        pytest.skip("the older generation has no such list")
    entry_id = standing(either, resource)
    shown = Shown(desk.client.get(address(resource), {"id": entry_id}, headers=HTMX))
    label = resource.label(either.settings.entries[resource.name][entry_id])
    assert label in shown.page.select_one(".going").text
    assert shown.response.status_code == 200

    done = confirmed(desk, resource, shown, **{f"typed-{entry_id}": label, "reason": "No longer needed"})

    assert done.response.status_code == 200, done.text
    change = Change.objects.get()
    assert (change.state, change.reason) == (ChangeState.WAITING, "No longer needed")
    assert change.lines.get().upstream_id == entry_id
    assert "Undo" in done.text
    assert not wire.writes, "nothing is sent while it can be undone"


def test_it_says_who_added_it_and_why(account: Simulator, desk: Desk, policies: Resource) -> None:
    desk.create(policies, reason="Agreed with purchasing", ticket="4711")
    (line,) = Change.objects.get().lines.all()

    told = asked(desk, policies, line.upstream_id).page.select_one(".going").get_text(" ")

    assert "by Pia" in told
    assert "Agreed with purchasing" in told
    assert "4711" in told
    assert "acceptable" in told


def test_several_go_together_and_those_that_are_gone_are_counted(
    account: Simulator, desk: Desk, policies: Resource
) -> None:
    ids = [standing(account, policies, pattern=f"box{number}@supplier.example") for number in range(4)]
    account.settings._remove(KINDS["allow_policies"], ids.pop(), 1_790_000_000.0)

    shown = asked(desk, policies, *ids, "00000000-0000-4000-8000-000000000000")

    assert "1 of those you chose is gone already" in shown.text
    assert shown.form.select_one(".do .danger").text == "Remove 3 entries"
    confirmed(desk, policies, shown)
    assert {line.upstream_id for line in Change.objects.get().lines.all()} == set(ids)


def test_many_are_read_with_the_whole_list_and_not_one_by_one(
    account: Simulator, wire: Wire, desk: Desk, policies: Resource
) -> None:
    ids = [standing(account, policies, pattern=f"box{number}@supplier.example") for number in range(60)]

    shown = asked(desk, policies, *ids)

    assert len(shown.page.select(".going > li")) == 60
    assert len(wire.sent) < 5


def test_more_than_a_thousand_are_refused_in_words(
    account: Simulator, wire: Wire, desk: Desk, policies: Resource
) -> None:
    shown = asked(desk, policies, *(f"id-{number}" for number in range(1001)))

    assert "1,001 were chosen, and 1,000 is the most" in shown.text
    assert not wire.sent


def test_nothing_chosen_is_said_so(account: Simulator, desk: Desk, policies: Resource) -> None:
    assert "Nothing was chosen" in asked(desk, policies).text


def test_all_of_it_gone_already(account: Simulator, desk: Desk, policies: Resource) -> None:
    shown = asked(desk, policies, "00000000-0000-4000-8000-000000000000")

    assert shown.response.status_code == 404
    assert "is gone" in shown.text


def test_an_entry_that_changed_since_it_was_shown_is_shown_again(
    account: Simulator, wire: Wire, desk: Desk, policies: Resource
) -> None:
    entry_id = standing(account, policies)
    shown = asked(desk, policies, entry_id)
    account.settings.entries["allow_policies"][entry_id]["pattern"] = "somebody-else@supplier.example"

    again = confirmed(desk, policies, shown, reason="kept")

    assert again.response.status_code == 409
    assert "The list changed since it was shown" in again.text
    assert "somebody-else@supplier.example" in again.page.select_one(".going").text
    assert again.holds("reason") == ["kept"]
    assert not Change.objects.exists()


@pytest.mark.parametrize("shown_token", ["nonsense", "eyJ4IjoxfQ:1wXyZ0:AAAA"])
def test_a_confirmation_that_was_not_shown_removes_nothing(
    shown_token: str, account: Simulator, desk: Desk, policies: Resource
) -> None:
    shown = asked(desk, policies, standing(account, policies))

    assert confirmed(desk, policies, shown, shown=shown_token).response.status_code == 409
    assert not Change.objects.exists()


@pytest.mark.parametrize("typed", ["", "protected", "protected.exampl", "other.example"])
def test_a_domain_goes_only_with_its_name_typed(typed: str, account: Simulator, desk: Desk) -> None:
    domains = BY_NAME["domains"]
    entry_id = standing(account, domains)
    shown = asked(desk, domains, entry_id)
    assert "It cannot be undone." in shown.text

    again = confirmed(desk, domains, shown, **{f"typed-{entry_id}": typed})

    assert again.response.status_code == 422
    control = again.form.select_one(f'[name="typed-{entry_id}"]')
    assert (control["value"], control["aria-invalid"]) == (typed, "true")
    assert again.page.select_one(f'.errors a[href="#{control["id"]}"]')
    assert not Change.objects.exists()


def test_each_domain_takes_its_own_name(account: Simulator, desk: Desk) -> None:
    domains = BY_NAME["domains"]
    ids = [standing(account, domains, domain=f"{name}.example") for name in ("north", "south")]
    shown = asked(desk, domains, *ids)

    crossed = {f"typed-{ids[0]}": "south.example", f"typed-{ids[1]}": "north.example"}
    assert confirmed(desk, domains, shown, **crossed).response.status_code == 422
    right = {f"typed-{ids[0]}": "North.example ", f"typed-{ids[1]}": "south.example"}
    assert confirmed(desk, domains, shown, **right).response.status_code == 200
    assert Change.objects.get().lines.count() == 2


def test_where_two_are_needed_the_button_asks_for_approval(account: Simulator, desk: Desk, settings: Any) -> None:
    settings.SECOND_PERSON = {"unprotect"}
    domains = BY_NAME["domains"]
    entry_id = standing(account, domains)
    shown = asked(desk, domains, entry_id)
    assert shown.form.select_one(".do .danger").text == "Ask for approval"
    assert "A second person has to agree." in shown.text

    confirmed(desk, domains, shown, **{f"typed-{entry_id}": "protected.example"})

    assert Change.objects.get().state == ChangeState.AWAITING_APPROVAL


def test_a_long_reason_is_told_and_kept(account: Simulator, desk: Desk, policies: Resource) -> None:
    shown = asked(desk, policies, standing(account, policies))

    again = confirmed(desk, policies, shown, reason="x" * 10_000)

    assert again.response.status_code == 422
    assert again.holds("reason") == ["x" * 10_000]
    assert not Change.objects.exists()


def test_hostile_labels_are_text(account: Simulator, desk: Desk, policies: Resource) -> None:
    shown = asked(desk, policies, standing(account, policies, pattern="<script>alert(1)</script>\u202ex"))

    assert "<script>alert(1)" in shown.page.select_one(".going").text
    assert not shown.page.select("script")
    assert "\u202e" not in shown.response.content.decode()


def test_a_plain_form_is_led_to_the_change_and_it_is_written_down(
    account: Simulator, desk: Desk, policies: Resource
) -> None:
    shown = asked(desk, policies, standing(account, policies))

    done = confirmed(desk, policies, shown, is_htmx=False)

    assert done.response.status_code == 303
    assert str(Change.objects.get().pk) in done.response["Location"]
    assert AuditEvent.objects.filter(action="policy:remove").exists()


def test_what_was_typed_stays_where_the_account_cannot_be_asked(account: Simulator, desk: Desk, away: Away) -> None:
    domains = BY_NAME["domains"]
    entry_id = standing(account, domains)
    shown = asked(desk, domains, entry_id)
    typed = {f"typed-{entry_id}": "protected.example", "reason": "Sold", "ticket": "4711"}

    with away():
        again = confirmed(desk, domains, shown, **typed)

    assert again.response.status_code in (502, 503)
    assert "Nothing was sent" in again.text
    assert "protected.example" in again.page.select_one(".going code").text
    assert {name: again.holds(name) for name in typed} == {name: [value] for name, value in typed.items()}
    assert not again.page.select("[aria-invalid]")
    assert confirmed(desk, domains, again).response.status_code == 200, "the same page goes on once it answers"
    assert Change.objects.get().reason == "Sold"


def test_what_was_shown_of_another_list_is_not_shown_again(
    account: Simulator, desk: Desk, policies: Resource, away: Away
) -> None:
    of_domains = asked(desk, BY_NAME["domains"], standing(account, BY_NAME["domains"]))

    with away():
        again = confirmed(desk, policies, of_domains)

    assert again.response.status_code in (502, 503)
    assert "protected.example" not in again.text


@pytest.mark.parametrize("number", [1500, 2500])
@pytest.mark.parametrize("is_checked", [True, False], ids=["in a browser", "in the view"])
def test_more_than_go_at_a_time_are_told_to_be_fewer(
    number: int, is_checked: bool, account: Simulator, wire: Wire, pia: Member, policies: Resource
) -> None:
    client = Client(enforce_csrf_checks=is_checked)
    client.force_login(pia)
    form = Shown(client.get(reverse("settings:new", args=[policies.slug]))).form
    said = QueryDict(mutable=True)
    said.setlist("id", [f"e{one}" for one in range(number)])
    said["csrfmiddlewaretoken"] = fields_of(form)["csrfmiddlewaretoken"]

    for answer in (
        client.post(address(policies), said.urlencode(), FORM, headers=HTMX),
        client.get(f"{address(policies)}?{said.urlencode()}"),
    ):
        assert answer.status_code == (200 if number <= settings.DATA_UPLOAD_MAX_NUMBER_FIELDS else 413)
        assert "hoose fewer" in answer.content.decode()
    assert not wire.sent
