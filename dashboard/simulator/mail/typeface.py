"""Fonts for the pictures: the best ones installed, per character, and Pillow's own where nothing else is there."""

from __future__ import annotations

import sys
import unicodedata
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

FOLDERS = {
    "linux": ("/usr/share/fonts", "/usr/local/share/fonts"),
    "darwin": ("/Library/Fonts", "/System/Library/Fonts"),
    "win32": ("C:/Windows/Fonts",),
}
REGULAR = (
    "LiberationSans-Regular.ttf",
    "Arial.ttf",
    "arial.ttf",
    "NotoSans-Regular.ttf",
    "DejaVuSans.ttf",
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKjp-Regular.otf",
    "ipag.ttf",
    "wqy-zenhei.ttc",
    "Hiragino Sans GB.ttc",
    "msgothic.ttc",
    "NotoSansArabic-Regular.ttf",
    "NotoSansDevanagari-Regular.ttf",
)
BOLD = (
    "LiberationSans-Bold.ttf",
    "Arial Bold.ttf",
    "arialbd.ttf",
    "NotoSans-Bold.ttf",
    "DejaVuSans-Bold.ttf",
    "NotoSansCJK-Bold.ttc",
)
NEVER_ASSIGNED = "\U0010fffd"  # drawn with the font's "missing glyph" box


def drawable(text: str) -> str:
    """The text without what no font can draw: controls, lone surrogates, invisible direction marks."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_drawable(char) for char in text)


def _drawable(char: str) -> str:
    if char in "\t\r\n\u00a0":
        return " "
    category = unicodedata.category(char)
    if category == "Cs":
        return "\ufffd"
    return "" if category in {"Cc", "Cf", "Mn", "Me"} and not char.isspace() else char


@lru_cache(maxsize=1)
def _installed() -> dict[str, Path]:
    found: dict[str, Path] = {}
    wanted = {*REGULAR, *BOLD}
    for folder in FOLDERS.get(sys.platform, ()):
        try:
            for path in sorted(Path(folder).rglob("*")):
                if path.name in wanted:
                    found.setdefault(path.name, path)
        except OSError:
            continue
    return found


class Typeface:
    """One size and weight, with a fallback chain."""

    def __init__(self, size: int, *, bold: bool = False) -> None:
        self.size = size
        self._fonts = self._chain(size, bold=bold)
        self._missing = [self._shape(font, NEVER_ASSIGNED) for font in self._fonts]
        self._choice: dict[str, Font | None] = {}
        self._advance: dict[str, float] = {}

    @staticmethod
    def _chain(size: int, *, bold: bool) -> list[Font]:
        fonts: list[Font] = []
        for name in (*BOLD, *REGULAR) if bold else REGULAR:
            path = _installed().get(name)
            if path is None:
                continue
            try:
                # The basic engine gives the same picture with and without the optional text shaping library.
                fonts.append(ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC))
            except OSError:
                continue
        fonts.append(ImageFont.load_default(size))
        return fonts

    @staticmethod
    def _shape(font: Font, char: str) -> bytes | None:
        try:
            mask = font.getmask(char)
        except (OSError, ValueError, UnicodeError):
            return None
        return bytes(mask) + repr(mask.size).encode()

    def font_for(self, char: str) -> Font | None:
        """The first font with a glyph for this character, or None."""
        if char not in self._choice:
            self._choice[char] = next(
                (
                    font
                    for font, missing in zip(self._fonts, self._missing, strict=True)
                    if char == " " or self._shape(font, char) not in {missing, None}
                ),
                None,
            )
        return self._choice[char]

    def advance(self, char: str) -> float:
        """Width of one character; unknown ones are as wide as the box drawn for them."""
        width = self._advance.get(char)
        if width is None:
            font = self.font_for(char)
            width = self._advance[char] = float(font.getlength(char)) if font else self.size * 0.7
        return width

    def width(self, text: str) -> float:
        return sum(map(self.advance, text))

    def runs(self, text: str) -> list[tuple[str, Font | None]]:
        """The text cut where the font changes."""
        runs: list[tuple[str, Font | None]] = []
        for char in text:
            font = self.font_for(char)
            if runs and runs[-1][1] is font:
                runs[-1] = (runs[-1][0] + char, font)
            else:
                runs.append((char, font))
        return runs

    def wrap(self, text: str, width: float, limit: int = 400) -> list[str]:
        """Lines no wider than `width`; broken at spaces, inside words that are too long, between wide characters."""
        lines: list[str] = []
        line, used = "", 0.0
        for piece in _pieces(text):
            size = self.width(piece)
            if used + size > width and line:
                lines.append(line.rstrip())
                line, used = "", 0.0
                piece = piece.lstrip(" ")
                size = self.width(piece)
            while size > width and len(piece) > 1:
                cut = max(1, self._fitting(piece, width))
                lines.append(piece[:cut])
                piece = piece[cut:]
                size = self.width(piece)
                if len(lines) >= limit:
                    break
            line += piece
            used += size
            if len(lines) >= limit:
                break
        if line.strip():
            lines.append(line.rstrip())
        return lines[:limit] or [""]

    def shorten(self, text: str, width: float) -> str:
        """One line, cut with an ellipsis where it does not fit."""
        if self.width(text) <= width:
            return text
        return text[: self._fitting(text, width - self.advance("…"))].rstrip() + "…"

    def _fitting(self, text: str, width: float) -> int:
        used = 0.0
        for index, char in enumerate(text):
            used += self.advance(char)
            if used > width:
                return index
        return len(text)


def _pieces(text: str) -> list[str]:
    """Smallest units a line may be broken between; a word keeps the space before it."""
    pieces: list[str] = []
    current = ""
    for char in text:
        if char >= "\u2e80" and unicodedata.east_asian_width(char) in {"W", "F"}:
            if current:
                pieces.append(current)
                current = ""
            pieces.append(char)
        elif char == " " and current.strip():
            pieces.append(current)
            current = char
        else:
            current += char
    if current:
        pieces.append(current)
    return pieces


@lru_cache(maxsize=32)
def typeface(size: int, *, bold: bool = False) -> Typeface:
    return Typeface(size, bold=bold)
