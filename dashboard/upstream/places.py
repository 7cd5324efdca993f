"""Places: how much of a worker one kind of work may take, so that what people do always finds a free thread.

In the embedded mode one worker with a pool of threads serves every queue. Work that may take long asks for a place
first; who gets none rings again and lets go of the thread. A process with one thread for its tasks always has a place.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Lock

from django.conf import settings

from dashboard.upstream.ring import ring

AGAIN = 1.0  # seconds until what found no place is rung for again


class Places:
    """At most this part of a worker's threads, and one at least."""

    def __init__(self, *, part_of_threads: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.number = max(1, int(settings.WORKER_THREADS * part_of_threads))
        self._free = BoundedSemaphore(self.number)
        self._clock = clock
        self._lock = Lock()
        self._rung: dict[tuple[str, str], float] = {}

    @contextmanager
    def taken(self) -> Iterator[bool]:
        """Whether there was a place; it is free again when the block ends."""
        has_place = self._free.acquire(blocking=False)
        try:
            yield has_place
        finally:
            if has_place:
                self._free.release()

    def ring_again(self, task: str, argument: str) -> None:
        """Ring for what found no place in a moment; a bell heard while another one is on its way ends here.

        Each sweep adds one for work that waits, so bells that all rang again would become more and more. What was rung
        longer than half a moment ago counts as heard: that one may be lost, or it is this one.
        """
        now = self._clock()
        with self._lock:
            self._rung = {bell: at for bell, at in self._rung.items() if now - at < AGAIN / 2}
            if (task, argument) in self._rung:
                return
            self._rung[task, argument] = now
        ring(task, argument, countdown=AGAIN)


SEARCHES = Places(part_of_threads=1 / 2)
JOBS = Places(part_of_threads=1 / 4)
NOTICES = Places(part_of_threads=1 / 8)  # receivers that are slow wait for each other alone
