"""The audit trail: written before and after, refused when it cannot be written, and every tampering found."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.test import RequestFactory
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.audit import guards
from dashboard.audit.models import AuditEvent, ChainCheck, ChainHead
from dashboard.audit.recorder import AuditNotWritten, record, recording
from dashboard.emailsec import errors

pytestmark = pytest.mark.django_db


def verify(**options: str) -> str:
    out = io.StringIO()
    call_command("verify_audit", stdout=out, **options)
    return out.getvalue()


def sql(statement: str, *values: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def block_trail() -> None:
    """Make the next row impossible to write: its number is taken."""
    head = ChainHead.objects.get_or_create(pk=1)[0]
    AuditEvent.objects.create(
        sequence=head.sequence + 1, at=timezone.now(), action="in the way", previous_hash=head.hash
    )


@pytest.fixture
def trail(ana: Member) -> list[AuditEvent]:
    return [record(actor=ana, action="message:read", targets=[f"id:{n}"], detail={"n": n}) for n in range(1, 6)]


@pytest.fixture
def unguarded() -> None:
    """An intruder who owns the database: the triggers are gone."""
    guards.remove(connection)
    # SQLite takes back the DDL with the rest of the test's transaction.


def test_a_row_holds_who_what_why_and_from_where(ana: Member, rf: RequestFactory) -> None:
    event = record(
        actor=ana,
        action="message:move",
        targets=["a:1"],
        reason="ticket 4711",
        request=rf.get("/", REMOTE_ADDR="192.0.2.7"),
    )

    event.refresh_from_db()
    assert (event.actor_id, event.actor_name, event.address) == (ana.pk, "Ana", "192.0.2.7")
    assert (event.action, event.phase, event.targets, event.reason) == ("message:move", "done", ["a:1"], "ticket 4711")


def test_people_without_an_account_and_mailwarden_itself_have_names() -> None:
    assert record(actor=AnonymousUser(), action="sign_in").actor_name == "not signed in"
    assert record(actor=None, action="sweep").actor_name == "Mailwarden"


def test_the_name_outlives_the_account(ana: Member) -> None:
    record(actor=ana, action="message:read")
    ana.delete()

    assert AuditEvent.objects.get().actor_name == "Ana"
    assert "whole" in verify()


def test_recording_writes_the_attempt_before_and_the_end_after(ana: Member) -> None:
    with recording(ana, "message:preview", targets=["a:1"]) as event:
        assert [row.phase for row in AuditEvent.objects.all()] == ["attempt"]
        event.detail["bytes"] = 12

    attempt, end = AuditEvent.objects.all()
    assert (end.phase, end.refers_to, end.detail) == ("done", attempt.sequence, {"bytes": 12})


@pytest.mark.parametrize(
    ("problem", "phase"),
    [
        (errors.Rejected(), "refused"),
        (errors.NotFound(), "refused"),
        (errors.CredentialsRefused(), "refused"),
        (errors.NotPermitted(), "refused"),
        (errors.BudgetExhausted(), "refused"),
        (errors.RateLimited(), "refused"),
        (PermissionDenied(), "refused"),
        (errors.Unavailable(), "failed"),
        (errors.UnexpectedReply(), "failed"),
        (errors.OutcomeUnknown(), "unknown"),
        (ValueError(), "unknown"),
        (KeyboardInterrupt(), "unknown"),
    ],
)
def test_an_exception_passes_and_is_recorded_as_what_it_means(ana: Member, problem: BaseException, phase: str) -> None:
    with pytest.raises(type(problem)), recording(ana, "message:release", targets=["a:1"]):
        raise problem

    assert [row.phase for row in AuditEvent.objects.all()] == ["attempt", phase]
    assert AuditEvent.objects.last().detail == {"error": type(problem).__name__}


@pytest.mark.matrix(58)
def test_what_cannot_be_recorded_does_not_happen(ana: Member) -> None:
    block_trail()
    happened = False

    with pytest.raises(AuditNotWritten), recording(ana, "message:release"):
        happened = True

    assert not happened


def test_hostile_text_is_stored_in_a_form_every_database_gives_back(ana: Member) -> None:
    hostile = "a\x00b\ud800\u202e\n\x1b[31m"
    record(actor=ana, action="x", targets=[hostile], reason=hostile, detail={hostile: [hostile, 1e20, {"deep": None}]})

    event = AuditEvent.objects.get()
    assert event.reason == "a\ufffdb\ufffd\u202e\n\x1b[31m"
    assert event.detail[event.reason] == [event.reason, "1e+20", {"deep": None}]
    assert "whole" in verify()


def test_a_row_written_in_a_transaction_that_fails_leaves_no_gap(ana: Member, trail: list[AuditEvent]) -> None:
    with transaction.atomic():
        record(actor=ana, action="message:move")
        transaction.set_rollback(True)

    record(actor=ana, action="message:read")
    assert "whole: 6 rows" in verify()


COPY = (
    "(sequence, at, actor_id, actor_name, address, action, phase, refers_to, targets, reason, detail, previous_hash,"
    " hash) SELECT {sequence}, at, actor_id, 'Ben', address, action, phase, refers_to, targets, reason, detail,"
    " previous_hash, hash FROM audit_auditevent WHERE sequence = 5"
)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_auditevent SET reason = 'x' WHERE sequence = 2",
        "DELETE FROM audit_auditevent WHERE sequence = 5",
        "DELETE FROM audit_auditevent",
        "UPDATE audit_chainhead SET sequence = 3",
        "UPDATE audit_chainhead SET sequence = sequence",
        "DELETE FROM audit_chainhead",
        "UPDATE audit_auditevent SET sequence = 99 WHERE sequence = 2",
        "DELETE FROM audit_auditevent WHERE sequence > 3",
        f"INSERT INTO audit_auditevent {COPY.format(sequence=6)}",
        f"INSERT INTO audit_auditevent {COPY.format(sequence=7)}",
        f"INSERT INTO audit_auditevent {COPY.format(sequence=0)}",
    ],
)
@pytest.mark.matrix(73)
def test_the_database_refuses_to_change_the_trail(trail: list[AuditEvent], statement: str) -> None:
    with pytest.raises(DatabaseError, match="audit trail"), transaction.atomic():
        sql(statement)

    assert "whole: 5 rows" in verify()


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO audit_chainhead (id, sequence, hash) VALUES (2, 0, '')",
        "UPDATE audit_chainhead SET id = 2, sequence = sequence + 1",
        "INSERT INTO audit_chainhead (id, sequence, hash) VALUES (1, 3, '')"
        " ON CONFLICT (id) DO UPDATE SET sequence = 3, hash = excluded.hash",
    ],
)
@pytest.mark.matrix(73)
def test_there_is_one_head_and_nobody_puts_another_in_its_place(trail: list[AuditEvent], statement: str) -> None:
    with pytest.raises(DatabaseError, match="audit trail"), transaction.atomic():
        sql(statement)

    assert "whole: 5 rows" in verify()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="REPLACE is SQLite's own")
@pytest.mark.parametrize(
    "statement",
    [
        "REPLACE INTO audit_chainhead (id, sequence, hash) VALUES (1, 2, '')",
        "REPLACE INTO audit_chainhead (rowid, id, sequence, hash) SELECT rowid, 2, 0, '' FROM audit_chainhead",
        f"REPLACE INTO audit_auditevent {COPY.format(sequence=5)}",
        # The next row, sealed onto the last one, in the place that row 3 has on the disk.
        "REPLACE INTO audit_auditevent (rowid, sequence, at, actor_name, address, action, phase, targets, reason,"
        " detail, previous_hash, hash) SELECT (SELECT rowid FROM audit_auditevent WHERE sequence = 3), 6, at,"
        " actor_name, address, action, phase, targets, reason, detail, hash, hash FROM audit_auditevent"
        " WHERE sequence = 5",
    ],
)
@pytest.mark.matrix(73)
def test_replacing_is_changing(trail: list[AuditEvent], statement: str) -> None:
    with pytest.raises(DatabaseError, match="audit trail"), transaction.atomic():
        sql(statement)

    assert "whole: 5 rows" in verify()


def test_the_orm_is_refused_too(trail: list[AuditEvent]) -> None:
    trail[0].reason = "rewritten"
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        trail[0].save()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        AuditEvent.objects.filter(sequence=1).delete()


def edit() -> None:
    sql("UPDATE audit_auditevent SET actor_name = 'Ben' WHERE sequence = 3")


def edit_detail() -> None:
    sql("""UPDATE audit_auditevent SET detail = '{"n": 4}' WHERE sequence = 3""")


def delete() -> None:
    sql("DELETE FROM audit_auditevent WHERE sequence = 3")


def reorder() -> None:
    sql("UPDATE audit_auditevent SET sequence = 99 WHERE sequence = 2")
    sql("UPDATE audit_auditevent SET sequence = 2 WHERE sequence = 3")
    sql("UPDATE audit_auditevent SET sequence = 3 WHERE sequence = 99")


def replace_and_reseal() -> None:
    from dashboard.audit.chain import seal

    event = AuditEvent.objects.get(sequence=3)
    event.actor_name = "Ben"
    event.hash = seal(event)
    event.save()


def insert() -> None:
    event = AuditEvent.objects.get(sequence=5)
    event.sequence, event.previous_hash = 6, event.hash
    from dashboard.audit.chain import seal

    event.hash = seal(event)
    event.save(force_insert=True)


def insert_further_on() -> None:
    event = AuditEvent.objects.get(sequence=5)
    event.sequence = 8
    event.save(force_insert=True)
    ChainHead.objects.update(sequence=8)


def cut() -> None:
    sql("DELETE FROM audit_auditevent WHERE sequence > 3")


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
        (cut, "Rows 4 to 5 are missing from the end"),
    ],
)
@pytest.mark.matrix(73)
def test_verify_names_the_first_broken_link(
    trail: list[AuditEvent], unguarded: None, tamper: Callable[[], None], names: str
) -> None:
    tamper()

    with pytest.raises(CommandError, match=names) as broken:
        verify()
    assert broken.value.returncode == 1


@pytest.mark.matrix(73)
def test_a_trail_cut_short_and_resealed_is_found_by_a_hash_kept_elsewhere(
    trail: list[AuditEvent], unguarded: None
) -> None:
    kept = verify().split()[-1]
    sql("DELETE FROM audit_auditevent WHERE sequence > 3")
    ChainHead.objects.update(sequence=3, hash=trail[2].hash)
    with pytest.raises(CommandError, match="Rows 4 to 5 are missing: they were there when"):
        verify()
    ChainCheck.objects.all().delete()  # an intruder who owns the database takes this memory as well

    assert "whole: 3 rows" in verify()
    with pytest.raises(CommandError, match="Row 5 is missing: the trail was cut short"):
        verify(expect=kept)


def test_a_rewritten_trail_is_found_by_a_hash_kept_elsewhere(trail: list[AuditEvent]) -> None:
    with pytest.raises(CommandError, match="Row 4 is not the one that was kept"):
        verify(expect="4:" + "f" * 64)
    with pytest.raises(CommandError, match="is not SEQUENCE:HASH"):
        verify(expect="nonsense")
    assert "whole" in verify(expect=f"4:{trail[3].hash}")


def test_an_empty_trail_is_whole() -> None:
    assert "whole: 0 rows" in verify()
