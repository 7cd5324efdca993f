"""Files as people and spreadsheets write them: encodings, separators, line ends, quotes, and what cannot be read."""

from __future__ import annotations

import pytest

from dashboard.web import csv_cells
from settings_ui.resources import BY_SLUG
from settings_ui.tables.reading import LARGEST_FILE, MOST_LINES, Table, Unreadable, read_table

BLOCKED = BY_SLUG["block-senders"]
LINES = "pattern,pattern_type,comments\nbad@evil.example,EMAIL,Müller ist böse\nevil.example,DOMAIN,\n"


def table(data: bytes | str) -> Table:
    return read_table(data.encode() if isinstance(data, str) else data, BLOCKED)


def cells(found: Table) -> list[list[str]]:
    return [row.cells for row in found.rows]


EXPECTED = [["bad@evil.example", "EMAIL", "Müller ist böse"], ["evil.example", "DOMAIN", ""]]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"], ids=lambda name: name
)
@pytest.mark.parametrize("separator", [",", ";", "\t"], ids=["comma", "semicolon", "tab"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["unix", "windows", "old mac"])
def test_the_same_table_is_read_however_it_is_written(encoding: str, separator: str, end: str) -> None:
    data = LINES.replace(",", separator).replace("\n", end).encode(encoding)

    found = table(data)

    assert cells(found) == EXPECTED
    assert [row.number for row in found.rows] == [2, 3]
    assert any("Latin-1" in remark for remark in found.remarks) == (encoding == "latin-1")


def test_a_first_line_that_names_the_separator_is_believed() -> None:
    found = table("sep=;\r\npattern;comments\r\na@b.example;x, y\r\n")

    assert cells(found) == [["a@b.example", "x, y"]]
    assert found.rows[0].number == 3


def test_columns_are_known_in_any_case_and_spacing_and_by_their_labels() -> None:
    found = table(" PATTERN , Pattern Type,Regular expression\na@b.example,EMAIL,no\n")

    assert found.places == {"pattern": 0, "pattern_type": 1, "is_regex": 2}


def test_strange_columns_are_named_and_ignored() -> None:
    found = table("pattern,colour,<b>size</b>,problem\na@b.example,red,9,was wrong\n")

    assert found.places == {"pattern": 0, "problem": 3}
    assert found.remarks == ["Not columns of this list, and ignored: colour, <b>size</b>."]


def test_line_numbers_are_those_of_an_editor_also_behind_cells_of_several_lines() -> None:
    found = table('pattern,comments\na@b.example,"one\ntwo\nthree"\n\nc@d.example,\n')

    assert [(row.number, row.cells[0]) for row in found.rows] == [(2, "a@b.example"), (6, "c@d.example")]
    assert found.rows[0].cells[1] == "one\ntwo\nthree"


def test_a_line_with_lost_cells_is_bad_because_it_would_empty_fields() -> None:
    found = table("pattern,pattern_type,comments\na@b.example,EMAIL\nb@c.example,EMAIL,x,y\nc@d.example,EMAIL,x,,\n")

    assert [row.problem for row in found.rows] == [
        "This line has 2 cells, and the first line names 3 columns.",
        "This line has 4 cells, and the first line names 3 columns.",
        "",
    ]


def test_a_quote_that_is_never_closed_says_what_it_swallowed() -> None:
    found = table('pattern,comments\na@b.example,fine\nb@c.example,"open\nc@d.example,x\nd@e.example,y\n')

    assert [row.number for row in found.rows] == [2, 3]
    assert found.rows[1].problem == (
        "A quotation mark is opened here and never closed. It swallowed the lines up to 5."
    )
    assert "c@d.example" in found.rows[1].cells[0]


def test_quotes_that_do_not_fit_together_spoil_their_own_line_alone() -> None:
    found = table('pattern,comments\na@b.example,"x"y\nb@c.example,fine\n')

    assert found.rows[0].problem.startswith("The quotation marks do not fit together.")
    assert found.rows[1].cells == ["b@c.example", "fine"]
    assert not found.rows[1].problem


def test_cells_that_were_made_inert_mean_what_they_meant() -> None:
    found = table(csv_cells.BYTE_ORDER_MARK + "pattern,comments\r\n'@evil.example,'=1+1\r\nb@c.example,'quoted'\r\n")

    assert cells(found) == [["@evil.example", "=1+1"], ["b@c.example", "'quoted'"]]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "The file is empty."),
        (b"\xef\xbb\xbf \r\n", "The file holds no table."),
        (b"PK\x03\x04 and so on", "This is a spreadsheet or an archive."),
        (b"%PDF-1.7\x00\x01\x02\x00\x03" * 9, "This is not a text file."),
        (b"\xff\xfe\x00", "The file begins like UTF-16 and breaks off."),
        (b"pattern,comments\n", "The file names its columns and holds no line below them."),
        (b"comments,is_regex\nx,no\n", "The file has no column pattern."),
        (b"hello\nworld\n", "The first line names no column of this list."),
        (b"pattern,comments,Pattern\na,b,c\n", "The column pattern is there twice."),
        (b"problem,created_at\nx,y\n", "The first line names no column of this list."),
    ],
)
def test_what_cannot_be_taken_at_all_is_refused_in_words(data: bytes, told: str) -> None:
    with pytest.raises(Unreadable) as refused:
        table(data)

    assert told in str(refused.value)


