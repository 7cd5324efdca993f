"""Reading real .eml files: nothing in them may break the reader, and the guessed verdicts explain themselves."""

from __future__ import annotations

import hashlib
import io
import os
import time
import zipfile
from email.message import EmailMessage
from pathlib import Path

import pytest
from PIL import Image

from dashboard.simulator.mail.folder import read_folder
from dashboard.simulator.mail.record import MailRecord

NOW = 1_795_235_000.0
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"


def read(folder: Path, **files: bytes) -> dict[str, MailRecord]:
    for name, data in files.items():
        (folder / f"{name}.eml").write_bytes(data)
    return {record.source.path.stem: record for record in read_folder(folder, NOW)}  # type: ignore[attr-defined]


def exercise(record: MailRecord) -> None:
    """Everything the simulator may ask of a record, each answer fit for JSON."""
    texts = [
        record.eml(),
        record.body_text(),
        record.subject or "",
        *record.detection_reasons,
        *record.client_recipients,
    ]
    texts += [part for header in record.headers() for part in header]
    texts += [part or "" for link in record.links() for part in link]
    texts += [file.filename or "" for file in record.attachments()]
    texts += [line.message for direction in ("inbound", "outbound") for line in record.trace_lines(direction)]
    for text in texts:
        text.encode()
    record.findings(), record.threat_category_objects()
    assert Image.open(io.BytesIO(record.png(width=480))).format == "PNG"
    assert record.client_recipients
    assert len(record.delivery_status) == len(record.client_recipients)


def letter(body: str = "Hello", **headers: str) -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Ada <ada@corp.example>", "bob@tarnfell.example", "Notes"
    for name, value in headers.items():
        del message[name.replace("_", "-")]
        message[name.replace("_", "-")] = value
    message.set_content(body)
    return bytes(message)


def with_file(name: str, data: bytes, main: str = "application", sub: str = "octet-stream") -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "ada@corp.example", "bob@tarnfell.example", "File"
    message.set_content("see file")
    message.add_attachment(data, main, sub, filename=name)
    return bytes(message)


def page(html: str, subject: str = "Notes") -> bytes:
    head = f"From: ada@corp.example\nTo: b@tarnfell.example\nSubject: {subject}\nContent-Type: text/html; charset=utf-8"
    return f"{head}\n\n{html}".encode()


