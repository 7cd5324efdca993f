"""A scripted far end: answers in order, remembers what it was asked, and a clock that only moves when told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpx
import msgspec

from dashboard.emailsec import EmailSecurityClient, RetryTransport, TokenCredentials
from dashboard.emailsec.credentials import Credentials
from dashboard.emailsec.features import MissingFeatures
from dashboard.emailsec.transport import Meter

ACCOUNT = "0123456789abcdef0123456789abcdef"
TOKEN = "marker-token-5f2c1e"
BASE = "https://api.example.test/client/v4"
ROOT = f"/client/v4/accounts/{ACCOUNT}/email-security"

Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Upstream(httpx.BaseTransport):
    """Gives the scripted answers in turn; the last one again and again."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            body = answer.content if hasattr(answer, "_content") else None
            return (
                httpx.Response(answer.status_code, headers=answer.headers, content=body) if body is not None else answer
            )
        return answer(request)

    @property
    def last(self) -> httpx.Request:
        return self.requests[-1]

    def sent(self) -> Any:
        return msgspec.json.decode(self.last.content)


class Pieces(httpx.SyncByteStream):
    """A body that arrives piece by piece, the clock moving on between them."""

    def __init__(self, pieces: Iterable[bytes], clock: Clock | None = None, seconds: float = 0.0) -> None:
        self.pieces = pieces
        self.clock = clock
        self.seconds = seconds

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            yield piece
            if self.clock:
                self.clock.now += self.seconds


class Ledger:
    """A meter that writes down what it was told."""

    def __init__(self) -> None:
        self.before_calls: list[httpx.Request] = []
        self.after_calls: list[int] = []

    def before(self, request: httpx.Request) -> None:
        self.before_calls.append(request)

    def after(self, response_headers: Any, status: int) -> None:  # noqa: ARG002  the protocol has it
        self.after_calls.append(status)


def ok(
    result: object, *, status: int = 200, info: object = None, headers: dict[str, str] | None = None
) -> httpx.Response:
    envelope = {"success": True, "errors": [], "messages": [], "result": result}
    if info is not None:
        envelope["result_info"] = info
    return httpx.Response(status, json=envelope, headers=headers)


def refused(
    status: int,
    *,
    code: int = 1001,
    message: str = "no",
    pointer: str | None = None,
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    item: dict[str, Any] = {"code": code, "message": message}
    if pointer is not None:
        item["source"] = {"pointer": pointer}
    return httpx.Response(
        status, json={"success": False, "errors": [item], "messages": [], "result": None}, headers=headers
    )


def make_client(
    upstream: httpx.BaseTransport,
    *,
    clock: Clock | None = None,
    meter: Meter | None = None,
    credentials: Credentials | None = None,
    read_credentials: Credentials | None = None,
    missing: MissingFeatures | None = None,
    base_url: str = BASE,
) -> EmailSecurityClient:
    clock = clock or Clock()
    return EmailSecurityClient(
        account_id=ACCOUNT,
        credentials=credentials or TokenCredentials(TOKEN),
        read_credentials=read_credentials,
        base_url=base_url,
        transport=RetryTransport(upstream, meter=meter, clock=clock, sleep=clock.sleep, jitter=lambda: 1.0),
        missing=missing,
    )
