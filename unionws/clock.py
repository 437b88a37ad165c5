"""Time, in one place, so that tests can move it.

Everything that decides takes ``now`` as an argument; everything that drives asks a Clock.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Where drivers get the time from."""

    def time(self) -> float:
        """Wall-clock time in Unix seconds."""

    def monotonic(self) -> float:
        """Seconds that never step back; for durations and due times."""


class SystemClock:
    """The machine's clock."""

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock that stands still until moved; for tests and replays.

    Args:
        now: Unix seconds to start from.
    """

    def __init__(self, now: float = 1_760_000_000.0) -> None:
        self._wall = now
        self._mono = 1_000.0

    def time(self) -> float:
        return self._wall

    def monotonic(self) -> float:
        return self._mono

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass on both clocks."""
        self._wall += seconds
        self._mono += seconds

    def step(self, seconds: float) -> None:
        """Step the wall clock alone, as an operator or NTP does."""
        self._wall += seconds


def milliseconds(seconds: float) -> int:
    """Unix seconds as whole Unix milliseconds, the unit of every timestamp on the wire."""
    return int(seconds * 1000)
