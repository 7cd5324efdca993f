"""Finding what is due in this room, and ringing for it."""

from __future__ import annotations

from investigate.campaigns import advancing


def sweep_campaigns() -> None:
    """Ring for rules that have something to do; called every few seconds."""
    advancing.sweep()
