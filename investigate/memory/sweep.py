"""Finding what is due in this room, and ringing for it."""

from __future__ import annotations

from django.conf import settings

from dashboard.upstream.ring import ring
from investigate.memory.ingesting import waiting_runs

INGEST = "investigate.memory.tasks.ingest_searches"


def sweep_memory() -> None:
    """Ring for searches that are not in the memory; called every few seconds."""
    if waiting_runs():
        ring(INGEST, settings.CLOUDFLARE_ACCOUNT_ID)
