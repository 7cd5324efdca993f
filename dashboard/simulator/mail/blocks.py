"""The pieces a message body is made of, from which its text, its HTML and its picture are drawn alike."""

from __future__ import annotations

from typing import NamedTuple


class Heading(NamedTuple):
    text: str


class Paragraph(NamedTuple):
    text: str


class Bullet(NamedTuple):
    text: str


class Quote(NamedTuple):
    """A line of an earlier message in the thread."""

    text: str


class Small(NamedTuple):
    """Footer and legal text."""

    text: str


class Banner(NamedTuple):
    """The coloured strip with a brand's name at the top of a designed message."""

    text: str
    colour: str  # `#rrggbb`


class Row(NamedTuple):
    """One line of a two-column table: label and value."""

    label: str
    value: str


class Button(NamedTuple):
    label: str
    href: str
    colour: str


class TextLink(NamedTuple):
    """A link in running text on a line of its own."""

    text: str
    href: str


class QrCode(NamedTuple):
    """A picture that looks like a QR code; `data` only seeds its pattern."""

    data: str


class Rule(NamedTuple):
    """A thin line across."""


Block = Heading | Paragraph | Bullet | Quote | Small | Banner | Row | Button | TextLink | QrCode | Rule
