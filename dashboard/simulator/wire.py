"""Requests and answers as the simulated service sees them: envelope, errors, times."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

JSON = "application/json"


class ApiError(Exception):
    """A refusal, told to the caller in the failure envelope.

    `pointer` is the JSON pointer of the offending body field; `chain` fills the `error_chain` of edge errors.
    """

    def __init__(
        self,
        status: int,
        code: int,
        message: str,
        *,
        pointer: str | None = None,
        chain: tuple[tuple[int, str], ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.pointer = pointer
        self.chain = chain
        self.headers = dict(headers or {})

    def item(self) -> dict[str, Any]:
        """This error as an entry of the envelope's `errors`."""
        item: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.pointer is not None:
            item["source"] = {"pointer": self.pointer}
        if self.chain:
            item["error_chain"] = [{"code": code, "message": message} for code, message in self.chain]
        return item


class ValidationError(ApiError):
    """Several things wrong with one body or query.

    The service's status for it is not documented: 0 here stands for the option `validation_status`.
    """

    def __init__(self, problems: list[tuple[str | None, str]]) -> None:
        pointer, message = problems[0]
        super().__init__(0, 1400, message, pointer=pointer)
        self.problems = problems

    def items(self) -> list[dict[str, Any]]:
        return [ApiError(0, 1400, message, pointer=pointer).item() for pointer, message in self.problems]


def not_found(what: str) -> ApiError:
    return ApiError(404, 1404, f"{what} not found")


def no_route() -> ApiError:
    return ApiError(404, 7003, "Could not route to the requested resource, perhaps your object identifier is invalid?")


@dataclass(slots=True)
class Request:
    """One call, decoded: `query` keeps repeated keys, `requested_by` is the account user behind the credential."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    now: float
    requested_by: str = ""
    can_write: bool = False

    def json(self) -> Any:
        """The decoded body; an empty one reads as None. Raises ApiError when it is not JSON."""
        if not self.body.strip():
            return None
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as exc:
            raise ApiError(400, 1400, "The request body is not valid JSON.", pointer="") from exc


@dataclass(slots=True)
class Reply:
    """A success: `result` must not be None, `info` becomes `result_info`."""

    result: Any
    status: int = 200
    info: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)


def success_body(reply: Reply) -> dict[str, Any]:
    body: dict[str, Any] = {"success": True, "errors": [], "messages": [], "result": reply.result}
    if reply.info is not None:
        body["result_info"] = reply.info
    return body


def failure_body(error: ApiError) -> dict[str, Any]:
    errors = error.items() if isinstance(error, ValidationError) else [error.item()]
    return {"success": False, "errors": errors, "messages": [], "result": None}


def encode(body: Any) -> bytes:
    """UTF-8 JSON; a lone surrogate out of somebody's mail becomes `?` instead of invalid UTF-8."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def rfc3339(seconds: float) -> str:
    """`2026-01-02T03:04:05.678Z`, the service's present form of time."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def naive(seconds: float) -> str:
    """`2026-01-02T03:04:05`, the legacy form: UTC, without saying so."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def parse_time(text: str) -> float:
    """Epoch seconds of an RFC 3339 time; raises ValueError for anything without a zone."""
    if len(text) < 11 or text[10] not in "Tt ":
        raise ValueError("not an RFC 3339 time")
    moment = datetime.fromisoformat(text.upper())
    if moment.tzinfo is None:
        raise ValueError("a time needs its zone")
    return moment.timestamp()


def parse_date(text: str) -> float:
    """Epoch seconds of the start of a `2026-01-02` day, UTC."""
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