def locked_zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.txt", "text")
    data = bytearray(out.getvalue())
    data[6] |= 1
    data[data.rfind(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


# fmt: off
VERDICTS = {
    "plain letter": (letter(), "NONE", None),
    "gtube": (letter(GTUBE), "SPAM", "GTUBE"),
    "newsletter": (letter(List_Unsubscribe="<https://x.example/u>"), "BULK", "Mailing list"),
    "executable": (with_file("invoice.pdf.exe", b"hello"), "MALICIOUS", "executed: invoice.pdf.exe"),
    "locked archive": (with_file("a.zip", locked_zip(), "application", "zip"), "SUSPICIOUS", "Encrypted archive"),
    "macro": (with_file("a.docm", b"PK"), "SUSPICIOUS", "active content"),
    "false link": (
        page('<a href="https://evil.test/x">https://bank.example/login</a>'), "SUSPICIOUS", "shows bank.example",
    ),
    "false urgent link": (
        page('Urgent: verify your account <a href="https://evil.test/x">www.bank.example</a>'),
        "MALICIOUS", "leads to evil.test",
    ),
    "dmarc": (letter(Authentication_Results="mx; spf=pass; dmarc=fail"), "SPOOF", "DMARC failed for corp.example"),
    "softfail is not fail": (letter(Authentication_Results="mx; spf=softfail"), "NONE", None),
    "two addresses": (letter(From='"ceo@tarnfell.example" <x@other.test>'), "SPOOF", "Display name shows"),
    "extortion": (letter("I recorded you with your webcam. Send bitcoin."), "MALICIOUS", "cryptocurrency"),
    "flagged": (letter(X_Spam_Flag="YES"), "SPAM", "earlier server"),
}
# fmt: on


@pytest.mark.parametrize(("data", "disposition", "why"), VERDICTS.values(), ids=VERDICTS)
def test_verdict_and_its_reason(tmp_path: Path, data: bytes, disposition: str, why: str | None) -> None:
    record = read(tmp_path, one=data)["one"]

    assert record.final_disposition == disposition
    assert (record.alert_id is None) == (disposition == "NONE")
    if why:
        assert why in record.detection_reasons[0]
        assert record.findings()[0].reason == record.detection_reasons[0]
    exercise(record)


def nested(depth: int) -> bytes:
    head = b"From: a@corp.example\n"
    for level in range(depth):
        head += b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (level, level)
    return head + b"Content-Type: text/plain\n\ndeep\n"


def attached_in_attached(depth: int) -> bytes:
    return b"Subject: s\n" + b"Content-Type: message/rfc822\n\n" * depth + b"Subject: inner\n\ntext\n"


HOSTILE = {
    "empty": b"",
    "only newlines": b"\n" * 5_000,
    "nuls": b"Subject: a\x00b\nFrom: \x00\n\nbody\x00",
    "all bytes": bytes(range(256)) * 50,
    "no headers": b"just some text without any header",
    "8 bit headers": "Subject: Grüße aus Köln\nFrom: Jörg <j@corp.example>\n\nhé".encode("latin-1"),
    "raw utf-8 header": "Subject: Żółć 日本\n\nx".encode(),
    "unknown charset": b"Content-Type: text/plain; charset=klingon\nSubject: =?klingon?Q?=FF?=\n\nabc\xff",
    "charset is a python codec": b"Content-Type: text/plain; charset=unicode_escape\n\n\\ud800\\x00",
    "charset is no text codec": b"Content-Type: text/plain; charset=base64\n\nabcd",
    "utf-7 surrogate": b"Content-Type: text/plain; charset=utf-7\n\n+2AA- x",
    "broken base64": b"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n!!!a\x80b=",
    "broken word": b"Subject: =?utf-8?B?!!!?= =?utf-8?Q?=ZZ?=\n\nx",
    "missing boundary": b"Content-Type: multipart/mixed\n\n--x\n\ntext",
    "unending boundary": b"Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/plain\n\nhi",
    "broken addresses": b"From: <<<@@@>>>,,;:\nTo: " + b"<" * 3_000 + b"\nReply-To: ()()\n\nx",
    "broken dates": b"Date: Thu, 99 Foo 99999 99:99:99 +9999\nFrom: a@b.example\n\nx",
    "many recipients": b"To: " + b", ".join(b"u%d@corp.example" % n for n in range(20_000)) + b"\n\nx",
    "huge header": b"Subject: " + b"A" * 2_000_000 + b"\n\nx",
    "many headers": b"X-A: b\n" * 50_000 + b"\nx",
    "many parts": b"Content-Type: multipart/mixed; boundary=x\n\n"
    + b"--x\nContent-Type: image/png\n\nA\n" * 5_000
    + b"--x--",
    "nested parts": nested(60),
    "very nested parts": nested(3_000),
    "message in message": attached_in_attached(30),
    "message in message, deep": attached_in_attached(3_000),
    "open tags": b"Content-Type: text/html\n\n" + b"<a href='x" * 60_000,
    "open comments": b"Content-Type: text/html\n\n" + b"<!--" * 90_000,
    "open declarations": b"Content-Type: text/html\n\n" + b"<![" * 90_000,
    "many links": b"Content-Type: text/html\n\n" + b"<a href=http://x.test/>y</a>" * 20_000,
    "odd link": b"Content-Type: text/html\n\n<a href='http://[::1'>http://[bad</a><a href='javascript:alert(1)'>x</a>",
    "bad zip": with_file("a.zip", b"PK\x03\x04" + b"\xff" * 400, "application", "zip"),
    "path as name": with_file("../../etc/passwd\x00.pdf".replace("\x00", ""), b"x"),
    "long lines": b"Subject: x\n\n" + b"word " * 400_000,
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_file_is_served(tmp_path: Path, data: bytes) -> None:
    started = time.process_time()
    record = read(tmp_path, one=data)["one"]
    exercise(record)

    assert time.process_time() - started < 4, "reading, opening and drawing one file took too long"
    assert len(record.attachments()) <= 1_000


def test_attachment_hashes_are_those_of_the_bytes(tmp_path: Path) -> None:
    data = bytes(range(256)) * 9
    file = read(tmp_path, one=with_file("Übersicht 2026.bin", data))["one"].attachments()[0]

    assert (file.filename, file.size, file.sha256) == (
        "Übersicht 2026.bin",
        len(data),
        hashlib.sha256(data).hexdigest(),
    )


def test_links_come_from_text_and_page(tmp_path: Path) -> None:
    message = EmailMessage()
    message["From"] = "a@corp.example"
    message.set_content("See https://one.example/a, and http://two.example/b.")
    message.add_alternative('<p>See <a href="https://one.example/a">this <b>page</b></a></p>', subtype="html")
    links = read(tmp_path, one=bytes(message))["one"].links()

    assert [(link.href, link.text) for link in links] == [
        ("https://one.example/a", "this page"),
        ("http://two.example/b", None),
    ]


def test_messages_keep_the_order_of_their_dates(tmp_path: Path) -> None:
    records = read(
        tmp_path,
        c=letter(Date="Mon, 05 Jan 2004 10:00:00 +0000"),
        a=letter(Date="Mon, 04 Jan 2021 10:00:00 +0000"),
        b=letter(Date="nonsense"),
    )

    assert list(records) == ["c", "a", "b"]
    times = [record.scanned_at for record in records.values()]
    assert times == sorted(times)
    assert times[0] >= NOW - 30 * 86_400
    assert times[-1] <= NOW


def test_a_vanished_file_leaves_an_empty_message(tmp_path: Path) -> None:
    record = read(tmp_path, one=letter())["one"]
    (tmp_path / "one.eml").unlink()

    assert record.eml() == ""
    exercise(record)


def corpus() -> Path | None:
    named = os.environ.get("MAILWARDEN_MAIL_DIR")
    folder = Path(named) if named else Path(__file__).parents[4] / "shared" / "mail"
    return folder if folder.is_dir() else None


@pytest.mark.corpus
def test_real_mail_is_served() -> None:
    folder = corpus()
    if folder is None:
        pytest.skip("no folder of real mail: set MAILWARDEN_MAIL_DIR")
    started = time.process_time()
    records = read_folder(folder, NOW)

    assert len(records) == len(list(folder.rglob("*.eml")))
    assert len({record.id for record in records}) == len(records)
    assert len({record.final_disposition for record in records}) >= 4
    for record in records:
        exercise(record)
    assert time.process_time() - started < 60
