"""What a pasted text holds: ids in every spelling, tables of every dialect, tickets, text made to stop a reader."""

from __future__ import annotations

import json

import pytest

from dashboard.simulator import Simulator
from investigate.bulk import pasting
from investigate.bulk.pasting import MOST_TERMS, Terms, decoded, read_terms
from investigate.bulk.recognising import TermKind, looks_machine_made
from tests.investigate.message.corpus import MAIL, hostile_strings, needs_mail, needs_strings

ID = "4Njp3P0STMz2c02Q-2024-01-05T10:00:00-12345678"
ALERT = "4Njp3P0STMz2c02Q-2024-01-05T10:00:00"
POSTFIX = "4Njp3P0STMz2c02Q"
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def found(text: str) -> list[tuple[str, str]]:
    return [(term.kind.value, term.text.strip("<>")) for term in read_terms(text).found.values()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ID, [("investigate_id", ID)]),
        (ID.replace(":", "%3A"), [("investigate_id", ID)]),
        (f"https://desk.example/investigate/{ID.replace(':', '%3A')}/?tab=why", [("investigate_id", ID)]),
        (f"{ID[:-8]}\n  {ID[-8:]}", [("investigate_id", ID)]),
        (f"\u200b\ufeff{ID}\u00a0", [("investigate_id", ID)]),
        (ALERT, [("alert_id", ALERT)]),
        (POSTFIX, [("postfix_id", POSTFIX)]),
        ("<abc@x.example>", [("message_id", "abc@x.example")]),
        ("%3Cabc%40x.example%3E", [("message_id", "abc@x.example")]),
        ("&lt;abc@x.example&gt;", [("message_id", "abc@x.example")]),
        ("Message-ID: abc@x.example", [("message_id", "abc@x.example")]),
        ("Message-ID:\r\n <abc\r\n  def@x.example>", [("message_id", "abcdef@x.example")]),
        ("message-id=<a.b@host>", [("message_id", "a.b@host")]),
        (
            "20230613135448.02225AA2751D0B95@dpu.example",
            [("message_id", "20230613135448.02225AA2751D0B95@dpu.example")],
        ),
        ("CAK3GXbjAMpO9=KGR@mail.example", [("message_id", "CAK3GXbjAMpO9=KGR@mail.example")]),
        (SHA256, [("hash", SHA256)]),
        (f"SHA256: {SHA256.upper()}", [("hash", SHA256)]),
        ("mailto:Bob@corp.example", [("address", "Bob@corp.example")]),
        (
            "Bob <bob@corp.example>; Bea <bea@corp.example>",
            [("address", "bob@corp.example"), ("address", "bea@corp.example")],
        ),
        ("o'brien@corp.example", [("address", "o'brien@corp.example")]),
        ("bob[@]corp[.]example", [("address", "bob@corp.example")]),
        ("bob [at] corp [dot] example", [("address", "bob@corp.example")]),
        ("hxxps[://]pay-pal(.)example/login?x=1", [("domain", "pay-pal.example")]),
        ("it links to evil[.]example, badly", [("domain", "evil.example")]),
        ("evil.example", [("domain", "evil.example")]),
        (
            "1. a@b.example\n2) c@d.example\n- e@f.example",
            [("address", "a@b.example"), ("address", "c@d.example"), ("address", "e@f.example")],
        ),
        ("alert_id: odd-77", [("alert_id", "odd-77")]),
    ],
)
def test_each_spelling_of_a_term_is_understood(text: str, expected: list[tuple[str, str]]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    "text",
    ["invoice.pdf", "see e.g. chapter 4.2", "call 4915112345678", "@team", "edf_hash: " + "a1" * 16, "-" * 40],
)
def test_what_only_looks_like_a_term_is_none(text: str) -> None:
    assert found(text) == []


def test_every_id_of_the_simulators_mail_is_what_it_is(emailsec: Simulator) -> None:
    for record in emailsec.store.records:
        for kind in ("id", "postfix_id", "alert_id", "message_id"):
            if value := getattr(record, kind):
                wanted = ("investigate_id" if kind == "id" else kind, value.strip("<>"))
                assert found(value) == [wanted], value


