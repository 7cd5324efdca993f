"""Read a text people paste or upload: a list, a table, JSON, the headers of a mail, or a whole ticket.

The text comes in pieces and is read line by line, so that memory does not grow with it: what is kept are the terms,
at most MOST_TERMS, each once, and the first lines that hold none.
"""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from investigate.bulk.recognising import (
    IDS,
    WIDE,
    Term,
    TermKind,
    kind_of_label,
    most_exact,
    terms_of_cell,
    terms_of_line,
    terms_under,
)

MOST_TERMS = 50_000
MOST_UNREAD = 50  # lines kept by their words; the rest is counted
LONGEST_LINE = 16_384  # characters; what is longer is read in parts
LONGEST_JSON = 4_000_000  # characters; more is read as text
PIECE = 65_536
_SHOWN_OF_LINE = 200
_SAMPLE = 50  # lines looked at before it is known what the text is
_MOST_JOINED = 20  # lines one quoted field of a table may go over
_DELIMITERS = ("\t", ";", ",", "|")
_HEADER_LINE = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,60}+:")
_BROKEN_ID = re.compile(r"[ \t]*[^\s<>]{1,300}>")
_LAST_PART = re.compile(r"[ \t]*[0-9a-f]{8}\b")
_ENDS = re.compile(r"\r\n|\r|\n")


@dataclass
class Terms:
    """What a text holds. Further texts may be added: a file beside the box."""

    found: dict[Term, Term] = field(default_factory=dict)  # in their order, each once, however it is written
    counts: Counter[TermKind] = field(default_factory=Counter)
    repeated: int = 0
    read_lines: int = 0  # lines that hold a term
    unread: list[tuple[int, str]] = field(default_factory=list)  # (number, line), the first MOST_UNREAD
    unread_count: int = 0
    columns: dict[str, None] = field(default_factory=dict)  # of a table with a heading: those terms were taken from
    is_cut: bool = False  # there was more than MOST_TERMS

    @property
    def is_list(self) -> bool:
        """Whether most lines hold a term, so that one without is a mistake and not just prose."""
        return self.read_lines >= self.unread_count

    @property
    def usual_kinds(self) -> list[TermKind]:
        """What is looked for unless somebody says otherwise: addresses and domains only where nothing is more exact.

        Beside a Message-ID they are its sender and recipients, and would find all mail of those.
        """
        exact = [kind for kind in TermKind if self.counts[kind] and kind not in WIDE]
        return exact or [kind for kind in TermKind if self.counts[kind]]

    def of_kinds(self, kinds: Iterable[TermKind]) -> list[Term]:
        wanted = set(kinds)
        return [term for term in self.found.values() if term.kind in wanted]

    def take(self, terms: Iterable[Term], number: int, line: str) -> None:
        """Note what one line holds."""
        is_read = False
        for term in terms:
            is_read, key = True, term.key
            if key in self.found:
                self.repeated += 1
            elif len(self.found) >= MOST_TERMS:
                self.is_cut = True
            else:
                self.found[key] = term
                self.counts[term.kind] += 1
        if is_read:
            self.read_lines += 1
        elif any(map(str.isalnum, line[:LONGEST_LINE])):
            self.unread_count += 1
            if len(self.unread) < MOST_UNREAD:
                self.unread.append((number, line.strip()[:_SHOWN_OF_LINE]))


def read_terms(text: str | Iterable[str], into: Terms | None = None) -> Terms:
    """The terms of a text, given whole or in pieces."""
    terms = Terms() if into is None else into
    pieces = iter([text]) if isinstance(text, str) else iter(text)
    beginning = next((piece for piece in pieces if piece.strip()), "").removeprefix("\ufeff")
    pieces = chain([beginning], pieces)
    if beginning.lstrip()[:1] in ("[", "{"):
        whole, pieces = _gathered(pieces)
        if whole is not None and _read_json(whole, terms):
            return terms
    lines = _lines(pieces)
    sample = list(islice(lines, _SAMPLE))
    delimiter = _delimiter_of([line for _, line in _rows(sample) if line.strip()])
    read = _read_table if delimiter else _read_text
    read(chain(sample, lines), terms, delimiter)
    return terms


