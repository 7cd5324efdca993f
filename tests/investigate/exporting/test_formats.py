"""Files of indicators, read back by the maintained libraries; hostile strings come through every format unchanged."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from typing import Any

import pytest
import stix2
from pymisp import MISPEvent
from stix2patterns.validator import run_validator

from dashboard.web import csv_cells
from dashboard.web.text import refang
from investigate.exporting.formats import Bundle, Tlp, pattern_of, write_csv, write_list, write_misp, write_stix
from investigate.exporting.indicators import Indicator, Kind, settled, written_url
from tests.investigate.message.corpus import hostile_strings, needs_strings

AT = dt.datetime(2026, 11, 20, 8, 30, 5, 123456, tzinfo=dt.UTC)
ALL = [
    Indicator(Kind.SENDER, "billing@pay-pal.example", ("From", "Reply-To"), seen_at=AT),
    Indicator(Kind.DOMAIN, "pay-pal.example", ("From",), seen_at=AT),
    Indicator(Kind.URL, "https://pay-pal.example/o'clock?a=\\b", ("link 1",), seen_at=AT),
    Indicator(Kind.SHA256, "a" * 64, ("invoice.pdf",), seen_at=AT),
    Indicator(Kind.MD5, "b" * 32, ("invoice.pdf",), seen_at=AT),
    Indicator(Kind.IP, "198.51.100.7", ("HELO",), seen_at=AT),
    Indicator(Kind.IP, "2001:db8::1", ("previous hop",), seen_at=AT),
    Indicator(Kind.FINGERPRINT, "edf-1", ("the message",), "Cloudflare's own", AT),
]


def bundle(indicators: list[Indicator] = ALL, **values: Any) -> Bundle:
    return Bundle(**{"title": "Mail of a day", "indicators": indicators, "is_malicious": True, "at": AT} | values)


def stix_of(given: Bundle) -> Any:
    return stix2.parse(write_stix(given).decode(), allow_custom=False, version="2.1")


def misp_of(given: Bundle) -> MISPEvent:
    event = MISPEvent()  # checks each attribute's type and each object against its template
    event.load(json.loads(write_misp(given)))
    return event


def test_a_plain_list_has_one_value_a_line_and_none_of_them_is_live() -> None:
    lines = write_list(bundle()).decode().splitlines()

    assert lines[0] == "billing[@]pay-pal[.]example"
    assert lines[2].startswith("hxxps://pay-pal[.]example/")
    assert lines[5:7] == ["198.51.100[.]7", "2001:db8[:][:]1"]
    assert [refang(line) for line in lines] == [one.value for one in ALL]
    assert write_list(bundle(is_defanged=False)).decode().splitlines() == [one.value for one in ALL]


def test_a_table_says_of_each_value_what_it_is_and_where_it_stood() -> None:
    rows = list(csv.DictReader(io.StringIO(write_csv(bundle(is_defanged=False)).decode(), newline="")))

    assert [(row["type"], row["value"]) for row in rows] == [(one.kind.value, one.value) for one in ALL]
    assert rows[0]["stood_in"] == "From, Reply-To"
    assert rows[0]["first_seen"] == "2026-11-20T08:30:05Z"
    assert {row["tlp"] for row in rows} == {"TLP:AMBER"}


def test_a_stix_bundle_is_what_the_library_reads_back() -> None:
    found = stix_of(bundle(tlp=Tlp.GREEN))
    indicators = [one for one in found.objects if one.type == "indicator"]
    (report,) = (one for one in found.objects if one.type == "report")
    (identity,) = (one for one in found.objects if one.type == "identity")

    assert len(indicators) == 7, "STIX has no word for a fingerprint"
    assert {one.pattern for one in indicators} >= {
        "[email-addr:value = 'billing@pay-pal.example']",
        "[file:hashes.'SHA-256' = '" + "a" * 64 + "']",
        "[ipv6-addr:value = '2001:db8::1']",
    }
    assert set(report.object_refs) == {identity.id, *(one.id for one in indicators)}
    assert all(one.created_by_ref == identity.id for one in (*indicators, report))
    assert {mark for one in (*indicators, report) for mark in one.object_marking_refs} == {stix2.TLP_GREEN.id}
    for one in indicators:
        assert run_validator(one.pattern, stix_version="2.1") == []
        assert one.valid_from == one.created <= one.modified


def test_a_value_has_one_id_in_every_file_of_an_account_and_another_elsewhere(settings: Any) -> None:
    def ids(given: Bundle) -> set[str]:
        return {one.id for one in stix_of(given).objects if one.type in ("indicator", "identity")}

    first, later = ids(bundle()), ids(bundle(at=AT + dt.timedelta(days=3), tlp=Tlp.RED))
    settings.CLOUDFLARE_ACCOUNT_ID = "f" * 32

    assert first == later
    assert not first & ids(bundle())


def test_a_misp_event_has_the_right_types_flags_and_tags() -> None:
    event = misp_of(bundle(tlp=Tlp.RED))

    assert {tag.name for tag in event.tags} == {"tlp:red", "mailwarden"}
    assert event.info == "Mail of a day"
    assert not event.published
    assert {(one.type, one.value) for one in event.attributes} == {
        ("email-src", "billing@pay-pal.example"),
        ("email-reply-to", "billing@pay-pal.example"),
        ("domain", "pay-pal.example"),
        ("url", "https://pay-pal.example/o'clock?a=\\b"),
        ("ip-src", "198.51.100.7"),
        ("ip-src", "2001:db8::1"),
        ("other", "edf-1"),
    }
    assert {one.type: one.to_ids for one in event.attributes}["url"] is True
    assert {one.type: one.to_ids for one in event.attributes}["other"] is False
    (file,) = event.objects
    assert {one.object_relation: one.value for one in file.attributes} == {
        "sha256": "a" * 64,
        "md5": "b" * 32,
        "filename": "invoice.pdf",
    }
    assert not any(one.to_ids for one in misp_of(bundle(is_malicious=False)).attributes)


def written(text: str) -> str:
    """The text as a link ends with it."""
    return written_url(f"https://pay.example/{text}") or ""


@needs_strings
def test_hostile_strings_come_through_every_format_unchanged() -> None:
    texts = hostile_strings()
    urls = list(dict.fromkeys(url for text in texts if (url := written(text))))
    assert len(urls) > len(texts) / 2
    links = [Indicator(Kind.URL, url, (f"link {number}",), seen_at=AT) for number, url in enumerate(urls, start=1)]
    files = [Indicator(Kind.SHA256, f"{number:064x}", (text,), seen_at=AT) for number, text in enumerate(texts)]
    given = bundle([*links, *files], is_defanged=False)

    table = list(csv.DictReader(io.StringIO(write_csv(given).decode(), newline="")))
    assert [csv_cells.as_meant(row["value"]) for row in table] == [one.value for one in given.indicators]
    spelled = [text.encode("utf-8", "replace").decode() for text in texts]  # half of a surrogate pair is no text
    assert [csv_cells.as_meant(row["stood_in"]) for row in table[len(links) :]] == spelled

    lines = write_list(bundle(links, is_defanged=False)).decode()
    assert lines.split("\n")[:-1] == lines.splitlines() == urls

    found = [one for one in stix_of(given).objects if one.type == "indicator"]
    assert [one.pattern for one in found] == [pattern_of(one) for one in given.indicators]
    assert [one.name for one in found] == [one.value for one in given.indicators]
    assert [one.description.removeprefix("Stood in: ") for one in found[len(links) :]] == texts
    for one in found[:: max(1, len(found) // 100)]:
        assert run_validator(one.pattern, stix_version="2.1") == []

    event = misp_of(given)
    assert [one.value for one in event.attributes] == urls
    comments = {one.value: one.comment for file in event.objects for one in file.attributes if one.type == "sha256"}
    around = [text.strip() for text in texts]  # the library itself drops white space around a comment
    assert [comments[one.value] for one in files] == around


@needs_strings
@pytest.mark.parametrize("is_defanged", [True, False])
def test_no_hostile_link_becomes_a_second_line(is_defanged: bool) -> None:
    urls = [url for text in hostile_strings() if (url := written(text))]
    given = [Indicator(Kind.URL, url, ("link",)) for url in urls]

    assert len(write_list(bundle(given, is_defanged=is_defanged)).decode().splitlines()) == len(given)


def test_a_pattern_cannot_be_left_by_what_a_sender_wrote() -> None:
    sly = Indicator(Kind.URL, "https://x.example/'] OR [url:value = 'https://yours.example/", ("link",))

    assert run_validator(pattern_of(sly), stix_version="2.1") == []
    assert pattern_of(sly).count("[url:value") == 2, "the text is inside"
    assert "\\'] OR [" in pattern_of(sly)


def test_each_value_is_there_once_with_all_its_places() -> None:
    earlier = AT - dt.timedelta(days=2)
    twice = [
        Indicator(Kind.DOMAIN, "x.example", ("From",), seen_at=AT),
        Indicator(Kind.DOMAIN, "x.example", ("link 1",), seen_at=earlier),
    ]
    (one,) = settled(twice, own=[])

    assert one.roles == ("From", "link 1")
    assert one.seen_at == earlier
