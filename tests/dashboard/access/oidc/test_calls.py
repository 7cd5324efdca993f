"""Calls to the provider: whatever the other side does, they end soon, stay small, and go nowhere else."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import pytest

from dashboard.access import oidc_calls
from dashboard.access.oidc_calls import AnswerUnusable, ProviderAway, ProviderRefused, fetch, is_elsewhere


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[tuple[str, list[bytes]]]:
    """A server on loopback that does this with its first connection; gives its address and what it was sent."""
    got: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            try:
                connection, _ = server.accept()
            except OSError:  # nobody came
                return
            with connection:
                connection.settimeout(10)
                try:
                    got.append(connection.recv(65536))
                    if got[0]:
                        answer(connection)
                except OSError:  # the other side has gone
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}", got
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(15)


def sends(*pieces: bytes, every: float = 0) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        for piece in pieces:
            connection.sendall(piece)
            threading.Event().wait(every)

    return answer


def ask(address: str, **more: Any) -> dict[str, Any]:
    return fetch("GET", f"{address}/keys", is_on_this_machine=True, **more)


def test_an_answer_is_read() -> None:
    with listening(sends(b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"keys":[]}')) as (address, got):
        assert ask(address) == {"keys": []}
    assert b"identity" in got[0]


@pytest.mark.matrix(68)
def test_a_redirect_is_not_followed() -> None:
    with (
        listening(sends(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")) as (elsewhere, got_elsewhere),
        listening(sends(f"HTTP/1.1 307 -\r\nLocation: {elsewhere}/\r\nContent-Length: 0\r\n\r\n".encode())) as here,
        pytest.raises(AnswerUnusable, match="status 307"),
    ):
        fetch("POST", f"{here[0]}/token", is_on_this_machine=True, form={"client_secret": "x"})
    assert got_elsewhere == []


@pytest.mark.matrix(68)
def test_a_provider_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte every tenth of a second would hold a thread for hours, were only single reads timed."""
    monkeypatch.setattr(oidc_calls, "CALL_SECONDS", 0.6)
    drops = [b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", *[b" "] * 100]
    started = time.monotonic()

    with listening(sends(*drops, every=0.1)) as (address, _), pytest.raises(ProviderAway):
        ask(address)

    assert time.monotonic() - started < 8


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"", ProviderAway),
        (b"nonsense\r\n\r\n", ProviderAway),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}", ProviderAway),
        (b"HTTP/1.1 503 -\r\nContent-Length: 0\r\n\r\n", ProviderAway),
        (b"HTTP/1.1 204 -\r\n\r\n", AnswerUnusable),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\xff\xfe\xfd\xfc", AnswerUnusable),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n[{}]", AnswerUnusable),
        (b'HTTP/1.1 400 -\r\nContent-Length: 25\r\n\r\n{"error":"invalid_grant"}', ProviderRefused),
        (b"HTTP/1.1 404 -\r\nContent-Length: 6\r\n\r\n<html>", ProviderRefused),
    ],
)
def test_whatever_is_no_answer_has_a_name(answer: bytes, problem: type[Exception]) -> None:
    with listening(sends(answer)) as (address, _), pytest.raises(problem):
        ask(address)


def test_nobody_listening_is_a_provider_that_is_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(ProviderAway):
        ask(address)


def test_a_name_that_leads_to_this_machine_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is one thing when somebody checks it and another when we connect: so the connection is looked at."""
    resolve = socket.getaddrinfo
    with listening(sends(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")) as (address, got):
        port = int(address.rpartition(":")[2])
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda *_a, **_k: resolve("127.0.0.1", port, type=socket.SOCK_STREAM)
        )

        with pytest.raises(AnswerUnusable, match="this machine"):
            fetch("GET", f"https://login.corp.example:{port}/", is_on_this_machine=False)
        monkeypatch.undo()

    assert got in ([], [b""])  # not even the beginning of a handshake


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", False), ("127.9.9.9", False), ("::1", False), ("::ffff:127.0.0.1", False), ("0.0.0.0", False),
        ("::", False), ("169.254.169.254", False), ("::ffff:169.254.169.254", False), ("fe80::1%eth0", False),
        ("224.0.0.1", False), ("ff02::1", False),
        ("10.0.0.7", True), ("192.168.1.2", True), ("fd00::7", True), ("93.184.216.34", True), ("2606:2800::1", True),
        ("64:ff9b::5db8:d822", True),
    ],
)  # fmt: skip
def test_where_a_provider_may_live(address: str, expected: bool) -> None:
    assert is_elsewhere(address) == expected


@pytest.mark.parametrize(
    "url",
    [None, 7, "", "x", "http://login.corp.example/", "https://a:b@login.corp.example/", "https://x/#y", "ftp://x/",
     "file:///etc/passwd", "https:///x", "https://x/\n", "https://x/?a=\n", "javascript:alert(1)"],
)  # fmt: skip
def test_what_is_no_address_is_not_called(url: object) -> None:
    with pytest.raises(AnswerUnusable):
        fetch("GET", url, is_on_this_machine=False)


def test_the_secret_is_encoded_as_the_protocol_says() -> None:
    assert oidc_calls.basic("a:b", "c d+%") == "Basic YSUzQWI6YytkJTJCJTI1"


def test_sockets_of_httpcore_still_tell_the_address() -> None:
    """What the check above stands on."""
    with listening(sends()) as (address, _):
        stream = httpcore.SyncBackend().connect_tcp("127.0.0.1", int(address.rpartition(":")[2]))
        assert stream.get_extra_info("server_addr")[0] == "127.0.0.1"
        stream.close()
