"""The picture of a message: checked before it is decoded, and drawn anew before it leaves us.

The bytes come from a service that rendered hostile mail. Only a plain PNG of bounded size is decoded, and what is sent
to the browser is our own encoding of its pixels: comments, profiles, further frames and anything appended stay behind.

A small file can hold a very large picture. Pixels take 4 bytes each here, twice where the picture is transparent, and
one picture of a process is drawn at a time: about 300 MB at the worst.
"""

from __future__ import annotations

import io
import struct
import threading
from dataclasses import dataclass

from PIL import Image

MAX_BYTES = 15_000_000
MAX_SIDE = 20_000  # pixels
MAX_PIXELS = 26_000_000  # a page of the usual 1,280 pixels' width at the largest height
_ONE_AT_A_TIME = threading.BoundedSemaphore(1)
SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">8sI4sII")
_DECODING_ERRORS = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, Image.DecompressionBombError)


class UnsafePicture(Exception):
    """The bytes are not a picture we would show; the text is a sentence for the analyst."""


@dataclass(frozen=True, slots=True)
class Picture:
    png: bytes
    width: int
    height: int


def png_size(data: bytes) -> tuple[int, int]:
    """Width and height as the file's header claims them; raises UnsafePicture unless they are within bounds.

    Reads 24 bytes and decodes nothing.
    """
    if len(data) > MAX_BYTES:
        raise UnsafePicture(f"The picture is larger than {MAX_BYTES // 1_000_000} MB.")
    if len(data) < _HEADER.size:
        raise UnsafePicture("The answer is not a PNG picture.")
    signature, length, kind, width, height = _HEADER.unpack_from(data)
    if signature != SIGNATURE or kind != b"IHDR" or length != 13:
        raise UnsafePicture("The answer is not a PNG picture.")
    if not 0 < width <= MAX_SIDE or not 0 < height <= MAX_SIDE or width * height > MAX_PIXELS:
        raise UnsafePicture(f"The picture claims to be {width:,} by {height:,} pixels, which is too large to decode.")
    return width, height


def redraw(data: bytes) -> Picture:
    """The first frame of a PNG as a new PNG of our own; raises UnsafePicture. Waits while another one is drawn."""
    width, height = png_size(data)
    with _ONE_AT_A_TIME:
        try:
            with Image.open(io.BytesIO(data), formats=["PNG"]) as source:
                source.load()
                pixels = _flattened(source)
        except _DECODING_ERRORS as exc:
            raise UnsafePicture("The picture is damaged or incomplete.") from exc
        if pixels.size != (width, height):
            raise UnsafePicture("The picture is not what its header says.")
        pixels.info = {}
        drawn = io.BytesIO()
        pixels.save(drawn, "PNG", compress_level=6)
    return Picture(drawn.getvalue(), width, height)


def _flattened(source: Image.Image) -> Image.Image:
    """Opaque pixels in a mode that needs nothing but pixels: transparency would let the page shine through."""
    if source.mode in ("RGBA", "LA", "PA") or "transparency" in source.info:
        layer = source if source.mode == "RGBA" else source.convert("RGBA")
        ground = Image.new("RGB", layer.size, "white")
        ground.paste(layer, mask=layer)  # its own transparency, without a copy of it
        return ground
    return source if source.mode in ("1", "L", "RGB", "P") else source.convert("RGB")
