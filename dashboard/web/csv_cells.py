"""Tables for spreadsheets, written while they are read: RFC 4180, and no cell that a spreadsheet would run.

Senders choose what stands in subjects, anybody what stands in a note, and whoever wrote a file what its columns are
called: a cell that would be taken for a formula begins with an apostrophe.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence

BYTE_ORDER_MARK = "\ufeff"  # without it some spreadsheets read UTF-8 as something else
_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


class _Echo:
    """What `csv` writes to: each line is handed on at once."""

    def write(self, line: str) -> str:
        return line


def pieces(columns: Sequence[str], steps: Iterable[Iterable[Sequence[object]]], *, with_mark: bool) -> Iterator[bytes]:
    """The file, one piece for the names of the columns and one for each step of rows."""
    writer = csv.writer(_Echo(), lineterminator="\r\n")
    yield _encoded((BYTE_ORDER_MARK if with_mark else "") + writer.writerow([inert(name) for name in columns]))
    for rows in steps:
        yield _encoded("".join(writer.writerow([inert(cell) for cell in row]) for row in rows))


def inert(cell: object) -> str:
    """The cell so that no spreadsheet takes it for a formula, also behind quotes and spaces that it would drop."""
    text = "" if cell is None else str(cell)
    # Tabs and line ends are formula marks themselves, so only plain quotes and spaces are looked behind.
    return f"'{text}" if text.lstrip(" \"'").startswith(_STARTS_A_FORMULA) else text


def as_meant(cell: str) -> str:
    """What `inert` was given: a file of ours says the same when it comes back."""
    rest = cell[1:]
    return rest if cell.startswith("'") and inert(rest) == cell else cell


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")
