"""Invented allow policies and block senders, as many as a long-lived account has: for lists of thousands."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from dashboard.simulator.mail import company

_FIRST = (
    "alder", "amber", "ash", "atlas", "baltic", "beacon", "birch", "blue", "bright", "cedar", "cliff", "copper",
    "coral", "crown", "dale", "delta", "east", "elm", "falcon", "fern", "flint", "forge", "glen", "granite",
    "harbour", "hazel", "heron", "hill", "iron", "jade", "juniper", "keel", "kestrel", "lake", "lark", "linden",
    "maple", "marsh", "mill", "moor", "nord", "oak", "opal", "orchard", "pine", "quarry", "raven", "reed",
    "ridge", "river", "rowan", "sable", "shore", "silver", "slate", "stone", "thorn", "vale", "west", "willow",
)  # fmt: skip
_SECOND = (
    "bakery", "bau", "catering", "chemie", "cleaning", "courier", "dental", "druck", "electric", "events", "fabrik",
    "farm", "fleet", "foods", "freight", "gardens", "glass", "handel", "hotel", "insurance", "kontor", "labs",
    "law", "legal", "lighting", "logistics", "marine", "media", "metals", "motors", "optics", "paper", "payroll",
    "pharma", "plumbing", "print", "pumps", "rail", "roofing", "sensors", "security", "seeds", "software", "steel",
    "studio", "supply", "tax", "textil", "timber", "tools", "training", "transport", "travel", "valves", "vets",
    "water", "werke", "wholesale", "windows", "works",
)  # fmt: skip
_THIRD = ("", "-group", "-gmbh", "-uk", "-nord", "-online", "-direct", "24", "-and-sons", "-intl", "-services", "-eu")
_BOXES = ("accounts", "billing", "invoices", "info", "hello", "noreply", "orders", "newsletter", "service", "office")
_WHY_ALLOWED = (
    "Supplier since 2019, agreed with purchasing",
    "Invoices were held back as Spoof: they send through a mailing house",
    "Newsletter somebody here wants",
    "Asked for by {person}",
    "Checked with {person} by telephone",
    "Pay slips and timesheets",
    "Until their DKIM is mended.\nAsk their postmaster in autumn.",
    "Vom Einkauf gewünscht (Frau Krüger), läuft über Dienstleister",
)
_WHY_BLOCKED = (
    "Invoice fraud, reported by {person}",
    "Lures with parcels",
    "Newsletter without a way to leave it",
    "Look-alike of a supplier",
    "Open relay",
    "Campaign in spring; nothing came since",
    "Gift cards, asked for in the name of {person}",
)
_NAMES = len(_FIRST) * len(_SECOND) * len(_THIRD)

Row = tuple[float, dict[str, Any]]  # age in days, fields


def allow_policies(count: int, seed: int) -> Iterator[Row]:
    """So many, each with another pattern; none of them is among `block_senders` of the same seed."""
    draw = random.Random(f"allowed-{seed}")
    for number in range(count):
        pattern = _pattern(draw, 2 * number, seed)
        level = draw.choices(("is_acceptable_sender", "is_trusted_sender", "is_exempt_recipient"), weights=(75, 20, 5))[
            0
        ]
        if level == "is_exempt_recipient":
            box = f"reports-{number}@{company.MAIN}"
            pattern = {"pattern": box, "pattern_type": "EMAIL", "is_regex": False}
        yield (
            draw.uniform(1, 1500),
            {
                **pattern,
                **dict.fromkeys(("is_acceptable_sender", "is_trusted_sender", "is_exempt_recipient"), False),
                level: True,
                "verify_sender": pattern["pattern_type"] != "IP" and draw.random() < 0.9,
                "comments": _remark(draw, _WHY_ALLOWED, share=0.6),
            },
        )


def block_senders(count: int, seed: int) -> Iterator[Row]:
    draw = random.Random(f"blocked-{seed}")
    for number in range(count):
        pattern = _pattern(draw, 2 * number + 1, seed)
        yield draw.uniform(1, 1500), {**pattern, "comments": _remark(draw, _WHY_BLOCKED, share=0.35)}


def _pattern(draw: random.Random, number: int, seed: int) -> dict[str, Any]:
    """A pattern that no other number has."""
    domain = _domain(number, seed)
    kind = draw.choices(("DOMAIN", "EMAIL", "IP", "regex", "UNKNOWN"), weights=(560, 380, 40, 18, 2))[0]
    if kind == "regex":
        literal = domain.replace(".", r"\.")
        return {"pattern": rf".*@([a-z]+\.)?{literal}", "pattern_type": "EMAIL", "is_regex": True}
    if kind == "IP" and number < 2**17:
        # Networks for benchmarks: nobody's, and not among those that are refused.
        address = f"198.{18 + number // 2**16}.{number // 256 % 256}.{number % 256}"
        return {"pattern": address, "pattern_type": "IP", "is_regex": False}
    if kind in ("DOMAIN", "IP"):
        return {"pattern": domain, "pattern_type": "DOMAIN", "is_regex": False}
    # An old entry may be of a kind that nobody knows any more.
    return {"pattern": f"{draw.choice(_BOXES)}@{domain}", "pattern_type": kind, "is_regex": False}


def _domain(number: int, seed: int) -> str:
    # Steps of a fixed length through all names, none of them twice: the length has no divisor in common with them.
    place = (number * 22807 + seed * 977) % _NAMES
    first, rest = place % len(_FIRST), place // len(_FIRST)
    second, third = rest % len(_SECOND), rest // len(_SECOND)
    again = str(number // _NAMES + 1) if number >= _NAMES else ""
    return f"{_FIRST[first]}{'-' if number % 3 else ''}{_SECOND[second]}{_THIRD[third]}{again}.example"


def _remark(draw: random.Random, texts: tuple[str, ...], *, share: float) -> str | None:
    if draw.random() >= share:
        return None
    first, last, *_ = draw.choice(company.LEADERS)
    return draw.choice(texts).format(person=f"{first} {last}")
