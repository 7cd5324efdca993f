"""Lists as files, through the pages: taken, changed, brought back, looked at, decided, mended."""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.audit.models import AuditEvent
from dashboard.audit.verifying import verify_all
from dashboard.simulator import Simulator
from dashboard.upstream.connection import get_client
from settings_ui.entries.life import Life, set_life
from settings_ui.models import Change, ChangeState, Line, Verb
from settings_ui.resources import BY_NAME, RESOURCES
from settings_ui.tables import columns, listing
from settings_ui.tasks import forget_files
from tests.conftest import HTMX

Soup = Callable[[Any], BeautifulSoup]
HOSTILE = '<script>alert(1)</script>"\u202e=1+1'


def export(client: Client, slug: str = "block-senders", query: str = "") -> str:
    answer = client.get(f"/settings/{slug}/export{query}")
    assert answer.status_code == 200, answer.content[:500]
    return b"".join(answer.streaming_content).decode("utf-8")  # type: ignore[attr-defined]


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def upload(client: Client, text: str | bytes, slug: str = "block-senders", **more: str) -> Any:
    data = text if isinstance(text, bytes) else text.encode()
    fields = {"operation_key": uuid.uuid4().hex, "mode": "change", "file": SimpleUploadedFile("b.csv", data)} | more
    return client.post(f"/settings/{slug}/import", fields)


def change_of(answer: Any) -> Change:
    assert answer.status_code == 302, answer.content.decode()[:2000]
    return Change.objects.get(pk=re.fullmatch(r"/settings/changes/([0-9a-f-]+)/", answer["Location"])[1])


# --- out --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda one: one.slug)
def test_a_list_leaves_as_a_whole_with_a_mark_for_spreadsheets(
    resource: Any, emailsec: Simulator, analyst: Client
) -> None:
    text = export(analyst, resource.slug)

    assert text.startswith("\ufeffid,")
    found = rows_of(text)
    assert list(found[0]) == columns.of_export(resource)
    assert {row["id"] for row in found} == set(emailsec.settings.entries[resource.name])


def test_more_than_a_page_of_the_api_leaves_as_a_whole(emailsec: Simulator, analyst: Client) -> None:
    for place in range(1_200):
        emailsec.settings.seed_entry(
            "url_ignore_patterns", emailsec.clock() - place, pattern=f"https://{place}", comments=None
        )

    assert len(rows_of(export(analyst, "url-ignore-patterns"))) >= 1_200


def test_a_filter_leaves_what_it_finds(emailsec: Simulator, analyst: Client) -> None:
    found = rows_of(export(analyst, query="?pattern_type=IP"))

    expected = [entry for entry in emailsec.settings.entries["block_senders"].values() if entry["pattern_type"] == "IP"]
    assert len(found) == len(expected) > 0
    assert AuditEvent.objects.get(action="policy:export", phase="done").detail["filter"] == {"pattern_type": "IP"}


def test_several_domains_leave_in_one_file(emailsec: Simulator, analyst: Client) -> None:
    names = [entry.values()["domain"] for entry in get_client().entries("domains").items[:2]]

    found = rows_of(export(analyst, "domains", f"?domain={names[0]}&domain={names[1]}"))

    assert sorted(row["domain"] for row in found) == sorted(names)
    said = AuditEvent.objects.get(action="policy:export", phase="done")
    assert said.detail["filter"] == {"domain": names}
    assert verify_all().problem is None


def test_what_is_kept_here_leaves_with_it(emailsec: Simulator, analyst: Client, pia: Member) -> None:
    entry = get_client().entries("block_senders").items[0]
    set_life(
        actor=pia,
        resource=BY_NAME["block_senders"],
        entry=entry,
        life=Life(pia.pk, "SOC-7", "=why", None),
        request=None,
    )

    found = {row["id"]: row for row in rows_of(export(analyst))}

    assert [found[entry.id][name] for name in columns.LIFE] == ["Pia", "SOC-7", "'=why", ""]


def test_exports_are_written_down_and_counted_with_the_others(
    emailsec: Simulator, analyst: Client, settings: Any
) -> None:
    settings.EXPORTS_PER_HOUR = 2
    export(analyst)
    assert analyst.get("/settings/backup/file").status_code == 200

    refused = analyst.get("/settings/trusted-domains/export")

    assert refused.status_code == 429
    assert "Retry-After" in refused
    phases = AuditEvent.objects.filter(action="policy:export").order_by("sequence").values_list("phase", flat=True)
    assert list(phases) == ["attempt", "done"]


