"""How often an edge can afford chartData, by far its heaviest message: decided from its own load."""

from __future__ import annotations

BUSY, CALM = 0.75, 0.5
"""Shares of one core above which the interval grows and below which it shrinks again."""

GROW, SHRINK = 1.5, 0.8
LONGEST = 120.0


class Pace:
    """The interval between two charts; pure, so time and CPU are handed in.

    Args:
        interval: seconds wanted between two charts.

    Attributes:
        interval: seconds held at present; never shorter than wanted.
    """

    def __init__(self, interval: float) -> None:
        self._wanted = interval
        self._sent: tuple[float, float] | None = None
        self.interval = interval

    @property
    def lengthened(self) -> bool:
        """Charts come less often than wanted."""
        return self.interval > self._wanted

    def wait(self, now: float) -> float:
        """Seconds until the next chart may go out; ``now`` is monotonic."""
        if self._sent is None or not self.lengthened:
            return 0.0
        return max(0.0, self._sent[0] + self.interval - now)

    def sent(self, now: float, cpu: float) -> bool:
        """A chart goes out; ``cpu``: seconds of CPU this process has used so far.

        Returns:
            Whether the interval changed.
        """
        before, self._sent = self._sent, (now, cpu)
        if before is None or now - before[0] < self._wanted / 2:
            return False
        share = (cpu - before[1]) / (now - before[0])
        old = self.interval
        if share > BUSY:
            self.interval = min(self.interval * GROW, max(LONGEST, self._wanted))
        elif share < CALM:
            self.interval = max(self.interval * SHRINK, self._wanted)
        return self.interval != old
