"""A backup beside the account: what is found to differ, and what restoring a part of it would do."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable, Collection
from typing import Any

import httpx
import pytest
from cloudflare import Cloudflare
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.simulator import Simulator
from dashboard.upstream.connection import get_client
from settings_ui.backup import files, restoring, showing, taking
from settings_ui.backup.comparing import Compared, Group
from settings_ui.changes import sending, services
from settings_ui.entries.knowing import who
from settings_ui.entries.life import Life, set_life
from settings_ui.models import Change, ChangeState, Verb
from settings_ui.resources import BY_NAME, RESOURCES
from tests.settings_ui.changes.conftest import pass_by

Restored = Callable[..., list[Change]]


def labels(found: list[Compared], name: str) -> dict[Group, list[str]]:
    one = next(each for each in found if each.resource.name == name)
    return {group: [each.label for each in differences] for group, differences in one.groups.items()}


def compared(backup: bytes) -> list[Compared]:
    return restoring.compared(files.parsed(backup))[0]


def block(simulator: Simulator, pattern: str, **values: Any) -> str:
    usual = {"pattern": pattern, "pattern_type": "DOMAIN", "is_regex": False, "comments": None}
    return simulator.settings.seed_entry("block_senders", simulator.clock() - 60, **usual | values)["id"]


@pytest.fixture
def restored() -> Restored:
    """Restore marks, confirm each dry run, and let a worker carry it out."""

    def restore(actor: Member, backup: bytes, marks: Collection[str]) -> list[Change]:
        made = drafted(actor, backup, marks)
        for change in made:
            if not change.lines.filter(verb__in=[Verb.ADD, Verb.CHANGE, Verb.REMOVE]).exists():
                continue
            services.confirm(actor=actor, change=change, fingerprint=change.fingerprint, request=None)
            pass_by(change, 60)
            sending.step(change.pk)
            change.refresh_from_db()
        return made

    return restore


def drafted(actor: Member, backup: bytes, marks: Collection[str]) -> list[Change]:
    return restoring.restore(
        actor=actor,
        backup=files.parsed(backup),
        marks=marks,
        file_name="backup.json",
        operation_key=uuid.uuid4().hex,
        request=None,
    )


def test_nothing_differs_from_a_backup_that_was_just_taken(generation: Simulator, pia: Member) -> None:
    found = compared(taking.take(actor=pia, request=None))

    assert all(each.is_same for each in found)
    assert sum(each.same for each in found) > 10


def test_each_kind_of_difference_is_found(emailsec: Simulator, pia: Member) -> None:
    gone, changed = block(emailsec, "gone.example"), block(emailsec, "changed.example", comments="before")
    backup = taking.take(actor=pia, request=None)
    del emailsec.settings.entries["block_senders"][gone]
    emailsec.settings.entries["block_senders"][changed]["comments"] = "after"
    block(emailsec, "new.example")

    found = compared(backup)

    assert labels(found, "block_senders") == {
        Group.ONLY_FILE: ["gone.example"],
        Group.DIFFERENT: ["changed.example"],
        Group.ONLY_ACCOUNT: ["new.example"],
    }
    [one] = next(each for each in found if each.resource.name == "block_senders").groups[Group.DIFFERENT]
    assert [(each.field.name, each.in_account, each.in_file) for each in one.fields] == [
        ("comments", "after", "before")
    ]
    assert all(each.is_same for each in found if each.resource.name != "block_senders")


def test_an_entry_that_was_made_again_is_found_by_what_it_is_about(emailsec: Simulator, pia: Member) -> None:
    first = block(emailsec, "again.example", comments="before")
    backup = taking.take(actor=pia, request=None)
    del emailsec.settings.entries["block_senders"][first]
    second = block(emailsec, "AGAIN.example", comments="before")

    groups = next(each for each in compared(backup) if each.resource.name == "block_senders").groups

    [one] = groups[Group.DIFFERENT]
    assert one.entry is not None
    assert one.entry.id == second
    assert not groups[Group.ONLY_FILE]
    assert not groups[Group.ONLY_ACCOUNT]


def test_what_only_the_service_says_is_no_difference(emailsec: Simulator, pia: Member) -> None:
    backup = taking.take(actor=pia, request=None)
    for domain in emailsec.settings.entries["domains"].values():
        domain |= {"status": "FAILED", "spf_status": "invalid", "emails_processed": None}

    assert all(each.is_same for each in compared(backup))


def test_the_protection_of_a_domain_is_never_up_for_removal(emailsec: Simulator, pia: Member) -> None:
    told = json.loads(taking.take(actor=pia, request=None))
    number = len(told["resources"]["domains"])
    told["resources"]["domains"] = []
    backup = json.dumps(told).encode()

    [domains] = [each for each in showing.shown(pia, compared(backup)) if each.resource.name == "domains"]
    [group] = domains.groups
    changes = drafted(pia, backup, ["domains/account:all"])

    assert group.count == number > 0
    assert not group.may_be_ticked
    assert [line.verb for change in changes for line in change.lines.all()] == [Verb.BAD] * number


def test_selected_entries_are_put_back_and_no_others(emailsec: Simulator, pia: Member, restored: Restored) -> None:
    kept_gone, gone = block(emailsec, "stays-gone.example"), block(emailsec, "gone.example", comments="back again")
    changed = block(emailsec, "changed.example", comments="before")
    backup = taking.take(actor=pia, request=None)
    for each in (kept_gone, gone):
        del emailsec.settings.entries["block_senders"][each]
    emailsec.settings.entries["block_senders"][changed]["comments"] = "after"
    extra = block(emailsec, "extra.example")
    marks = {
        each.label: f"block_senders/{each.mark}"
        for one in compared(backup)
        for differences in one.groups.values()
        for each in differences
    }

    [change] = restored(pia, backup, [marks["gone.example"], marks["changed.example"], marks["extra.example"]])

    assert change.state == ChangeState.DONE
    assert change.kind == "restore"
    there = emailsec.settings.entries["block_senders"]
    by_pattern = {entry["pattern"]: entry for entry in there.values()}
    assert by_pattern["gone.example"]["comments"] == "back again"
    assert there[changed]["comments"] == "before"
    assert extra not in there
    assert "stays-gone.example" not in by_pattern


def test_a_whole_account_comes_back_as_it_was(emailsec: Simulator, pia: Member, restored: Restored) -> None:
    before = by_the_official_sdk(emailsec)
    backup = taking.take(actor=pia, request=None)
    for resource in RESOURCES:
        entries = emailsec.settings.entries[resource.name]
        for place, entry in enumerate(list(entries.values())):
            if resource.takes_typing or resource.fixed_because(entry):
                continue
            if place % 2:
                del entries[entry["id"]]
            elif resource.note and place % 3 == 0:
                entry[resource.note] = "somebody was here"
        domain = next(iter(emailsec.settings.entries["domains"].values()))
        domain["lookback_hops"] = 9
    block(emailsec, "stranger.example")
    assert by_the_official_sdk(emailsec) != before
    marks = [f"{resource.name}/{group}:all" for resource in RESOURCES for group in ("file", "different", "account")]

    changes = restored(pia, backup, marks)

    assert {change.state for change in changes} == {ChangeState.DONE}
    assert by_the_official_sdk(emailsec) == before
    assert all(each.is_same for each in compared(backup))


def test_a_value_that_cannot_be_sent_is_a_line_that_says_so(emailsec: Simulator, pia: Member) -> None:
    told = json.loads(taking.take(actor=pia, request=None))
    told["resources"]["block_senders"] += [
        {"id": "x", "values": {"pattern": "no domain at all", "pattern_type": "DOMAIN", "is_regex": False}},
        {"id": "y", "values": {"pattern": ["a", "b"], "pattern_type": {"c": 1}, "is_regex": "perhaps"}},
    ]

    [change] = drafted(pia, json.dumps(told).encode(), ["block_senders/file:all"])

    assert [line.verb for line in change.lines.all()] == [Verb.BAD, Verb.BAD]
    assert "pattern" in change.lines.first().explanation
    assert "Write text here." in change.lines.last().explanation


def test_owners_come_back_by_name_and_without_one_where_the_name_is_unknown(emailsec: Simulator, pia: Member) -> None:
    told = json.loads(taking.take(actor=pia, request=None))
    told["resources"]["block_senders"] += [
        {
            "id": owner,
            "values": {"pattern": f"{owner}.example", "pattern_type": "DOMAIN", "is_regex": False},
            "life": {"owner": owner, "ticket": "SOC-1"},
        }
        for owner in ("pia", "nobody")
    ]

    [change] = drafted(pia, json.dumps(told).encode(), ["block_senders/file:all"])

    assert [(line.verb, line.life["owner_id"], line.life["ticket"]) for line in change.lines.all()] == [
        (Verb.ADD, pia.pk, "SOC-1"),
        (Verb.ADD, None, "SOC-1"),
    ]


def by_the_official_sdk(simulator: Simulator) -> dict[str, set[str]]:
    """What can be sent of every entry of every list, without ids: what is made again gets another one."""
    with httpx.Client(transport=httpx.WSGITransport(app=simulator)) as http:
        group = Cloudflare(
            api_token=simulator.token, base_url="https://api.cloudflare.com/client/v4", http_client=http, max_retries=0
        ).email_security.settings
        return {
            resource.name: {
                json.dumps({each.name: entry.to_dict(mode="json").get(each.name) for each in resource.sent})
                for entry in getattr(group, resource.name).list(account_id=simulator.account_id, per_page=1000)
            }
            for resource in map(BY_NAME.get, BY_NAME)
        }


def with_life(backup: bytes, pattern: str, **life: str) -> bytes:
    """The backup, with what it says about the life of one entry."""
    told = json.loads(backup)
    for item in told["resources"]["block_senders"]:
        if item["values"]["pattern"] == pattern:
            item["life"] = life
    return json.dumps(told).encode()


TOMORROW = f"{timezone.now().date() + dt.timedelta(days=1)}"
KEPT = {"owner": "pia", "ticket": "SOC-7", "reason": "phishing wave"}


@pytest.mark.parametrize("is_gone", [True, False])
@pytest.mark.parametrize("ends", [TOMORROW, "2026-01-31", ""])
def test_what_comes_back_has_its_owner_and_an_end_that_is_not_over(
    emailsec: Simulator, pia: Member, restored: Restored, is_gone: bool, ends: str
) -> None:
    entry_id = block(emailsec, "back.example")
    backup = with_life(taking.take(actor=pia, request=None), "back.example", **KEPT, **({"ends": ends} if ends else {}))
    if is_gone:
        del emailsec.settings.entries["block_senders"][entry_id]
    else:
        emailsec.settings.entries["block_senders"][entry_id]["comments"] = "changed since"

    marks = ["block_senders/file:all", "block_senders/different:all"]
    shown = drafted(pia, backup, marks)[0].lines.get().explanation
    (change,) = restored(pia, backup, marks)

    told = "This end is over already. It is added without an end."
    assert shown == (told if is_gone and ends == "2026-01-31" else "")
    assert change.state == ChangeState.DONE
    line = change.lines.get()
    known = who("block_senders", [line.upstream_id])[line.upstream_id]
    assert (known.owner, known.ticket, known.reason) == ("Pia", "SOC-7", "phishing wave")
    assert bool(known.expires_at) is (ends == TOMORROW)


def test_what_the_file_does_not_say_about_an_entry_stays(emailsec: Simulator, pia: Member, restored: Restored) -> None:
    entry_id = block(emailsec, "back.example")
    backup = with_life(taking.take(actor=pia, request=None), "back.example", owner="nobody we know", ticket="SOC-9")
    ends = timezone.now() + dt.timedelta(days=9)
    set_life(
        actor=pia, resource=BY_NAME["block_senders"], entry=get_client().entry("block_senders", entry_id),
        life=Life(pia.pk, "SOC-7", "phishing wave", ends), request=None,
    )  # fmt: skip
    emailsec.settings.entries["block_senders"][entry_id]["comments"] = "changed since"

    restored(pia, backup, ["block_senders/different:all"])

    known = who("block_senders", [entry_id])[entry_id]
    assert (known.owner, known.ticket, known.reason, known.expires_at) == ("Pia", "SOC-9", "phishing wave", ends)