def test_a_list_that_cannot_be_read_to_its_end_does_not_leave(emailsec: Simulator, analyst: Client) -> None:
    emailsec.faults.next("block_senders.list", times=None, status=403)

    answer = analyst.get("/settings/block-senders/export")

    assert answer.status_code == 502
    assert AuditEvent.objects.filter(action="policy:export", phase="failed").count() == 1


@pytest.mark.parametrize("query", ["", "?pattern_type=DOMAIN", "?order=pattern"])
def test_a_list_that_takes_too_long_does_not_leave(
    query: str, emailsec: Simulator, analyst: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "SECONDS", 0.0)

    answer = analyst.get(f"/settings/block-senders/export{query}")

    assert answer.status_code == 503
    assert AuditEvent.objects.filter(action="policy:export", phase="failed").count() == 1
    assert not any(call.operation == "block_senders.list" for call in emailsec.calls)


# --- in ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda one: one.slug)
def test_a_list_that_comes_back_unchanged_changes_nothing(
    resource: Any, emailsec: Simulator, policy_manager: Client
) -> None:
    mode = "change" if resource.takes_typing else "whole"

    change = change_of(upload(policy_manager, export(policy_manager, resource.slug), resource.slug, mode=mode))

    assert set(change.lines.values_list("verb", flat=True)) == {Verb.SAME}
    assert "Nothing of it changes the list." in policy_manager.get(f"/settings/changes/{change.pk}/").content.decode()


def test_a_dry_run_shows_each_line_and_repeats_the_numbers_on_its_button(
    emailsec: Simulator, policy_manager: Client, soup: Soup
) -> None:
    first, second = rows_of(export(policy_manager))[:2]
    text = (
        "id,pattern,pattern_type,comments,colour\n"
        ",new@evil.example,EMAIL,,red\n"
        f"{first['id']},{first['pattern']},{first['pattern_type']},changed by a file,red\n"
        f"{second['id']},,,,red\n"
    )

    change = change_of(upload(policy_manager, text))
    page = soup(policy_manager.get(f"/settings/changes/{change.pk}/"))

    assert page.select_one(".sofar").text == "Adds 1, changes 1, removes 0; 1 line cannot be used."
    assert page.select_one(".decide button").text == "Add 1 and change 1 in blocked senders"
    assert "ignored: colour" in page.select_one(".remarks").text
    blocks = {block["data-verb"]: block for block in page.select(".block")}
    assert list(blocks) == ["bad", "change", "add"]
    assert blocks["change"].select_one(".was").text == (first["comments"] or "nothing")
    assert blocks["change"].select_one("dd").text.endswith("changed by a file")
    assert [cell.text for cell in blocks["bad"].select("tbody td.num")] == ["4"]
    assert "pattern: Write pattern." in blocks["bad"].text


def test_confirming_sends_exactly_what_was_shown(emailsec: Simulator, policy_manager: Client, soup: Soup) -> None:
    change = change_of(upload(policy_manager, "pattern\nnew@evil.example\n"))
    form = soup(policy_manager.get(f"/settings/changes/{change.pk}/")).select_one(".decide")
    fields = {field["name"]: field.get("value", "") for field in form.select("input")}

    stale = policy_manager.post(form["action"], fields | {"fingerprint": "0" * 64})
    done = policy_manager.post(form["action"], fields | {"reason": "campaign", "ticket": "SOC-9"})

    assert stale.status_code == 409
    assert "It is not what you were shown." in stale.content.decode()
    assert done.status_code == 303
    change.refresh_from_db()
    assert (change.state, change.reason, change.ticket) == (ChangeState.WAITING, "campaign", "SOC-9")


def test_the_same_form_sent_twice_makes_one_dry_run(emailsec: Simulator, policy_manager: Client) -> None:
    key = uuid.uuid4().hex

    first = change_of(upload(policy_manager, "pattern\nnew@evil.example\n", operation_key=key))
    second = change_of(upload(policy_manager, "pattern\nnew@evil.example\n", operation_key=key))
    other = upload(policy_manager, "pattern\nother@evil.example\n", operation_key=key)

    assert first == second
    assert other.status_code == 422
    assert Change.objects.count() == 1


