"""The simulated service as a WSGI application: from a call's bytes to its answer."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from dashboard.simulator import conformance
from dashboard.simulator.actions import ActionsApi
from dashboard.simulator.analytics import monthly_report
from dashboard.simulator.auth import Caller, Credentials
from dashboard.simulator.bulk import BulkApi
from dashboard.simulator.control import Control
from dashboard.simulator.faults import AnswerLost, Fault, FaultPlan, error_of
from dashboard.simulator.ledger import Call, Ledger
from dashboard.simulator.mail.record import MailRecord
from dashboard.simulator.mailbox import Mailboxes
from dashboard.simulator.messages import MessagesApi
from dashboard.simulator.population import Population
from dashboard.simulator.profiles import PROFILES
from dashboard.simulator.ratelimit import RateLimiter
from dashboard.simulator.routes import find
from dashboard.simulator.settings import SettingsApi
from dashboard.simulator.store import MailStore
from dashboard.simulator.submissions import SubmissionsApi
from dashboard.simulator.wire import (
    JSON,
    ApiError,
    Reply,
    Request,
    encode,
    failure_body,
    no_route,
    success_body,
)
from dashboard.simulator.world import Options, World

ACCOUNT_ID = "d0a1c2b3e4f5061728394a5b6c7d8e9f"
TOKEN = "simulator-write-token-0000000000000000000"  # noqa: S105 - opens the simulator and nothing else
READ_TOKEN = "simulator-read-token-00000000000000000000"  # noqa: S105
API_EMAIL = "security@tarnfell.example"
API_KEY = "0" * 37
PREFIX = "/client/v4/accounts/"
_CALLS_KEPT = 200_000
_HTML = b"<!DOCTYPE html><html><head><title>Error</title></head><body><h1>Something went wrong</h1></body></html>"

StartResponse = Callable[..., Any]


class Simulator:
    """A stand-in for one account of the Email Security API; call it as a WSGI application.

    Its state is a function of the calls it got and of `clock` (epoch seconds): no threads work behind it. `ledger` says
    what was really carried out, `calls` what arrived, `faults` makes things go wrong. Options by name as in `Options`.
    `records` serves these messages instead of invented ones, `entries` adds so many allow policies and so many block
    senders. In-process a lost answer or silence is raised as the httpx
    error a client would see over a socket.
    """

    def __init__(
        self,
        messages: int = 2000,
        seed: int = 1,
        profile: str = "current",
        mail_dir: str | Path | None = None,
        latency: float = 0.0,
        clock: Callable[[], float] = time.time,
        *,
        records: Iterable[MailRecord] | None = None,
        sleep: Callable[[float], None] | None = None,
        account_id: str | None = None,
        token: str | None = None,
        read_token: str | None = None,
        email: str | None = None,
        key: str | None = None,
        rate_limit: int | None = 1200,
        control: bool = False,
        entries: int = 0,
        **options: Any,
    ) -> None:
        self.clock = clock
        self.latency = latency
        self.profile = PROFILES[profile]
        relaxed = self.profile.relaxed
        self.account_id = account_id or (conformance.ACCOUNT_ID if relaxed else ACCOUNT_ID)
        self.token = token or (conformance.TOKEN if relaxed else TOKEN)
        self.read_token = read_token or READ_TOKEN
        self.email = email or (conformance.API_EMAIL if relaxed else API_EMAIL)
        self.key = key or (conformance.API_KEY if relaxed else API_KEY)
        self.messages = messages
        self.seed = seed
        self.mail_dir = mail_dir
        self.entries = entries
        self._given = None if records is None else list(records)
        self.options = Options(**options)
        self.limiter = None if relaxed or rate_limit is None else RateLimiter(rate_limit)
        self._sleep = sleep
        self._credentials = Credentials(self.token, self.read_token, self.email, self.key)
        self._rays = random.Random(f"rays-{seed}")
        self.calls: list[Call] = []
        self.reset()
        self._control = Control(self) if control else None

    def reset(self) -> None:
        """Back to the beginning: the same mail, relative to the present time; no history of calls."""
        now = self.clock()
        self.calls.clear()
        if self.limiter is not None:
            self.limiter.reset()
        self.population = Population(
            messages=self.messages,
            seed=self.seed,
            mail_dir=self.mail_dir,
            fixture=self.profile.relaxed,
            given=self._given,
            started_at=now,
            arrival_interval=self.options.arrival_interval,
            rhythm_at=self.options.rhythm_at,
            entries=self.entries,
        )
        self.world = World(
            account_id=self.account_id,
            seed=self.seed,
            started_at=now,
            profile=self.profile,
            options=self.options,
            store=self.population.store,
            domains=self.population.domains,
        )
        mailboxes = Mailboxes(self.world)
        messages = MessagesApi(self.world)
        self.submissions = SubmissionsApi(self.world)
        self.settings = SettingsApi(self.world)
        self.bulk = BulkApi(self.world, mailboxes, messages)
        self._messages = messages
        self._handlers: dict[str, Callable[[Request, dict[str, str]], Reply]] = {
            "monthly_report": lambda request, _params: monthly_report(self.world, request.now),
            **messages.handlers(),
            **ActionsApi(self.world, mailboxes).handlers(),
            **self.submissions.handlers(),
            **self.bulk.handlers(),
            **self.settings.handlers(),
        }
        self.submissions.seed_history()
        self.population.configure(self.settings)

    @property
    def store(self) -> MailStore:
        return self.world.store

    @property
    def ledger(self) -> Ledger:
        return self.world.ledger

    @property
    def faults(self) -> FaultPlan:
        return self.world.faults

    @property
    def base_path(self) -> str:
        return "/client/v4"

    def advance(self, now: float | None = None) -> None:
        """Let happen what is due by now: new mail, steps of bulk jobs. Every call does this first."""
        now = self.clock() if now is None else now
        with self.store.lock:
            for record in self.population.arrivals(now):
                self.add(record)
            self.bulk.advance(now)

    def arrive(self, count: int = 1) -> list[MailRecord]:
        """Let new messages arrive at this moment, beside those that come by themselves."""
        with self.store.lock:
            now = self.clock()
            self.advance(now)
            found = self.population.arrive_now(count, now)
            for record in found:
                self.add(record)
            return found

    def add(self, record: MailRecord) -> None:
        """File a message; one that somebody reported becomes a user submission, too."""
        with self.store.lock:
            self.store.add(record)
            if record.is_phish_submission:
                self.submissions.note_report(record)

    # WSGI

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("REQUEST_URI", "").partition("?")[0] or environ.get("PATH_INFO", "/")
        if self._control is not None and path.startswith(Control.PREFIX):
            return self._control.answer(environ, path, start_response)
        if self.latency:
            (self._sleep or time.sleep)(self.latency)
        return self._answer(environ, path, start_response)

    def _answer(self, environ: dict[str, Any], path: str, start_response: StartResponse) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        headers = {
            name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")
        }
        origin = f"{environ.get('wsgi.url_scheme', 'http')}://{headers.get('host', 'localhost')}"
        headers["x-simulator-origin"] = origin
        length = environ.get("CONTENT_LENGTH") or "0"
        stream = environ.get("wsgi.input")
        body = b""
        if stream is not None:
            body = stream.read(int(length)) if length not in ("0", "") else b""
        query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        request = Request(method, path, query, headers, body, self.clock())
        exchange = _Exchange(self, request, environ)
        try:
            reply, extra = exchange.carry_out()
        finally:
            self._note(exchange, environ)
        return self._send(exchange, reply, extra, start_response)

    def _note(self, exchange: _Exchange, environ: dict[str, Any]) -> None:
        request = exchange.request
        if len(self.calls) >= _CALLS_KEPT:
            del self.calls[: _CALLS_KEPT // 2]
        self.calls.append(
            Call(
                request.now,
                request.method,
                request.path,
                environ.get("QUERY_STRING", ""),
                exchange.status,
                exchange.operation,
                exchange.credential,
            )
        )

    def _send(
        self, exchange: _Exchange, payload: bytes, headers: dict[str, str], start_response: StartResponse
    ) -> Iterable[bytes]:
        fault = exchange.fault
        headers.setdefault("Content-Type", JSON)
        headers["CF-RAY"] = f"{self._rays.getrandbits(64):016x}-SIM"
        if fault is not None and fault.truncate is not None:
            # The promised length stays, so that a client over a socket sees the body break off.
            headers["Content-Length"] = str(len(payload))
            payload = payload[: fault.truncate]
        else:
            headers["Content-Length"] = str(len(payload))
        start_response(f"{exchange.status} {_reason(exchange.status)}", list(headers.items()))
        if fault is not None and fault.drip:
            return self._drip(payload, fault.drip)
        return [payload]

    def _drip(self, payload: bytes, pause: float) -> Iterator[bytes]:
        for position in range(len(payload)):
            (self._sleep or time.sleep)(pause)
            yield payload[position : position + 1]

    def silence(self, seconds: float, environ: dict[str, Any]) -> None:
        """Say nothing for a while. In-process, where no socket times out, the client's timeout is raised at once."""
        if self._sleep is not None:
            self._sleep(seconds)
        elif "simulator.drop" in environ:
            time.sleep(seconds)
        else:
            raise _httpx_error("ReadTimeout", "The simulated service stays silent.")

    def drop(self, environ: dict[str, Any]) -> None:
        """Close the connection without an answer."""
        if "simulator.drop" in environ:
            environ["simulator.drop"]()
        raise _httpx_error("ReadError", "The simulated service closed the connection.")


