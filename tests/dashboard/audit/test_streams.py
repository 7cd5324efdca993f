"""The trail as receivers get it: real ones, on loopback, that are there, away for a while, and hostile."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import hmac
import json
import re
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpcore
import pytest
import time_machine

from dashboard.access.models import Member
from dashboard.audit import streams, webhook
from dashboard.audit.chain import line
from dashboard.audit.models import AuditEvent, Stream
from dashboard.audit.recorder import record
from dashboard.audit.syslog import message
from dashboard.audit.targets import syslog_target, webhook_target
from dashboard.audit.verifying import verify_lines
from dashboard.outbound.addresses import is_public
from dashboard.outbound.posting import Refused
from tests.dashboard.audit.test_trail import trail

pytestmark = pytest.mark.django_db
__all__ = ["trail"]

SECRET = "a secret of the tests"
HOSTILE = 'x"] \\ \r\n<110>1 forged - - - -\x1b[31m\u202eevil\x00'


class Syslog(socketserver.ThreadingTCPServer):
    """Takes connections to their end, and keeps the messages it could count out of them."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        self.messages: list[bytes] = []
        self.ended = threading.Semaphore(0)
        super().__init__(("127.0.0.1", port), self.Connection)

    class Connection(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while digits := self.rfile.read(1):
                while not digits.endswith(b" "):
                    digits += self.rfile.read(1)
                self.server.messages.append(self.rfile.read(int(digits)))  # type: ignore[attr-defined]


class Hook(ThreadingHTTPServer):
    """Keeps what was posted, and answers what it is told to."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        super().__init__(("127.0.0.1", port), self.Handler)

    class Handler(BaseHTTPRequestHandler):
        server: Hook

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.posts.append((dict(self.headers), body))
            status = self.server.answers.pop(0) if self.server.answers else 204
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass


@contextlib.contextmanager
def serving(server: Any) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def syslog(settings: Any) -> Iterator[Syslog]:
    with serving(Syslog()) as server:
        settings.AUDIT_SYSLOG = f"tcp://127.0.0.1:{server.server_address[1]}"
        yield server


@pytest.fixture
def hook(settings: Any) -> Iterator[Hook]:
    with serving(Hook()) as server:
        settings.AUDIT_WEBHOOK = f"http://127.0.0.1:{server.server_port}/rows?team=1"
        settings.AUDIT_WEBHOOK_SECRET = SECRET
        yield server


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(type=kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def sequences(messages: list[bytes]) -> list[int]:
    return [int(re.search(rb'sequence="(\d+)"', one).group(1)) for one in messages]  # type: ignore[union-attr]


def posted(hook: Hook) -> list[int]:
    return [json.loads(row)["sequence"] for _, body in hook.posts for row in body.splitlines()]


def test_syslog_over_tcp_gets_every_row_once_and_in_order(ana: Member, trail: list[AuditEvent], syslog: Syslog) -> None:
    streams.deliver_all()
    streams.deliver_all()
    record(actor=ana, action="message:read")
    streams.deliver_all()

    assert sequences(syslog.messages) == [1, 2, 3, 4, 5, 6]
    (state,) = streams.behind()
    assert (state.rows, state.problem) == (0, "")


def test_a_message_is_as_the_rfc_says_and_can_be_verified(trail: list[AuditEvent], syslog: Syslog) -> None:
    streams.deliver_all()

    pattern = re.compile(
        rb"<110>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z [!-~]+ mailwarden - message:read "
        rb"\[mailwarden@32473 (?:[a-z_]+=\"(?:[^\"\\\]]|\\[\"\\\]])*\" ?)+\] (\{.*\})"
    )
    rows = [pattern.fullmatch(one).group(1).decode() for one in syslog.messages]  # type: ignore[union-attr]
    assert rows == [line(event) for event in AuditEvent.objects.all()]
    assert verify_lines(rows).problem is None


def test_refused_and_failed_things_are_warnings(ana: Member) -> None:
    done, refused = record(actor=ana, action="x"), record(actor=ana, action="x", phase="refused")

    assert message(done).startswith(b"<110>1 ")
    assert message(refused).startswith(b"<108>1 ")


@pytest.mark.parametrize("field", ["actor_name", "address", "action", "reason", "targets", "detail"])
def test_hostile_text_stays_inside_its_field_and_on_its_line(ana: Member, field: str) -> None:
    event = record(actor=ana, action="message:read")
    values = {"targets": [HOSTILE], "detail": {HOSTILE: HOSTILE}}
    setattr(event, field, values.get(field, HOSTILE))

    sent = message(event)

    text = sent.decode()
    assert not re.search("[\x00-\x1f\x7f\u202e]", text)
    assert text.count('hash="') == 1
    parameters = re.fullmatch(r'[^\[]*\[mailwarden@32473 ((?:[a-z_]+="(?:[^"\\\]]|\\["\\\]])*" ?)+)\] \{.*\}', text)
    assert parameters, text
    assert "\n" not in line(event)


def test_syslog_over_udp_gets_one_datagram_a_row(trail: list[AuditEvent], settings: Any) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        settings.AUDIT_SYSLOG = f"udp://127.0.0.1:{receiver.getsockname()[1]}"
        streams.deliver_all()

        assert sequences([receiver.recv(65_536) for _ in range(5)]) == [1, 2, 3, 4, 5]


def test_a_row_larger_than_a_datagram_says_that_it_was_cut(ana: Member, settings: Any) -> None:
    large = record(actor=ana, action="job:decide", detail={"query": "x" * 70_000})
    with socket.socket(type=socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        settings.AUDIT_SYSLOG = f"udp://127.0.0.1:{receiver.getsockname()[1]}"
        streams.deliver_all()
        got = receiver.recv(65_536)

    assert b"larger than a datagram" in got
    assert large.hash.encode() in got


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.matrix(69)
def test_syslog_that_was_away_gets_all_of_it_when_it_is_back(
    trail: list[AuditEvent], settings: Any, transport: str
) -> None:
    port = free_port(socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM)
    settings.AUDIT_SYSLOG = f"{transport}://127.0.0.1:{port}"
    with time_machine.travel(dt.datetime.now(dt.UTC), tick=True) as clock:
        streams.deliver_all()

        (state,) = streams.behind()
        assert (state.rows, state.problem) == (5, "connection refused")
        assert state.since == trail[0].at

        clock.shift(streams.LONGEST_WAIT)
        if transport == "tcp":
            with serving(Syslog(port)) as server:
                streams.deliver_all()
            got = server.messages
        else:
            with socket.socket(type=socket.SOCK_DGRAM) as receiver:
                receiver.bind(("127.0.0.1", port))
                receiver.settimeout(5)
                streams.deliver_all()
                got = [receiver.recv(65_536) for _ in range(5)]

    assert sequences(got) == [1, 2, 3, 4, 5]
    assert streams.behind()[0].problem == ""


@pytest.mark.matrix(69)
def test_a_connection_that_is_reset_counts_as_not_sent(trail: list[AuditEvent], settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as receiver:
        settings.AUDIT_SYSLOG = f"tcp://127.0.0.1:{receiver.getsockname()[1]}"

        def hang_up() -> None:
            connection, _ = receiver.accept()
            connection.recv(1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        streams.deliver_all()
        thread.join()

    assert Stream.objects.get().position == 0
    assert streams.behind()[0].problem in ("connection reset by peer", "broken pipe")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key and a certificate for 127.0.0.1, in one file."""
    file = tmp_path / "server.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    file.write_bytes((tmp_path / "key.pem").read_bytes() + (tmp_path / "cert.pem").read_bytes())
    return file


@pytest.mark.parametrize("is_known", [True, False])
def test_syslog_over_tls_goes_to_whom_the_certificate_names_and_to_nobody_else(
    trail: list[AuditEvent], settings: Any, certificate: Path, monkeypatch: pytest.MonkeyPatch, is_known: bool
) -> None:
    if is_known:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = Syslog()
    server.socket = context.wrap_socket(server.socket, server_side=True)
    monkeypatch.setattr(server, "handle_error", lambda *_: None)  # a client that hangs up is what is tested
    with serving(server):
        settings.AUDIT_SYSLOG = f"tls://127.0.0.1:{server.server_address[1]}"
        streams.deliver_all()
        problem = streams.behind()[0].problem

    assert problem == ("" if is_known else "its certificate is not accepted")
    assert sequences(server.messages) == ([1, 2, 3, 4, 5] if is_known else [])


def test_the_webhook_gets_signed_lines(trail: list[AuditEvent], hook: Hook) -> None:
    streams.deliver_all()

    ((headers, body),) = hook.posts
    expected = hmac.new(SECRET.encode(), headers["Mailwarden-Timestamp"].encode() + b"." + body, hashlib.sha256)
    assert headers["Mailwarden-Signature"] == f"v1={expected.hexdigest()}"
    assert headers["Mailwarden-Rows"] == "1-5"
    assert headers["Content-Type"] == "application/x-ndjson"
    assert abs(int(headers["Mailwarden-Timestamp"]) - dt.datetime.now(dt.UTC).timestamp()) < 30
    assert verify_lines(body.decode().splitlines()).problem is None


def test_the_webhook_is_sent_large_trails_in_batches(ana: Member, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "LARGEST_BATCH", 1_000)
    for _ in range(6):
        record(actor=ana, action="message:read", detail={"padding": "x" * 300})

    streams.deliver_all()

    assert posted(hook) == [1, 2, 3, 4, 5, 6]
    assert len(hook.posts) == 6


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (500, "it answers 500"),
        (401, "it answers 401"),
        (302, "it answers with a redirect (302), which is not followed"),
        (307, "it answers with a redirect (307), which is not followed"),
    ],
)
@pytest.mark.matrix(69)
def test_what_the_webhook_did_not_take_is_sent_again_in_order(
    trail: list[AuditEvent], hook: Hook, status: int, problem: str
) -> None:
    hook.answers = [status]
    with time_machine.travel(dt.datetime.now(dt.UTC), tick=True) as clock:
        streams.deliver_all()
        (state,) = streams.behind()
        assert (state.rows, state.problem) == (5, problem)

        streams.deliver_all()  # its time has not come
        assert len(hook.posts) == 1
        clock.shift(streams.FIRST_WAIT + 1)
        streams.deliver_all()

    assert posted(hook) == [1, 2, 3, 4, 5] * 2
    assert streams.behind()[0].rows == 0


