"""Notices that the wall clock was stepped, by an operator or by time synchronisation.

Nothing stops for it: what is due counts by the monotonic clock. But ages of transfers, late marks
and the windows of statistics follow the wall clock, so an operator should know.
"""

from __future__ import annotations

import logging

from unionws.clock import Clock

log = logging.getLogger("unionws.ingest")

STEP = 5.0
"""Seconds; the clock being slewed, or this process standing still, stays below."""

TOLD_FOR = 10.0
"""Seconds for which a step is a reason in ``/health``."""


class ClockWatch:
    """Compares both clocks at each tick.

    Attributes:
        steps: how often the wall clock was stepped.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._apart = self._difference()
        self._last = ""
        self._stepped_at = float("-inf")
        self.steps = 0

    def _difference(self) -> float:
        return self._clock.time() - self._clock.monotonic()

    def tick(self) -> None:
        """About once a second."""
        before, self._apart = self._apart, self._difference()
        step = self._apart - before
        if abs(step) < STEP:
            return
        self.steps += 1
        self._stepped_at = self._clock.monotonic()
        self._last = f"set {'forward' if step > 0 else 'back'} by {abs(step):.0f} s"
        log.warning("clock stepped", extra={"fields": {"seconds": round(step, 1)}})

    @property
    def problem(self) -> str | None:
        """A step of a moment ago, in words; None when there was none."""
        if self._clock.monotonic() - self._stepped_at > TOLD_FOR:
            return None
        return f"the clock of this machine was {self._last} just now: look at its time synchronisation"
