"""Several reads of the API side by side, so that a page takes as long as its slowest one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from django.conf import settings
from django.db import connection

from dashboard.emailsec.errors import EmailSecurityError

T = TypeVar("T")

# One pool for the whole process: each of its threads may hold a database connection, so their number is a promise.
# Its threads start when first needed, in the process that needs them.
READERS = 8
_readers = ThreadPoolExecutor(max_workers=READERS, thread_name_prefix="read")


def side_by_side(calls: Sequence[Callable[[], T]]) -> list[T | EmailSecurityError]:
    """The result of each call in the order given; an error of the API stands in its place instead of being raised.

    The last call runs in the caller's own thread, and so does each that no reader has begun by then: a busy process
    gets slower and never stands still. A reader's database connection ends with its call.
    """
    if len(calls) < 2 or not settings.PARALLEL_READS:
        return [_settled(call) for call in calls]
    others = [_readers.submit(copy_context().run, _in_thread, call) for call in calls[:-1]]
    try:
        last = _settled(calls[-1])
        # `cancel` is refused once a reader has begun.
        found = [_settled(call) if read.cancel() else read.result() for call, read in zip(calls, others, strict=False)]
    finally:
        for read in others:
            read.cancel()
    return [*found, last]


def _in_thread(call: Callable[[], T]) -> T | EmailSecurityError:
    try:
        return _settled(call)
    finally:
        connection.close()


def _settled(call: Callable[[], T]) -> T | EmailSecurityError:
    try:
        return call()
    except EmailSecurityError as error:
        return error
