"""One entry: all its fields in words, where it comes from, and what is left to say when it is gone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.conf import settings
from django.test import Client
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.simulator import Simulator
from settings_ui.models import (
    Change,
    ChangeKind,
    ChangeState,
    Difference,
    Line,
    LineState,
    Mirrored,
    Observed,
    Reading,
    Source,
    Verb,
)
from settings_ui.resources import BY_NAME, RESOURCES, Resource
from tests.conftest import HTMX
from tests.settings_ui.lists.conftest import NEW, add, there

Shown = Callable[..., BeautifulSoup]
ACCOUNT = settings.CLOUDFLARE_ACCOUNT_ID
ALLOW, REGISTRY, DOMAINS = BY_NAME["allow_policies"], BY_NAME["impersonation_registry"], BY_NAME["domains"]
NOW = timezone.now()


def facts(page: BeautifulSoup) -> dict[str, str]:
    """What is said, by its label."""
    return {name.text: name.find_next_sibling("dd").text.strip() for name in page.select(".record > dl dt")}


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.slug)
def test_every_field_of_every_entry_is_said(
    resource: Resource, generation: Simulator, manager: Client, shown: Shown
) -> None:
    if generation.profile.seed_generation and resource.name in NEW:
        return
    for entry in there(generation, resource):
        page = shown(manager, f"/settings/{resource.slug}/{entry['id']}/")

        said = facts(page)
        for field in resource.sent:
            if field.name in entry:
                assert field.label in said, f"{field.name} of {entry['id']}"
        assert page.select_one("h1").text == entry[resource.identity[0]]
        assert page.select_one(f'.aside a[aria-current][href="/settings/{resource.slug}/"]') is not None


def test_flags_kinds_and_lists_are_words(emailsec: Simulator, manager: Client, shown: Shown) -> None:
    domain = there(emailsec, DOMAINS)[0]

    said = facts(shown(manager, f"/settings/domains/{domain['id']}/"))

    assert said["State"] == "active"
    assert said["How mail may arrive"] == "API, direct"
    assert said["Verdicts that are not delivered"] == "Malicious, Spam"
    assert said["TLS is required on the way in"] == "yes"
    assert said["Authorization"] == "granted, as it stood on 3 Nov 2025 09:12:44 UTC"
    assert said["Only from these networks"] == "192.0.2.0/24"
    assert "o365_tenant_id" not in said


def test_what_the_service_says_of_a_domain_stands_there_in_its_words(
    emailsec: Simulator, manager: Client, shown: Shown
) -> None:
    said = {
        "authorization": {"authorized": False, "timestamp": None, "status_message": "<b>asked twice</b>"},
        "emails_processed": {
            "timestamp": "2026-11-20T08:00:00Z",
            "total_emails_processed": 12345,
            "total_emails_processed_previous": 12000,
        },
    }
    entry_id = add(emailsec, DOMAINS, "new.example", **said)

    found = facts(shown(manager, f"/settings/domains/{entry_id}/"))

    assert found["Authorization"] == "not granted: <b>asked twice</b>"
    assert found["Mail processed"] == "12,345 messages, 12,000 the time before, counted on 20 Nov 2026 08:00:00 UTC"


def test_the_pane_is_the_same_entry_without_the_page_around_it(emailsec: Simulator, manager: Client) -> None:
    entry_id = add(emailsec, ALLOW, "billing@supplier.example")
    url = f"/settings/allow-policies/{entry_id}/"

    pane = BeautifulSoup(manager.get(url, headers=HTMX).content, "html.parser")

    assert pane.select_one("h2").text == "billing@supplier.example"
    assert pane.select_one("h1, html, nav") is None
    assert pane.select_one('[data-key="e"]')["href"] == f"{url}edit"
    assert pane.select_one('[data-key="d"]')["href"] == f"/settings/allow-policies/remove?id={entry_id}"
    assert pane.select_one("#life")["hx-get"] == f"{url}life"
    assert pane.select_one("#verification") is None


def test_only_domains_have_a_proof(emailsec: Simulator, manager: Client, shown: Shown) -> None:
    domain = there(emailsec, DOMAINS)[0]

    page = shown(manager, f"/settings/domains/{domain['id']}/")

    assert page.select_one("#verification")["hx-get"] == f"/settings/domains/{domain['id']}/verification"


def test_an_entry_of_a_directory_cannot_be_edited_and_says_why(
    emailsec: Simulator, manager: Client, shown: Shown
) -> None:
    synced = next(entry for entry in there(emailsec, REGISTRY) if entry["provenance"] == "SNOOPY-OFFICE_365")

    page = shown(manager, f"/settings/impersonation-registry/{synced['id']}/")

    button = page.select_one('[data-key="e"]')
    assert button.name == "button"
    assert button.has_attr("disabled")
    assert "comes from your directory" in page.select_one(f"#{button['aria-describedby']}").text


# --- its past -----------------------------------------------------------------------------------------------------


def change(actor: Member, verb: Verb, entry_id: str, *, state: LineState = LineState.DONE, **what: Any) -> Line:
    """One of our changes of one entry."""
    at = what.pop("at", NOW)
    made = Change.objects.create(
        account_id=ACCOUNT,
        resource=what.pop("resource", "allow_policies"),
        kind=ChangeKind.EDIT,
        source=Source.FORM,
        operation_key=f"k-{Change.objects.count()}",
        actor=actor,
        actor_name=actor.display_name,
        permission="policy:write",
        reason=what.pop("reason", ""),
        ticket=what.pop("ticket", ""),
        state=ChangeState.DONE,
        created_at=at,
        changed_at=at,
        finished_at=at,
    )
    return Line.objects.create(
        change=made, number=1, verb=verb, upstream_id=entry_id, label="billing@supplier.example",
        holds=f"{entry_id}-{made.pk}", state=state, **what,
    )  # fmt: skip


def observed(what: Difference, entry_id: str, **values: Any) -> Observed:
    return Observed.objects.create(
        account_id=ACCOUNT, resource="allow_policies", upstream_id=entry_id, label="x", what=what, **values
    )


def test_what_was_done_here_and_elsewhere_is_told_newest_first(
    emailsec: Simulator, manager: Client, pia: Member, shown: Shown
) -> None:
    entry_id = add(emailsec, ALLOW, "billing@supplier.example")
    hours = [NOW - dt.timedelta(hours=hour) for hour in range(5)]
    change(pia, Verb.ADD, entry_id, at=hours[4], reason="known <supplier>", ticket="4711")
    change(pia, Verb.CHANGE, entry_id, at=hours[3], before={"comments": None}, values={"comments": "tariffs"})
    observed(Difference.CHANGED, entry_id, at=hours[2], before={"is_regex": False}, after={"is_regex": True})
    change(pia, Verb.CHANGE, entry_id, at=hours[1], state=LineState.FAILED, values={"comments": "x"})
    change(pia, Verb.CHANGE, entry_id, at=hours[0], state=LineState.CANCELLED, values={"comments": "y"})
    change(pia, Verb.REMOVE, entry_id, at=hours[0], resource="block_senders")  # another list's

    page = shown(manager, f"/settings/allow-policies/{entry_id}/")

    told = [" ".join(one.select_one("div").text.split()) for one in page.select(".timeline > li")]
    assert [one.partition("Comments")[0].partition("Regular")[0].strip() for one in told] == [
        "Pia tried to change it: it was refused",
        "Changed elsewhere",
        "Pia changed it",
        "Pia added it, ticket 4711 known <supplier>",
    ]
    turned = [(one.select_one("del").text, one.select_one("ins").text) for one in page.select(".turned")]
    assert turned == [("nothing", "x"), ("no", "yes"), ("nothing", "tariffs")]
    assert "Made here by Pia." in page.text


def test_an_entry_that_is_gone_says_who_removed_it_and_what_it_was(
    emailsec: Simulator, manager: Client, pia: Member, shown: Shown
) -> None:
    values = {"pattern": "billing@supplier.example", "pattern_type": "EMAIL", "comments": "tariffs"}
    change(pia, Verb.REMOVE, "gone-1", before=values)

    page = shown(manager, "/settings/allow-policies/gone-1/", status=404)

    assert "Pia removed it on" in page.select_one(".warned").text
    assert page.select_one("h1").text == "billing@supplier.example"
    assert facts(page)["Comments"] == "tariffs"
    assert page.select_one('[data-key="e"], [data-key="d"], #life') is None


def test_an_entry_that_was_removed_elsewhere_says_when_that_was_noticed(
    emailsec: Simulator, manager: Client, shown: Shown
) -> None:
    observed(Difference.REMOVED, "gone-2", at=NOW, before={"pattern": "winner@lucky.example"})

    page = shown(manager, "/settings/allow-policies/gone-2/", status=404)

    assert "It was removed elsewhere; that was noticed on" in page.select_one(".warned").text
    assert page.select_one("h1").text == "winner@lucky.example"


def test_an_entry_nobody_ever_saw_is_gone_without_a_story(emailsec: Simulator, manager: Client, shown: Shown) -> None:
    page = shown(manager, "/settings/allow-policies/never/", status=404)
    pane = manager.get("/settings/allow-policies/never/", headers=HTMX)

    assert "Nothing of it is known here." in page.select_one(".warned").text
    assert (pane.status_code, pane["HX-Retarget"]) == (404, "#entry")


def test_an_entry_that_cannot_be_read_now_is_shown_as_it_was_last_read(
    emailsec: Simulator, manager: Client, shown: Shown
) -> None:
    at = NOW - dt.timedelta(hours=1)
    Reading.objects.create(account_id=ACCOUNT, resource="allow_policies", due_at=at, finished_at=at, count=1)
    Mirrored.objects.create(
        account_id=ACCOUNT, resource="allow_policies", upstream_id="e-1", label="a@b.example",
        values={"pattern": "a@b.example", "comments": "kept"}, first_seen_at=at,
    )  # fmt: skip
    emailsec.faults.next("allow_policies.get", status=429, retry_after=60)

    page = shown(manager, "/settings/allow-policies/e-1/")

    assert "call budget is used up" in page.select_one(".failed").text
    assert page.select_one(".stale time")["datetime"] == at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert facts(page)["Comments"] == "kept"


def test_an_entry_that_was_never_read_fails_in_its_own_place(emailsec: Simulator, manager: Client) -> None:
    emailsec.faults.next("allow_policies.get", status=503, times=None)

    pane = manager.get("/settings/allow-policies/e-2/", headers=HTMX)

    retry = BeautifulSoup(pane.content, "html.parser").select_one(".failed a")
    assert (pane.status_code, pane["HX-Retarget"]) == (503, "#entry")
    assert (retry["hx-get"], retry["hx-target"]) == ("/settings/allow-policies/e-2/", "#entry")
