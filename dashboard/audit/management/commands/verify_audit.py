"""manage.py verify_audit"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Max

from dashboard.audit.chain import NO_HASH, first_break
from dashboard.audit.models import AuditEvent, ChainHead


class Command(BaseCommand):
    help = "Check every link of the audit trail; name the first broken one and exit with 1 where it is not whole."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--expect",
            metavar="SEQUENCE:HASH",
            help="a row this command printed earlier and that was kept elsewhere: finds a trail cut short and resealed",
        )

    def handle(self, *args: Any, expect: str | None = None, **options: Any) -> None:  # noqa: ARG002
        # Read before the rows: what is written meanwhile is left for the next time.
        head = ChainHead.objects.filter(pk=1).first()
        sequence, link = (head.sequence, head.hash) if head else (0, NO_HASH)
        rows = AuditEvent.objects.filter(sequence__lte=sequence).order_by("sequence")
        problem = first_break(rows.iterator(chunk_size=2000), head=(sequence, link)) or _past_the_end()
        if problem is None and expect:
            problem = _differs(expect)
        if problem is not None:
            raise CommandError(f"The audit trail is broken. {problem}", returncode=1)
        self.stdout.write(f"The audit trail is whole: {sequence} rows.")
        self.stdout.write(f"Keep this elsewhere to prove it later: {sequence}:{link}")


def _past_the_end() -> str | None:
    """A row and the move of the head are one transaction: no row is ever past a head that is read after it."""
    last = AuditEvent.objects.aggregate(last=Max("sequence"))["last"] or 0
    head = ChainHead.objects.filter(pk=1).values_list("sequence", flat=True).first() or 0
    return f"Row {last} was added past the recorded end, {head}." if last > head else None


def _differs(expect: str) -> str | None:
    number, _, link = expect.partition(":")
    if not number.isdecimal():
        return f"{expect!r} is not SEQUENCE:HASH."
    if int(number) == 0:
        return None
    row = AuditEvent.objects.filter(pk=int(number)).first()
    if row is None:
        return f"Row {number} is missing: the trail was cut short."
    return None if row.hash == link else f"Row {number} is not the one that was kept: the trail was rewritten."
