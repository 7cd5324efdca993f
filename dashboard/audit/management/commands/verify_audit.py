"""manage.py verify_audit"""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dashboard.audit.chain import read_line
from dashboard.audit.models import AuditEvent
from dashboard.audit.verifying import Verdict, verify_all, verify_lines


class Command(BaseCommand):
    help = "Check every link of the audit trail; name the first broken one and exit with 1 where it is not whole."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--expect",
            metavar="SEQUENCE:HASH",
            help="a row this command printed earlier and that was kept elsewhere: finds a trail cut short and resealed",
        )
        parser.add_argument(
            "--file",
            metavar="EXPORT.jsonl",
            help="check an export of JSON lines that leaves no row out, instead of the database",
        )

    def handle(self, *args: Any, expect: str | None = None, file: str | None = None, **options: Any) -> None:  # noqa: ARG002
        verdict = _of_file(file) if file else verify_all()
        problem = verdict.problem
        if problem is None and expect:
            problem = _differs(expect, Path(file) if file else None)
        if problem is not None:
            raise CommandError(f"The audit trail is broken. {problem}", returncode=1)
        sequence, link = verdict.head
        if file:
            self.stdout.write(f"The export is whole up to row {sequence}; the rest of the trail is not in it.")
        else:
            self.stdout.write(f"The audit trail is whole: {sequence} rows.")
        self.stdout.write(f"Keep this elsewhere to prove it later: {sequence}:{link}")


def _of_file(name: str) -> Verdict:
    try:
        with Path(name).open(encoding="utf-8") as lines:
            return verify_lines(lines)
    except OSError as problem:
        raise CommandError(f"{name} cannot be read: {problem.strerror}.", returncode=2) from problem


def _differs(expect: str, file: Path | None) -> str | None:
    number, _, link = expect.partition(":")
    if not number.isdecimal():
        return f"{expect!r} is not SEQUENCE:HASH."
    if int(number) == 0:
        return None
    found = _hash_in(file, int(number)) if file else _hash_of(int(number))
    if found is None:
        return f"Row {number} is missing: the trail was cut short."
    return None if found == link else f"Row {number} is not the one that was kept: the trail was rewritten."


def _hash_of(number: int) -> str | None:
    return AuditEvent.objects.filter(pk=number).values_list("hash", flat=True).first()


def _hash_in(file: Path, number: int) -> str | None:
    with file.open(encoding="utf-8") as lines:
        rows = (read_line(line) for line in lines)
        return next((row.hash for row in rows if row.sequence == number), None)