def test_the_pauses_grow_and_have_an_end(trail: list[AuditEvent], settings: Any) -> None:
    settings.AUDIT_WEBHOOK, settings.AUDIT_WEBHOOK_SECRET = f"http://127.0.0.1:{free_port()}/", SECRET
    pauses = []
    with time_machine.travel(dt.datetime.now(dt.UTC), tick=False) as clock:
        for _ in range(9):
            streams.deliver_all()
            stream = Stream.objects.get()
            pauses.append((stream.due_at - dt.datetime.now(dt.UTC)).total_seconds())
            clock.move_to(stream.due_at)

    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert streams.behind()[0].problem == "connection refused"


@pytest.mark.matrix(69)
def test_one_receiver_that_is_away_does_not_keep_the_other_waiting(
    trail: list[AuditEvent], hook: Hook, settings: Any
) -> None:
    settings.AUDIT_SYSLOG = f"tcp://127.0.0.1:{free_port()}"

    streams.deliver_all()

    assert [(state.name, state.rows) for state in streams.behind()] == [("syslog", 5), ("webhook", 0)]


def test_who_holds_the_stream_is_left_alone_until_the_claim_is_over(trail: list[AuditEvent], hook: Hook) -> None:
    with time_machine.travel(dt.datetime.now(dt.UTC), tick=True) as clock:
        Stream.objects.create(name="webhook", claimed_at=dt.datetime.now(dt.UTC))
        streams.deliver_all()
        assert hook.posts == []

        clock.shift(streams.CLAIM + dt.timedelta(seconds=1))
        streams.deliver_all()
        assert posted(hook) == [1, 2, 3, 4, 5]
        assert Stream.objects.get().claimed_at is None