def test_dangerous_lines_say_why_and_the_button_counts_them(
    emailsec: Simulator, policy_manager: Client, soup: Soup
) -> None:
    change = change_of(upload(policy_manager, "pattern,pattern_type\ngmail.com,DOMAIN\nnew@evil.example,EMAIL\n"))

    page = soup(policy_manager.get(f"/settings/changes/{change.pk}/"))

    assert page.select_one(".decide button").text == "Add 2 in blocked senders, one of them dangerous"
    assert "danger" in page.select_one(".decide button")["class"]
    [danger] = page.select(".mark-danger")
    assert "Anybody gets an address at gmail.com" in danger.text


def test_dangerous_lines_take_a_tick_of_their_own(emailsec: Simulator, policy_manager: Client, soup: Soup) -> None:
    change = change_of(upload(policy_manager, "pattern,pattern_type\ngmail.com,DOMAIN\nyahoo.com,DOMAIN\n"))
    tick = soup(policy_manager.get(f"/settings/changes/{change.pk}/")).select_one(".decide [name=dangers]")
    assert tick.has_attr("required")
    assert not tick.has_attr("checked")
    assert tick.parent.text.strip() == "Yes, 2 dangerous lines too"
    sent = {"fingerprint": change.fingerprint, "reason": "as agreed"}

    refused = policy_manager.post(f"/settings/changes/{change.pk}/confirm", sent)

    change.refresh_from_db()
    assert (refused.status_code, change.state) == (422, ChangeState.DRAFT)
    form = soup(refused).select_one("form.decide")
    assert "2 dangerous lines would be sent: read why, then tick that it is meant." in form.text
    assert form.select_one("[name=reason]")["value"] == "as agreed", "what was typed stays"
    policy_manager.post(f"/settings/changes/{change.pk}/confirm", {**sent, "dangers": "on"})
    change.refresh_from_db()
    assert change.state == ChangeState.WAITING


def test_what_is_not_dangerous_takes_no_tick(emailsec: Simulator, policy_manager: Client, soup: Soup) -> None:
    change = change_of(upload(policy_manager, "pattern\nnew@evil.example\n"))

    assert soup(policy_manager.get(f"/settings/changes/{change.pk}/")).select_one("[name=dangers]") is None


def test_bad_lines_come_back_with_what_is_wrong_and_can_be_mended(emailsec: Simulator, policy_manager: Client) -> None:
    text = "pattern;comments;colour\nno address;=1+1;red\nfine@evil.example;;green\nlost@evil.example\n"
    change = change_of(upload(policy_manager, text.encode("utf-16")))

    answer = policy_manager.get(reverse("settings:bad_lines", args=[change.pk]))
    file = b"".join(answer.streaming_content).decode()
    found = rows_of(file)

    assert list(found[0]) == ["pattern", "comments", "colour", "problem"]
    assert [row["pattern"] for row in found] == ["no address", "lost@evil.example"]
    assert found[0]["comments"] == "'=1+1"
    assert found[0]["problem"].startswith("pattern: This is no address.")
    mended = change_of(upload(policy_manager, file.replace("no address", "one@evil.example")))
    assert list(mended.lines.values_list("verb", "label")) == [
        ("add", "one@evil.example"),
        ("add", "lost@evil.example"),
    ]
    assert mended.lines.first().values["comments"] == "=1+1"


def test_the_name_of_a_column_is_no_formula_either(emailsec: Simulator, policy_manager: Client) -> None:
    change = change_of(upload(policy_manager, "pattern,=cmd|calc\nno address,x\n"))

    answer = policy_manager.get(reverse("settings:bad_lines", args=[change.pk]))
    file = b"".join(answer.streaming_content).decode()

    assert list(rows_of(file)[0]) == ["pattern", "'=cmd|calc", "problem"]
    mended = change_of(upload(policy_manager, file))
    assert mended.lines.get().values["columns"] == ["pattern", "=cmd|calc", "problem"], "it is read as it was meant"


def test_a_change_without_bad_lines_has_no_file_of_them(emailsec: Simulator, policy_manager: Client) -> None:
    change = change_of(upload(policy_manager, "pattern\nnew@evil.example\n"))

    assert policy_manager.get(reverse("settings:bad_lines", args=[change.pk])).status_code == 404


