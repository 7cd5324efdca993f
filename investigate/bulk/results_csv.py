"""What became of a job as a table for a spreadsheet: one line a copy, written while it is read.

`dashboard.web.csv_cells` keeps cells from being run as formulas: senders choose what stands in subjects.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from dashboard.access.scope import Scope
from dashboard.web import csv_cells
from investigate.actions import words
from investigate.actions.within import receipts_within
from investigate.bulk.results import recipients_of
from investigate.models import ActionItem, ActionState, BulkJob, Receipt

COLUMNS = (
    "investigate_id", "message_id", "sender", "subject", "recipient", "state", "answer", "chunk", "time",
)  # fmt: skip
_WORDS = {  # in the words of the screen; other states are called what they are
    ActionState.PARTLY_DONE.value: "in part",
    ActionState.FAILED.value: "refused",
    ActionState.SKIPPED.value: "left out",
    ActionState.CANCELLED.value: "not sent",
}
_STEP = 500  # messages held at a time, however many the job has


def lines(job: BulkJob, *, with_mark: bool = False) -> Iterator[bytes]:
    """The file, piece by piece."""
    steps = ((row for item, receipts in step for row in _rows(job, item, receipts)) for step in _steps(job))
    yield from csv_cells.pieces(COLUMNS, steps, with_mark=with_mark)


def _rows(job: BulkJob, item: ActionItem, receipts: Iterable[Receipt]) -> Iterator[list[Any]]:
    chunk = item.action
    ended = chunk.finished_at if chunk else None
    facts = [item.investigate_id, item.message_id, item.facts.get("from") or "", item.subject]
    copies = [
        (receipt.recipient, receipt.state, words.receipt(job.kind, receipt), receipt.completed_at or ended)
        for receipt in receipts_within(receipts, Scope(frozenset(job.scope)))
    ] or [(recipient, item.state, item.explanation, ended) for recipient in recipients_of(job, item) or [""]]
    for recipient, state, answer, at in copies:
        time = at.isoformat(timespec="seconds").replace("+00:00", "Z") if at else ""
        yield [*facts, recipient, _WORDS.get(state, state), answer, chunk.number if chunk else "", time]


def _steps(job: BulkJob) -> Iterator[list[tuple[ActionItem, list[Receipt]]]]:
    """The job's messages in their order; by keys, because a cursor held for minutes is one more thing to lose.

    The keys are read at once, some megabytes of them: the database would sort them anew for each step. Receipts are
    joined here: Django's own way ties each message to itself, and such knots wait for the collector.
    """
    items = (
        ActionItem.objects.select_related("action")
        .only(
            "job_id", "investigate_id", "message_id", "subject", "recipients", "state", "explanation", "facts",
            "action__number", "action__finished_at",
        )
        .order_by("pk")
    )  # fmt: skip
    keys = sorted(ActionItem.objects.filter(job=job).order_by().values_list("pk", flat=True))
    for start in range(0, len(keys), _STEP):
        some = keys[start : start + _STEP]
        copies: dict[int, list[Receipt]] = {}
        for receipt in Receipt.objects.filter(item__in=some):
            copies.setdefault(receipt.item_id, []).append(receipt)
        yield [(item, copies.get(item.pk, [])) for item in items.filter(pk__in=some)]
