"""What an older server lacks, remembered so that it is not asked again all day."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

BELIEVED_FOR_SECONDS = 24 * 3600.0


class MissingFeatures(Protocol):
    """Where the client keeps what it learned; a shared one spares every process the same lesson."""

    def is_missing(self, feature: str) -> bool: ...

    def remember(self, feature: str) -> None: ...


class RememberedHere:
    """The default: in this process, forgotten after a day."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}
        self._lock = threading.Lock()

    def is_missing(self, feature: str) -> bool:
        with self._lock:
            return self._until.get(feature, float("-inf")) > self._clock()

    def remember(self, feature: str) -> None:
        with self._lock:
            self._until[feature] = self._clock() + BELIEVED_FOR_SECONDS
