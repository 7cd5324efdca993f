"""The chain is looked at all the time: what is new each minute, every row once a day, and any file on its own."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError
from django.db import connection

from dashboard.access.models import Member
from dashboard.audit import guards, verifying
from dashboard.audit.chain import line
from dashboard.audit.models import AuditEvent, ChainCheck, ChainHead
from dashboard.audit.recorder import record
from tests.dashboard.audit.test_trail import (
    cut,
    delete,
    edit,
    edit_detail,
    insert,
    insert_further_on,
    reorder,
    replace_and_reseal,
    sql,
    trail,
    unguarded,
    verify,
)

pytestmark = pytest.mark.django_db
__all__ = ["trail", "unguarded"]


def check() -> ChainCheck:
    return ChainCheck.objects.get()


def test_each_look_goes_on_where_the_last_one_ended(
    ana: Member, trail: list[AuditEvent], django_assert_max_num_queries: Callable
) -> None:
    verifying.verify_new()
    assert (check().sequence, check().hash, check().problem) == (5, trail[4].hash, "")
    assert check().walk_ended_at is not None

    newest = record(actor=ana, action="message:read")
    with django_assert_max_num_queries(8):
        verifying.verify_new()
    assert (check().sequence, check().hash) == (6, newest.hash)


@pytest.mark.parametrize(
    ("tamper", "names"),
    [
        (edit, "Row 3 was changed"),
        (edit_detail, "Row 3 was changed"),
        (delete, "Row 3 is missing"),
        (reorder, "Row 2 does not continue row 1"),
        (replace_and_reseal, "Row 4 does not continue row 3"),
        (insert, "Row 6 was added past the recorded end"),
        (insert_further_on, "Row 6 is missing"),
        (cut, "Rows 4 to 5 are missing"),
    ],
)
@pytest.mark.matrix(73)
def test_tampering_is_found_within_a_day_whatever_was_found_good_before(
    trail: list[AuditEvent], unguarded: None, tamper: Callable[[], None], names: str
) -> None:
    with time_machine.travel(dt.datetime.now(dt.UTC), tick=False) as clock:
        verifying.verify_new()
        tamper()
        clock.shift(dt.timedelta(hours=25))
        verifying.verify_new()

    assert check().problem.startswith(names)
    assert check().broken_at is not None
    with pytest.raises(CommandError, match=names):
        verify()


@pytest.mark.matrix(73)
def test_a_tail_cut_off_and_sealed_anew_is_found_at_once(trail: list[AuditEvent], unguarded: None) -> None:
    verifying.verify_new()
    sql("DELETE FROM audit_auditevent WHERE sequence > 3")
    ChainHead.objects.update(sequence=3, hash=trail[2].hash)

    verifying.verify_new()

    assert check().problem.startswith("Rows 4 to 5 are missing: they were there")


def test_a_tail_that_was_replaced_is_found_at_once(ana: Member, trail: list[AuditEvent], unguarded: None) -> None:
    verifying.verify_new()
    sql("DELETE FROM audit_auditevent WHERE sequence > 3")
    ChainHead.objects.update(sequence=3, hash=trail[2].hash)
    for _ in range(4):
        record(actor=ana, action="message:read", reason="invented")

    verifying.verify_new()

    assert check().problem.startswith("Row 5 was replaced since")


def test_a_broken_chain_stays_broken_until_every_row_is_whole_again(trail: list[AuditEvent], unguarded: None) -> None:
    with time_machine.travel(dt.datetime.now(dt.UTC), tick=False) as clock:
        edit()
        verifying.verify_new()
        found_at = check().broken_at
        verifying.verify_new()
        assert check().problem == "Row 3 was changed after it was written."

        sql("UPDATE audit_auditevent SET actor_name = 'Ana' WHERE sequence = 3")
        clock.shift(dt.timedelta(hours=2))
        verifying.verify_new()
        assert (check().problem, check().broken_at) == ("Row 3 was changed after it was written.", found_at)

        clock.shift(dt.timedelta(hours=23))
        verifying.verify_new()
        assert (check().problem, check().sequence) == ("", 5)


@contextmanager
def once_at_the_end_of_a_look(happens: Callable[[], None]) -> Iterator[None]:
    """While one looks, after the last row and before it keeps what it found, something else happens."""
    waiting = [happens]

    def ask(execute: Callable, statement: str, *rest: Any) -> Any:
        if waiting and "MAX(" in statement and "audit_auditevent" in statement:
            waiting.pop()()
        return execute(statement, *rest)

    with connection.execute_wrapper(ask):
        yield
    assert not waiting


@pytest.mark.parametrize("is_known", [False, True], ids=["whole before", "broken before"])
@pytest.mark.parametrize("look", [verifying.verify_all, verifying.verify_new], ids=["command", "worker"])
@pytest.mark.matrix(73)
def test_who_began_to_look_earlier_does_not_wipe_what_another_found(
    trail: list[AuditEvent], unguarded: None, look: Callable[[], object], is_known: bool
) -> None:
    with time_machine.travel(dt.datetime.now(dt.UTC), tick=False) as clock:
        if is_known:
            edit()
        verifying.verify_new()
        sql("UPDATE audit_auditevent SET actor_name = 'Ana' WHERE sequence = 3")
        clock.shift(dt.timedelta(hours=25))

        def found_by_another() -> None:
            clock.shift(1)
            edit()
            verifying.verify_all()

        with once_at_the_end_of_a_look(found_by_another):
            look()

    assert check().problem == "Row 3 was changed after it was written."
    assert check().broken_at is not None


def test_a_walk_that_passed_the_broken_link_before_begins_anew(
    trail: list[AuditEvent], unguarded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "STEP", 2)
    for _ in range(4):
        verifying.verify_new(seconds=0)
    assert (check().walk_sequence, check().walk_ended_at) == (4, None)

    edit()
    verifying.verify_all()
    verifying.verify_new(seconds=0)

    assert check().problem == "Row 3 was changed after it was written."


def test_a_long_trail_is_walked_in_steps(trail: list[AuditEvent], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifying, "STEP", 2)

    reached = []
    for _ in range(5):
        verifying.verify_new(seconds=0)
        reached.append((check().sequence, check().walk_sequence, check().walk_ended_at is not None))

    assert reached == [(2, 0, False), (4, 0, False), (5, 2, False), (5, 4, False), (5, 0, True)]
    assert check().problem == ""


def test_a_block_missing_between_two_steps_is_named(
    trail: list[AuditEvent], unguarded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "STEP", 2)
    sql("DELETE FROM audit_auditevent WHERE sequence IN (3, 4)")

    verifying.verify_new()

    assert check().problem == "Row 3 is missing: row 2 is followed by row 5."


@pytest.fixture
def export(tmp_path: Path, trail: list[AuditEvent]) -> Path:
    file = tmp_path / "export.jsonl"
    file.write_text("".join(line(event) + "\n" for event in AuditEvent.objects.all()))
    return file


def lines_of(file: Path) -> list[str]:
    return file.read_text().splitlines(keepends=True)


def test_an_export_is_verified_without_the_database(export: Path) -> None:
    guards.remove(connection)
    sql("DELETE FROM audit_auditevent")

    assert "whole up to row 5" in verify(file=str(export))


def test_a_part_of_the_trail_is_verified_too(export: Path) -> None:
    export.write_text("".join(lines_of(export)[2:4]))

    assert "whole up to row 4" in verify(file=str(export))


def test_the_recipe_in_the_documentation_finds_the_same_hash(export: Path) -> None:
    for text in lines_of(export):
        row = json.loads(text)
        found, before = row.pop("hash"), row.pop("previous_hash")
        text = json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        assert found == hashlib.sha256((before + text).encode()).hexdigest()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda rows: [*rows[:2], rows[2].replace('"Ana"', '"Ben"'), *rows[3:]], "Row 3 was changed"),
        (lambda rows: [*rows[:2], *rows[3:]], "Row 3 is missing: row 2 is followed by row 4"),
        (lambda rows: [rows[0], rows[2], rows[1], *rows[3:]], "Row 2 is missing"),
        (lambda rows: [*rows[:3], rows[2], *rows[3:]], "Row 4 is missing: row 3 is followed by row 3"),
        (lambda rows: [*rows[:3], "{}\n"], "Line 4 is not a row"),
        (lambda rows: [*rows[:3], "nonsense\n"], "Line 4 is not a row"),
        (lambda rows: [*rows[:3], "[" * 100_000 + "\n"], "Line 4 is not a row"),
        (lambda rows: [rows[0].replace('"previous_hash":"0', '"previous_hash":"1')], "Row 1 does not continue row 0"),
        (lambda _: [], "holds no row"),
    ],
)
def test_a_file_that_was_changed_is_found_out(
    export: Path, change: Callable[[list[str]], list[str]], told: str
) -> None:
    export.write_text("".join(change(lines_of(export))))

    with pytest.raises(CommandError, match=told):
        verify(file=str(export))


def test_a_file_cut_short_is_found_by_a_hash_kept_elsewhere(export: Path) -> None:
    kept = verify(file=str(export)).split()[-1]
    export.write_text("".join(lines_of(export)[:3]))

    assert "whole up to row 3" in verify(file=str(export))
    with pytest.raises(CommandError, match="Row 5 is missing: the trail was cut short"):
        verify(file=str(export), expect=kept)


def test_a_file_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        verify(file=str(tmp_path / "none.jsonl"))
