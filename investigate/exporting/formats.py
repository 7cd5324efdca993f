"""Indicators as files: CSV, a plain list, STIX 2.1 and MISP JSON, the last two written by their maintained libraries.

The libraries take a second and some memory to read, so they are imported where they are used.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.utils import timezone

from dashboard.web import csv_cells
from investigate.exporting.indicators import Indicator, Kind
from investigate.exporting.tables import written_time

ACCOUNT_BEGAN = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)  # an object's first moment must be the same in all its versions
COLUMNS = ("type", "value", "stood_in", "first_seen", "tlp")
STIX_CONFIDENCE = {True: 75, False: 40}  # by whether Cloudflare judged it malicious


class Tlp(StrEnum):
    """Who may be told, by the Traffic Light Protocol."""

    CLEAR = "clear"
    GREEN = "green"
    AMBER = "amber"
    RED = "red"


@dataclass(frozen=True)
class Bundle:
    """What goes into one file."""

    title: str
    indicators: Sequence[Indicator]
    tlp: Tlp = Tlp.AMBER
    is_defanged: bool = True  # of CSV and plain lists; the others are read by programs and always hold real values
    is_malicious: bool = False
    at: dt.datetime | None = None

    @property
    def moment(self) -> dt.datetime:
        at = self.at or timezone.now()
        return at.replace(microsecond=at.microsecond // 1000 * 1000)  # what STIX can say


@dataclass(frozen=True)
class Format:
    label: str
    ending: str
    content_type: str
    write: Callable[[Bundle], bytes]


def write_csv(bundle: Bundle) -> bytes:
    rows = [
        [one.kind.value, _shown(one, bundle), one.said, written_time(one.seen_at), f"TLP:{bundle.tlp.upper()}"]
        for one in bundle.indicators
    ]
    return b"".join(csv_cells.pieces(COLUMNS, [rows], with_mark=False))


def write_list(bundle: Bundle) -> bytes:
    """One value a line; no value holds a line end, see `indicators`."""
    return "".join(f"{_shown(one, bundle)}\n" for one in bundle.indicators).encode("utf-8", "replace")


def _shown(one: Indicator, bundle: Bundle) -> str:
    return one.defanged if bundle.is_defanged else one.value


# --- STIX 2.1 -----------------------------------------------------------------------------------------------------


def write_stix(bundle: Bundle) -> bytes:
    """A bundle of the account's identity, one indicator each, and a report that holds them together.

    The same value of the same account has the same id in every file, as long as it was first seen at the same time.
    Cloudflare's fingerprints are left out: STIX has no word for them.
    """
    import stix2  # type: ignore[import-untyped]

    at = bundle.moment
    marking = {
        Tlp.CLEAR: stix2.TLP_WHITE,
        Tlp.GREEN: stix2.TLP_GREEN,
        Tlp.AMBER: stix2.TLP_AMBER,
        Tlp.RED: stix2.TLP_RED,
    }[bundle.tlp]
    common = {"object_marking_refs": [marking.id]}
    identity = stix2.Identity(
        id=f"identity--{_uuid('identity')}",
        created=ACCOUNT_BEGAN,
        modified=ACCOUNT_BEGAN,
        name="Mailwarden",
        identity_class="organization",
        description="The security desk of one Cloudflare Email Security account.",
    )
    found = [
        stix2.Indicator(
            id=f"indicator--{_uuid('indicator', one.kind, one.value, written_time(one.seen_at))}",
            created=one.seen_at or ACCOUNT_BEGAN,
            modified=max(at, one.seen_at or at),
            created_by_ref=identity.id,
            name=one.value,
            description=f"Stood in: {one.said}",
            indicator_types=["malicious-activity" if bundle.is_malicious else "anomalous-activity"],
            pattern=pattern,
            pattern_type="stix",
            valid_from=one.seen_at or at,
            confidence=STIX_CONFIDENCE[bundle.is_malicious],
            **common,
        )
        for one in bundle.indicators
        if (pattern := pattern_of(one))
    ]
    report = stix2.Report(
        created=at,
        modified=at,
        created_by_ref=identity.id,
        name=bundle.title,
        report_types=["indicator"],
        published=at,
        object_refs=[identity.id, *(one.id for one in found)],
        **common,
    )
    whole = stix2.Bundle(objects=[marking, identity, *found, report])
    return json.dumps(json.loads(whole.serialize()), indent=1).encode("ascii") + b"\n"


def pattern_of(one: Indicator) -> str:
    """What STIX looks for; "" for what it has no word for."""
    match one.kind:
        case Kind.SENDER:
            place = "email-addr:value"
        case Kind.DOMAIN:
            place = "domain-name:value"
        case Kind.URL:
            place = "url:value"
        case Kind.IP:
            place = "ipv6-addr:value" if ":" in one.value else "ipv4-addr:value"
        case Kind.SHA256:
            place = "file:hashes.'SHA-256'"
        case Kind.MD5:
            place = "file:hashes.MD5"
        case Kind.FINGERPRINT:
            return ""
    value = one.value.replace("\\", "\\\\").replace("'", "\\'")
    return f"[{place} = '{value}']"


def _uuid(*parts: str) -> uuid.UUID:
    """The same for the same thing in the same account, and unlike that of every other account."""
    account = uuid.uuid5(uuid.NAMESPACE_URL, f"mailwarden:{settings.CLOUDFLARE_ACCOUNT_ID}")
    return uuid.uuid5(account, "\n".join(parts))


# --- MISP ---------------------------------------------------------------------------------------------------------


def write_misp(bundle: Bundle) -> bytes:
    """An event for MISP's import, with ids of its own: MISP takes an attribute's id once, in one event.

    It holds attributes, and an object for each file; it is not published, and for one's own organisation alone.
    """
    from pymisp import MISPEvent

    event = MISPEvent()
    event.info = bundle.title
    event.uuid = str(uuid.uuid4())
    event.date = bundle.moment.date()
    event.distribution = 0
    event.threat_level_id = 2 if bundle.is_malicious else 4  # medium, undefined
    event.analysis = 1
    event.published = False
    event.add_tag(f"tlp:{bundle.tlp}")
    event.add_tag("mailwarden")
    for one in bundle.indicators:
        if one.kind not in (Kind.SHA256, Kind.MD5):
            for kind in misp_types(one):
                event.add_attribute(kind, one.value, **_misp_facts(one, bundle))
    for name, hashes in _by_file(bundle.indicators).items():
        file = event.add_object(name="file", comment="attachment")
        for one in hashes:
            file.add_attribute(one.kind.value, value=one.value, **_misp_facts(one, bundle))
        if name.strip():
            file.add_attribute("filename", value=name, to_ids=False)
    return json.dumps({"Event": json.loads(event.to_json())}, indent=1).encode("ascii") + b"\n"


def misp_types(one: Indicator) -> list[str]:
    """MISP's names of it, which say where it stood."""
    match one.kind:
        case Kind.SENDER:
            written = ["email-src"] if {"From", "envelope"} & set(one.roles) else []
            return [*written, *(["email-reply-to"] if "Reply-To" in one.roles else [])] or ["email-src"]
        case Kind.DOMAIN:
            return ["domain"]
        case Kind.URL:
            return ["url"]
        case Kind.IP:
            return ["ip-src"]
        case Kind.FINGERPRINT:
            return ["other"]
    return [one.kind.value]


