"""Measuring while running: durations counted into few buckets, so that processes can be added up."""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from unionws.model import JSON
from unionws.ticker import Ticker

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper ends of the buckets, in seconds; one more takes what is longer."""

LAG_INTERVAL = 0.5


class Histogram:
    """Durations by bucket."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration; a clock that was set back counts as nothing."""
        seconds = max(0.0, seconds)
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds

    def dump(self) -> dict[str, JSON]:
        """Counts per bucket and the sum, for a report."""
        return {"counts": list(self.counts), "sum": round(self.total, 6)}


def added(dumps: Iterable[Mapping[str, JSON]]) -> tuple[Sequence[int], float]:
    """Several dumps as one: counts per bucket, and the sum in seconds."""
    counts, total = [0] * (len(BOUNDS) + 1), 0.0
    for dump in dumps:
        for index, count in enumerate(dump["counts"]):
            counts[index] += count
        total += dump["sum"]
    return counts, total


class LoopLag:
    """How late the running loop is: a tick every half second that says how much later it came."""

    def __init__(self) -> None:
        self.histogram = Histogram()
        self._due = 0.0
        self._ticker = Ticker(self._tick, LAG_INTERVAL)

    def start(self) -> None:
        """Begin on the running loop."""
        self._due = time.monotonic() + LAG_INTERVAL
        self._ticker.start()

    def stop(self) -> None:
        """Measure no more."""
        self._ticker.stop()

    def _tick(self) -> None:
        now = time.monotonic()
        self.histogram.observe(now - self._due)
        self._due = now + LAG_INTERVAL


def process_counters() -> dict[str, JSON]:
    """What every process tells of itself."""
    return {
        "pid": os.getpid(),
        "memoryMB": round(resident_bytes() / 1e6, 1),
        "cpuSeconds": round(time.process_time(), 3),
    }


def resident_bytes() -> int:
    """Resident memory of this process (proc(5), statm)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")
