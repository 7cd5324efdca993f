"""What was really carried out, and which calls arrived: the truth that tests compare screens and databases with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One effect on one copy (or one settings object); a refused or failed copy leaves no entry."""

    kind: str  # `move`, `release`, `submission`, `create`, `patch`, `put`, `delete`
    investigate_id: str | None
    recipient: str | None
    at: float
    detail: dict[str, Any] = field(default_factory=dict)


class Ledger:
    """Append-only list of effects."""

    def __init__(self) -> None:
        self._entries: list[LedgerEntry] = []

    def record(self, kind: str, investigate_id: str | None, recipient: str | None, at: float, **detail: Any) -> None:
        self._entries.append(LedgerEntry(kind, investigate_id, recipient, at, detail))

    def of(self, kind: str | None = None, investigate_id: str | None = None) -> list[LedgerEntry]:
        """The entries of one kind, one message, or both."""
        return [
            entry
            for entry in self._entries
            if kind in (None, entry.kind) and investigate_id in (None, entry.investigate_id)
        ]

    def undo_to(self, length: int) -> None:
        """Forget the newest entries again: an atomic batch was rolled back, so they never happened."""
        del self._entries[length:]

    def as_json(self) -> list[dict[str, Any]]:
        return [asdict(entry) for entry in self._entries]

    def __iter__(self) -> Iterator[LedgerEntry]:
        return iter(tuple(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> LedgerEntry:
        return self._entries[index]


class Call(NamedTuple):
    """One call that arrived; `operation` is the route's name, `status` 0 when the connection was dropped."""

    at: float
    method: str
    path: str
    query: str
    status: int
    operation: str
    credential: str
