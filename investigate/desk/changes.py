"""What changed just now, told to every open page at the cost of one small question each.

A change is one row that names its messages. A page asks every few seconds what came after the last row it knows, which
is one look into an index; only when something did change does it ask for those of the messages that it shows.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models.functions import Now

from investigate.models import DeskChange

MOST_NAMED = 1000  # messages one row names


def note_change(investigate_ids: Iterable[str]) -> None:
    """Tell the pages of colleagues about these messages. Runs in the caller's transaction: no change, no word of it."""
    ids = list(dict.fromkeys(name for name in investigate_ids if name))
    DeskChange.objects.bulk_create(
        DeskChange(at=Now(), investigate_ids=ids[start : start + MOST_NAMED])
        for start in range(0, len(ids), MOST_NAMED)
    )