def decoded(chunks: Iterable[bytes]) -> Iterator[str]:
    """The text of a file: UTF-8, or UTF-16 as spreadsheets write it, or from what is neither on Windows-1252."""
    decoder: codecs.IncrementalDecoder | None = None
    for chunk in chain(chunks, [b""]):
        if decoder is None:
            is_utf_16 = chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            decoder = _decoder("utf-16", "replace") if is_utf_16 else _decoder("utf-8-sig", "strict")
        held_back = decoder.getstate()[0]  # the beginning of a letter that ends in this chunk
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError:
            decoder = _decoder("cp1252", "replace")
            text = decoder.decode(held_back + chunk)
        yield text


def _decoder(encoding: str, errors: str) -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder(encoding)(errors=errors)


# --- lines ------------------------------------------------------------------------------------------------------------


def _lines(pieces: Iterable[str]) -> Iterator[tuple[int, str]]:
    """(number, line), none longer than LONGEST_LINE."""
    number, rest = 0, ""
    for piece in pieces:
        for start in range(0, len(piece), PIECE):
            *whole, rest = _ENDS.split(rest + piece[start : start + PIECE])
            for line in whole:
                number += 1
                *parts, last = _parts(line)
                yield from ((number, part) for part in (*parts, last))
            *parts, rest = _parts(rest)
            yield from ((number + 1, part) for part in parts)
    if rest:
        yield number + 1, rest


def _parts(line: str) -> Iterator[str]:
    """An overlong line cut between its words."""
    start = 0
    while len(line) - start > LONGEST_LINE:
        end = start + LONGEST_LINE
        cut = max(line.rfind(mark, start, end) for mark in " ,;\t|")
        end = cut + 1 if cut > start else end
        yield line[start:end]
        start = end
    yield line[start:]


def _read_text(lines: Iterable[tuple[int, str]], terms: Terms, _: str) -> None:
    for number, line in _unfolded(lines):
        if line[:1] == "{" and line.rstrip()[-1:] == "}" and _read_json(line, terms, number):
            continue
        terms.take(terms_of_line(line), number, line)
        if terms.is_cut:
            return


