"""Finding what is due in this room, and ringing for it."""

from __future__ import annotations

from investigate.saved import reading


def sweep_saved() -> None:
    """Ring for whatever is due; called every few seconds."""
    reading.forget_old()
    reading.ring_if_due()
