"""What only we know about the account's settings: who changed what and why, until when, and what we saw elsewhere."""

from settings_ui.models.changes import (
    OPEN_CHANGES,
    OPEN_LINES,
    Change,
    ChangeKind,
    ChangeState,
    Line,
    LineState,
    Operation,
    Source,
    Step,
    StepState,
    Verb,
)
from settings_ui.models.entries import OPEN_STATES, Entry, EntryState, Origin
from settings_ui.models.uploads import Upload
from settings_ui.models.watching import Difference, Mirrored, Observed, Reading

__all__ = [
    "OPEN_CHANGES",
    "OPEN_LINES",
    "OPEN_STATES",
    "Change",
    "ChangeKind",
    "ChangeState",
    "Difference",
    "Entry",
    "EntryState",
    "Line",
    "LineState",
    "Mirrored",
    "Observed",
    "Operation",
    "Origin",
    "Reading",
    "Source",
    "Step",
    "StepState",
    "Upload",
    "Verb",
]
