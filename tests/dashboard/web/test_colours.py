"""The colours of the style sheet, computed: text at least 4.5 : 1, borders of controls and focus at least 3 : 1."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings

SHEET = (Path(settings.BASE_DIR) / "static/css/tokens.css").read_text()
TOKENS = {
    name: (light, dark)
    for name, light, dark in re.findall(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", SHEET)
}
GROUNDS = ("surface", "bg", "sel")
TEXTS = ("text", "muted", "faint", "accent", "danger", "warn", "ok")
TEXT_PAIRS = [(text, ground) for text in TEXTS for ground in (*GROUNDS, "sunken")] + [
    ("on-accent", "accent"),
    ("on-danger", "danger"),
    ("on-chip-bec", "chip-bec"),
    ("on-chip-spoof", "chip-spoof"),
    ("on-chip-suspicious", "chip-suspicious"),
    ("surface", "text"),  # a primary button under the pointer
    ("surface", "warn"),  # the offline banner
]
BORDER_PAIRS = [(border, ground) for border in ("line-strong", "focus") for ground in GROUNDS] + [
    ("bar-spoof", "chip-spoof"),
    ("bar-suspicious", "chip-suspicious"),
]


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), TEXT_PAIRS)
def test_text_can_be_read(text: str, ground: str, theme: int) -> None:
    assert contrast(TOKENS[text][theme], TOKENS[ground][theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("border", "ground"), BORDER_PAIRS)
def test_borders_of_controls_can_be_seen(border: str, ground: str, theme: int) -> None:
    assert contrast(TOKENS[border][theme], TOKENS[ground][theme]) >= 3


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_solid_and_tinted_chips_differ_without_colour(theme: int) -> None:
    for solid in ("danger", "chip-bec"):
        for tint in ("chip-spoof", "chip-suspicious"):
            assert contrast(TOKENS[solid][theme], TOKENS[tint][theme]) >= 4.5


def test_every_colour_is_a_token() -> None:
    """Colours outside tokens.css escape the tests above; shadows, the paper behind pictures, and print are excepted."""
    allowed = {"#0005", "#0006", "#fff"}
    ink = {"#000", "#777"}  # of what is made for paper, whatever the theme
    for sheet in (Path(settings.BASE_DIR) / "static/css").glob("*.css"):
        if sheet.name != "tokens.css":
            assert set(re.findall(r"#[0-9a-fA-F]{3,8}\b(?=[;\s)])", sheet.read_text())) <= (
                allowed | ink if sheet.name == "report.css" else allowed
            ), sheet.name
