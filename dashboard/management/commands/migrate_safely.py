"""`migrate`, while the processes of the version before go on working.

A migration that has to wait for a lock makes everybody else wait behind it. So it gives up after a short while, lets
the others through, and tries again; each migration is one transaction and leaves nothing half done.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

import psycopg
from django.core.management import CommandError, call_command
from django.core.management.base import BaseCommand
from django.db import DEFAULT_DB_ALIAS, OperationalError, connection, connections

_ONE_AT_A_TIME = 0x4D57  # an advisory lock of PostgreSQL: two starts migrate one after the other


class Command(BaseCommand):
    help = "Bring the database up to date without making running processes wait for long."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--lock-seconds", type=float, default=3.0, help="wait so long for a lock, then retry")
        parser.add_argument("--pause", type=float, default=2.0, help="seconds between tries")
        parser.add_argument("--tries", type=int, default=60)

    def handle(self, *args: Any, lock_seconds: float, pause: float, tries: int, **options: Any) -> None:  # noqa: ARG002
        for left in reversed(range(tries)):
            try:
                self._migrate(lock_seconds, options["verbosity"])
                return
            except OperationalError as problem:
                if not _waited_in_vain(problem):
                    raise
            self.stderr.write(f"The tables are in use; trying again in {pause:g} s. Tries left: {left}.")
            time.sleep(pause)
        raise CommandError("The tables were in use all the time. Find who holds them in pg_stat_activity.")

    def _migrate(self, lock_seconds: float, verbosity: int) -> None:
        if connection.vendor != "postgresql":
            call_command("migrate", interactive=False, verbosity=verbosity)
            return
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {int(lock_seconds * 1000)}")
            cursor.execute("SET statement_timeout = 0")  # an index may take as long as it takes
            cursor.execute("SELECT pg_advisory_lock(%s)", [_ONE_AT_A_TIME])
        try:
            call_command("migrate", interactive=False, verbosity=verbosity)
        finally:
            connection.close()  # gives up the lock and the session's settings
            # Indexes and foreign keys come last, after the block that would end the transaction for Django: one that
            # fails there leaves a connection that believes itself inside. The next try begins with a new one.
            del connections[DEFAULT_DB_ALIAS]


def _waited_in_vain(problem: OperationalError) -> bool:
    return isinstance(problem.__cause__, psycopg.errors.LockNotAvailable | psycopg.errors.DeadlockDetected)
