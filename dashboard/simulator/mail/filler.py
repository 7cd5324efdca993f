"""Bytes for invented attachments: the outer shape of the named type around harmless text, nothing that could run."""

from __future__ import annotations

import io
import zipfile
from functools import lru_cache
from random import Random

from PIL import Image

WORDS = [
    "sensor",
    "level",
    "gauge",
    "reading",
    "site",
    "record",
    "station",
    "mean",
    "value",
    "report",
    "table",
    "series",
    "check",
    "weir",
    "river",
    "basin",
    "tide",
    "wind",
    "mast",
    "cable",
    "probe",
    "logger",
    "battery",
    "range",
    "drift",
    "offset",
    "scale",
    "mount",
    "bracket",
    "sample",
    "depth",
    "flow",
    "rate",
]
NOTE = "Placeholder of a simulated message. It has no content."
MAX_SIZE = 60_000  # keeps raw messages small enough to open at once


@lru_cache(maxsize=64)
def attachment_bytes(filename: str, size: int, *, encrypted: bool, seed: int) -> bytes:
    """About `size` bytes (bounded by `MAX_SIZE`), equal for equal arguments."""
    rng = Random(f"{seed}/{size}")
    text = _prose(rng, min(size, MAX_SIZE))
    suffix = filename.rpartition(".")[2].lower()
    if suffix in {"zip", "docx", "xlsx", "docm", "xlsm"}:
        return _archive(text, encrypted=encrypted)
    if suffix == "pdf":
        return _pdf(text)
    if suffix in {"html", "htm", "shtml"}:
        return f"<!DOCTYPE html>\n<title>Placeholder</title>\n<p>{NOTE}</p>\n<p>{text}</p>\n".encode()
    if suffix == "xml":
        head = '<?xml version="1.0" encoding="UTF-8"?>'
        return f"{head}\n<invoice><note>{NOTE}</note><text>{text}</text></invoice>\n".encode()
    if suffix == "ics":
        return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Convene//EN\r\nX-NOTE:{NOTE}\r\nEND:VCALENDAR\r\n".encode()
    if suffix in {"jpg", "jpeg"}:
        return _photo(rng)
    return f"{NOTE}\n\n{text}\n".encode()


def _prose(rng: Random, size: int) -> str:
    words = rng.choices(WORDS, k=200)
    paragraph = " ".join(words)
    return (paragraph + "\n") * max(1, size // (len(paragraph) + 1))


def _archive(text: str, *, encrypted: bool) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo("placeholder.txt", (2026, 1, 1, 0, 0, 0)), f"{NOTE}\n\n{text}")
    data = bytearray(out.getvalue())
    if encrypted:  # only the flag that readers look at; the content stays plain filler
        data[6] |= 1
        data[data.rfind(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def _pdf(text: str) -> bytes:
    stream = f"BT /F1 12 Tf 72 760 Td ({NOTE}) Tj ET"
    objects = (
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
        "/Resources << /Font << /F1 5 0 R >> >> >>",
        f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    out, offsets = "%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n"
    out += "".join(f"% {line}\n" for line in text.splitlines())
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    out += f"xref\n0 6\n0000000000 65535 f \n{table}trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
    return out.encode("latin-1")


def _photo(rng: Random) -> bytes:
    picture = Image.linear_gradient("L").resize((320, 240)).rotate(rng.randrange(4) * 90, expand=True)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=70)
    return out.getvalue()
