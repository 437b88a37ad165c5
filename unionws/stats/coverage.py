"""Which spans of time the statistics really cover: uptime, and what is added to it later.

A span is covered when every transfer sent in it was counted. Time in which the service was down is
covered like the rest as long as polling goes on from its stored position: the transfers of that time
are found then, and counted in their own time. Until they are (the indexer has not answered yet, or
does not answer), nothing that reaches up to now is called complete.
"""

from __future__ import annotations

from collections.abc import Iterable

from unionws.stats.windows import WINDOWS, Window

FLAGS = {
    "30s": "has30Seconds",
    "1m": "hasMinute",
    "5m": "has5Minutes",
    "1h": "hasHour",
    "1d": "hasDay",
    "7d": "has7Days",
    "14d": "has14Days",
    "30d": "has30Days",
}


class Coverage:
    """Spans of event time of which every transfer was seen.

    The live span grows with ``now``; persisted or back-filled spans are added, and count for a
    window once they join the live one without a hole.

    Args:
        started: Unix seconds when counting began.
        short: window that the one-minute fields carry (setting SHORT_WINDOW).

    Attributes:
        started: Unix seconds when this run began to count.
        current: whether transfers of this moment arrive; to be kept up to date by whoever knows.
    """

    def __init__(self, started: float, short: str = "1m") -> None:
        self.started = started
        self._short = short
        self.current = True
        self._spans: list[tuple[float, float]] = []
        self._since = started

    def begin(self, start: float) -> None:
        """What is counted live begins at ``start``, not when this was made."""
        self._since = start
        self._join()

    def add(self, start: float, end: float) -> None:
        """Cover ``[start, end]`` as well (Unix seconds); spans may overlap and come in any order."""
        self._spans = list(_merged([*self._spans, (start, end)]))
        self._join()

    @property
    def spans(self) -> list[tuple[float, float]]:
        """What was added and does not reach the unbroken span yet, oldest first."""
        return list(self._spans)

    def _join(self) -> None:
        while self._spans and self._spans[-1][1] >= self._since:
            self._since = min(self._since, self._spans.pop()[0])

    @property
    def since(self) -> float:
        """Start of the unbroken span that reaches up to now."""
        return self._since

    def uptime(self, now: float) -> int:
        """Whole seconds since counting began; 0 when the clock was set back before that."""
        return max(0, int(now - self.started))

    def full(self, window: Window, now: float) -> bool:
        """Whether all of the window is covered."""
        return self.current and self._since <= window.start(now)

    def comparable(self, window: Window, now: float) -> bool:
        """Whether the preceding window is covered too, so that a change can be told."""
        return self.current and self._since <= window.start_before(now)

    def complete(self, now: float) -> dict[str, bool]:
        """``coverage.complete``: per window key, whether all of it is covered."""
        return {window.key: self.full(window, now) for window in WINDOWS}

    def availability(self, now: float) -> dict[str, bool]:
        """``dataAvailability``; hasMinute speaks of the window its fields carry."""
        complete = self.complete(now)
        complete["1m"] = complete[self._short]
        return {FLAGS[key]: full for key, full in complete.items()}


def _merged(spans: Iterable[tuple[float, float]]) -> Iterable[tuple[float, float]]:
    """Spans that touch made one, in order of time."""
    start, end = float("inf"), float("-inf")
    for lower, upper in sorted(spans):
        if lower > end:
            if start <= end:
                yield start, end
            start, end = lower, upper
        end = max(end, upper)
    if start <= end:
        yield start, end
