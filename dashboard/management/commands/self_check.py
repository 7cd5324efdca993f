"""Look at everything the installation needs; exit with 1 where something is broken."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error as AnyDatabaseError

from dashboard.audit.recorder import AuditNotWritten
from dashboard.installation import running
from dashboard.installation.checking import MOST_CALLS, State


class Command(BaseCommand):
    help = f"Check the connection, the processes and the settings. Changes nothing; {MOST_CALLS} calls at most."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        try:
            check = running.begin(actor=None, asked_by="manage.py self_check")
        except (AnyDatabaseError, AuditNotWritten) as problem:
            raise CommandError(
                f"The database does not answer ({type(problem).__name__}): check DATABASE_URL."
            ) from None
        if check is None:
            raise CommandError("A check is running, or ended a moment ago. Its findings are on the installation page.")
        group, is_broken = "", False
        for finding in running.carried_out(check):
            if finding.group != group:
                group = finding.group
                self.stdout.write(f"\n{group}")
            self.stdout.write(f"  {finding.state.label:<9}  {finding.name}: {finding.seen}")
            if finding.advice:
                self.stdout.write(f"             -> {finding.advice}")
            is_broken = is_broken or finding.state == State.BROKEN
        if is_broken:
            sys.exit(1)
