"""Raw messages are hostile: whatever they hold, reading them ends soon and raises nothing."""

from __future__ import annotations

import base64
import hashlib
import time
from email.message import EmailMessage

import pytest

from investigate.message import eml
from tests.investigate.message.corpus import hostile_strings, mail_files, needs_mail, needs_strings


def test_headers_are_unfolded_and_decoded():
    raw = (
        b"Received: from a.example\r\n\tby b.example;\r\n Sat, 21 Nov 2026 10:00:00 +0000\r\n"
        b"Subject: =?utf-8?B?" + base64.b64encode("Grüße".encode()) + b"?= and more\r\n"
        b"X-Odd : spaced\r\n\r\nbody: not a header\r\n"
    )

    shown = eml.headers(raw)

    assert [(header.name, header.value) for header in shown] == [
        ("Received", "from a.example by b.example; Sat, 21 Nov 2026 10:00:00 +0000"),
        ("Subject", "Grüße and more"),
        ("X-Odd", "spaced"),
    ]


def test_attachments_carry_the_hashes_of_their_decoded_bytes():
    message = EmailMessage()
    message["Subject"] = "x"
    message.set_content("text")
    message.add_alternative("<p>html</p>", subtype="html")
    message.add_attachment(b"%PDF-1.4 data", maintype="application", subtype="pdf", filename="Straße.pdf")

    mail = eml.read(message.as_bytes())

    assert [part.content_type for part in mail.parts] == ["text/plain", "text/html", "application/pdf"]
    (attachment,) = mail.attachments
    assert attachment.filename == "Straße.pdf"
    assert attachment.size == 13
    assert attachment.sha256 == hashlib.sha256(b"%PDF-1.4 data").hexdigest()
    assert attachment.md5 == hashlib.md5(b"%PDF-1.4 data", usedforsecurity=False).hexdigest()
    assert mail.cut == []


def test_an_attached_message_is_one_part():
    inner = EmailMessage()
    inner["Subject"] = "inner"
    inner.set_content("hello")
    outer = EmailMessage()
    outer.set_content("see attached")
    outer.add_attachment(inner)

    assert [part.content_type for part in eml.read(outer.as_bytes()).attachments] == ["message/rfc822"]


@pytest.mark.parametrize(
    ("data", "is_encrypted"),
    [
        (b"PK\x03\x04\x14\x00\x01\x00", True),
        (b"PK\x03\x04\x14\x00\x00\x00", False),
        (b"PK\x03\x04", False),
        (b"%PDF-1.7 trailer << /Encrypt 5 0 R >>", True),
        (b"%PDF-1.7 trailer << >>", False),
        (b"\xd0\xcf\x11\xe0" + "EncryptedPackage".encode("utf-16-le"), True),
        (b"", False),
    ],
)
def test_encryption_is_seen_in_the_first_bytes(data, is_encrypted):
    assert eml.looks_encrypted(data) is is_encrypted


def nested(depth: int) -> bytes:
    head = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(depth))
    return head + b"Content-Type: text/plain\r\n\r\nbottom"


def many(parts: int) -> bytes:
    return (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        + b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n" * parts
        + b"--b--\r\n"
    )


@pytest.mark.parametrize(
    "raw",
    [
        nested(10_000),
        many(100_000),
        b"Subject: " + b"a" * 3_000_000 + b"\r\n\r\n",
        b"X: y\r\n" * 300_000,
        b"Subject: " + b"=?utf-8?q?" * 200_000,
        b"Content-Type: multipart/mixed; boundary=" + b'"\\' * 100_000 + b"\r\n\r\n",
        b"Content-Type: application/zip; " + b"".join(b"name*%d*=utf-8''a;" % n for n in range(20_000)) + b"\r\n\r\nx",
        b"Content-Transfer-Encoding: base64\r\n\r\n" + b"QUJD" * 2_000_000 + b"Q",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b" + b"\r\n--b" * 500_000,
        b"\x00" * 1_000_000,
        b"\n" * 1_000_000,
        b"\r" * 1_000_000,
    ],
    ids=[
        "nested", "many parts", "long subject", "many headers", "encoded words", "boundary", "continued name", "base64",
        "only boundaries", "zeros", "line feeds", "carriage returns",
    ],
)  # fmt: skip
def test_a_bomb_is_read_within_its_bounds(raw):
    started = time.monotonic()

    mail = eml.read(raw)

    assert time.monotonic() - started < eml.MAX_SECONDS + 2
    assert len(mail.parts) <= eml.MAX_PARTS
    assert len(mail.headers) <= eml.MAX_HEADERS
    assert all(len(header.value) <= eml.MAX_VALUE for header in mail.headers)


def test_what_was_left_out_is_said():
    assert eml.read(many(2_000)).cut == ["Only the first 500 parts are listed."]
    assert eml.read(nested(200)).cut == ["Parts nested deeper than 20 levels are listed as one."]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"no header at all",
        b": empty name\r\n\r\n",
        b"From sender@example Sat Nov 21\nSubject: mbox\n\nbody",
        b"Content-Type: multipart/mixed\r\n\r\nno boundary",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\nnever used",
        b"Content-Type: text/plain; name*0*=; name*=utf-9''%ff\r\n\r\n",
        b"Content-Type: text/plain; charset=\xff\xfe\r\nSubject: =?nope?b?!!!?= =?utf-8?b?gA?=\r\n\r\n\xff",
        b"Content-Disposition: attachment; filename*=utf-8'en'%E2%80%AEgpj.exe\r\n\r\nx",
        b"Content-Type: text/plain; name*99999999999999999999=x\r\n\r\n",
    ],
)
def test_malformed_mail_is_read_as_far_as_it_goes(raw):
    assert eml.read(raw).parts


@pytest.mark.corpus
@needs_mail
def test_every_real_message_is_read():
    for file in mail_files():
        mail = eml.read(file.read_bytes())
        assert mail.headers, file.name
        assert mail.parts, file.name


@pytest.mark.corpus
@needs_strings
def test_hostile_strings_in_every_place_are_read():
    for value in hostile_strings():
        text = value.encode("utf-8", "surrogatepass")
        raw = b"".join(
            [
                b"Subject: " + text + b"\r\nFrom: " + text + b" <" + text + b"@example.com>\r\n",
                b'Content-Type: multipart/mixed; boundary="' + text + b'"\r\n\r\n--' + text + b"\r\n",
                b"Content-Type: "
                + text
                + b'; name="'
                + text
                + b'"\r\nContent-Disposition: attachment; filename*='
                + text,
                b"\r\nContent-Transfer-Encoding: " + text + b"\r\n\r\n" + text + b"\r\n--" + text + b"--\r\n",
            ]
        )
        assert eml.read(raw).parts
        encoded = "=?utf-8?b?" + base64.b64encode(text).decode() + "?="
        assert isinstance(eml.decode_words(encoded), str)
        assert isinstance(eml.decode_words(value), str)
