"""Serving the simulator over a port: threads, keep-alive, and connections that can be dropped on purpose."""

from __future__ import annotations

import os
import socket
import socketserver
import sys
import traceback
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from typing import Any

from dashboard.simulator.wire import JSON, ApiError, encode, failure_body

_LARGEST_BODY = 64 * 2**20


class _Dropped(Exception):
    """The application asked to close the connection without an answer."""


class _Handler(BaseHTTPRequestHandler):
    """One connection; `http.server` reads the request line and headers, the rest is WSGI."""

    protocol_version = "HTTP/1.1"
    server_version = "MailwardenSimulator"
    timeout = 75  # seconds an idle connection is kept
    disable_nagle_algorithm = True
    wbufsize = -1
    server: SimulatorServer

    def _serve(self) -> None:
        length = self.headers.get("Content-Length") or "0"
        if not length.isdecimal() or int(length) > _LARGEST_BODY or self.headers.get("Transfer-Encoding"):
            self.send_error(413)
            self.close_connection = True
            return
        body = self.rfile.read(int(length))
        try:
            chunks = self.server.application(self._environ(body), self._start_response)
            for chunk in chunks:
                self.wfile.write(chunk)
                if len(chunk) == 1:
                    self.wfile.flush()
                self._left -= len(chunk)
            self.wfile.flush()
        except _Dropped:
            self._abort()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        except Exception:  # noqa: BLE001 - a defect of the simulator must look like one of the service, and be seen
            traceback.print_exc()
            self._send_defect()
        else:
            if self._left > 0:  # the body was cut short of its promised length
                self._abort()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _serve  # noqa: N815

    _left = 0

    def _environ(self, body: bytes) -> dict[str, Any]:
        path, _, query = self.path.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": self.command,
            "REQUEST_URI": self.path,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_LENGTH": str(len(body)),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(body),
            "wsgi.errors": sys.stderr,
            "simulator.drop": self._drop,
        }
        for name, value in self.headers.items():
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
        return environ

    def _start_response(self, status: str, headers: list[tuple[str, str]], _exc_info: object = None) -> None:
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        for name, value in headers:
            self.send_header(name, value)
            if name == "Content-Length":
                self._left = int(value)
        self.end_headers()

    def _send_defect(self) -> None:
        self.close_connection = True
        if not self._left:
            body = encode(failure_body(ApiError(500, 1500, "Internal server error")))
            self._start_response(
                "500 Internal Server Error", [("Content-Type", JSON), ("Content-Length", str(len(body)))]
            )
            self.wfile.write(body)

    def _drop(self) -> None:
        raise _Dropped

    def _abort(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        if os.environ.get("SIMULATOR_LOG"):
            super().log_message(format, *args)


class SimulatorServer(socketserver.ThreadingTCPServer):
    """A thread per connection; `server_port` tells the port when 0 was asked for."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], application: Callable[..., Any]) -> None:
        self.application = application
        super().__init__(address, _Handler)
        self.server_port: int = self.socket.getsockname()[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)
