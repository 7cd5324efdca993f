"""Pictures of messages: real PNG files, bounded, and drawn from anything."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from dashboard.simulator.mail import blocks as b
from dashboard.simulator.mail.generator import generate
from dashboard.simulator.mail.picture import MAX_HEIGHT, Page, render

NOW = 1_795_235_000.0
SCRIPTS = {
    "arabic": "مرحبا بالعالم",
    "hebrew": "שלום עולם",
    "japanese": "こんにちは世界",
    "korean": "안녕하세요",
    "chinese": "你好世界",
    "thai": "สวัสดีชาวโลก",
    "devanagari": "नमस्ते दुनिया",
    "georgian": "გამარჯობა",
    "emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 🔥",
    "combining": "Z̷͈̈a̸͙͝l̵̰̈́g̸̭̈o̴̢͝",
    "controls": "a\x00b\x07c\x1b[31m\u202egnp.exe\u200b",
    "surrogate": "\ud800 lone \udfff",
    "unassigned": "\U0010ffff\ue000\ufdd0",
    "long word": "x" * 20_000,
    "many lines": "line\n" * 5_000,
    "nothing": "",
}


def page(text: str, **changes: object) -> Page:
    values: dict[str, object] = {
        "subject": text, "from_name": text, "from_address": text, "to": [text] * 30, "cc": [text], "sent_at": NOW,
        "blocks": [
            b.Banner(text, "#224466"), b.Heading(text), b.Paragraph(text), b.Bullet(text), b.Row(text, text),
            b.Quote(text),
            b.Button(text, text, "#224466"), b.TextLink(text, text), b.QrCode(text), b.Rule(), b.Small(text),
        ],
        "attachments": [(text, 1), ("report.pdf", 5_000_000), *[(text, 2_000)] * 20],
    }  # fmt: skip
    return Page(**{**values, **changes})  # type: ignore[arg-type]


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    assert image.format == "PNG"
    return image


@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS)
def test_any_text_can_be_drawn(text: str) -> None:
    data = render(page(text))

    assert opened(data).width == 880
    assert len(data) < 200_000


@pytest.mark.parametrize("at", [float("nan"), float("inf"), -1e18, 1e18, 0.0])
def test_any_time_can_be_drawn(at: float) -> None:
    opened(render(page("x", sent_at=at)))


@pytest.mark.parametrize(("asked", "given"), [(-5, 320), (500, 500), (1_024, 1_024), (100_000, 1_600)])
def test_width_is_bounded(asked: int, given: int) -> None:
    assert opened(render(page("x"), width=asked)).width == given


def test_height_is_bounded() -> None:
    image = opened(render(page("x", blocks=[b.Paragraph("words " * 400)] * 200)))

    assert image.height <= MAX_HEIGHT


def test_generated_messages_have_equal_and_small_pictures() -> None:
    records = generate(300, seed=5, now=NOW)[::15]

    for record in records:
        data = record.png()
        assert data == record.png()
        assert 800 <= opened(data).width <= 1_024
        assert len(data) < 200_000
        assert len(opened(data).convert("RGB").getcolors(1_000_000) or []) > 8, "an empty picture"