def _unfolded(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Header fields in one line each, and ids in one piece that a line break went through."""
    held, held_number = "", 0
    for number, line in lines:
        if held and len(held) + len(line) < LONGEST_LINE:
            tail = held[held.rfind("<") + 1 :] if "<" in held[-300:] else ">"
            if (">" not in tail and " " not in tail and _BROKEN_ID.match(line)) or _is_cut_id(held, line):
                held = held.rstrip().removesuffix("=") + line.lstrip()
                continue
            if line[:1] in (" ", "\t") and line.strip() and _HEADER_LINE.match(held):
                held = f"{held} {line.strip()}"
                continue
        if held:
            yield held_number, held
        held, held_number = line, number
    if held:
        yield held_number, held


def _is_cut_id(line: str, following: str) -> bool:
    """Whether an investigate id was broken before its last part."""
    return line[-1:] == "-" and _LAST_PART.match(following) is not None


# --- tables -----------------------------------------------------------------------------------------------------------


def _delimiter_of(sample: list[str]) -> str:
    """What parts the columns of a table, or "" where the text is none."""
    if len(sample) < 2:
        return ""
    for delimiter in _DELIMITERS:
        widths = Counter(len(_cells(line, delimiter)) for line in sample)
        width, lines = widths.most_common(1)[0]
        if width > 1 and lines >= 0.8 * len(sample):
            return delimiter
    first = sample[0].strip()
    is_heading = first[-1:] != ":" and kind_of_label(first) in IDS and not sample[1][:1].isspace()
    return "\t" if is_heading else ""  # one column


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line.replace("\x00", "")], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return line.split(delimiter)


def _rows(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Lines of a table; a quoted field that goes over several of them is put together."""
    source, pending = iter(lines), deque[tuple[int, str]]()
    while pending or (following := next(source, None)) is not None:
        number, line = pending.popleft() if pending else following
        if line.count('"') % 2 == 0:
            yield number, line
            continue
        while len(pending) < _MOST_JOINED and (further := next(source, None)) is not None:
            pending.append(further)
        end = next((at for at, (_, other) in enumerate(pending) if other.count('"') % 2), None)
        if end is not None and len(line) < LONGEST_LINE:
            line = " ".join([line, *(pending.popleft()[1] for _ in range(end + 1))])
        yield number, line


def _read_table(lines: Iterable[tuple[int, str]], terms: Terms, delimiter: str) -> None:
    """Each row is about one message: taken is what names it most exactly."""
    heading: list[str] | None = None
    for number, line in _rows(lines):
        if not line.strip():
            continue
        cells = _cells(line, delimiter)
        if heading is None:
            heading = cells if _is_heading(cells) else []
            if heading:
                continue
        held = [_of_cell(cell, heading[at] if at < len(heading) else "") for at, cell in enumerate(cells)]
        taken = most_exact(held) or terms_of_line(line.replace(delimiter, " "))
        for at, name in enumerate(heading[: len(held)]):
            if any(term in taken for term in held[at]):
                terms.columns[name.strip()[:60]] = None
        terms.take(taken, number, line)
        if terms.is_cut:
            return


def _is_heading(cells: list[str]) -> bool:
    return any(kind_of_label(cell) for cell in cells) and not any(terms_of_cell(cell) for cell in cells)


def _of_cell(cell: str, name: str) -> list[Term]:
    kind = kind_of_label(name) if name else None
    if kind is not None:
        return terms_under(kind, cell)
    # Without a heading a lone name is a domain; under "subject" it is what the sender wrote.
    return [term for term in terms_of_cell(cell) if not name or term.kind != TermKind.DOMAIN]


# --- JSON -------------------------------------------------------------------------------------------------------------


def _gathered(pieces: Iterator[str]) -> tuple[str | None, Iterator[str]]:
    """The whole text where it is short enough, and in any case all of its pieces again."""
    kept, size = [], 0
    for piece in pieces:
        kept.append(piece)
        size += len(piece)
        if size > LONGEST_JSON:
            return None, chain(kept, pieces)
    return "".join(kept), iter(kept)


def _read_json(text: str, terms: Terms, number: int = 1) -> bool:
    """Take the terms of a JSON text; False where it is none."""
    try:
        open_ = [json.loads(text)]
    except (ValueError, RecursionError):
        return False
    while open_ and not terms.is_cut:
        value = open_.pop()
        if isinstance(value, str):
            terms.take(terms_of_line(value), number, value)
        elif isinstance(value, list):
            open_ += reversed(value)
        elif isinstance(value, dict):
            open_ += reversed(_read_record(value, terms, number))
    return True


def _read_record(record: dict[str, Any], terms: Terms, number: int) -> list[Any]:
    """Take what names the message a record is about; returns what else is to be read."""
    fields = [
        (name, value)
        for name, values in record.items()
        for value in (values if isinstance(values, list) else [values])
        if isinstance(value, str)
    ]
    taken = most_exact(_of_cell(value[:LONGEST_LINE], name or "?") for name, value in fields)
    if taken:
        terms.take(taken, number, "")
    else:
        for line in (line for _, value in fields for line in value.splitlines()):
            terms.take(terms_of_line(line[:LONGEST_LINE]), number, line)
    if any(term.kind in IDS for term in taken):
        return []
    nested = [value for value in record.values() if isinstance(value, (dict, list))]
    return [
        [one for one in value if not isinstance(one, str)] if isinstance(value, list) else value for value in nested
    ]
