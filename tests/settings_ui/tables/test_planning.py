"""What a file would do, line by line; and that a file of ours changes nothing when it comes back."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.access.models import Member
from dashboard.emailsec.types import SettingsEntry
from dashboard.web import csv_cells
from settings_ui.changes.planning import Draft
from settings_ui.entries.life import Life
from settings_ui.models import Origin, Verb
from settings_ui.resources import BY_SLUG, RESOURCES, Resource
from settings_ui.resources.description import Field, Shape
from settings_ui.tables import columns, writing
from settings_ui.tables.lives import NOTHING, Kept
from settings_ui.tables.planning import Mode, Plan, plan
from settings_ui.tables.reading import read_table

BLOCKED, ALLOWED, DOMAINS, REGISTRY = map(
    BY_SLUG.get, ("block-senders", "allow-policies", "domains", "impersonation-registry")
)
END = dt.datetime(2099, 12, 31, 23, 59, 59, tzinfo=dt.UTC)


def entry(resource: Resource, entry_id: str, **values: Any) -> SettingsEntry:
    """An entry as it comes from the API."""
    usual = {field.name: field.default for field in resource.fields}
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in (usual | values).items()}
    return resource.kind.entry(id=entry_id, **given)


def planned(
    text: str, resource: Resource, *entries: SettingsEntry, kept: dict[str, Kept] | None = None, **options: Any
) -> Plan:
    return plan(read_table(text.encode(), resource), resource, list(entries), kept=kept or {}, **options)


def said(found: Plan) -> list[tuple[int, Verb, str]]:
    return [(line.number, line.verb, line.explanation) for line in found.lines]


def only(found: Plan) -> Draft:
    assert len(found.lines) == 1, said(found)
    return found.lines[0]


EVIL = entry(BLOCKED, "e1", pattern="evil.example", pattern_type="DOMAIN", is_regex=False, comments="old remark")
BAD = entry(BLOCKED, "e2", pattern="bad@spam.example", pattern_type="EMAIL", is_regex=False)


# --- adding and changing ----------------------------------------------------------------------------------------------


def test_a_new_line_is_added_with_what_is_usual_where_the_file_says_nothing() -> None:
    added = only(planned("pattern,comments\nnew@evil.example,\n", BLOCKED, EVIL))

    assert added.verb is Verb.ADD
    assert added.values == {
        "pattern": "new@evil.example", "pattern_type": "EMAIL", "is_regex": False, "comments": None,
    }  # fmt: skip


def test_columns_the_file_has_not_got_get_the_default_and_it_says_so() -> None:
    found = planned("pattern,is_trusted_sender\nnew@evil.example,yes\n", ALLOWED)

    assert only(found).values["verify_sender"] is True
    assert "verify_sender (yes)" in found.remarks[0]
    assert "Changes leave that as it is; additions get what stands in brackets." in found.remarks[0]


def test_an_empty_cell_is_the_default_or_nothing() -> None:
    added = only(planned("pattern,verify_sender,is_trusted_sender,comments\na@b.example,,yes,\n", ALLOWED))

    assert added.values["verify_sender"] is True
    assert added.values["comments"] is None


def test_a_line_is_matched_by_what_makes_the_entry_and_sends_only_what_changed() -> None:
    changed = only(planned("pattern,pattern_type,comments\nEVIL.example,domain,new remark\n", BLOCKED, EVIL))

    assert (changed.verb, changed.upstream_id) == (Verb.CHANGE, "e1")
    assert changed.values == {"pattern": "EVIL.example", "comments": "new remark"}
    assert changed.before == EVIL.values()


def test_a_line_with_an_id_may_change_what_makes_the_entry() -> None:
    changed = only(planned("id,pattern\ne1,worse.example\n", BLOCKED, EVIL, BAD))

    assert (changed.verb, changed.upstream_id, changed.values) == (Verb.CHANGE, "e1", {"pattern": "worse.example"})


def test_an_empty_cell_clears_what_may_be_empty() -> None:
    assert only(planned("id,comments\ne1,\n", BLOCKED, EVIL)).values == {"comments": None}


def test_a_line_that_says_what_the_account_says_is_the_same() -> None:
    found = planned("id,pattern,pattern_type,comments\ne1,evil.example,DOMAIN,old remark\n", BLOCKED, EVIL)

    assert said(found) == [(2, Verb.SAME, "")]


def test_an_old_entry_that_could_not_be_sent_may_have_its_remark_changed() -> None:
    old = entry(BLOCKED, "e9", pattern="strange", pattern_type="UNKNOWN", is_regex=False, comments=None)

    changed = only(planned("id,pattern,pattern_type,comments\ne9,strange,UNKNOWN,why is this here\n", BLOCKED, old))

    assert (changed.verb, changed.values) == (Verb.CHANGE, {"comments": "why is this here"})


# --- lines that cannot be used ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("pattern\nno address\n", "This is no address"),
        ("pattern,is_regex\n(unclosed,yes\n", "pattern: "),
        ("pattern,comments\n,x\n", "pattern: Write pattern."),
        ("pattern,comments\na@b.example," + "x" * 1025 + "\n", "comments: Shorten it: 1,025 characters"),
        ("pattern,pattern_type\na@b.example,PHONE\n", "pattern_type: Choose one of: address, domain, IP."),
        ("pattern,is_regex\na@b.example,perhaps\n", "is_regex: Write yes or no."),
        ("pattern,comments\na@b.example,a\x00b\n", "comments: Take out the control characters"),
        ("id,pattern\ngone,a@b.example\n", "This entry is not in the account any more."),
        ("pattern\na@b.example\nA@B.example\n", "Line 2 makes the same entry. Keep one of the two."),
        ("pattern\nbad@spam.example\nbad@spam.example\n", "Line 2 is about the same entry. Keep one of the two."),
        ("id,pattern,pattern_type\ne1,bad@spam.example,EMAIL\n", "bad@spam.example is another entry of the list"),
        ("id,comments\n,x\n", "The file has no column pattern, and the line names no entry by its id."),
        ("pattern,ends\na@b.example,tomorrow\n", "ends: tomorrow is no day. Write it like 20"),
        ("pattern,ends\na@b.example,2020-01-31\n", "ends: This end is over already."),
        ("pattern,ticket\na@b.example," + "9" * 101 + "\n", "ticket: Shorten it"),
        ("pattern,owner\na@b.example,nobody at all\n", "owner: There is no member nobody at all."),
    ],
)  # fmt: skip
def test_every_kind_of_bad_line_says_what_to_do(db: None, text: str, told: str) -> None:
    bad = planned(text, BLOCKED, EVIL, BAD).lines[-1]

    assert bad.verb is Verb.BAD
    assert told in bad.explanation
    assert bad.values["columns"] == text.split("\n")[0].split(",")


def test_a_bad_line_is_kept_as_it_was_written() -> None:
    bad = only(planned('pattern,comments,colour\n"no address","=1+1",red\n', BLOCKED))

    assert bad.values == {"columns": ["pattern", "comments", "colour"], "cells": ["no address", "=1+1", "red"]}
    assert bad.label == "no address"
    assert bad.problems.keys() == {"pattern"}


def test_only_the_first_bad_line_keeps_the_names_of_the_columns() -> None:
    found = planned("pattern,colour\nno address,red\nfine@b.example,red\nnone either,blue\n", BLOCKED)

    assert [line.values.get("columns") for line in found.lines if line.verb == Verb.BAD] == [
        ["pattern", "colour"],
        None,
    ]


def test_a_directory_keeps_its_entries_to_itself() -> None:
    synced = entry(REGISTRY, "r1", name="Ada", email="ada@corp.example", provenance="SNOOPY-OFFICE_365")

    unchanged = planned("name,email\nAda,ada@corp.example\n", REGISTRY, synced)
    changed = planned("name,email,comments\nAda,ada@corp.example,x\n", REGISTRY, synced)

    assert said(unchanged) == [(2, Verb.SAME, "")]
    assert only(changed).verb is Verb.BAD
    assert only(changed).explanation == "It comes from your directory, and Cloudflare takes changes only from there."


def test_what_never_changes_is_not_dropped_in_silence() -> None:
    mine = entry(DOMAINS, "d1", domain="corp.example")

    bad = only(planned("id,domain\nd1,other.example\n", DOMAINS, mine))

    assert (bad.verb, bad.explanation) == (Verb.BAD, "domain: This never changes. Add an entry of its own for it.")


def test_a_server_that_takes_no_new_entries_makes_additions_bad_lines() -> None:
    bad = only(planned("domain\nnew.example\n", DOMAINS, may_add=False))

    assert "takes no new protected domain" in bad.explanation


# --- the whole list ---------------------------------------------------------------------------------------------------


def test_the_whole_list_removes_what_the_file_does_not_name() -> None:
    found = planned("id,pattern\ne1,evil.example\n", BLOCKED, EVIL, BAD, mode=Mode.WHOLE)

    assert [(line.verb, line.upstream_id) for line in found.lines] == [(Verb.SAME, "e1"), (Verb.REMOVE, "e2")]
    assert found.lines[1].before == BAD.values()


def test_a_bad_line_keeps_the_entry_it_is_about() -> None:
    text = "pattern,pattern_type,is_regex\nevil.example,DOMAIN,perhaps\n"

    found = planned(text, BLOCKED, EVIL, BAD, mode=Mode.WHOLE)

    assert [(line.verb, line.upstream_id) for line in found.lines] == [(Verb.BAD, ""), (Verb.REMOVE, "e2")]


def test_a_file_with_a_line_that_cannot_be_taken_apart_removes_nothing() -> None:
    found = planned('id,pattern\ne1,"evil.example\n', BLOCKED, EVIL, BAD, mode=Mode.WHOLE)

    assert [line.verb for line in found.lines] == [Verb.BAD]
    assert "Nothing is removed: line 2 cannot be taken apart, and may name entries of the list." in found.remarks


def test_the_protection_of_a_domain_never_ends_by_a_file() -> None:
    mine, other = entry(DOMAINS, "d1", domain="corp.example"), entry(DOMAINS, "d2", domain="other.example")

    found = planned("domain\ncorp.example\n", DOMAINS, mine, other, mode=Mode.WHOLE)

    assert [line.verb for line in found.lines] == [Verb.SAME]
    assert "A file never removes a protected domain: the ones it does not name stay." in found.remarks


def test_entries_of_a_directory_stay() -> None:
    synced = entry(REGISTRY, "r1", name="Ada", email="ada@corp.example", provenance="SNOOPY-OFFICE_365")
    own = entry(REGISTRY, "r2", name="Ben", email="ben@corp.example", provenance="A1S_INTERNAL")

    found = planned("name,email\nCyd,cyd@corp.example\n", REGISTRY, synced, own, mode=Mode.WHOLE)

    assert [(line.verb, line.upstream_id) for line in found.lines] == [(Verb.ADD, ""), (Verb.REMOVE, "r2")]
    assert "1 that are not in the file stay" in found.remarks[-1]


# --- the columns we keep ourselves ------------------------------------------------------------------------------------


def test_owner_ticket_reason_and_end_become_the_life_of_an_addition(ana: Member) -> None:
    text = "pattern,owner,ticket,reason,ends\na@b.example,ANA,SOC-1,seen twice,2099-12-31\n"

    assert only(planned(text, BLOCKED)).life == Life(ana.pk, "SOC-1", "seen twice", END)


def test_a_change_keeps_what_the_file_does_not_say_about_its_life(ana: Member) -> None:
    kept = {"e1": _kept(Life(ana.pk, "SOC-1", "seen twice", END), owner="Ana")}

    changed = only(planned("id,comments,ticket\ne1,new,SOC-2\n", BLOCKED, EVIL, kept=kept))

    assert changed.life == Life(ana.pk, "SOC-2", "seen twice", END)


def test_a_life_that_is_as_it_was_is_not_touched(ana: Member) -> None:
    kept = {"e1": _kept(Life(ana.pk, "SOC-1", "", END), owner="Ana")}
    text = f"id,comments,owner,ticket,reason,ends\ne1,new,ana,SOC-1,,{columns.moment(END)}\n"

    changed = only(planned(text, BLOCKED, EVIL, kept=kept))

    assert changed.verb is Verb.CHANGE
    assert changed.life is None


def test_an_owner_who_has_left_is_no_problem_where_nothing_changes_it(db: None) -> None:
    kept = {"e1": _kept(Life(None, "", "", None), owner="Zoe Who Left")}

    assert said(planned("id,owner\ne1,Zoe Who Left\n", BLOCKED, EVIL, kept=kept)) == [(2, Verb.SAME, "")]


def test_where_only_the_life_differs_the_line_says_where_to_change_it() -> None:
    [(_, verb, told)] = said(planned("id,ticket\ne1,SOC-9\n", BLOCKED, EVIL))

    assert verb is Verb.SAME
    assert "change them on the entry's page" in told


def _kept(life: Life, owner: str) -> Kept:
    cells = (owner, life.ticket, life.reason, columns.moment(life.expires_at))
    return Kept(life, dict(zip(columns.LIFE, cells, strict=True)), Origin.NOTED)


# --- there and back ---------------------------------------------------------------------------------------------------

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    [
        "=1+1",
        "'=1+1",
        "''",
        "@x",
        "+1",
        "-1",
        "\tx",
        "\r\n",
        "\n=x",
        "' \"=x",
        "a;b,c\td",
        '"',
        "\uff1dx",
        " x ",
        "\x00",
    ]
)


def values_of(field: Field) -> st.SearchStrategy[Any]:
    """What an account may hold, whether or not we would take it today."""
    match field.shape:
        case Shape.FLAG | Shape.MAYBE:
            return st.none() | st.booleans()
        case Shape.NUMBER:
            return st.none() | st.integers(0, 10**9)
        case Shape.LIST | Shape.CHOICES:
            return st.none() | st.lists(_TEXT, max_size=3)
        case Shape.CHOICE:
            return st.none() | st.sampled_from([option.value for option in field.options]) | _TEXT
    return st.none() | _TEXT


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda one: one.slug)
@given(data=st.data(), with_mark=st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_file_of_ours_changes_nothing_when_it_comes_back(
    resource: Resource, data: st.DataObject, with_mark: bool
) -> None:
    drawn = st.fixed_dictionaries({field.name: values_of(field) for field in resource.fields})
    entries = [entry(resource, f"id-{number}", **values) for number, values in enumerate(data.draw(_some(drawn)))]
    rows = [[writing.row(resource, one, NOTHING) for one in entries]]
    file = b"".join(csv_cells.pieces(columns.of_export(resource), rows, with_mark=with_mark))

    found = plan(read_table(file, resource), resource, entries, kept={}, mode=Mode.WHOLE)

    assert [(line.verb, line.upstream_id, line.explanation) for line in found.lines] == [
        (Verb.SAME, one.id, "") for one in entries
    ]


def _some(drawn: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(drawn, min_size=1, max_size=4)


@given(text=_TEXT)
def test_a_cell_means_what_it_meant_however_it_was_made_inert(text: str) -> None:
    assert csv_cells.as_meant(csv_cells.inert(text)) == text
