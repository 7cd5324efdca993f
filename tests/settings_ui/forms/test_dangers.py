"""A dangerous entry takes a second click on a button that names the danger, and that click counts for nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core import signing
from django.test import Client

from dashboard.access.roles import Permission
from dashboard.audit.models import AuditEvent
from dashboard.simulator import Simulator
from settings_ui.models import Change, Mirrored
from settings_ui.patterns.comparing import MOST_EXPRESSIONS
from settings_ui.resources import BY_NAME, Resource
from tests.settings_ui.forms.conftest import RIGHT, Desk, Shown, Wire, standing, there, typed_right

WIDE: dict[str, Any] = {"pattern": "gmail.com", "pattern_type": "DOMAIN"}


def test_it_is_not_saved_at_once_and_says_why(account: Simulator, wire: Wire, desk: Desk, policies: Resource) -> None:
    shown = desk.create(policies, **WIDE)

    assert shown.response.status_code == 422
    assert "Nothing is saved yet." in shown.text
    button = shown.form.select_one("button[name=accepted]")
    assert "gmail.com" in button.text
    assert "danger" in button["class"]
    assert shown.holds("pattern") == ["gmail.com"]
    assert not wire.writes


def test_the_button_that_names_the_danger_saves_and_the_audit_trail_keeps_it(
    account: Simulator, wire: Wire, desk: Desk, policies: Resource
) -> None:
    reason = ("A week of their outage. " * 41).strip()
    shown = desk.create(policies, **WIDE, reason=reason)

    saved = desk.send(shown, policies, click="accepted")

    assert saved.response.status_code == 200, saved.text
    assert len(wire.writes) == 1
    change = Change.objects.get()
    assert change.reason == reason
    assert AuditEvent.objects.get(sequence=change.audit_sequence).detail["accepted"] == ["mail_provider"]


def test_saving_again_without_that_button_is_not_enough(
    account: Simulator, wire: Wire, desk: Desk, policies: Resource
) -> None:
    shown = desk.send(desk.create(policies, **WIDE), policies)

    assert shown.response.status_code == 422
    assert not wire.writes


@pytest.mark.parametrize(
    "other",
    [{"pattern": "outlook.com"}, {"is_trusted_sender": "true"}, {"verify_sender": None}, {"comments": "else"}],
    ids=str,
)
def test_it_counts_for_exactly_these_values(
    other: dict[str, Any], account: Simulator, wire: Wire, desk: Desk, policies: Resource
) -> None:
    shown = desk.create(policies, **WIDE)

    again = desk.send(shown, policies, click="accepted", **other)

    assert again.response.status_code == 422
    assert again.form.select_one("button[name=accepted]")
    assert not wire.writes


@pytest.mark.parametrize("token", ["", "accepted", "free_mail", '["free_mail"]'])
def test_what_was_not_signed_here_accepts_nothing(
    token: str, account: Simulator, wire: Wire, desk: Desk, policies: Resource
) -> None:
    shown = desk.create(policies, **WIDE, accepted=token)

    assert shown.response.status_code == 422
    assert not wire.writes


def test_fewer_codes_than_there_are_dangers_accept_nothing(
    account: Simulator, wire: Wire, desk: Desk, policies: Resource
) -> None:
    shown = desk.create(policies, **WIDE, is_trusted_sender="true", verify_sender=None)
    salt = "settings.dangers"
    digest, codes = signing.loads(shown.form.select_one("button[name=accepted]")["value"], salt=salt)
    assert len(codes) > 1

    again = desk.send(shown, policies, accepted=signing.dumps([digest, codes[:1]], salt=salt))

    assert again.response.status_code == 422
    assert not wire.writes


def test_a_danger_that_came_up_since_is_asked_about(
    account: Simulator, wire: Wire, desk: Desk, policies: Resource
) -> None:
    shown = desk.create(policies, **WIDE)
    mirror("block_senders", "evil@gmail.com", {"pattern": "evil@gmail.com", "pattern_type": "EMAIL"})

    again = desk.send(shown, policies, click="accepted")

    assert again.response.status_code == 422
    assert "block" in again.page.select_one(".dangers").text
    assert not wire.writes


def test_a_danger_of_a_kind_that_was_accepted_is_another_danger(
    account: Simulator, wire: Wire, desk: Desk, policies: Resource
) -> None:
    values = {"pattern_type": "EMAIL", "is_regex": False}
    mirror("block_senders", "a@partner.example", {"pattern": "a@partner.example", **values})
    shown = desk.create(policies, pattern="partner.example", pattern_type="DOMAIN")
    Mirrored.objects.all().delete()
    mirror("block_senders", "ceo-fraud@partner.example", {"pattern": "ceo-fraud@partner.example", **values})

    again = desk.send(shown, policies, click="accepted")

    assert again.response.status_code == 422
    assert "ceo-fraud@partner.example" in again.page.select_one(".dangers").text
    assert not wire.writes
    Mirrored.objects.all().delete()
    assert desk.send(again, policies, click="accepted").response.status_code == 200, "what is gone keeps nobody"


def test_what_was_not_compared_is_told_and_keeps_nobody(
    account: Simulator, wire: Wire, desk: Desk, policies: Resource
) -> None:
    for number in range(MOST_EXPRESSIONS + 1):
        pattern = rf"^box{number}@slow\.example$"
        mirror("block_senders", pattern, {"pattern": pattern, "pattern_type": "EMAIL", "is_regex": True})

    asked = desk.create(policies, **WIDE | {"pattern": "kim@gmail.com", "pattern_type": "EMAIL", "verify_sender": None})

    assert "Not every entry was compared" in asked.page.select_one(".dangers").text
    assert desk.create(policies).response.status_code == 200
    assert len(wire.writes) == 1


def test_an_edit_does_not_ask_again_for_what_stood_there_already(
    account: Simulator, wire: Wire, desk: Desk, policies: Resource
) -> None:
    entry_id = standing(account, policies, **WIDE)

    shown = desk.send(desk.open(policies, entry_id), policies, entry_id, comments="only a word")

    assert shown.response.status_code == 200, shown.text
    assert [body for _, _, body in wire.writes] == [{"comments": "only a word"}]


def test_an_edit_asks_for_what_it_adds(account: Simulator, wire: Wire, desk: Desk, policies: Resource) -> None:
    entry_id = standing(account, policies)

    shown = desk.send(desk.open(policies, entry_id), policies, entry_id, **WIDE)
    assert shown.form.select_one("button[name=accepted]")
    assert not wire.writes

    assert desk.send(shown, policies, entry_id, click="accepted").response.status_code == 200
    assert there(account, policies)[entry_id]["pattern"] == "gmail.com"
    asked = AuditEvent.objects.get(sequence=Change.objects.get().audit_sequence)
    assert (asked.action, asked.detail["accepted"]) == ("policy:edit", ["mail_provider"])


def test_what_is_wrong_is_told_before_what_is_dangerous(
    account: Simulator, wire: Wire, desk: Desk, policies: Resource
) -> None:
    shown: Shown = desk.create(policies, **WIDE, comments="x" * 2000)

    assert shown.problem("comments")
    assert not shown.form.select("button[name=accepted]")


def test_what_is_harmless_takes_one_click(account: Simulator, wire: Wire, desk: Desk, policies: Resource) -> None:
    assert typed_right(policies)["pattern"] == RIGHT["allow_policies"]["pattern"]
    assert desk.create(policies).response.status_code == 200
    assert len(wire.writes) == 1


def mirror(resource_name: str, label: str, values: dict[str, Any]) -> None:
    """The last reading of a list found this entry."""
    from django.conf import settings
    from django.utils import timezone

    Mirrored.objects.create(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID,
        resource=resource_name,
        upstream_id=f"mirrored-{label}",
        label=label,
        values=values,
        first_seen_at=timezone.now(),
    )


def test_a_domain_whose_new_mail_is_not_scanned_any_more_takes_the_right_to_end_its_protection(
    account: Simulator, wire: Wire, desk: Desk, browser_with: Callable[..., Client]
) -> None:
    domains = BY_NAME["domains"]
    entry_id = standing(account, domains)
    hollow: dict[str, Any] = {"allowed_delivery_modes": ["RETRO_SCAN"], "drop_dispositions": None, "reason": "sold"}
    writer = Desk(browser_with(Permission.POLICY_READ, Permission.DOMAIN_WRITE))
    shown = writer.send(writer.open(domains, entry_id), domains, entry_id, **hollow)
    assert "protection ends in all but name" in shown.page.select_one(".dangers").text
    assert "delivered as well" in shown.page.select_one(".dangers").text

    refused = writer.send(shown, domains, entry_id, click="accepted")

    assert refused.response.status_code == 409
    assert "You lack the right to end the protection of a domain." in refused.text
    assert refused.holds("reason") == ["sold"]
    assert not wire.writes
    shown = desk.send(desk.open(domains, entry_id), domains, entry_id, **hollow)
    assert desk.send(shown, domains, entry_id, click="accepted").response.status_code == 200
    assert Change.objects.get().permission == Permission.DOMAIN_UNPROTECT, "asked for again before it is sent"
    assert there(account, domains)[entry_id]["allowed_delivery_modes"] == ["RETRO_SCAN"]
