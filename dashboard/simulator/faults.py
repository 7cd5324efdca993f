"""The fault plan: what goes wrong, with which call, how often."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any


class AnswerLost(ConnectionError):
    """The connection broke before an answer left; raised to in-process callers that have no httpx."""


@dataclass(slots=True)
class Fault:
    """One thing that goes wrong with calls whose operation name matches `operation` (`*` and `?` are wildcards).

    `applied` decides whether the service carries the call out although the caller does not get a proper answer.
    """

    operation: str
    times: int | None = 1  # None: until cleared
    share: float = 1.0  # of the calls it strikes, drawn from the plan's seed
    applied: bool = False
    status: int | None = None
    code: int = 1500
    message: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    retry_after: str | int | None = None  # any text, nonsense included
    body: str | bytes | None = None  # sent as it is
    content_type: str | None = None
    html: bool = False  # an edge error page; status 200 unless `status` says otherwise
    success_false: bool = False  # HTTP 200 with the failure envelope
    truncate: int | None = None  # only so many bytes of the body, with its full Content-Length withheld
    empty: bool = False
    lose_answer: bool = False  # the connection closes without an answer
    hang: float = 0.0  # seconds of silence before anything happens
    hang_after: float = 0.0  # seconds of silence between carrying out and answering
    drip: float = 0.0  # seconds between the bytes of the body
    location: str | None = None  # with a search: 202 and this Location
    drop_items: int = 0  # so many entries of the result list are missing from the answer

    @property
    def replaces_answer(self) -> bool:
        return bool(self.status or self.body is not None or self.html or self.success_false or self.empty)


_ERROR_TEXT = {
    401: (10000, "Authentication error"),
    403: (10000, "Authentication error"),
    404: (7003, "Could not route to the requested resource, perhaps your object identifier is invalid?"),
    429: (971, "Please wait and consider throttling your request speed"),
}


class FaultPlan:
    """Faults waiting for their call, and the standing peculiarities of the account."""

    def __init__(self) -> None:
        self.pending: list[Fault] = []
        self.chance = random.Random(0)
        self.failing_recipients: set[str] = set()
        self.undeliverable_recipients: set[str] = set()
        self.unmovable_recipients: dict[str, str] = {}
        self.log_lag = 0.0
        self.endless_search = False
        self.failing_jobs = False

    def next(self, operation: str, **what: Any) -> Fault:
        """Let the next call of an operation go wrong; see `Fault` for how. `times=None` repeats until `clear()`."""
        fault = Fault(operation, **what)
        self.pending.append(fault)
        return fault

    def fail_delivery_to(self, recipient: str, *, undelivered: bool = False) -> None:
        """Releases do not reach this recipient: the copy stays in quarantine (`failed`), or bounces (`undelivered`)."""
        (self.undeliverable_recipients if undelivered else self.failing_recipients).add(recipient)

    def fail_move_for(self, recipient: str, reason: str = "mailbox is locked") -> None:
        self.unmovable_recipients[recipient] = reason

    def take(self, operation: str) -> Fault | None:
        """The fault for this call, used up by it."""
        for fault in self.pending:
            if fnmatchcase(operation, fault.operation) and (fault.share >= 1 or self.chance.random() < fault.share):
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        self.pending.remove(fault)
                return fault
        return None

    def clear(self) -> None:
        self.__init__()  # type: ignore[misc]

    def configure(self, plan: dict[str, Any]) -> None:
        """Take a plan from JSON: `faults` (Fault fields each), `seed`, and the standing settings by their names."""
        if "seed" in plan:
            self.chance = random.Random(plan["seed"])
        known = {entry.name for entry in fields(Fault)}
        for entry in plan.get("faults", []):
            self.next(**{name: value for name, value in entry.items() if name in known})
        for recipient in plan.get("fail_delivery_to", []):
            self.fail_delivery_to(recipient)
        for recipient in plan.get("undelivered_to", []):
            self.fail_delivery_to(recipient, undelivered=True)
        for recipient in plan.get("fail_move_for", []):
            self.fail_move_for(recipient)
        self.log_lag = float(plan.get("log_lag", self.log_lag))
        self.endless_search = bool(plan.get("endless_search", self.endless_search))
        self.failing_jobs = bool(plan.get("failing_jobs", self.failing_jobs))


def error_of(fault: Fault) -> tuple[int, int, str]:
    """Status, code and text of the failure envelope a fault answers with."""
    status = fault.status or 200
    code, message = _ERROR_TEXT.get(status, (fault.code, "Internal server error" if status >= 500 else "Refused"))
    return status, code, fault.message or message
