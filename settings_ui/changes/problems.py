"""Why a change cannot be made as it was asked for."""

from __future__ import annotations

from dashboard.emailsec.types import SettingsEntry
from settings_ui.entries.rules import NotPossible
from settings_ui.models import Change

__all__ = ["ChangedMeanwhile", "Conflict", "NotPossible"]


class Conflict(Exception):
    """Something stands in the way. `other` is the change that does, where there is one."""

    def __init__(self, told: str, other: Change | None = None) -> None:
        super().__init__(told)
        self.other = other


class ChangedMeanwhile(Exception):
    """The entry says otherwise than it did when the form was opened; `theirs` None: it is gone."""

    def __init__(self, theirs: SettingsEntry | None) -> None:
        super().__init__("Somebody changed it meanwhile." if theirs is not None else "Somebody removed it meanwhile.")
        self.theirs = theirs
