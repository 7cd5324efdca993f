"""A backup through its pages: taken, uploaded, compared, put back in parts; and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from dashboard.access.models import Member, TeamRole
from dashboard.access.roles import Permission
from dashboard.simulator import Simulator
from settings_ui.models import Change, ChangeState, Upload, Verb
from settings_ui.resources import RESOURCES

Soup = Callable[[Any], BeautifulSoup]
HOSTILE = "<script>alert(1)</script>\u202e.example"


def taken(client: Client) -> dict[str, Any]:
    answer = client.get("/settings/backup/file")
    assert answer.status_code == 200
    assert answer["Content-Disposition"].startswith('attachment; filename="mailwarden-settings-')
    return json.loads(answer.content)


def upload(client: Client, backup: Any, name: str = "backup.json") -> Any:
    data = backup if isinstance(backup, bytes) else json.dumps(backup).encode()
    return client.post("/settings/backup/compare", {"file": SimpleUploadedFile(name, data)})


def compared(client: Client, backup: Any, soup: Soup) -> BeautifulSoup:
    answer = upload(client, backup)
    assert answer.status_code == 302, answer.content.decode()[:2000]
    return soup(client.get(answer["Location"]))


def fields_of(page: BeautifulSoup) -> dict[str, Any]:
    return {
        field["name"]: field["value"]
        for field in page.select("form[action='/settings/backup/restore'] input[type=hidden]")
    }


def change_first(emailsec: Simulator, name: str = "block_senders") -> dict[str, Any]:
    entry = next(iter(emailsec.settings.entries[name].values()))
    entry["comments"] = "somebody was here"
    return entry


def test_everybody_who_sees_the_lists_takes_a_backup_and_only_managers_compare(
    emailsec: Simulator, analyst: Client, viewer: Client, soup: Soup
) -> None:
    backup = taken(analyst)
    page = soup(analyst.get("/settings/backup/"))

    assert backup["format"] == "mailwarden-settings"
    assert page.select_one("a[href='/settings/backup/file']") is not None
    assert page.select_one("input[type=file]") is None
    assert "these may compare and restore" in page.text
    assert upload(analyst, backup).status_code == 403
    assert analyst.post("/settings/backup/restore").status_code == 403
    assert viewer.get("/settings/backup/").status_code == 403
    assert viewer.get("/settings/backup/file").status_code == 403


def test_an_account_that_is_as_the_backup_says_says_so(emailsec: Simulator, policy_manager: Client, soup: Soup) -> None:
    page = compared(policy_manager, taken(policy_manager), soup)

    assert page.h1.text == "The account is as the backup says"
    assert page.select("input[type=checkbox]") == []
    assert len(page.select(".alike li")) == len(RESOURCES)


def test_differences_are_shown_field_by_field_and_nothing_is_ticked(
    emailsec: Simulator, policy_manager: Client, soup: Soup
) -> None:
    backup = taken(policy_manager)
    entry = change_first(emailsec)

    page = compared(policy_manager, backup, soup)

    group = page.select_one("[data-group=different]")
    assert group.legend.text == "Blocked senders: 1 different"
    assert group.select_one("th[scope=row]").text == entry["pattern"]
    assert group.select_one(".was").text == "somebody was here"
    assert not page.select("input[checked]")


def test_a_ticked_difference_becomes_a_dry_run_of_its_own(
    emailsec: Simulator, policy_manager: Client, soup: Soup
) -> None:
    backup = taken(policy_manager)
    before = next(item for item in backup["resources"]["block_senders"])["values"]["comments"]
    entry = emailsec.settings.entries["block_senders"][backup["resources"]["block_senders"][0]["id"]]
    entry["comments"] = "somebody was here"
    page = compared(policy_manager, backup, soup)
    tick = page.select_one("[data-group=different] tbody input")["value"]

    answer = policy_manager.post("/settings/backup/restore", {**fields_of(page), "pick": tick})

    change = Change.objects.get()
    assert answer["Location"] == f"/settings/changes/{change.pk}/"
    assert (change.kind, change.state, change.file_name) == ("restore", ChangeState.DRAFT, "backup.json")
    line = change.lines.get()
    assert (line.verb, line.values) == (Verb.CHANGE, {"comments": before})
    shown = soup(policy_manager.get(answer["Location"]))
    assert shown.select_one(".sofar").text == "Adds 0, changes 1, removes 0."
    assert shown.select_one(".decide button").text == "Change 1 in blocked senders"
    assert "From the backup" in shown.text


def test_a_restore_says_what_is_dangerous_about_what_it_puts_back(
    emailsec: Simulator, policy_manager: Client, soup: Soup
) -> None:
    backup = taken(policy_manager)
    first = backup["resources"]["block_senders"][0]
    wide = first["values"] | {"pattern": "gmail.com", "pattern_type": "DOMAIN", "is_regex": False}
    changed = first["values"] | {"pattern": "yahoo.com", "pattern_type": "DOMAIN", "is_regex": False}
    backup["resources"]["block_senders"] = [{"id": "gone", "values": wide}, {"id": first["id"], "values": changed}]
    page = compared(policy_manager, backup, soup)
    marks = ["block_senders/file:all", "block_senders/different:all"]

    answer = policy_manager.post("/settings/backup/restore", {**fields_of(page), "pick": marks})

    told = {line.verb: line.explanation for line in Change.objects.get().lines.all()}
    assert "Anybody gets an address at gmail.com" in told[Verb.ADD]
    assert "Anybody gets an address at yahoo.com" in told[Verb.CHANGE]
    shown = soup(policy_manager.get(answer["Location"]))
    assert "2 dangerous lines" in shown.select_one(".decide").text


def test_several_lists_are_several_dry_runs(emailsec: Simulator, policy_manager: Client, soup: Soup) -> None:
    backup = taken(policy_manager)
    change_first(emailsec)
    change_first(emailsec, "trusted_domains")
    page = compared(policy_manager, backup, soup)
    marks = [tick["value"] for tick in page.select(".all input")]

    answer = policy_manager.post("/settings/backup/restore", {**fields_of(page), "pick": marks})

    assert sorted(marks) == ["block_senders/different:all", "trusted_domains/different:all"]
    assert Change.objects.count() == 2
    assert soup(answer).h1.text == "2 lists would change"
    again = policy_manager.post("/settings/backup/restore", {**fields_of(page), "pick": marks})
    assert again.status_code == 200
    assert Change.objects.count() == 2, "the same form twice makes nothing twice"


def test_nothing_ticked_is_said_and_nothing_made(emailsec: Simulator, policy_manager: Client, soup: Soup) -> None:
    backup = taken(policy_manager)
    change_first(emailsec)
    page = compared(policy_manager, backup, soup)

    answer = policy_manager.post("/settings/backup/restore", fields_of(page))

    assert answer.status_code == 422
    assert "Tick what is to be restored." in soup(answer).select_one("[role=alert]").text
    assert not Change.objects.exists()


def test_marks_that_nobody_offered_do_nothing(emailsec: Simulator, policy_manager: Client, soup: Soup) -> None:
    backup = taken(policy_manager)
    change_first(emailsec)
    page = compared(policy_manager, backup, soup)
    marks = ["block_senders/file:999", "nothing/file:0", "block_senders", "block_senders/account:all", "/", ""]

    answer = policy_manager.post("/settings/backup/restore", {**fields_of(page), "pick": marks})

    assert answer.status_code == 409
    assert not Change.objects.exists()


def test_somebody_elses_upload_is_nobodys(emailsec: Simulator, policy_manager: Client, soup: Soup, ben: Member) -> None:
    page = compared(policy_manager, taken(policy_manager), soup)
    TeamRole.objects.create(
        name="second", label="Second", permissions=[Permission.POLICY_WRITE.value, Permission.POLICY_READ.value]
    )
    Member.objects.filter(pk=ben.pk).update(role="second")
    other = Client()
    other.force_login(Member.objects.get(pk=ben.pk))

    shown = other.get(f"/settings/backup/compare/{Upload.objects.get().pk}/")
    answer = other.post("/settings/backup/restore", {**fields_of(page), "pick": "block_senders/file:all"})

    assert shown.status_code == 404
    assert answer.status_code == 404
    assert "kept for an hour" in shown.content.decode()


def test_domains_are_for_those_who_may_change_domains(
    emailsec: Simulator, policy_manager: Client, soup: Soup, ben: Member
) -> None:
    backup = taken(policy_manager)
    domain = next(iter(emailsec.settings.entries["domains"].values()))
    domain["lookback_hops"] = 9
    TeamRole.objects.create(
        name="lists", label="Lists", permissions=[Permission.POLICY_WRITE.value, Permission.POLICY_READ.value]
    )
    Member.objects.filter(pk=ben.pk).update(role="lists")
    limited = Client()
    limited.force_login(Member.objects.get(pk=ben.pk))

    page = compared(limited, backup, soup)
    answer = limited.post("/settings/backup/restore", {**fields_of(page), "pick": "domains/different:all"})

    section = page.select_one("section[aria-labelledby=list-domains]")
    assert section.fieldset.has_attr("disabled")
    assert "You lack the right to protect domains and change how." in section.text
    assert answer.status_code == 403
    assert not Change.objects.exists()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "The file is no JSON"),
        (b"id,pattern\n", "The file is no JSON"),
        (b"{}", "This is not a backup of the settings."),
        (b'{"format": "mailwarden-settings", "version": 9}', "reads version 1"),
    ],
)
def test_what_is_no_backup_is_refused_at_its_field(
    data: bytes, told: str, emailsec: Simulator, policy_manager: Client, soup: Soup
) -> None:
    answer = upload(policy_manager, data)

    assert answer.status_code == 422
    assert told in soup(answer).select_one("#id_file_error").text
    assert not Upload.objects.exists()


def test_a_backup_of_another_account_is_said_to_be_one(emailsec: Simulator, policy_manager: Client, soup: Soup) -> None:
    backup = taken(policy_manager) | {"account_id": "f" * 32, "missing": ["content_policies"]}
    backup["resources"] = {"block_senders": backup["resources"]["block_senders"], HOSTILE: []}

    page = compared(policy_manager, backup, soup)

    remarks = page.select_one(".remarks").text
    assert f"This backup is of another account: {'f' * 32}." in remarks
    assert "the account did not have content policies" in remarks
    assert "Not known to this version, and left out" in remarks


def test_hostile_values_are_text(emailsec: Simulator, policy_manager: Client) -> None:
    backup = taken(policy_manager)
    backup["resources"]["block_senders"].append(
        {"id": HOSTILE, "values": {"pattern": HOSTILE, "comments": HOSTILE, HOSTILE: HOSTILE}}
    )

    page = policy_manager.get(upload(policy_manager, backup, f"{HOSTILE}.json")["Location"]).content.decode()

    assert "<script>alert" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_a_large_group_shows_its_beginning_and_is_ticked_as_a_whole(
    emailsec: Simulator, policy_manager: Client, soup: Soup
) -> None:
    backup = taken(policy_manager)
    backup["resources"]["block_senders"] += [
        {"id": f"x{place}", "values": {"pattern": f"x{place}.example", "pattern_type": "DOMAIN", "is_regex": False}}
        for place in range(300)
    ]
    page = compared(policy_manager, backup, soup)
    group = page.select_one("[data-group=file]")

    assert len(group.select("tbody tr")) == 80
    assert "All 300, also those not shown here" in group.text
    everything = soup(policy_manager.get(group.a["href"]))
    assert len(everything.select("tbody tr")) == 300
    policy_manager.post("/settings/backup/restore", {**fields_of(page), "pick": "block_senders/file:all"})
    assert Change.objects.get().lines.filter(verb=Verb.ADD).count() == 300


def test_an_older_server_says_what_it_does_not_have(generation: Simulator, policy_manager: Client, soup: Soup) -> None:
    is_older = generation.world.profile.seed_generation
    taken(policy_manager)  # by now it is known

    page = soup(policy_manager.get("/settings/backup/"))

    told = "sending domain restrictions, content policies and URL ignore patterns"
    assert (told in page.text) == is_older


def test_the_right_to_write_rules_reads_none_of_them(
    emailsec: Simulator, policy_manager: Client, browser_with: Callable[..., Client], soup: Soup
) -> None:
    writer = browser_with(Permission.POLICY_WRITE)
    backup = taken(policy_manager)
    upload(policy_manager, backup)
    Upload.objects.update(member=Member.objects.get(username__startswith="composed"))
    kept = Upload.objects.get()

    answers = [
        upload(writer, backup),
        writer.get(f"/settings/backup/compare/{kept.pk}/"),
        writer.post(
            "/settings/backup/restore", {"upload": kept.pk, "operation_key": "k", "pick": "block_senders/file:all"}
        ),
        writer.post("/settings/observed/read"),
    ]

    assert [answer.status_code for answer in answers] == [403] * 4