def _misp_facts(one: Indicator, bundle: Bundle) -> dict[str, Any]:
    is_shared = bool(one.why_not)  # ticked although others use it too: worth telling, nothing to block by
    facts: dict[str, Any] = {
        "to_ids": bundle.is_malicious and not is_shared,
        "comment": one.said,
    }
    if one.kind == Kind.FINGERPRINT:
        facts["comment"] = "Cloudflare's own fingerprint of the content"
    if one.seen_at:
        facts["first_seen"] = one.seen_at
    return facts


def _by_file(indicators: Sequence[Indicator]) -> Mapping[str, list[Indicator]]:
    """The hashes of each attachment, by its name."""
    files: dict[str, list[Indicator]] = {}
    for one in indicators:
        if one.kind in (Kind.SHA256, Kind.MD5):
            files.setdefault(one.roles[0] if one.roles else "without a name", []).append(one)
    return files


FORMATS: Mapping[str, Format] = {
    "csv": Format("CSV", "csv", "text/csv; charset=utf-8", write_csv),
    "txt": Format("Plain list, one a line", "txt", "text/plain; charset=utf-8", write_list),
    "stix": Format("STIX 2.1", "json", "application/stix+json;version=2.1", write_stix),
    "misp": Format("MISP event", "json", "application/json", write_misp),
}