def test_what_is_wanted_is_said_with_the_refusal() -> None:
    with pytest.raises(Unreadable) as refused:
        table("hello\nworld\n")

    assert "Its first line names the columns: pattern; if you like also pattern_type, is_regex, comments." in str(
        refused.value
    )


def test_a_file_of_too_many_lines_is_refused_and_one_of_as_many_is_not() -> None:
    lines = "".join(f"a{number}@b.example\n" for number in range(MOST_LINES))

    assert len(table("pattern\n" + lines).rows) == MOST_LINES
    with pytest.raises(Unreadable, match="more than 10,000 lines"):
        table("pattern\n" + lines + "one@more.example\n")


def test_a_cell_without_an_end_is_no_way_to_fill_the_memory() -> None:
    with_gap = 'pattern,comments\na@b.example,"' + "x" * 200_000 + '"\nb@c.example,fine\n'

    found = table(with_gap)

    assert "A cell is longer than" in found.rows[0].problem
    assert len(found.rows[0].cells[0]) <= 2_000
    assert LARGEST_FILE == 10_000_000


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_empty_lines_are_counted_before_they_are_taken_apart(end: str) -> None:
    assert len(table("pattern\n" + end * 40_000 + "a@b.example\n").rows) == 1
    with pytest.raises(Unreadable, match="more than 10,000 lines"):
        table("pattern\n" + end * 60_000 + "a@b.example\n")


def test_as_many_cells_as_fill_the_memory_are_not_taken_apart() -> None:
    with pytest.raises(Unreadable, match="more than 1,000,000 cells"):
        table("pattern\na@b.example\n" + "," * 1_000_001)
    with pytest.raises(Unreadable, match="more than 1,000,000 cells"):
        table("pattern" + ",x" * 1_000_001 + "\na@b.example\n")


def test_more_columns_than_any_list_has_are_refused_and_empty_ones_are_not() -> None:
    names = ",".join(["pattern", *(f"c{number}" for number in range(99))])

    assert len(table(f"{names}\na@b.example\n").header) == 100
    with pytest.raises(Unreadable, match="The first line names more than 100 columns"):
        table(f"{names},one more\na@b.example\n")
    assert not table("pattern" + "," * 16_000 + "\na@b.example" + "," * 16_000 + "\n").rows[0].problem


def test_a_line_of_too_many_cells_keeps_few_of_them() -> None:
    [row] = table("pattern,comments\na@b.example" + ",x" * 5_000 + "\n").rows

    assert row.problem == "This line has more than 100 cells, and the first line names 2 columns."
    assert len(row.cells) == 101
