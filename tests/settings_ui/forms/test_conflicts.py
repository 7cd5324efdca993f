"""Two people at one entry: nothing is overwritten silently."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from dashboard.access.models import Member
from dashboard.simulator import Simulator
from settings_ui.changes import services
from settings_ui.forms.opened import Opened
from settings_ui.models import Change
from settings_ui.resources import BY_NAME, Resource
from tests.settings_ui.forms.conftest import RIGHT, Away, Desk, Shown, Wire, standing, there


@pytest.fixture
def entry_id(account: Simulator, policies: Resource) -> str:
    return standing(account, policies)


def elsewhere(simulator: Simulator, resource: Resource, entry_id: str, **values: Any) -> None:
    """Somebody changes it in Cloudflare's own dashboard."""
    there(simulator, resource)[entry_id].update(values)


def rows(shown: Shown) -> dict[str, str]:
    """Each field that differs, and whose version it is."""
    return {row.th.text: row["data-whose"] for row in shown.page.select(".sides tbody tr")}


def test_both_versions_stand_side_by_side_and_nothing_is_sent(
    account: Simulator, wire: Wire, desk: Desk, policies: Resource, entry_id: str
) -> None:
    opened = desk.open(policies, entry_id)
    elsewhere(account, policies, entry_id, comments="theirs", is_trusted_sender=True)

    shown = desk.send(opened, policies, entry_id, comments="mine", is_acceptable_sender="true", verify_sender="true")

    assert shown.response.status_code == 409
    assert shown.response["HX-Retarget"] == "#entry-form"
    assert rows(shown) == {"Comments": "both", "Trusted sender": "theirs"}
    assert [cell.get_text(" ", strip=True) for cell in shown.page.select(".sides tr[data-whose=both] td")] == [
        "Their invoices",
        "Keep theirs theirs",
        "Keep mine mine",
    ]
    assert not shown.page.select(".sides input[checked]"), "nothing is chosen beforehand"
    assert not wire.writes


def test_what_both_changed_has_to_be_chosen(
    account: Simulator, wire: Wire, desk: Desk, policies: Resource, entry_id: str
) -> None:
    opened = desk.open(policies, entry_id)
    elsewhere(account, policies, entry_id, comments="theirs")
    conflict = desk.send(opened, policies, entry_id, comments="mine")

    again = desk.send(conflict, policies, entry_id)

    assert again.response.status_code == 422
    assert "Choose one of the two" in again.text
    assert again.page.select_one('.errors a[href="#keep-comments-mine"]')
    assert not wire.writes


@pytest.mark.parametrize(("choice", "kept"), [("mine", "mine"), ("theirs", "theirs")])
def test_each_keeps_what_only_they_changed_and_the_rest_as_it_was_chosen(
    choice: str, kept: str, account: Simulator, wire: Wire, desk: Desk, policies: Resource, entry_id: str
) -> None:
    opened = desk.open(policies, entry_id)
    elsewhere(account, policies, entry_id, comments="theirs", pattern="accounts@supplier.example")
    conflict = desk.send(opened, policies, entry_id, comments="mine", is_exempt_recipient="true")

    shown = desk.send(conflict, policies, entry_id, **{"keep-comments": choice})
    if shown.response.status_code == 422:
        shown = desk.send(shown, policies, entry_id, click="accepted")

    assert shown.response.status_code == 200, shown.text
    found = there(account, policies)[entry_id]
    assert found["comments"] == kept
    assert found["pattern"] == "accounts@supplier.example"
    assert found["is_exempt_recipient"] is True
    (write,) = wire.writes
    assert set(write[2]) == {"is_exempt_recipient"} | ({"comments"} if choice == "mine" else set())


def test_a_choice_that_was_not_offered_is_none(
    account: Simulator, wire: Wire, desk: Desk, policies: Resource, entry_id: str
) -> None:
    opened = desk.open(policies, entry_id)
    elsewhere(account, policies, entry_id, comments="theirs")
    conflict = desk.send(opened, policies, entry_id, comments="mine")

    assert desk.send(conflict, policies, entry_id, **{"keep-comments": "both"}).response.status_code == 422
    assert not wire.writes


def test_it_changes_once_more_while_somebody_chooses(
    account: Simulator, wire: Wire, desk: Desk, policies: Resource, entry_id: str
) -> None:
    opened = desk.open(policies, entry_id)
    elsewhere(account, policies, entry_id, comments="theirs")
    conflict = desk.send(opened, policies, entry_id, comments="mine")
    elsewhere(account, policies, entry_id, comments="theirs, again")

    shown = desk.send(conflict, policies, entry_id, **{"keep-comments": "mine"})

    assert shown.response.status_code == 409
    assert "theirs, again" in shown.text
    assert not wire.writes


def test_what_two_made_together_is_checked_as_a_whole(
    account: Simulator, wire: Wire, desk: Desk, policies: Resource
) -> None:
    entry_id = standing(account, policies, is_trusted_sender=True)
    opened = desk.open(policies, entry_id)
    elsewhere(account, policies, entry_id, is_trusted_sender=False)
    conflict = desk.send(opened, policies, entry_id, is_acceptable_sender=None)

    shown = desk.send(conflict, policies, entry_id)

    assert shown.response.status_code == 422
    assert "allows nothing" in shown.problem("is_acceptable_sender")
    assert not wire.writes


