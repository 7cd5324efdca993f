"""Pictures are checked by their header before anything is decoded, and always drawn anew."""

from __future__ import annotations

import contextlib
import io
import struct
import subprocess
import sys
import zlib

import pytest
from PIL import Image, PngImagePlugin

from investigate.message import preview
from investigate.message.preview import UnsafePicture


def png(size: tuple[int, int] = (40, 30), mode: str = "RGB", **options: object) -> bytes:
    written = io.BytesIO()
    Image.new(mode, size).save(written, "PNG", **options)
    return written.getvalue()


def claiming(width: int, height: int) -> bytes:
    """A tiny file whose header claims any size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    return preview.SIGNATURE + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + b"\0" * 40


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_picture_of_any_mode_is_drawn_anew(mode):
    picture = preview.redraw(png(mode=mode))

    assert (picture.width, picture.height) == (40, 30)
    assert Image.open(io.BytesIO(picture.png)).size == (40, 30)


def test_transparent_parts_become_white():
    written = io.BytesIO()
    Image.new("RGBA", (2, 2), (255, 0, 0, 0)).save(written, "PNG")

    drawn = Image.open(io.BytesIO(preview.redraw(written.getvalue()).png))

    assert drawn.mode == "RGB"
    assert drawn.getpixel((0, 0)) == (255, 255, 255)


def test_nothing_but_pixels_survives():
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "<script>alert(1)</script>")
    polyglot = png(pnginfo=info, icc_profile=b"ICC-MARKER" * 20) + b"<html><script>alert(1)</script>"

    drawn = preview.redraw(polyglot).png

    assert b"script" not in drawn
    assert b"iCCP" not in drawn
    assert drawn.endswith(b"IEND\xaeB`\x82")


def test_an_animation_loses_its_further_frames():
    written = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(written, "PNG", save_all=True, append_images=frames[1:])
    assert b"acTL" in written.getvalue()

    assert b"acTL" not in preview.redraw(written.getvalue()).png


@pytest.mark.parametrize(
    ("width", "height"),
    [(30_000, 30_000), (20_001, 1), (1, 20_001), (10_000, 10_000), (0, 5), (5, 0), (2**32 - 1, 2**32 - 1)],
)
def test_a_size_out_of_bounds_is_refused_before_decoding(width, height, monkeypatch):
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("the decoder was asked"))

    with pytest.raises(UnsafePicture):
        preview.redraw(claiming(width, height))


def as_gif() -> bytes:
    written = io.BytesIO()
    Image.new("P", (4, 4)).save(written, "GIF")
    return written.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"<!doctype html><script>alert(1)</script>" * 3,
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>" * 2,
        as_gif(),
        b"\xff\xd8\xff\xe0" + b"\0" * 60,
        claiming(10, 10),
        preview.SIGNATURE + b"\0" * 5_000,
    ],
    ids=["nothing", "signature alone", "html", "svg", "gif", "jpeg", "header alone", "zeros"],
)
def test_what_is_no_picture_is_refused(data):
    with pytest.raises(UnsafePicture):
        preview.redraw(data)


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_a_truncated_picture_is_refused(kept):
    whole = png((300, 300), "L", compress_level=0)

    with pytest.raises(UnsafePicture):
        preview.redraw(whole[: int(len(whole) * kept)])


def test_a_damaged_picture_never_raises_anything_else():
    whole = bytearray(png((60, 60)))
    for at in range(len(whole)):
        broken = bytearray(whole)
        broken[at] ^= 0xFF
        with contextlib.suppress(UnsafePicture):
            preview.redraw(bytes(broken))


def test_too_many_bytes_are_refused():
    with pytest.raises(UnsafePicture, match="15 MB"):
        preview.redraw(png() + b"\0" * preview.MAX_BYTES)


LARGEST = """
import struct, sys, zlib
from investigate.message import preview

def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

width, height = 1280, preview.MAX_SIDE
squeeze = zlib.compressobj(1)
rows = b"".join(squeeze.compress(b"\\0" + b"\\x40" * (4 * width)) for _ in range(height)) + squeeze.flush()
header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
preview.redraw(preview.SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
status = open("/proc/self/status").read()  # getrusage would tell of the process that this one was forked from
print(int(status.split("VmHWM:")[1].split()[0]) // 1024)
"""


def test_the_largest_transparent_picture_is_drawn_in_little_memory():
    drawn = subprocess.run([sys.executable, "-c", LARGEST], check=True, capture_output=True, text=True, timeout=60)

    assert int(drawn.stdout) < 300, "megabytes"
