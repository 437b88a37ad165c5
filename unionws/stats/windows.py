"""The rolling windows: their lengths, names and edges. Pure.

A window of length W is ``[s, now]`` with s = now − W floored to its step: 1 s up to five minutes,
1 min up to a day, 1 h above. The preceding window is ``[s − W, s)``. W is a whole number of
steps, so every edge lies between two time buckets of one step each, and a window is its newest
``n + 1`` buckets (n = W / step), the preceding one the n before. A row ahead of the clock counts
once the bucket it lies in has begun.
"""

from __future__ import annotations

from dataclasses import dataclass

SECOND, MINUTE, HOUR, DAY = 1, 60, 3600, 86_400

AHEAD_AS_NOW = 60.0
"""Seconds a row may lie ahead of our clock and still count as now (two clocks differ)."""

AHEAD_KEPT = 7200.0
"""Seconds a row may lie ahead and be kept for its own time, so that a clock that was an hour
slow, or stepped back, costs nothing once it is right again."""

PAST_KEPT = 61.0 * DAY
"""Older rows count in totals only: two 30-day windows and a day for their floored edges."""


@dataclass(frozen=True, slots=True)
class Window:
    """One rolling window.

    Attributes:
        key: its name in time-scale maps.
        seconds: its length W.
        step: what its lower edge is floored to, in seconds.
    """

    key: str
    seconds: int
    step: int

    @property
    def buckets(self) -> int:
        """Whole steps in the window."""
        return self.seconds // self.step

    def start(self, now: float) -> int:
        """Lower edge s in Unix seconds; it belongs to the window."""
        return int((now - self.seconds) // self.step) * self.step

    def start_before(self, now: float) -> int:
        """Lower edge of the preceding window, ``s − W``."""
        return self.start(now) - self.seconds


WINDOWS = (
    Window("30s", 30, SECOND),
    Window("1m", MINUTE, SECOND),
    Window("5m", 5 * MINUTE, SECOND),
    Window("1h", HOUR, MINUTE),
    Window("1d", DAY, MINUTE),
    Window("7d", 7 * DAY, HOUR),
    Window("14d", 14 * DAY, HOUR),
    Window("30d", 30 * DAY, HOUR),
)
"""All windows, shortest first."""

SCALES = WINDOWS[1:]
"""The windows of time-scale maps."""

STEPS = (SECOND, MINUTE, HOUR)


def place(event_time: float, now: float) -> float | None:
    """The time at which an event counts, or None when it counts in totals only.

    Slightly ahead of ``now`` counts as now; more than two hours ahead, or older than two 30-day
    windows, is in no window (nor is a time that is not a number).
    """
    if event_time <= now:
        return event_time if event_time >= now - PAST_KEPT else None
    if event_time <= now + AHEAD_AS_NOW:
        return now
    return event_time if event_time <= now + AHEAD_KEPT else None


def reach(buckets: int, step: int) -> int:
    """Ages (in steps) a ring of ``buckets`` accepts: more than it needs, should the clock be fast."""
    return buckets + int(AHEAD_KEPT) // step


def capacity(buckets: int) -> int:
    """Buckets a ring holds before the oldest go: what its windows span, and a quarter more."""
    return buckets + 1 + max(buckets // 4, 8)
