"""Finding what is due in this room, and ringing for it."""

from __future__ import annotations


def sweep_notices() -> None:
    """Ring for whatever is due; called every few seconds."""
