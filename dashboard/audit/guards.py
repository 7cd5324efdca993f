"""Database triggers that keep the trail append-only, whoever holds the connection.

They are installed by a migration. A test-suite that empties tables between tests takes them away for that moment.
"""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

_SQLITE = {
    "audit_no_update": (
        "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit_auditevent "
        "BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END"
    ),
    "audit_no_delete": (
        "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit_auditevent "
        "BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END"
    ),
    "audit_at_the_end": (
        "CREATE TRIGGER audit_at_the_end BEFORE INSERT ON audit_auditevent WHEN NOT EXISTS (SELECT 1 FROM"
        " audit_chainhead WHERE id = 1 AND NEW.sequence = sequence + 1 AND NEW.previous_hash = hash) "
        "BEGIN SELECT RAISE(ABORT, 'the audit trail only grows at its end'); END"
    ),
    # REPLACE deletes what is in its way without asking the triggers of DELETE, by the key or by the hidden rowid. An
    # insert that names no rowid has -1 here, which no row has.
    "audit_no_replace": (
        "CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit_auditevent WHEN EXISTS (SELECT 1 FROM"
        " audit_auditevent WHERE sequence = NEW.sequence) OR EXISTS (SELECT 1 FROM audit_auditevent"
        " WHERE rowid = NEW.rowid) BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END"
    ),
    "audit_head_alone": (
        "CREATE TRIGGER audit_head_alone BEFORE INSERT ON audit_chainhead WHEN EXISTS (SELECT 1 FROM audit_chainhead) "
        "BEGIN SELECT RAISE(ABORT, 'the head of the audit trail stays'); END"
    ),
    "audit_head_forward": (
        "CREATE TRIGGER audit_head_forward BEFORE UPDATE ON audit_chainhead"
        " WHEN NEW.sequence <> OLD.sequence + 1 OR NEW.id <> OLD.id "
        "BEGIN SELECT RAISE(ABORT, 'the head of the audit trail only moves forward'); END"
    ),
    "audit_head_stays": (
        "CREATE TRIGGER audit_head_stays BEFORE DELETE ON audit_chainhead "
        "BEGIN SELECT RAISE(ABORT, 'the head of the audit trail stays'); END"
    ),
}

_POSTGRESQL = [
    """
    CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$
    """,
    """
    CREATE OR REPLACE FUNCTION audit_at_the_end() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF NOT EXISTS (
        SELECT 1 FROM audit_chainhead WHERE id = 1 AND NEW.sequence = sequence + 1 AND NEW.previous_hash = hash
      ) THEN
        RAISE EXCEPTION 'the audit trail only grows at its end';
      END IF;
      RETURN NEW;
    END $$
    """,
    """
    CREATE OR REPLACE FUNCTION audit_head_forward() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF NEW.sequence <> OLD.sequence + 1 OR NEW.id <> OLD.id THEN
        RAISE EXCEPTION 'the head of the audit trail only moves forward';
      END IF;
      RETURN NEW;
    END $$
    """,
    # The code of a second row, so that of two who make the head at once one finds the other's.
    """
    CREATE OR REPLACE FUNCTION audit_head_alone() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF EXISTS (SELECT 1 FROM audit_chainhead) THEN
        RAISE EXCEPTION 'the head of the audit trail stays' USING ERRCODE = 'unique_violation';
      END IF;
      RETURN NEW;
    END $$
    """,
    "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit_auditevent "
    "FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
    "CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit_auditevent "
    "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()",
    "CREATE TRIGGER audit_at_the_end BEFORE INSERT ON audit_auditevent "
    "FOR EACH ROW EXECUTE FUNCTION audit_at_the_end()",
    "CREATE TRIGGER audit_head_alone BEFORE INSERT ON audit_chainhead FOR EACH ROW EXECUTE FUNCTION audit_head_alone()",
    "CREATE TRIGGER audit_head_forward BEFORE UPDATE ON audit_chainhead "
    "FOR EACH ROW EXECUTE FUNCTION audit_head_forward()",
    "CREATE TRIGGER audit_head_stays BEFORE DELETE ON audit_chainhead FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
    "CREATE TRIGGER audit_head_no_truncate BEFORE TRUNCATE ON audit_chainhead "
    "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()",
]
_POSTGRESQL_REMOVE = [
    "DROP TRIGGER IF EXISTS audit_at_the_end ON audit_auditevent",
    "DROP TRIGGER IF EXISTS audit_no_change ON audit_auditevent",
    "DROP TRIGGER IF EXISTS audit_no_truncate ON audit_auditevent",
    "DROP TRIGGER IF EXISTS audit_head_alone ON audit_chainhead",
    "DROP TRIGGER IF EXISTS audit_head_forward ON audit_chainhead",
    "DROP TRIGGER IF EXISTS audit_head_stays ON audit_chainhead",
    "DROP TRIGGER IF EXISTS audit_head_no_truncate ON audit_chainhead",
]


def install(connection: BaseDatabaseWrapper) -> None:
    """Refuse UPDATE, DELETE and TRUNCATE of events, INSERT anywhere but at the end of the chain, a second head, and
    any move of the head but one step forward.
    """
    statements = list(_SQLITE.values()) if connection.vendor == "sqlite" else _POSTGRESQL
    _run(connection, statements)


def remove(connection: BaseDatabaseWrapper) -> None:
    statements = [f"DROP TRIGGER IF EXISTS {name}" for name in _SQLITE]
    _run(connection, statements if connection.vendor == "sqlite" else _POSTGRESQL_REMOVE)


def _run(connection: BaseDatabaseWrapper, statements: list[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
