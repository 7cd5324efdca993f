"""Faults that only a real socket has, on loopback."""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from dashboard.emailsec import EmailSecurityClient, SearchQuery, TokenCredentials, errors
from dashboard.emailsec.types import MailboxDestination

from .samples import CURRENT_MESSAGE
from .upstream import ACCOUNT, TOKEN, ok

FOUND = ok(CURRENT_MESSAGE).content


def http(body: bytes, *, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (size, body)


class Server:
    """Answers each connection with `behave(connection)` in a thread of its own."""

    def __init__(self, behave: Callable[[socket.socket], None]) -> None:
        self.behave = behave
        self.accepted = 0
        self.received: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        self.stop = threading.Event()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if self.stop.is_set():
                connection.close()
                return
            self.accepted += 1
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(5)
            self.behave(connection)

    def request_of(self, connection: socket.socket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65536)
            if not piece:
                return
            data += piece
        self.received.append(data)

    def close(self) -> None:
        self.stop.set()
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        self._listener.close()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def serve() -> Iterator[Callable[..., tuple[Server, EmailSecurityClient]]]:
    opened: list[Server | EmailSecurityClient] = []

    def start(behave: Callable[[Server, socket.socket], None]) -> tuple[Server, EmailSecurityClient]:
        server = Server(lambda connection: behave(server, connection))
        client = client_at(server.port)
        opened.extend([client, server])
        return server, client

    yield start
    for thing in opened:
        thing.close()


def client_at(port: int) -> EmailSecurityClient:
    return EmailSecurityClient(
        account_id=ACCOUNT, credentials=TokenCredentials(TOKEN), base_url=f"http://127.0.0.1:{port}/client/v4"
    )


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def move(client: EmailSecurityClient, budget: float = 2.0):
    return client.move("a", MailboxDestination.INBOX, budget=budget)


def test_it_works_over_a_socket_and_keeps_the_connection(serve):
    def behave(server, connection):
        while True:
            before = len(server.received)
            server.request_of(connection)
            if len(server.received) == before:
                return
            connection.sendall(http(FOUND))

    server, client = serve(behave)
    assert client.message("a").id == client.message("b").id == CURRENT_MESSAGE["id"]
    assert server.accepted == 1
    assert b"GET /client/v4/accounts/" in server.received[0]
    client.close()


def test_even_the_libraries_logs_show_neither_token_nor_search_terms(serve, caplog):
    def behave(server, connection):
        server.request_of(connection)
        connection.sendall(http(ok([CURRENT_MESSAGE]).content))

    server, client = serve(behave)
    caplog.set_level(logging.DEBUG)
    client.search(SearchQuery(query="marker-term-41"))
    assert TOKEN.encode() in server.received[0]
    assert b"marker-term-41" in server.received[0]
    written = " ".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert "emailsec_call" in written
    for secret in (TOKEN, "marker-term-41", "Overdue"):
        assert secret not in written


@pytest.mark.matrix(49)
def test_nothing_listens_so_nothing_was_sent():
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    client = client_at(port)
    with pytest.raises(errors.Unavailable):
        move(client, budget=0.5)
    with pytest.raises(errors.Unavailable):
        client.message("a", budget=0.5)
    client.close()


def test_an_answer_lost_after_the_request_left_is_unknown(serve):
    def behave(server, connection):
        server.request_of(connection)
        reset(connection)

    server, client = serve(behave)
    with pytest.raises(errors.OutcomeUnknown):
        move(client)
    assert server.accepted == 1, "the write was repeated"


@pytest.mark.matrix(49)
def test_a_kept_connection_that_dies_as_we_write_is_unknown_for_a_write(serve):
    def behave(server, connection):
        server.request_of(connection)
        connection.sendall(http(FOUND))
        server.request_of(connection)

    server, client = serve(behave)
    client.message("a")
    with pytest.raises(errors.OutcomeUnknown):
        move(client)
    assert server.accepted == 1


@pytest.mark.matrix(49)
def test_a_read_survives_one_reset(serve):
    def behave(server, connection):
        server.request_of(connection)
        if server.accepted == 1:
            reset(connection)
        else:
            connection.sendall(http(FOUND))

    server, client = serve(behave)
    assert client.message("a", budget=3).id == CURRENT_MESSAGE["id"]
    assert server.accepted == 2


@pytest.mark.matrix(48)
@pytest.mark.parametrize("where", ["headers", "body"])
def test_a_byte_now_and_then_does_not_hold_us_for_ever(serve, where):
    answer = http(b" " * 1000)

    def behave(server, connection):
        server.request_of(connection)
        if where == "body":
            connection.sendall(answer[:-900])
        while not server.stop.wait(0.05):
            connection.sendall(b"H" if where == "headers" else b" ")

    _, client = serve(behave)
    started = time.monotonic()
    with pytest.raises(errors.Unavailable):
        client.message("a", budget=0.4)
    with pytest.raises(errors.OutcomeUnknown):
        move(client, budget=0.4)
    assert time.monotonic() - started < 5


@pytest.mark.matrix(14)
def test_silence_ends_with_the_budget(serve):
    def behave(server, connection):
        server.request_of(connection)
        server.stop.wait(5)

    _, client = serve(behave)
    started = time.monotonic()
    with pytest.raises(errors.OutcomeUnknown):
        move(client, budget=0.3)
    assert time.monotonic() - started < 4


def test_a_body_shorter_than_promised_is_no_answer(serve):
    def behave(server, connection):
        server.request_of(connection)
        connection.sendall(http(FOUND, length=len(FOUND) + 50))

    _, client = serve(behave)
    with pytest.raises(errors.Unavailable):
        client.message("a", budget=0.4)
    with pytest.raises(errors.OutcomeUnknown):
        move(client, budget=0.4)


@pytest.mark.matrix(49)
def test_a_failed_tls_handshake_is_not_sent(serve):
    def behave(server, connection):
        connection.recv(1024)
        connection.sendall(b"this is no TLS\r\n")

    server, _ = serve(behave)
    client = EmailSecurityClient(
        account_id=ACCOUNT, credentials=TokenCredentials(TOKEN), base_url=f"https://127.0.0.1:{server.port}"
    )
    with pytest.raises(errors.Unavailable):
        move(client, budget=0.5)
    client.close()


def test_a_redirect_to_another_port_stays_silent(serve):
    other, _ = serve(lambda server, connection: server.request_of(connection))

    def behave(server, connection):
        server.request_of(connection)
        connection.sendall(
            b"HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\nLocation: http://127.0.0.1:%d/\r\n\r\n"
            % other.port
        )

    _, client = serve(behave)
    with pytest.raises(errors.UnexpectedReply):
        client.message("a")
    assert other.accepted == 0
