"""A message packed so that no program opens it by accident: the usual way to hand malware on."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass

import pyzipper

PASSWORD = "infected"  # noqa: S105  the password everybody in the field uses for samples; it protects against programs
ENTRY_NAME = "message.eml"  # the sender's file names never reach an analyst's disk


@dataclass(frozen=True, slots=True)
class Sample:
    archive: bytes
    sha256: str  # of the message inside


def pack(eml: bytes) -> Sample:
    """An AES-256 zip with the message as its only entry."""
    packed = io.BytesIO()
    with pyzipper.AESZipFile(packed, "w", compression=pyzipper.ZIP_DEFLATED, encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(PASSWORD.encode())
        archive.setencryption(pyzipper.WZ_AES, nbits=256)
        archive.writestr(ENTRY_NAME, eml)
    return Sample(packed.getvalue(), hashlib.sha256(eml).hexdigest())
