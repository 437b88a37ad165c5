"""How busy the stream is, by send time."""

from __future__ import annotations

from collections.abc import Iterable
from math import floor

HOUR = 3600
BUSY = 60
"""Transfers in 30 s at which the level is 1.0."""


class Activity:
    """Transfers of the last hour in buckets of one second.

    Buckets stand on the monotonic clock (``now`` less the transfer's age), so a step of the wall
    clock shifts only the ages measured while it was wrong, never what is already counted.
    """

    def __init__(self) -> None:
        self.total = 0
        self._buckets: dict[int, int] = {}

    def add(self, ages: Iterable[float], now: float) -> None:
        """Count transfers sent ``ages`` seconds ago; an age below zero counts as zero.

        ``now``: monotonic seconds.
        """
        for age in ages:
            self.total += 1
            if age <= HOUR:
                second = floor(now - max(age, 0.0))
                self._buckets[second] = self._buckets.get(second, 0) + 1
        if len(self._buckets) > HOUR + 100:
            self._forget(floor(now) - HOUR)

    def _forget(self, before: int) -> None:
        self._buckets = {second: count for second, count in self._buckets.items() if second >= before}

    def within(self, seconds: int, now: float) -> int:
        """Transfers sent in the last ``seconds`` (at most an hour), the start floored to 1 s."""
        buckets = self._buckets
        return sum(buckets.get(second, 0) for second in range(floor(now - seconds), floor(now) + 1))

    def level(self, now: float) -> float:
        """Transfers of the last 30 s over 60, held in 0.1 to 1.0."""
        return min(1.0, max(0.1, self.within(30, now) / BUSY))