class _Exchange:
    """One call on its way through: who calls, what goes wrong, what is answered."""

    def __init__(self, simulator: Simulator, request: Request, environ: dict[str, Any]) -> None:
        self.simulator = simulator
        self.request = request
        self.environ = environ
        self.operation = ""
        self.credential = ""
        self.status = 0
        self.fault: Fault | None = None
        self._headers: dict[str, str] = {}

    def carry_out(self) -> tuple[bytes, dict[str, str]]:
        """The body and headers of the answer; raises when a fault says that there is none."""
        try:
            payload = self._routed()
        except ApiError as error:
            payload = self._refused(error)
        return payload, self._headers

    def _routed(self) -> bytes:
        simulator = self.simulator
        caller = simulator._credentials.authenticate(self.request.headers)
        self.credential = caller.credential
        if simulator.limiter is not None:
            with simulator.store.lock:
                allowance = simulator.limiter.take(caller.credential, self.request.now)
            self._headers |= allowance.headers()
            if not allowance.allowed:
                raise ApiError(429, 971, "Please wait and consider throttling your request speed")
        handler, params = self._handler(caller)
        with simulator.store.lock:
            fault = self.fault = simulator.faults.take(self.operation)
        if fault is None:
            return self._succeeded(self._locked(handler, params))
        if fault.hang:
            simulator.silence(fault.hang, self.environ)
        reply: Reply | None = None
        if fault.applied or not (fault.replaces_answer or fault.lose_answer):
            reply = self._locked(handler, params)
        if fault.hang_after:
            simulator.silence(fault.hang_after, self.environ)
        if fault.lose_answer:
            self.status = 0
            simulator.drop(self.environ)
        return self._faulty(fault, reply)

    def _handler(self, caller: Caller) -> tuple[Callable[[Request, dict[str, str]], Reply], dict[str, str]]:
        simulator, request = self.simulator, self.request
        segments = request.path.removeprefix(PREFIX).split("/")
        if not request.path.startswith(PREFIX) or len(segments) < 3 or segments[1] != "email-security":
            raise no_route()
        account_id = segments[0]
        if not 1 <= len(account_id) <= 32:
            raise no_route()
        if account_id != simulator.account_id:
            raise ApiError(403, 9109, "Unauthorized to access requested resource")
        request.requested_by, request.can_write = caller.user, caller.can_write
        if request.method == "GET" and segments[2] == "investigate-results" and len(segments) == 4:
            self.operation = "poll"
            key = segments[3]
            return (lambda request, _params: simulator._messages.poll(request, key)), {}
        found = find(request.method, segments[2:], seed_generation=simulator.profile.seed_generation)
        if found == 404:
            raise no_route()
        if isinstance(found, int):
            raise ApiError(found, 10405, f"{request.method} method not allowed for this endpoint")
        self.operation = found.route.name
        if found.route.needs_write and not caller.can_write:
            raise ApiError(403, 10000, "Authentication error: the token has no permission to change anything here")
        return simulator._handlers[found.route.name], found.params

    def _locked(self, handler: Callable[[Request, dict[str, str]], Reply], params: dict[str, str]) -> Reply:
        with self.simulator.store.lock:
            self.simulator.advance(self.request.now)
            return handler(self.request, params)

    def _succeeded(self, reply: Reply) -> bytes:
        self.status = reply.status
        self._headers |= reply.headers
        return encode(success_body(reply))

    def _refused(self, error: ApiError) -> bytes:
        self.status = error.status or self.simulator.options.validation_status
        self._headers |= error.headers
        return encode(failure_body(error))

    def _faulty(self, fault: Fault, reply: Reply | None) -> bytes:
        if reply is not None and fault.drop_items and isinstance(reply.result, list):
            reply.result = reply.result[: -fault.drop_items]
        if fault.location is not None:
            reply = Reply([], 202, {"count": 0, "per_page": 20, "next": None}, {"Location": fault.location})
        if fault.replaces_answer or reply is None:
            status, code, message = error_of(fault)
            payload = encode(failure_body(ApiError(status, code, message)))
            self.status = status
        else:
            payload = self._succeeded(reply)
        if fault.html:
            payload, self._headers["Content-Type"] = _HTML, "text/html; charset=UTF-8"
        if fault.body is not None:
            payload = fault.body.encode() if isinstance(fault.body, str) else fault.body
        if fault.empty:
            payload = b""
        if fault.content_type is not None:
            self._headers["Content-Type"] = fault.content_type
        if fault.retry_after is not None:
            self._headers["Retry-After"] = str(fault.retry_after)
        self._headers |= fault.headers
        return payload


_REASONS = {200: "OK", 201: "Created", 202: "Accepted", 400: "Bad Request", 404: "Not Found", 429: "Too Many Requests"}


def _reason(status: int) -> str:
    return _REASONS.get(status, "Status")


def _httpx_error(name: str, message: str) -> Exception:
    """What an httpx client would raise; in-process tests install httpx, the simulator itself does not need it."""
    try:
        import httpx
    except ImportError:
        return AnswerLost(message)
    error: Exception = getattr(httpx, name)(message)
    return error
