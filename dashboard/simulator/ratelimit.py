"""The call budget: 1,200 calls in five minutes per credential, then nothing at all for five minutes."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Meter:
    calls: deque[float] = field(default_factory=deque)
    frozen_until: float = -math.inf


@dataclass(slots=True)
class Allowance:
    """The verdict on one call, with what its answer's headers say."""

    allowed: bool
    left: int
    reset_in: int
    retry_after: int
    limit: int
    window: int

    def headers(self) -> dict[str, str]:
        headers = {
            "Ratelimit": f'"default";r={self.left};t={self.reset_in}',
            "Ratelimit-Policy": f'"default";q={self.limit};w={self.window}',
        }
        if not self.allowed:
            headers["Retry-After"] = str(self.retry_after)
        return headers


class RateLimiter:
    """Counts in a sliding window. Refused calls do not prolong the freeze."""

    def __init__(self, limit: int = 1200, window: int = 300) -> None:
        self.limit = limit
        self.window = window
        self._meters: dict[str, _Meter] = {}

    def take(self, credential: str, now: float) -> Allowance:
        meter = self._meters.setdefault(credential, _Meter())
        if now < meter.frozen_until:
            return self._refusal(meter, now)
        while meter.calls and meter.calls[0] <= now - self.window:
            meter.calls.popleft()
        if len(meter.calls) >= self.limit:
            meter.frozen_until = now + self.window
            meter.calls.clear()
            return self._refusal(meter, now)
        meter.calls.append(now)
        reset_in = max(1, math.ceil(meter.calls[0] + self.window - now))
        return self._allowance(left=self.limit - len(meter.calls), reset_in=reset_in)

    def freeze(self, credential: str, until: float) -> None:
        """Refuse everything of one credential until then, as if it had spent its budget."""
        self._meters.setdefault(credential, _Meter()).frozen_until = until

    def reset(self) -> None:
        self._meters.clear()

    def _refusal(self, meter: _Meter, now: float) -> Allowance:
        wait = max(1, math.ceil(meter.frozen_until - now))
        return self._allowance(left=0, reset_in=wait, retry_after=wait)

    def _allowance(self, *, left: int, reset_in: int, retry_after: int = 0) -> Allowance:
        return Allowance(retry_after == 0, left, reset_in, retry_after, self.limit, self.window)