def test_states_that_only_the_service_writes_are_no_conflict(account: Simulator, wire: Wire, desk: Desk) -> None:
    domains = BY_NAME["domains"]
    entry_id = standing(account, domains)
    opened = desk.open(domains, entry_id)
    elsewhere(account, domains, entry_id, spf_status="BAD", emails_processed={"total_emails_processed": 7})

    shown = desk.send(opened, domains, entry_id, lookback_hops="5")

    assert shown.response.status_code == 200, shown.text
    assert [body for _, _, body in wire.writes] == [{"lookback_hops": 5}]


@pytest.mark.parametrize("base", ["", "nonsense", "eyJ4IjoxfQ:1wXyZ0:AAAA"])
def test_a_base_that_is_not_ours_reads_the_entry_anew_and_keeps_what_was_typed(
    base: str, account: Simulator, wire: Wire, desk: Desk, policies: Resource, entry_id: str
) -> None:
    shown = desk.send(desk.open(policies, entry_id), policies, entry_id, base=base, comments="mine")

    assert shown.response.status_code == 422
    assert shown.holds("comments") == ["mine"]
    assert "read anew" in shown.text
    assert not wire.writes


def test_the_base_of_another_entry_does_not_count(
    account: Simulator, wire: Wire, desk: Desk, policies: Resource, entry_id: str
) -> None:
    other = Opened("another", there(account, policies)[entry_id]).signed(policies)

    assert "read anew" in desk.send(desk.open(policies, entry_id), policies, entry_id, base=other, comments="x").text
    assert not wire.writes


def test_a_colleague_who_is_at_it_is_named(
    account: Simulator, wire: Wire, desk: Desk, policies: Resource, entry_id: str, ben: Member
) -> None:
    opened = desk.open(policies, entry_id)
    account.faults.next("allow_policies.patch", lose_answer=True)
    ben_desk = desk_of(ben)
    ben_desk.send(ben_desk.open(policies, entry_id), policies, entry_id, comments="by ben")

    shown = desk.send(opened, policies, entry_id, comments="by pia")

    assert shown.response.status_code == 409
    assert "Ben is changing" in shown.text
    assert shown.page.select_one(f'.errors a[href*="{Change.objects.get().pk}"]')
    assert shown.holds("comments") == ["by pia"]
    assert len(wire.writes) == 1


def desk_of(member: Member) -> Desk:
    """A second policy manager's."""
    Member.objects.filter(pk=member.pk).update(role="policy_manager")
    client = Client()
    client.force_login(Member.objects.get(pk=member.pk))
    return Desk(client)


def test_who_of_us_changed_it_meanwhile_is_named(
    account: Simulator, desk: Desk, policies: Resource, entry_id: str, ben: Member
) -> None:
    opened = desk.open(policies, entry_id)
    ben_desk = desk_of(ben)
    ben_desk.send(ben_desk.open(policies, entry_id), policies, entry_id, comments="by ben")

    assert "Ben changed it since you opened it." in desk.send(opened, policies, entry_id, comments="by pia").text


def test_what_changed_elsewhere_is_nobodys_of_ours(
    account: Simulator, desk: Desk, policies: Resource, entry_id: str, ben: Member
) -> None:
    ben_desk = desk_of(ben)
    ben_desk.send(ben_desk.open(policies, entry_id), policies, entry_id, comments="by ben")
    opened = desk.open(policies, entry_id)
    elsewhere(account, policies, entry_id, comments="elsewhere")

    assert "It changed since you opened it." in desk.send(opened, policies, entry_id, comments="by pia").text


def test_the_service_is_asked_and_not_the_form(account: Simulator, policies: Resource, entry_id: str, pia: Any) -> None:
    """The form's own base decides: what it says of the entry is compared with the account, field by field."""
    before = policies.cleaned(RIGHT["allow_policies"])[0]
    elsewhere(account, policies, entry_id, comments="theirs")

    with pytest.raises(services.ChangedMeanwhile):
        services.edit(
            actor=pia,
            resource=policies,
            entry_id=entry_id,
            before=before,
            after={**before, "comments": "mine"},
            operation_key="conflicts-0001",
            request=None,
        )


def test_what_was_typed_stays_where_neither_the_base_nor_the_account_can_be_read(
    account: Simulator, wire: Wire, desk: Desk, policies: Resource, entry_id: str, away: Away
) -> None:
    opened = desk.open(policies, entry_id)

    with away():
        shown = desk.send(opened, policies, entry_id, base="unreadable", comments="mine", reason="why")

    assert shown.response.status_code in (502, 503)
    assert "Nothing was sent" in shown.text
    assert (shown.holds("comments"), shown.holds("reason")) == (["mine"], ["why"])
    again = desk.send(shown, policies, entry_id)
    assert "It is not known how it was when you opened it" in again.text, "the account answers, and it is compared"
    assert again.holds("comments") == ["mine"]
    assert not wire.writes
