"""Count what a piece of Python costs: instructions by the kernel's counters, CPU time where there are none.

Instructions hardly move between runs on a busy machine; seconds do. Compare figures of interleaved rounds.
"""

from __future__ import annotations

import ctypes
import gc
import os
import statistics
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_SYSCALL_NUMBER = {"x86_64": 298, "aarch64": 241}.get(os.uname().machine)
_LIBC = ctypes.CDLL(None, use_errno=True)
_HARDWARE, _INSTRUCTIONS = 0, 1
_DISABLED, _NO_KERNEL, _NO_HYPERVISOR = 1 << 0, 1 << 5, 1 << 6
_ENABLE, _DISABLE, _RESET = 0x2400, 0x2401, 0x2403


class InstructionCounter:
    """User-space instructions of the thread that made it; `available` is false on machines without the counter."""

    def __init__(self) -> None:
        self._file = -1
        if _SYSCALL_NUMBER is not None:
            attributes = struct.pack(
                "<IIQQQQQ", _HARDWARE, 112, _INSTRUCTIONS, 0, 0, 0, _DISABLED | _NO_KERNEL | _NO_HYPERVISOR
            )
            self._file = _LIBC.syscall(_SYSCALL_NUMBER, ctypes.c_char_p(attributes.ljust(112, b"\0")), 0, -1, -1, 0)

    @property
    def available(self) -> bool:
        return self._file >= 0

    def count(self, work: Callable[[], object]) -> int:
        _LIBC.ioctl(self._file, _RESET, 0)
        _LIBC.ioctl(self._file, _ENABLE, 0)
        try:
            work()
        finally:
            _LIBC.ioctl(self._file, _DISABLE, 0)
        return int(struct.unpack("<Q", os.read(self._file, 8))[0])


@dataclass(frozen=True)
class Cost:
    """Median cost of one call: millions of instructions (None without a counter) and milliseconds of CPU time."""

    instructions: float | None
    cpu_ms: float

    def over(self, other: Cost) -> float:
        if self.instructions is None or other.instructions is None:
            return self.cpu_ms / other.cpu_ms
        return self.instructions / other.instructions


def compare(variants: Mapping[str, Callable[[], object]], *, rounds: int = 7, warm: int = 3) -> dict[str, Cost]:
    """The cost of each variant, measured in interleaved rounds after a few calls to warm up."""
    counter = InstructionCounter()
    seen: dict[str, list[tuple[float | None, float]]] = {name: [] for name in variants}
    for work in variants.values():
        for _ in range(warm):
            work()
    for _ in range(rounds):
        for name, work in variants.items():
            gc.collect()
            started = time.process_time()
            counted: float | None = None
            if counter.available:
                counted = counter.count(work) / 1e6
            else:
                work()
            seen[name].append((counted, (time.process_time() - started) * 1000))
    return {
        name: Cost(
            statistics.median([c for c, _ in rows if c is not None]) if counter.available else None,
            statistics.median(ms for _, ms in rows),
        )
        for name, rows in seen.items()
    }
