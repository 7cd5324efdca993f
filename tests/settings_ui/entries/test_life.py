"""Whose an entry is, why and until when: kept here, for entries made here and for those made elsewhere."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from dashboard.access.decorators import OutsideScope
from dashboard.access.models import Member
from dashboard.audit.models import AuditEvent
from dashboard.simulator import Simulator
from dashboard.upstream.connection import get_client
from settings_ui.changes import services as changes
from settings_ui.entries.announcing import ending_soon
from settings_ui.entries.knowing import who
from settings_ui.entries.life import Life, LifeForm, set_life, version
from settings_ui.entries.rules import Conflict, NotPossible, end_of
from settings_ui.models import Entry, EntryState, Mirrored, Origin
from settings_ui.resources import BY_NAME, RESOURCES
from settings_ui.watching.rounds import read_list, read_lists
from tests.conftest import HTMX
from tests.settings_ui.changes.conftest import ENTRIES, key
from tests.settings_ui.conftest import Time
from tests.settings_ui.entries.conftest import Keep, Stand, trail

Soup = Callable[[HttpResponse], BeautifulSoup]

pytestmark = pytest.mark.django_db

BLOCK = BY_NAME["block_senders"]
LIFE = {"owner": "", "ticket": "SOC-9", "reason": "seen in three mails", "ends_on": ""}


def address(entry_id: str, slug: str = "block-senders") -> str:
    return reverse("settings:life", args=[slug, entry_id])


def made_here(pia: Member, life: Life, resource: str = "block_senders") -> str:
    """The id of an entry that was made in the settings rooms."""
    change = changes.create(
        actor=pia, resource=BY_NAME[resource], values=ENTRIES[resource][0], life=life, reason="wave 7", ticket="SOC-1",
        operation_key=key(), request=None,
    )  # fmt: skip
    return change.lines.get().upstream_id


@pytest.mark.parametrize("resource", [resource.name for resource in RESOURCES])
def test_an_entry_made_elsewhere_gets_an_owner_a_reason_and_an_end(
    pia: Member, stand: Stand, emailsec: Simulator, resource: str
) -> None:
    entry = stand(resource)
    may_end = BY_NAME[resource].may_expire
    ends = timezone.now() + dt.timedelta(days=9) if may_end else None

    kept = set_life(
        actor=pia, resource=BY_NAME[resource], entry=entry, life=Life(pia.pk, "SOC-7", "why", ends), request=None
    )

    assert (kept.origin, kept.state, kept.upstream_id) == (Origin.NOTED, EntryState.ACTIVE, entry.id)
    known = who(resource, [entry.id])[entry.id]
    assert (known.how, known.owner, known.ticket, known.reason, known.expires_at) == (
        "noted", "Pia", "SOC-7", "why", ends,
    )  # fmt: skip
    assert trail(kept) == [("policy:note", "done", "Pia")]


def test_what_takes_two_people_to_remove_has_no_end(pia: Member, stand: Stand, emailsec: Simulator) -> None:
    ends = timezone.now() + dt.timedelta(days=9)
    with pytest.raises(NotPossible):
        set_life(
            actor=pia, resource=BY_NAME["domains"], entry=stand("domains"), life=Life(expires_at=ends), request=None
        )
    assert "ends_on" not in LifeForm(resource=BY_NAME["domains"]).fields


def test_an_end_is_a_day_to_come_as_far_away_as_one_likes(emailsec: Simulator) -> None:
    def form(day: object, origin: str = Origin.NOTED) -> LifeForm:
        return LifeForm(LIFE | {"ends_on": str(day)}, resource=BLOCK, origin=origin)

    today = timezone.now().date()
    assert form(today).is_valid(), "it stands through its last day"
    assert form(today + dt.timedelta(days=4000)).is_valid()
    assert not form(today - dt.timedelta(days=1)).is_valid()
    assert not form("9999-12-31").is_valid()
    assert not form("no day").is_valid()
    assert not form(today + dt.timedelta(days=400), Origin.ACCEPT).is_valid()
    assert not form("", Origin.ACCEPT).is_valid(), "a rule for one sender always ends"


def test_the_end_of_a_rule_for_one_sender_can_be_moved_within_its_limit(
    ana: Member, pia: Member, accept: Any, emailsec: Simulator, time_: Time
) -> None:
    rule = time_.sent(accept(ana, days=5))
    entry = get_client().entry("allow_policies", rule.upstream_id)
    allow = BY_NAME["allow_policies"]

    def until(days: int) -> Entry:
        ends = timezone.now() + dt.timedelta(days=days)
        return set_life(actor=pia, resource=allow, entry=entry, life=Life(ana.pk, "", "longer", ends), request=None)

    assert until(60).origin == Origin.ACCEPT
    with pytest.raises(NotPossible):
        until(400)
    assert who("allow_policies", [rule.upstream_id])[rule.upstream_id].how == "made here"


def test_only_who_may_change_the_list_may_say_it(pia: Member, ana: Member, stand: Stand, emailsec: Simulator) -> None:
    entry = stand()
    with pytest.raises(PermissionDenied):
        set_life(actor=ana, resource=BLOCK, entry=entry, life=Life(ana.pk), request=None)
    pia.domains = ["corp.example"]
    with pytest.raises(OutsideScope):
        set_life(actor=pia, resource=BLOCK, entry=entry, life=Life(pia.pk), request=None)
    assert not Entry.objects.exists()


def test_two_people_who_change_it_at_once_learn_of_each_other(
    pia: Member, ada: Member, keep: Keep, stand: Stand, emailsec: Simulator
) -> None:
    entry = stand()
    opened = version(keep(entry=entry))
    set_life(actor=pia, resource=BLOCK, entry=entry, life=Life(ada.pk, reason="Pia's"), request=None, opened=opened)

    with pytest.raises(Conflict):
        set_life(actor=pia, resource=BLOCK, entry=entry, life=Life(reason="the other"), request=None, opened=opened)
    assert Entry.objects.get().reason == "Pia's"


def test_an_entry_made_here_tells_who_made_it_and_whose_it_is(pia: Member, ana: Member, emailsec: Simulator) -> None:
    ends = timezone.now() + dt.timedelta(days=3)
    entry_id = made_here(pia, Life(ana.pk, "SOC-7", "asked by finance", ends))

    known = who("block_senders", [entry_id])[entry_id]

    assert (known.how, known.made_by, known.owner) == ("made here", "Pia", "Ana")
    assert (known.ticket, known.reason, known.expires_at) == ("SOC-7", "asked by finance", ends)
    assert Entry.objects.get().origin == Origin.CHANGE


def test_without_a_life_the_change_still_tells_who_and_why(pia: Member, emailsec: Simulator) -> None:
    entry_id = made_here(pia, Life())

    known = who("block_senders", [entry_id])[entry_id]

    assert (known.how, known.made_by, known.reason, known.ticket) == ("made here", "Pia", "wave 7", "SOC-1")
    assert (known.owner, known.change_id) == ("", changes.Change.objects.get().pk)
    assert not Entry.objects.exists()


def test_what_nobody_here_made_is_told_by_when_it_was_first_seen(stand: Stand, emailsec: Simulator) -> None:
    entry = stand()
    assert who("block_senders", [entry.id])[entry.id].how == "unknown"

    read_lists()
    read_list("block_senders")

    today = timezone.now().date()
    assert who("block_senders", [entry.id])[entry.id].how == f"made elsewhere, first seen {today.day} {today:%b %Y}"


def test_a_page_of_entries_costs_as_many_questions_as_one(stand: Stand, emailsec: Simulator) -> None:
    entry = stand()
    with CaptureQueriesContext(connection) as few:
        who("block_senders", [entry.id])
    with CaptureQueriesContext(connection) as many:
        who("block_senders", [entry.id, *map(str, range(499))])
    assert len(few) == len(many) == 3


def test_a_long_list_is_asked_about_piece_by_piece(pia: Member, emailsec: Simulator) -> None:
    """A database takes a limited number of parameters in one question."""
    entry_id = made_here(pia, Life(pia.pk, "SOC-7"))
    ids = [*map(str, range(1700)), entry_id]

    with CaptureQueriesContext(connection) as asked:
        known = who("block_senders", ids)

    assert list(known) == ids
    assert (known[entry_id].owner, known["0"].how) == ("Pia", "unknown")
    assert max(one["sql"].count("',") for one in asked) <= 510


def test_an_owner_who_left_the_team_looks_after_nothing(ana: Member, keep: Keep, emailsec: Simulator) -> None:
    kept = keep(owner=ana, days=3)
    assert [one.owner for one in ending_soon()] == ["Ana"]
    Member.objects.filter(pk=ana.pk).update(is_active=False)

    known = who("block_senders", [kept.upstream_id])[kept.upstream_id]

    assert (known.has_left, known.owner) == (True, "Ana (left the team)")
    assert [one.owner for one in ending_soon()] == [""]
    assert ana.display_name not in dict(LifeForm(resource=BLOCK).fields["owner"].choices).values()


def test_a_change_of_the_entry_changes_what_its_end_is_about(pia: Member, emailsec: Simulator) -> None:
    entry_id = made_here(pia, Life(pia.pk, expires_at=timezone.now() + dt.timedelta(days=3)))
    before = ENTRIES["block_senders"][0]
    after = before | {"pattern": "worse.example"}

    changes.edit(
        actor=pia, resource=BLOCK, entry_id=entry_id, before=before, after=after, operation_key=key(), request=None
    )

    kept = Entry.objects.get()
    assert (kept.pattern, kept.values["pattern"], kept.state) == ("worse.example", "worse.example", EntryState.ACTIVE)
    assert kept.expires_at is not None


def test_the_page_keeps_and_shows_it(
    policy_manager: Client, pia: Member, stand: Stand, emailsec: Simulator, soup: Soup
) -> None:
    entry = stand()
    page = soup(policy_manager.get(address(entry.id)))
    assert page.select_one("h1").text == "evil.example"
    opened = page.select_one("[name=opened]")["value"]
    day = timezone.now().date() + dt.timedelta(days=3)
    form = LIFE | {"owner": str(pia.pk), "ends_on": f"{day}", "opened": opened}

    answer = policy_manager.post(address(entry.id), form)

    assert answer.status_code == 303
    shown = soup(policy_manager.get(answer["Location"])).select_one("#life").text
    assert "Kept." in shown
    assert "Pia" in shown
    assert "ends in 3 days" in shown
    assert "seen in three mails" in shown
    assert AuditEvent.objects.filter(action="policy:note").get().reason == "seen in three mails"


def test_the_part_of_the_page_alone_goes_into_the_entry(
    policy_manager: Client, stand: Stand, emailsec: Simulator, soup: Soup
) -> None:
    entry = stand()
    part = soup(policy_manager.get(address(entry.id), headers=HTMX))
    assert part.select_one("html") is None
    form = LIFE | {"opened": part.select_one("[name=opened]")["value"]}
    assert "SOC-9" in soup(policy_manager.post(address(entry.id), form, headers=HTMX)).text


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"ends_on": "2020-01-01"}, "ends_on"),
        ({"ends_on": "31.12."}, "ends_on"),
        ({"owner": "999999"}, "owner"),
        ({"owner": "somebody"}, "owner"),
        ({"ticket": "x" * 101}, "ticket"),
        ({"reason": "x" * 10_000}, "reason"),
        ({"reason": "a\x00b"}, "reason"),
    ],
)
def test_what_is_wrong_is_told_at_its_field_and_kept(
    policy_manager: Client, stand: Stand, emailsec: Simulator, soup: Soup, wrong: dict[str, str], field: str
) -> None:
    entry = stand()

    answer = policy_manager.post(address(entry.id), LIFE | {"opened": "none"} | wrong, headers=HTMX)

    assert (answer.status_code, answer["HX-Retarget"]) == (422, "#life")
    page = soup(answer)
    assert page.select_one(f"#life-{field}_error")
    assert page.select_one("#life-ticket")["value"] == wrong.get("ticket", "SOC-9")
    assert not Entry.objects.exists()


def test_a_change_of_somebody_else_meanwhile_is_told_and_nothing_is_lost(
    policy_manager: Client, keep: Keep, stand: Stand, emailsec: Simulator, soup: Soup
) -> None:
    entry = stand()
    keep(entry=entry)

    answer = policy_manager.post(address(entry.id), LIFE | {"opened": "none"}, headers=HTMX)

    assert answer.status_code == 409
    page = soup(answer)
    assert "changed this meanwhile" in page.select_one(".errors").text
    assert page.select_one("#life-reason").text.strip() == "seen in three mails"
    assert "phishing wave" in page.select_one(".pairs").text


def test_analysts_read_it_and_change_nothing(
    analyst: Client, keep: Keep, stand: Stand, emailsec: Simulator, soup: Soup
) -> None:
    entry = stand()
    keep(entry=entry)
    page = soup(analyst.get(address(entry.id)))
    assert "phishing wave" in page.text
    assert page.select_one("#life form") is None
    assert analyst.post(address(entry.id), LIFE | {"opened": "none"}).status_code == 403


def test_an_entry_that_is_gone_keeps_nothing(policy_manager: Client, emailsec: Simulator) -> None:
    assert policy_manager.get(address("0" * 8)).status_code == 404
    assert policy_manager.post(address("0" * 8), LIFE | {"opened": "none"}).status_code == 404
    assert policy_manager.get(address("x", "no-such-list")).status_code == 404
    assert not Entry.objects.exists()


@pytest.mark.parametrize("headers", [HTMX, {}])
@pytest.mark.parametrize("is_away", [False, True])
def test_what_was_typed_stays_where_the_entry_vanished_or_the_account_is_away(
    policy_manager: Client,
    stand: Stand,
    emailsec: Simulator,
    soup: Soup,
    is_away: bool,
    headers: dict[str, str],
) -> None:
    entry = stand()
    if is_away:
        emailsec.faults.next("block_senders.get", status=503, times=None)
    else:
        emailsec.settings.entries["block_senders"].pop(entry.id)

    answer = policy_manager.post(address(entry.id), LIFE | {"opened": "none"}, headers=headers)

    page = soup(answer)
    assert answer.status_code == (503 if is_away else 404)
    assert page.select_one("#life-ticket")["value"] == "SOC-9"
    assert page.select_one("#life-reason").text.strip() == "seen in three mails"
    told = page.select_one(".errors").text
    assert "Nothing was kept, and what you wrote is still here." in told
    assert ("This entry is gone." in told) is not is_away
    assert not Entry.objects.exists()


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Los_Angeles"])
def test_a_last_day_is_the_same_day_for_everybody(
    policy_manager: Client, pia: Member, stand: Stand, emailsec: Simulator, soup: Soup, zone: str
) -> None:
    Member.objects.filter(pk=pia.pk).update(time_zone=zone, shows_local_time=True)
    entry = stand()
    day = timezone.now().date() + dt.timedelta(days=40)
    set_life(actor=pia, resource=BLOCK, entry=entry, life=Life(pia.pk, expires_at=end_of(day)), request=None)
    told = f"{day.day} {day:%b %Y}"

    life = soup(policy_manager.get(address(entry.id), headers=HTMX))
    rows = soup(policy_manager.get(reverse("settings:list", args=["block-senders"])))

    assert told in life.select_one(".pairs").text
    assert life.select_one("#life-ends_on")["value"] == f"{day}"
    assert rows.select_one(f'tr[data-id="{entry.id}"] .until').text == f"until {told}"


def test_the_name_is_that_of_this_account(
    policy_manager: Client, stand: Stand, emailsec: Simulator, soup: Soup
) -> None:
    entry = stand()
    Mirrored.objects.create(
        account_id="another", resource="block_senders", upstream_id=entry.id, label="theirs.example", values={},
        first_seen_at=timezone.now(),
    )  # fmt: skip

    assert soup(policy_manager.get(address(entry.id))).select_one("h1").text == "evil.example"


def test_hostile_text_is_text(policy_manager: Client, stand: Stand, emailsec: Simulator, soup: Soup) -> None:
    entry = stand()
    bad = "<script>alert(1)</script>\u202e"
    policy_manager.post(address(entry.id), LIFE | {"opened": "none", "reason": bad})
    page = soup(policy_manager.get(address(entry.id)))
    assert "<script>alert(1)</script>" in page.select_one(".pairs").text
    assert "\u202e" not in page.select_one(".pairs").text
