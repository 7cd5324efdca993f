"""Migrations while the version before goes on working: locks are waited for briefly, and its writes still fit."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.apps import apps
from django.conf import settings
from django.db import migrations
from django.db.migrations.loader import MigrationLoader

from tests import servers

OURS = {
    config.label
    for config in apps.get_app_configs()
    if config.name.partition(".")[0] in ("dashboard", "investigate", "settings_ui")
}
# Operations that break the rule, and why that does no harm.
EXEMPT = {
    ("investigate", "0002_bulk_jobs"): "made before the first release: no table of anybody's is large yet",
    ("investigate", "0004_upstream_job_once"): "its table comes with 0002, in the same release",
    ("investigate", "0010_one_open_fix"): "its table comes with 0007, in the same release",
    ("settings_ui", "0002_one_open_entry"): "its table comes with 0001, in the same release",
    ("settings_ui", "0003_changes"): "its one old table holds rules for single senders: hundreds at most",
    ("settings_ui", "0005_entries_by_name"): "its tables hold one account's lists: indexed within a second",
}
# What a process of the version before cannot live with.
BREAKING = (migrations.RemoveField, migrations.RenameField, migrations.DeleteModel, migrations.RenameModel)


def manage(*arguments: str) -> list[str]:
    return [sys.executable, "manage.py", *arguments]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[str]:
    with servers.postgres_server(tmp_path) as url:
        yield url


class OldProcess(threading.Thread):
    """Writes actions with the columns the version before knows, one after the other."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.connection = psycopg.connect(url, options="-c lock_timeout=5000 -c statement_timeout=30000")
        self.written = 0
        self.error: Exception | None = None
        self.is_over = threading.Event()

    def run(self) -> None:
        known = "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'investigate_action'"
        columns = self.connection.execute(known).fetchall()
        self.connection.commit()
        names, marks = ", ".join(name for name, _ in columns), ", ".join("%s" for _ in columns)
        statement = f"INSERT INTO investigate_action ({names}) VALUES ({marks})"  # noqa: S608  our own column names
        usual = {"jsonb": "{}", "boolean": False, "timestamp with time zone": "now", "character varying": ""}
        while not self.is_over.is_set() and self.error is None:
            values = {name: usual.get(kind, 0) for name, kind in columns}
            values |= {"id": uuid.uuid4(), "operation_key": uuid.uuid4().hex, "actor_id": None, "audit_sequence": None}
            try:
                self.connection.execute(statement, list(values.values()))
                self.connection.commit()
            except psycopg.Error as error:
                self.error = error
            self.written += 1

    def goes_on(self) -> bool:
        """Whether it writes ten more rows."""
        before, give_up = self.written, time.monotonic() + 20
        while self.written < before + 10 and self.error is None and time.monotonic() < give_up:
            time.sleep(0.01)
        return self.error is None and self.written >= before + 10


@pytest.mark.services
@pytest.mark.matrix(27)
def test_old_processes_go_on_while_a_migration_waits_for_a_long_transaction_and_after_it(database: str) -> None:
    env = {**os.environ, "DATABASE_URL": database, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    options = {"cwd": settings.BASE_DIR, "env": env, "text": True}
    for app in ("investigate", "upstream"):
        subprocess.run(manage("migrate", app, "0001", "--verbosity", "0"), check=True, **options)
    old = [OldProcess(database) for _ in range(2)]
    for process in old:
        process.start()
    try:
        with psycopg.connect(database) as reader:
            reader.execute("SELECT count(*) FROM investigate_action")  # a report that takes its time
            migrating = subprocess.Popen(
                manage("migrate_safely", "--verbosity", "0", "--lock-seconds", "0.3", "--pause", "0.1"),
                stderr=subprocess.PIPE, **options,
            )  # fmt: skip
            assert migrating.stderr is not None
            for _ in range(2):
                assert "The tables are in use; trying again" in migrating.stderr.readline()
            assert all(process.goes_on() for process in old), [process.error for process in old]

        assert migrating.wait(60) == 0, migrating.stderr.read()
        migrating.stderr.close()
        assert all(process.goes_on() for process in old), [process.error for process in old]
    finally:
        for process in old:
            process.is_over.set()
            process.join(30)
            process.connection.close()

    with psycopg.connect(database) as desk:
        assert desk.execute("SELECT count(*), max(number) FROM investigate_action").fetchone() == (
            sum(process.written for process in old),
            0,
        )


@pytest.mark.services
@pytest.mark.matrix(27)
def test_two_starts_migrate_one_after_the_other_and_one_that_never_gets_its_turn_says_so(database: str) -> None:
    env = {**os.environ, "DATABASE_URL": database, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    with psycopg.connect(database) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [0x4D57])
        done = subprocess.run(
            manage("migrate_safely", "--lock-seconds", "0.1", "--pause", "0", "--tries", "2"),
            cwd=settings.BASE_DIR, env=env, capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    assert done.returncode == 1
    assert done.stderr.count("The tables are in use") == 2
    assert done.stderr.splitlines()[-1].startswith("CommandError: The tables were in use all the time.")


def later_migrations() -> list[tuple[str, str]]:
    """All but each room's first, which makes tables nobody uses yet."""
    loader = MigrationLoader(None)
    return sorted(key for key in loader.disk_migrations if key[0] in OURS and not key[1].startswith("0001"))


@pytest.mark.matrix(26, 27)
@pytest.mark.parametrize(("app", "name"), later_migrations())
def test_the_version_before_can_live_with_a_migration(app: str, name: str) -> None:
    """Expand first, contract in a later release: the rule of the README."""
    operations = MigrationLoader(None).disk_migrations[(app, name)].operations
    made_here = {operation.name_lower for operation in operations if isinstance(operation, migrations.CreateModel)}
    for operation in operations:
        model = getattr(operation, "model_name_lower", getattr(operation, "name_lower", ""))
        if model in made_here:
            continue
        assert not isinstance(operation, BREAKING), f"{operation.describe()}: old processes still use it"
        if isinstance(operation, migrations.AddField):
            fits = operation.field.null or operation.field.has_db_default() or operation.field.many_to_many
            assert fits, f"{operation.describe()}: old processes insert rows without it; give it a db_default"
        if (app, name) not in EXEMPT:
            waits = (migrations.AddIndex, migrations.AddConstraint)
            assert not isinstance(operation, waits), (
                f"{operation.describe()}: it locks a table while it reads all of it"
            )
