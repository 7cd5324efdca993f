"""Places: how much of a worker one kind of work may take, so that what people do always finds a free thread.

In the embedded mode one worker with a pool of threads serves every queue. Work that may take long asks for a place
first; who gets none rings again and lets go of the thread. A process with one thread for its tasks always has a place.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from django.conf import settings


class Places:
    """At most this part of a worker's threads, and one at least."""

    def __init__(self, *, part_of_threads: float) -> None:
        self.number = max(1, int(settings.WORKER_THREADS * part_of_threads))
        self._free = BoundedSemaphore(self.number)

    @contextmanager
    def taken(self) -> Iterator[bool]:
        """Whether there was a place; it is free again when the block ends."""
        has_place = self._free.acquire(blocking=False)
        try:
            yield has_place
        finally:
            if has_place:
                self._free.release()


SEARCHES = Places(part_of_threads=1 / 2)
JOBS = Places(part_of_threads=1 / 4)
