"""A picture of a message as a mail reader shows it: subject, sender, attachments, then the body's blocks.

Nothing is fetched and nothing in the message is interpreted; the picture is drawn from text alone. Equal input gives an
equal picture on one machine (which fonts are installed makes a difference between machines).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import singledispatchmethod
from random import Random

from PIL import Image, ImageDraw

from dashboard.simulator.mail import blocks as b
from dashboard.simulator.mail.typeface import Typeface, drawable, typeface

MIN_WIDTH, MAX_WIDTH = 320, 1600
MAX_HEIGHT = 2400
SMOOTH = 4  # shapes are drawn this much larger and scaled down, for smooth edges

PAPER, DESK, INK, MUTED, FAINT = "#ffffff", "#eef1f5", "#1d2530", "#5d6876", "#dde2e9"
LINK = "#1a5fb4"
AVATARS = ("#3d6fb6", "#8a4fa3", "#2f8272", "#b5562f", "#5b6f2e", "#a23d5c", "#40629a", "#7b5a36")


@dataclass(frozen=True, slots=True)
class Page:
    """What the picture shows. `sent_at` in epoch seconds; `attachments` are names with sizes in bytes."""

    subject: str
    from_name: str
    from_address: str
    to: Sequence[str]
    cc: Sequence[str]
    sent_at: float
    blocks: Sequence[b.Block]
    attachments: Sequence[tuple[str, int]]


def render(page: Page, *, width: int = 880) -> bytes:
    """The page as PNG bytes; long messages end with a note instead of growing without bound."""
    sheet = _Sheet(max(MIN_WIDTH, min(width, MAX_WIDTH)))
    sheet.draw_head(page)
    sheet.draw_body(page.blocks)
    return sheet.png()


def readable_size(size: int) -> str:
    if size < 1024:
        return f"{size} B"
    if size < 1024 * 1024:
        return f"{size / 1024:.0f} kB"
    return f"{size / 1024 / 1024:.1f} MB"


class _Sheet:
    """The canvas, and the height used so far."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.image = Image.new("RGB", (width, MAX_HEIGHT), PAPER)
        self.pen = ImageDraw.Draw(self.image)
        self.margin = 32 if width >= 600 else 16
        self.y = 0

    @property
    def room(self) -> int:
        return self.width - 2 * self.margin

    @property
    def full(self) -> bool:
        return self.y > MAX_HEIGHT - 140

    def write(self, x: float, y: float, text: str, face: Typeface, colour: str = INK) -> float:
        """Draw one line with its top at `y`; returns where it ended."""
        baseline = y + face.size
        for run, font in face.runs(text):
            if font is None:
                for char in run:
                    step = face.advance(char)
                    if not char.isspace():
                        box = (x + 1, baseline - face.size * 0.72, x + step - 2, baseline)
                        self.pen.rectangle(box, outline="#9aa4b1")
                    x += step
                continue
            self.pen.text((x, baseline), run, font=font, fill=colour, anchor="ls")
            x += face.width(run)
        return x

    def lines(
        self, text: str, face: Typeface, *, colour: str = INK, indent: int = 0, limit: int = 400, leading: float = 1.45
    ) -> None:
        step = round(face.size * leading)
        for line in face.wrap(drawable(text), self.room - indent, limit):
            if self.full:
                return
            self.write(self.margin + indent, self.y, line, face, colour)
            self.y += step

    def shape(
        self, box: tuple[float, float, float, float], radius: float, fill: str, outline: str | None = None
    ) -> None:
        """A rounded rectangle with smooth edges."""
        left, top, right, bottom = box
        size = (max(1, round(right - left)), max(1, round(bottom - top)))
        big = Image.new("L", (size[0] * SMOOTH, size[1] * SMOOTH), 0)
        ImageDraw.Draw(big).rounded_rectangle((0, 0, big.width - 1, big.height - 1), radius * SMOOTH, fill=255)
        mask = big.resize(size, Image.Resampling.LANCZOS)
        corner = (round(left), round(top))
        if outline:
            self.image.paste(outline, (*corner, corner[0] + size[0], corner[1] + size[1]), mask)
            self.shape((left + 1, top + 1, right - 1, bottom - 1), radius - 1, fill)
        else:
            self.image.paste(fill, (*corner, corner[0] + size[0], corner[1] + size[1]), mask)

    # Head

    def draw_head(self, page: Page) -> None:
        subject, name, plain = typeface(21, bold=True), typeface(15, bold=True), typeface(13)
        self.y = 24
        self.lines(page.subject.strip() or "(no subject)", subject, limit=3, leading=1.3)
        self.y += 12
        shown = drawable(page.from_name).strip() or drawable(page.from_address).strip() or "(no sender)"
        colour = AVATARS[sum(map(ord, page.from_address or shown)) % len(AVATARS)]
        self.shape((self.margin, self.y, self.margin + 40, self.y + 40), 20, colour)
        initial = next((char.upper()[:1] for char in shown if char.isalnum()), "?")
        face = typeface(19, bold=True)
        self.write(self.margin + 20 - face.advance(initial) / 2, self.y + 8, initial, face, PAPER)

        left, right = self.margin + 54, self.width - self.margin
        stamp = _stamp(page.sent_at)
        stamp_left = right - plain.width(stamp)
        self.write(stamp_left, self.y + 3, stamp, plain, MUTED)
        x = self.write(left, self.y + 1, name.shorten(shown, (stamp_left - left - 16) * 0.6), name)
        address = f"<{drawable(page.from_address)}>" if page.from_address else ""
        self.write(x + 8, self.y + 3, plain.shorten(address, max(10, stamp_left - x - 24)), plain, MUTED)
        self.y += 22
        for label, people in (("To", page.to), ("Cc", page.cc)):
            if people or label == "To":
                text = f"{label}: " + (", ".join(drawable(one) for one in people[:20]) or "undisclosed recipients")
                self.write(left, self.y, plain.shorten(text, right - left), plain, MUTED)
                self.y += 19
        self.y += 8
        if page.attachments:
            self._draw_attachments(page.attachments)
        self.y += 6
        self.pen.line((0, self.y, self.width, self.y), fill=FAINT)
        self.y += 22

    def _draw_attachments(self, attachments: Sequence[tuple[str, int]]) -> None:
        face, small = typeface(13), typeface(11)
        x = self.margin
        for index, (name, size) in enumerate(attachments):
            if index == 12:
                self.write(x, self.y + 12, f"and {len(attachments) - index} more", small, MUTED)
                break
            label, detail = face.shorten(drawable(name), min(300, self.room - 60)), readable_size(size)
            wide = 46 + max(face.width(label), small.width(detail))
            if x > self.margin and x + wide > self.width - self.margin:
                x = self.margin
                self.y += 52
            self.shape((x, self.y, x + wide, self.y + 44), 6, "#f6f8fa", outline="#cfd6df")
            self._sheet_icon(x + 12, self.y + 12)
            self.write(x + 34, self.y + 6, label, face)
            self.write(x + 34, self.y + 24, detail, small, MUTED)
            x += wide + 10
        self.y += 52

    def _sheet_icon(self, x: float, y: float) -> None:
        self.pen.polygon(((x, y), (x + 9, y), (x + 14, y + 5), (x + 14, y + 19), (x, y + 19)), PAPER, "#7d8896")
        for offset in (8, 11, 14):
            self.pen.line((x + 3, y + offset, x + 11, y + offset), fill="#b3bcc7")

    # Body

    def draw_body(self, body: Sequence[b.Block]) -> None:
        if not body:
            self.lines("(This message has no text.)", typeface(14), colour=MUTED)
        previous: b.Block | None = None
        for block in body:
            if isinstance(previous, (b.Row, b.Quote, b.Bullet)) and type(block) is not type(previous):
                self.y += 10
            previous = block
            if self.full:
                self.y += 8
                self.lines("The message goes on below this picture.", typeface(12), colour=MUTED)
                break
            self.block(block)
        self.y += 24

    @singledispatchmethod
    def block(self, block: b.Block) -> None:
        raise TypeError(f"no drawing for {type(block).__name__}")

    @block.register
    def _(self, block: b.Paragraph) -> None:
        for line in block.text.split("\n"):
            self.lines(line, typeface(15))
        self.y += 10

    @block.register
    def _(self, block: b.Heading) -> None:
        self.lines(block.text, typeface(20, bold=True), leading=1.3)
        self.y += 8

    @block.register
    def _(self, block: b.Bullet) -> None:
        top = self.y
        self.lines(block.text, typeface(15), indent=22)
        self.shape((self.margin + 8, top + 7, self.margin + 13, top + 12), 2.5, MUTED)
        self.y += 4

    @block.register
    def _(self, block: b.Quote) -> None:
        top = self.y
        for line in block.text.split("\n"):
            self.lines(line, typeface(14), colour=MUTED, indent=16)
        self.pen.rectangle((self.margin, top - 1, self.margin + 2, self.y + 2), fill="#b9c2cd")
        self.y += 4

    @block.register
    def _(self, block: b.Small) -> None:
        for line in block.text.split("\n"):
            self.lines(line, typeface(12), colour=MUTED)
        self.y += 6

    @block.register
    def _(self, block: b.Banner) -> None:
        face = typeface(20, bold=True)
        self.pen.rectangle((self.margin, self.y - 4, self.width - self.margin, self.y + 48), fill=block.colour)
        self.write(self.margin + 20, self.y + 10, face.shorten(drawable(block.text), self.room - 40), face, PAPER)
        self.y += 70

    @block.register
    def _(self, block: b.Row) -> None:
        label, value = typeface(14), typeface(14, bold=True)
        column = min(220, self.room // 3)
        self.write(self.margin + 10, self.y + 5, label.shorten(drawable(block.label), column - 20), label, MUTED)
        text = value.shorten(drawable(block.value), self.room - column - 10)
        self.write(self.margin + column, self.y + 5, text, value)
        self.y += 29
        self.pen.line((self.margin, self.y, self.width - self.margin, self.y), fill=FAINT)
        self.y += 1

    @block.register
    def _(self, block: b.Button) -> None:
        face = typeface(15, bold=True)
        label = face.shorten(drawable(block.label), self.room - 48)
        self.y += 8
        self.shape((self.margin, self.y, self.margin + face.width(label) + 48, self.y + 42), 5, block.colour)
        self.write(self.margin + 24, self.y + 11, label, face, PAPER)
        self.y += 60

    @block.register
    def _(self, block: b.TextLink) -> None:
        face = typeface(15)
        for line in face.wrap(drawable(block.text), self.room, 6):
            end = self.write(self.margin, self.y, line, face, LINK)
            self.pen.line((self.margin, self.y + 18, end, self.y + 18), fill=LINK)
            self.y += 23
        self.y += 8

    @block.register
    def _(self, block: b.QrCode) -> None:
        code = _qr_image(block.data)
        self.image.paste(code, (self.margin, self.y))
        self.y += code.height + 12

    @block.register
    def _(self, block: b.Rule) -> None:  # noqa: ARG002 - the type alone says what to draw
        self.y += 4
        self.pen.line((self.margin, self.y, self.width - self.margin, self.y), fill=FAINT)
        self.y += 16

    def png(self) -> bytes:
        height = min(max(self.y, 320), MAX_HEIGHT)
        page = self.image.crop((0, 0, self.width, height))
        page = page.quantize(colors=96, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        out = io.BytesIO()
        page.save(out, "PNG", compress_level=6)
        return out.getvalue()


def qr_png(data: str) -> bytes:
    """What stands in for a QR code inside a message."""
    out = io.BytesIO()
    _qr_image(data).save(out, "PNG", optimize=True)
    return out.getvalue()


def _qr_image(data: str) -> Image.Image:
    """A pattern that no scanner reads: finder squares as on a real code, random cells between them."""
    cells, cell, border = 29, 6, 8
    image = Image.new("RGB", (cells * cell + 2 * border, cells * cell + 2 * border), PAPER)
    pen = ImageDraw.Draw(image)
    rng = Random(drawable(data))
    corners = ((0, 0), (0, cells - 7), (cells - 7, 0))
    for row in range(cells):
        for column in range(cells):
            near = [(row - r, column - c) for r, c in corners if -1 <= row - r <= 7 and -1 <= column - c <= 7]
            dark = _finder(*near[0]) if near else rng.random() < 0.48
            if dark:
                x, y = border + column * cell, border + row * cell
                pen.rectangle((x, y, x + cell - 1, y + cell - 1), fill=INK)
    return image


def _finder(row: int, column: int) -> bool:
    inside = 0 <= row <= 6 and 0 <= column <= 6
    ring = row in {0, 6} or column in {0, 6}
    core = 2 <= row <= 4 and 2 <= column <= 4
    return inside and (ring or core)


def _stamp(at: float) -> str:
    try:
        moment = datetime.fromtimestamp(at, UTC)
    except (OverflowError, OSError, ValueError):
        return ""
    return f"{moment:%a} {moment.day} {moment:%b %Y, %H:%M} UTC"