@needs_mail
@pytest.mark.corpus
def test_ids_of_real_mail_are_what_they_are() -> None:
    headers = [record.message_id for record in Simulator(messages=0, mail_dir=MAIL).store.records if record.message_id]
    broken = [
        header
        for header in headers
        if found(f"Message-ID: {header}") != [("message_id", "".join(header.split()).strip("<>"))]
    ]
    assert not broken


def test_a_bare_message_id_that_reads_like_an_address_says_so() -> None:
    assert not looks_machine_made("ana.maria", "corp.example")
    assert looks_machine_made("d1f162c505d319c3", "deskhollow.example")
    (term,) = read_terms("d1f162c505d319c3@deskhollow.example").found.values()
    assert not term.text.startswith("<"), "without its brackets it may be an address after all"


# --- tables -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_table_is_read_by_its_heading_whatever_parts_its_columns(delimiter: str) -> None:
    rows = [["Subject", "Message-ID", "From"], [f'"Hi{delimiter} there"', '"<a1@b.example>"', "x@y.example"]]
    text = "\r\n".join(delimiter.join(row) for row in [*rows, ["evil.example", "<a2@b.example>", "z@y.example"]])

    terms = read_terms(text)

    assert [term.text for term in terms.found.values()] == ["<a1@b.example>", "<a2@b.example>"]
    assert list(terms.columns) == ["Message-ID"]


def test_a_row_names_its_message_once_by_what_is_most_exact() -> None:
    text = f"id,alert_id,from,sha256\n{ID},{ALERT},a@b.example,{SHA256}\n,{ALERT[:-1]}1,a@b.example,\n,,a@b.example,\n"

    assert found(text) == [("investigate_id", ID), ("alert_id", f"{ALERT[:-1]}1"), ("address", "a@b.example")]


def test_a_quoted_field_may_go_over_several_lines() -> None:
    assert found('message_id,note\n<a1@b.example>,"first\nsecond"\n<a2@b.example>,"x"\n') == [
        ("message_id", "a1@b.example"),
        ("message_id", "a2@b.example"),
    ]


def test_a_quote_that_never_closes_swallows_nothing() -> None:
    rows = "".join(f"<a{number}@b.example>,x\n" for number in range(200))

    assert len(read_terms(f'message_id,note\n<a@b.example>,"open\n{rows}').found) == 201


def test_one_column_with_a_heading_holds_ids_as_they_are() -> None:
    assert found("investigate_id\nodd-id-1\nodd-id-2\n") == [
        ("investigate_id", "odd-id-1"),
        ("investigate_id", "odd-id-2"),
    ]


@pytest.mark.parametrize("size", [2, 3, 7, 10_000])
def test_a_file_is_utf_8_or_else_windows_1252(size: int) -> None:
    """One letter of an old spreadsheet must not cost the addresses beside it their own."""
    lines = "Größe;jörg.müller@corp.example\nNaïve €5;rené@corp.example\n" * 3

    for encoding in ("utf-8", "utf-8-sig", "cp1252", "utf-16"):
        data = lines.encode(encoding)
        text = "".join(decoded(data[start : start + size] for start in range(0, len(data), size)))
        assert text == lines, encoding
    assert "".join(decoded([b"caf\xc3"])) == "caf\u00c3", "also where the file ends in the middle of a letter"
    assert "".join(decoded([])) == ""


def test_a_file_of_a_spreadsheet_may_be_utf_16() -> None:
    text = "message_id\tnote\n<a1@b.example>\tGrüße\n<a2@b.example>\t-\n"

    for encoding in ("utf-16", "utf-8-sig", "latin-1"):
        raw = text.encode(encoding)
        pieces = [raw[at : at + 7] for at in range(0, len(raw), 7)]
        assert len(read_terms(decoded(pieces)).found) == 2, encoding


# --- tickets, headers, JSON -------------------------------------------------------------------------------------------


