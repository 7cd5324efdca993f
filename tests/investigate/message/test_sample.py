"""The sample archive opens with the usual password and with nothing less."""

from __future__ import annotations

import hashlib
import io

import pytest
import pyzipper

from investigate.message import sample


def test_the_archive_holds_the_message_under_a_neutral_name():
    packed = sample.pack(b"Subject: malware\r\n\r\nbody")

    with pyzipper.AESZipFile(io.BytesIO(packed.archive)) as archive:
        assert archive.namelist() == ["message.eml"]
        archive.setpassword(b"infected")
        assert archive.read("message.eml") == b"Subject: malware\r\n\r\nbody"
        assert archive.getinfo("message.eml").wz_aes_strength == 3  # AES-256


def test_the_archive_needs_the_password():
    packed = sample.pack(b"secret words")

    with pyzipper.AESZipFile(io.BytesIO(packed.archive)) as archive, pytest.raises(RuntimeError):
        archive.read("message.eml")
    assert b"secret words" not in packed.archive


def test_the_hash_is_that_of_the_message_inside():
    assert sample.pack(b"abc").sha256 == hashlib.sha256(b"abc").hexdigest()