@pytest.mark.matrix(69)
def test_a_crash_after_sending_sends_again_and_leaves_nothing_out(
    trail: list[AuditEvent], hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = streams._send_webhook

    def send_and_die(events: list[AuditEvent]) -> int:
        real(events)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(streams, "_send_webhook", send_and_die)
        with pytest.raises(KeyboardInterrupt):
            streams.deliver_all()

    streams.deliver_all()
    assert posted(hook) == [1, 2, 3, 4, 5] * 2


@pytest.mark.parametrize(
    "answers",
    [["127.0.0.1"], ["10.1.2.3"], ["192.168.1.1"], ["169.254.169.254"], ["::1"], ["fe80::1"], ["fd00::1"], ["0.0.0.0"],
     ["::ffff:127.0.0.1"], ["100.64.0.1"], ["224.0.0.1"], ["93.184.216.34", "127.0.0.1"], []],
)  # fmt: skip
def test_a_name_that_leads_to_a_private_address_gets_nothing(
    trail: list[AuditEvent], hook: Hook, answers: list[str]
) -> None:
    target = webhook_target(f"https://rows.example:{hook.server_port}/")

    with pytest.raises(Refused, match="leads to a private address"):
        webhook.send(target, SECRET, trail, resolve=lambda *_: answers)
    assert hook.posts == []


def test_the_address_that_was_looked_at_is_the_one_that_is_called(
    trail: list[AuditEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that answers with a public address first and with this machine the second time is asked once."""
    answers = iter([["93.184.216.34"], ["127.0.0.1"]])
    called: list[str] = []

    def connect(_: object, host: str, *args: object, **values: object) -> None:
        called.append(host)
        raise httpcore.ConnectError

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect)
    with pytest.raises(Refused):
        webhook.send(webhook_target("https://rows.example/"), SECRET, trail, resolve=lambda *_: next(answers))
    assert called == ["93.184.216.34"]


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822", "2002:5db8:d822::1"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    ("read", "value", "told"),
    [
        (syslog_target, "logs.example:514", "must begin with udp://"),
        (syslog_target, "http://logs.example:514", "must begin with udp://"),
        (syslog_target, "udp://logs.example", "must look like tls://"),
        (syslog_target, "udp://logs.example:0", "no name, password"),
        (syslog_target, "udp://logs.example:99999", "Port out of range"),
        (syslog_target, "tcp://logs.example:514/path", "must look like tls://"),
        (syslog_target, "tcp://a b:514", "a character that no address has"),
        (webhook_target, "http://logs.example/", "must begin with https://, because"),
        (webhook_target, "http://10.0.0.1/", "must begin with https://, because"),
        (webhook_target, "https://10.0.0.1/", "a private network"),
        (webhook_target, "https://[fd00::1]/", "a private network"),
        (webhook_target, "https://user:word@logs.example/", "no name, password"),
        (webhook_target, "https:///x", "name a host"),
        (webhook_target, "file:///etc/passwd", "must begin with https:// or http://"),
    ],
)
def test_a_target_that_cannot_be_used_is_refused_with_the_reason(
    read: Callable[[str], object], value: str, told: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        read(value)


@pytest.mark.parametrize(
    "value", ["http://127.0.0.1:9/x", "http://localhost/", "http://[::1]:9/", "https://127.0.0.1/"]
)
def test_this_machine_is_a_target_where_it_is_written_out(value: str) -> None:
    assert webhook_target(value).is_on_this_machine