def test_a_ticket_gives_up_its_terms_and_keeps_its_prose() -> None:
    text = f"Hello,\nusers reported {POSTFIX} (alert {ALERT}).\n\nPlease remove it.\nBob (bob@corp.example)\n"

    terms = read_terms(text)

    assert found(text) == [("postfix_id", POSTFIX), ("alert_id", ALERT), ("address", "bob@corp.example")]
    assert terms.unread == [(1, "Hello,"), (4, "Please remove it.")]
    assert terms.usual_kinds == [TermKind.ALERT_ID, TermKind.POSTFIX_ID], "not all mail of everybody it mentions"


def test_pasted_headers_name_their_own_message_and_not_its_thread() -> None:
    text = (
        "Received: from mx.example ([192.0.2.1]) by x with ESMTPS id 4Zzz1111111111z\n\tfor <bob@corp.example>\n"
        "Message-ID:\n <own@mx.example>\nReferences: <a@b.example>\n <c@d.example>\nIn-Reply-To: <c@d.example>\n"
        "From: Eve <0100018b5e6b8d12-b27a@mx.example>\nTo: <bob@corp.example>\n"
    )

    assert found(text) == [
        ("message_id", "own@mx.example"),
        ("address", "0100018b5e6b8d12-b27a@mx.example"),
        ("address", "bob@corp.example"),
    ]


def test_an_answer_of_the_api_names_each_message_once() -> None:
    one = {"id": ID, "postfix_id": POSTFIX, "alert_id": ALERT, "message_id": "<a@b.example>", "to": ["c@d.example"]}
    other = {"message_id": "<e@f.example>", "validation": {"comment": "x@y.example"}}

    assert found(json.dumps({"result": [one, other]})) == [("investigate_id", ID), ("message_id", "e@f.example")]
    assert found(f"{json.dumps(one)}\n{json.dumps(other)}\n") == [("investigate_id", ID), ("message_id", "e@f.example")]
    assert found(json.dumps({"ticket": f"first {POSTFIX}\nMessage-ID: <a@b.example>"})) == [
        ("postfix_id", POSTFIX),
        ("message_id", "a@b.example"),
    ]


def test_terms_named_twice_are_counted_and_taken_once() -> None:
    terms = read_terms("<a@b.example>\nMessage-ID: a@b.example\nBOB@corp.example\nbob@corp.example\n")

    assert len(terms.found) == 2
    assert terms.repeated == 2


# --- bounds -----------------------------------------------------------------------------------------------------------


@pytest.mark.matrix(66)
def test_of_a_million_ids_the_first_are_taken_and_the_rest_is_not_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0

    def pieces() -> object:
        nonlocal read
        for start in range(0, 1_000_000, 1000):
            read += 1000
            yield "".join(f"4{number:014d}B-2026-11-20T18:48:13-759577e8\n" for number in range(start, start + 1000))

    terms = read_terms(pieces())

    assert len(terms.found) == MOST_TERMS
    assert terms.is_cut
    assert read <= MOST_TERMS + 2000


@pytest.mark.matrix(66)
def test_no_line_is_held_in_memory_whole() -> None:
    longest = 0

    def watched(line: str) -> list[object]:
        nonlocal longest
        longest = max(longest, len(line))
        return []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pasting, "terms_of_line", watched)
        read_terms("a@b.example " * 500_000)

    assert 0 < longest <= pasting.LONGEST_LINE


@pytest.mark.parametrize(
    "piece",
    [
        "<",
        "[",
        "[.",
        "a@",
        "a.",
        "a",
        '"\n,',
        "<a@",
        "((",
        "%3C",
        "4A-",
        "- ",
        "\u0301",
        "http://",
        "{",
        "[{",
        "=\n",
        "<a\n",
        "a:",
        "0",
        "message-id ",
    ],
)
def test_text_made_to_stop_the_reader_is_read_in_linear_time(piece: str) -> None:
    """Two million characters: with any step back over what was read, this would not end today."""
    terms = read_terms(piece * (2_000_000 // len(piece)))

    assert len(terms.unread) <= pasting.MOST_UNREAD


@needs_strings
def test_hostile_strings_are_read_without_harm() -> None:
    values = hostile_strings()

    alone = Terms()
    for value in values:
        read_terms(value, into=alone)
    together = read_terms(f"message_id,note\n<own@mx.example>,{','.join(values)}\n")

    assert all(term.text.isprintable() for term in [*alone.found.values(), *together.found.values()])
