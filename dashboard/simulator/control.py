"""The simulator's own paths, beside the API: for tests and measurements in another process. Off unless asked for.

GET `/__simulator__/state`, `/ledger`, `/calls`, `/faults`; POST `/faults` (a plan, see `FaultPlan.configure`),
`/clear-faults`, `/arrive` (`{"count": 3}` new messages now), `/reset`. JSON throughout; no credentials.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from dashboard.simulator.wire import JSON, encode

if TYPE_CHECKING:
    from dashboard.simulator.app import Simulator


class Control:
    """Answers below `PREFIX`."""

    PREFIX = "/__simulator__/"

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator

    def answer(self, environ: dict[str, Any], path: str, start_response: Callable[..., Any]) -> Iterable[bytes]:
        action = (environ["REQUEST_METHOD"], path.removeprefix(self.PREFIX).strip("/"))
        known: dict[tuple[str, str], Callable[[dict[str, Any]], Any]] = {
            ("GET", "state"): self._state,
            ("GET", "ledger"): lambda _body: self.simulator.ledger.as_json(),
            ("GET", "calls"): lambda _body: [call._asdict() for call in self.simulator.calls],
            ("GET", "faults"): self._faults,
            ("POST", "faults"): self._set_faults,
            ("POST", "clear-faults"): self._clear_faults,
            ("POST", "arrive"): self._arrive,
            ("POST", "reset"): self._reset,
        }
        status, result = "404 Not Found", {"error": "no such control", "known": [f"{m} {p}" for m, p in known]}
        if action in known:
            try:
                length = int(environ.get("CONTENT_LENGTH") or 0)
                body = json.loads(environ["wsgi.input"].read(length) or b"{}") if length else {}
                with self.simulator.store.lock:
                    status, result = "200 OK", known[action](body)
            except (ValueError, TypeError) as exc:
                status, result = "400 Bad Request", {"error": str(exc)}
        payload = encode(result)
        start_response(status, [("Content-Type", JSON), ("Content-Length", str(len(payload)))])
        return [payload]

    def _state(self, _body: dict[str, Any]) -> dict[str, Any]:
        simulator = self.simulator
        simulator.advance()
        return {
            "account_id": simulator.account_id,
            "profile": simulator.profile.name,
            "now": simulator.clock(),
            "messages": len(simulator.store.records),
            "reported": len(simulator.store.reported),
            "calls": len(simulator.calls),
            "ledger": len(simulator.ledger),
            "full_mailboxes": sorted(simulator.store.full_mailboxes),
            "domains_without_integration": sorted(simulator.store.domains_without_integration),
        }

    def _faults(self, _body: dict[str, Any]) -> dict[str, Any]:
        faults = self.simulator.faults
        pending = [asdict(fault) for fault in faults.pending]
        return {"pending": pending, "log_lag": faults.log_lag, "endless_search": faults.endless_search}

    def _set_faults(self, body: dict[str, Any]) -> dict[str, Any]:
        self.simulator.faults.configure(body)
        return self._faults(body)

    def _clear_faults(self, body: dict[str, Any]) -> dict[str, Any]:
        self.simulator.faults.clear()
        return self._faults(body)

    def _arrive(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"ids": [record.id for record in self.simulator.arrive(int(body.get("count", 1)))]}

    def _reset(self, body: dict[str, Any]) -> dict[str, Any]:
        self.simulator.reset()
        return self._state(body)
