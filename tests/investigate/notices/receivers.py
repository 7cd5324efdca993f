"""Receivers of notices, each a process of its own: `receivers.py http|smtp <port> <folder>`.

What came in is in the folder's `got.jsonl`; `answers.json` says what is answered next: a list of statuses, or for HTTP
of objects with status, headers and pause. When it is empty, everything is taken.
"""

from __future__ import annotations

import json
import os
import socketserver
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

READY = b"ready\n"  # what the process says once its port is open


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path

    def keep(self, what: dict[str, Any]) -> None:
        with (self.path / "got.jsonl").open("a") as file:
            file.write(json.dumps(what) + "\n")

    def next_answer(self) -> Any:
        file = self.path / "answers.json"
        if not file.exists():
            return None
        answers = json.loads(file.read_text())
        first = answers.pop(0) if answers else None
        file.write_text(json.dumps(answers))
        return first


def http_server(port: int, folder: Folder) -> socketserver.BaseServer:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            answer = folder.next_answer() or {}
            answer = answer if isinstance(answer, dict) else {"status": answer}
            status = answer.get("status", 204)
            folder.keep({"path": self.path, "headers": dict(self.headers), "body": body, "status": status})
            time.sleep(answer.get("pause", 0))
            self.send_response(status)
            for name, value in answer.get("headers", {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815  a redirect that was followed would come as one

        def log_message(self, *_: object) -> None:
            pass

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


def smtp_server(port: int, folder: Folder) -> socketserver.BaseServer:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say(220, "here")
            sender, to = "", ""
            while line := self.rfile.readline().decode().rstrip("\r\n"):
                verb = line[:4].upper()
                if verb == "QUIT":
                    self._say(221, "bye")
                    return
                if verb == "MAIL":
                    sender = line
                if verb == "RCPT":
                    to = line
                if verb == "DATA":
                    self._say(354, "go on")
                    self._take(sender, to)
                    continue
                self._say(250, "fine")

        def _take(self, sender: str, to: str) -> None:
            lines = []
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                lines.append(line.removeprefix(b"."))
            code = folder.next_answer() or 250
            text = b"".join(lines).decode("utf-8", "surrogateescape")
            folder.keep({"from": sender, "to": to, "text": text, "status": code})
            self._say(code, "taken" if code == 250 else "not now")

        def _say(self, code: int, text: str) -> None:
            self.wfile.write(f"{code} {text}\r\n".encode())

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    return Server(("127.0.0.1", port), Handler)


class Receiver:
    """The process, as a test sees it: it can be away and come back on the same port."""

    def __init__(self, kind: str, port: int, folder: Path) -> None:
        self.kind, self.port, self.folder = kind, port, folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks/T0123456789?key=secret"

    @property
    def got(self) -> list[dict[str, Any]]:
        file = self.folder / "got.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def taken(self) -> list[dict[str, Any]]:
        return [one for one in self.got if one["status"] in (204, 250)]

    def answers(self, *answers: Any) -> None:
        (self.folder / "answers.json").write_text(json.dumps(answers))

    def up(self) -> None:
        command = [sys.executable, "-S", "-E", __file__, self.kind, str(self.port), str(self.folder)]
        self._process = subprocess.Popen(
            command, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == READY, f"the {self.kind} receiver did not start"

    def down(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.communicate(timeout=10)
            self._process = None


@contextmanager
def receiver(kind: str, port: int, folder: Path) -> Iterator[Receiver]:
    folder.mkdir(exist_ok=True)
    found = Receiver(kind, port, folder)
    found.up()
    try:
        yield found
    finally:
        found.down()


if __name__ == "__main__":
    making = {"http": http_server, "smtp": smtp_server}[sys.argv[1]]
    server = making(int(sys.argv[2]), Folder(Path(sys.argv[3])))
    sys.stdout.buffer.write(READY)
    sys.stdout.flush()
    server.serve_forever(poll_interval=0.05)
