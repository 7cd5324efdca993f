"""A file as people and spreadsheets write it, as lines of cells. It says what it took the file for.

Encodings, separators and the ends of lines differ from program to program; none of them is asked for.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from dashboard.web import csv_cells
from settings_ui.resources.description import Resource, shortened
from settings_ui.tables import columns

LARGEST_FILE = 10_000_000  # bytes
MOST_LINES = 10_000
MOST_COLUMNS = 100
LONGEST_SHOWN = 2_000  # characters that are kept of a line that cannot be taken apart
_MOST_BREAKS = 5 * MOST_LINES  # empty lines and those inside cells included
_MOST_CELLS = MOST_LINES * MOST_COLUMNS
_TOO_MANY = f"The file has more than {MOST_LINES:,} lines. Split it, and upload one part after another."
_LONGEST_GUESSED = 20_000  # characters of the first line that tell what stands between cells
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_ZIP = b"PK\x03\x04"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SEPARATOR_SAID = re.compile(r"sep=(.)\r?\n?", re.IGNORECASE)  # a first line that some spreadsheets write


class Unreadable(ValueError):
    """Nothing of the file can be taken; the text says why, and what to do."""


@dataclass(frozen=True)
class Row:
    """One line of the file, which may be several: a cell in quotes takes line breaks."""

    number: int  # of the first of its lines, counted as an editor does
    cells: list[str]
    problem: str = ""  # it cannot be taken apart


@dataclass(frozen=True)
class Table:
    """A file that was read."""

    header: list[str]  # as the file writes it
    places: Mapping[str, int]  # our name of a column -> its place in the file
    rows: list[Row]
    remarks: list[str] = field(default_factory=list)  # what a person should know about how it was read


def read_table(data: bytes, resource: Resource) -> Table:
    """The lines of a file. Raises Unreadable."""
    remarks: list[str] = []
    text = _text(data, remarks)
    # Counting is quick; taking ten million empty lines or cells apart is not.
    if text.count("\n") + text.count("\r") - text.count("\r\n") > _MOST_BREAKS:
        raise Unreadable(_TOO_MANY)
    separator, header_number = _separator(text, resource)
    if text.count(separator) > _MOST_CELLS:
        raise Unreadable(f"The file has more than {_MOST_CELLS:,} cells. Take out columns that are not of this list.")
    rows = _rows(text, separator)
    head = next((row for row in rows if row.number >= header_number and any(map(str.strip, row.cells))), None)
    if head is not None and len(head.cells) > MOST_COLUMNS:
        raise Unreadable(f"The first line names more than {MOST_COLUMNS} columns. {_names_wanted(resource)}")
    if head is None or head.problem:
        raise Unreadable(f"The file holds no table. {_names_wanted(resource)}")
    places = _places(head.cells, resource, remarks)
    found: list[Row] = []
    for row in rows:
        if not row.problem and not any(map(str.strip, row.cells)):
            continue
        if len(found) == MOST_LINES:
            raise Unreadable(_TOO_MANY)
        found.append(_whole(row, len(head.cells)))
    if not found:
        raise Unreadable("The file names its columns and holds no line below them.")
    return Table([cell.strip() for cell in head.cells], places, found, remarks)


# --- text -------------------------------------------------------------------------------------------------------------


def _text(data: bytes, remarks: list[str]) -> str:
    if not data.strip():
        raise Unreadable("The file is empty.")
    if data.startswith(_ZIP):
        raise Unreadable("This is a spreadsheet or an archive. Save the table as CSV, then upload that file.")
    try:
        if data.startswith(_UTF_16):
            return data.decode("utf-16")
        if (encoding := _unmarked_utf_16(data)) is not None:
            return data.decode(encoding)
        if data.count(0) <= len(data) // 10:  # one that strayed into a cell is told at its line
            return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        if data.startswith(_UTF_16):
            raise Unreadable("The file begins like UTF-16 and breaks off. Save it again, as UTF-8.") from None
    if b"\x00" in data:
        raise Unreadable("This is not a text file. Save the table as CSV, then upload that file.")
    remarks.append("The file is not UTF-8, so it was read as Latin-1. Look at letters such as ä or é before you go on.")
    try:
        return data.decode("cp1252")  # what programs mean by Latin-1
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _unmarked_utf_16(data: bytes) -> str | None:
    """UTF-16 without its mark: every other byte of Western text is zero."""
    beginning = data[:400]
    half = len(beginning) // 2
    if half < 4:
        return None
    if beginning[1::2].count(0) > half * 0.8:
        return "utf-16-le"
    return "utf-16-be" if beginning[::2].count(0) > half * 0.8 else None


# --- lines ------------------------------------------------------------------------------------------------------------


def _separator(text: str, resource: Resource) -> tuple[str, int]:
    """What stands between cells: what the file says itself, else what finds most names of columns in its first line."""
    if said := _SEPARATOR_SAID.match(text):
        return said[1], 2
    names = columns.known(resource)
    first = next((line for line in io.StringIO(text, newline="") if line.strip()), "")[:_LONGEST_GUESSED]

    def found(separator: str) -> tuple[int, int]:
        try:
            cells = next(csv.reader([first], delimiter=separator), [])
        except csv.Error:
            return 0, 0
        return sum(columns.folded(cell) in names for cell in cells), len(cells)

    return max(_SEPARATORS, key=found), 1


def _rows(text: str, separator: str) -> Iterator[Row]:
    """Every line with its number. One that cannot be taken apart says so, and the next one is read all the same."""
    # newline="": a lone carriage return ends a line as well, and line breaks inside cells stay what they are.
    lines = list(io.StringIO(text, newline=""))
    reader = csv.reader(lines, delimiter=separator, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as problem:
            raw = "".join(lines[number - 1 : reader.line_num]).rstrip("\r\n")
            yield Row(number, [shortened(raw, LONGEST_SHOWN)], _told(str(problem), number, reader.line_num))
        else:
            is_too_wide = any(map(str.strip, cells[MOST_COLUMNS:]))
            kept = cells[: MOST_COLUMNS + is_too_wide]  # one more says that there are too many
            yield Row(number, [csv_cells.as_meant(cell) for cell in kept])


def _told(problem: str, first: int, last: int) -> str:
    where = f" It swallowed the lines up to {last:,}." if last > first else ""
    if "end of data" in problem:
        return f"A quotation mark is opened here and never closed.{where}"
    if "field limit" in problem:
        return f"A cell is longer than {csv.field_size_limit():,} characters: is a quotation mark missing?{where}"
    return f'The quotation marks do not fit together. Write one inside a cell as two: "".{where}'


def _whole(row: Row, width: int) -> Row:
    """A line with as many cells as there are columns. Cells that were lost would empty fields."""
    if row.problem or len(row.cells) == width:
        return row
    if len(row.cells) > width and not any(map(str.strip, row.cells[width:])):
        return Row(row.number, row.cells[:width])
    cells = "1 cell" if len(row.cells) == 1 else f"{len(row.cells):,} cells"
    if len(row.cells) > MOST_COLUMNS:
        cells = f"more than {MOST_COLUMNS} cells"
    problem = f"This line has {cells}, and the first line names {width:,} columns."
    return Row(row.number, row.cells, problem)


# --- columns ----------------------------------------------------------------------------------------------------------


def _places(header: list[str], resource: Resource, remarks: list[str]) -> dict[str, int]:
    names = columns.known(resource)
    places: dict[str, int] = {}
    strange: list[str] = []
    for place, cell in enumerate(header):
        name = names.get(columns.folded(cell))
        if name is None:
            if cell.strip():
                strange.append(shortened(cell.strip(), 40))
        elif name in places:
            raise Unreadable(f"The column {name} is there twice. Take one of them out.")
        else:
            places[name] = place
    if not any(columns.is_read(resource, name) for name in places):
        raise Unreadable(f"The first line names no column of this list. {_names_wanted(resource)}")
    missing = [field.name for field in columns.required(resource) if field.name not in places]
    if missing and columns.ID not in places:
        raise Unreadable(f"The file has no column {columns.listed(missing)}. {_names_wanted(resource)}")
    if strange:
        more = f" and {len(strange) - 8:,} more" if len(strange) > 8 else ""
        remarks.append(f"Not columns of this list, and ignored: {', '.join(strange[:8])}{more}.")
    return places


def _names_wanted(resource: Resource) -> str:
    needed = [field.name for field in columns.required(resource)]
    others = [field.name for field in resource.sent if field.name not in needed]
    return f"Its first line names the columns: {columns.listed(needed)}; if you like also {', '.join(others)}."