def test_all_lines_of_one_kind_are_shown_by_the_page(emailsec: Simulator, policy_manager: Client, soup: Soup) -> None:
    text = "pattern\n" + "".join(f"no address {place}\n" for place in range(450))
    change = change_of(upload(policy_manager, text))

    page = soup(policy_manager.get(f"/settings/changes/{change.pk}/"))
    link = page.find("a", string="Show all")
    assert len(page.select(".block[data-verb=bad] tbody tr")) == 50
    assert link["href"].endswith("?verb=bad")
    shown = soup(policy_manager.get(link["href"]))
    assert shown.select_one("h2").text == "450 lines cannot be used"
    assert shown.find("a", string="Show all") is None


def test_dry_runs_that_nobody_decides_are_forgotten(emailsec: Simulator, policy_manager: Client) -> None:
    old, new, decided = (change_of(upload(policy_manager, f"pattern\nnew{n}@evil.example\n")) for n in range(3))
    policy_manager.post(f"/settings/changes/{decided.pk}/confirm", {"fingerprint": decided.fingerprint})
    Change.objects.exclude(pk=new.pk).update(created_at=timezone.now() - dt.timedelta(days=8))

    forget_files()

    assert set(Change.objects.all()) == {new, decided}
    assert not Line.objects.filter(change=old.pk).exists()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "The file is empty."),
        (b"PK\x03\x04", "This is a spreadsheet or an archive."),
        (b"hello\nworld\n", "The first line names no column of this list."),
        (b"pattern\n" + b"x\n" * 10_001, "more than 10,000 lines"),
        (b"x" * 10_000_001, "The file is larger than 10 MB. Split it."),
    ],
    ids=["empty", "archive", "no header", "long", "large"],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_refused_at_its_field(
    data: bytes, told: str, emailsec: Simulator, policy_manager: Client, soup: Soup
) -> None:
    answer = upload(policy_manager, data, mode="whole")

    assert answer.status_code == 422
    page = soup(answer)
    assert told in page.select_one("#id_file_error").text
    assert page.select_one("input[name=mode][value=whole]").has_attr("checked"), "what was chosen stays"
    assert not Change.objects.exists()


def test_hostile_cells_are_text(emailsec: Simulator, policy_manager: Client) -> None:
    text = f'pattern,comments,{HOSTILE.replace(chr(34), "")}\n"{HOSTILE.replace(chr(34), chr(34) * 2)}",x,y\n'

    change = change_of(upload(policy_manager, text))
    page = policy_manager.get(f"/settings/changes/{change.pk}/").content.decode()

    assert "<script>alert" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_whoever_may_only_read_takes_files_and_brings_none(
    emailsec: Simulator, analyst: Client, viewer: Client, soup: Soup
) -> None:
    page = soup(analyst.get("/settings/block-senders/import"))

    assert "Your role may not change it" in page.text
    assert page.select_one("input[type=file]") is None
    assert upload(analyst, "pattern\nnew@evil.example\n").status_code == 403
    assert viewer.get("/settings/block-senders/export").status_code == 403
    assert not Change.objects.exists()


def test_a_colleague_sees_the_dry_run_and_cannot_decide_it(
    emailsec: Simulator, policy_manager: Client, analyst: Client, soup: Soup
) -> None:
    change = change_of(upload(policy_manager, "pattern\nnew@evil.example\n"))

    page = soup(analyst.get(f"/settings/changes/{change.pk}/"))

    assert page.select_one(".decide") is None
    assert "Only Pia, who uploaded the file, can let it happen." in page.text


def test_a_file_never_removes_a_domain_and_the_form_does_not_offer_it(
    emailsec: Simulator, policy_manager: Client, soup: Soup
) -> None:
    page = soup(policy_manager.get("/settings/domains/import"))

    assert page.select_one("input[type=radio]") is None
    assert upload(policy_manager, "domain\nnew.example\n", "domains", mode="whole").status_code == 422


def test_an_account_that_cannot_be_read_says_so_and_keeps_nothing(emailsec: Simulator, policy_manager: Client) -> None:
    emailsec.faults.next("block_senders.list", times=None, status=403)

    answer = upload(policy_manager, "pattern\nnew@evil.example\n")

    assert answer.status_code == 502
    assert not Change.objects.exists()


def test_the_form_is_a_plain_page_for_everybody(emailsec: Simulator, policy_manager: Client) -> None:
    assert policy_manager.get("/settings/no-such-list/import").status_code == 404
    assert policy_manager.get("/settings/allow-policies/import", headers=HTMX).status_code == 200
