"""How the indexer is doing, as one word and a few counters. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from unionws.clock import milliseconds
from unionws.model import JSON

STALE_AFTER = 5.0
"""Seconds without success that a viewer would notice; at least four polls, so that one slow answer
at a long interval is nothing to tell."""

LEAST_SPOILT = 5
"""Unusable rows within STALE_AFTER from which they are worth a word: re-scans see one again and again."""

DOWN_AFTER = 30.0
"""Seconds: the longest back-off. Whoever has not answered by then failed several times in a row."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The last failure; ``at`` in Unix seconds."""

    kind: str
    message: str
    at: float


class UpstreamHealth:
    """Successes and failures of one kind of request.

    Args:
        interval: seconds between two requests when all is well.
    """

    def __init__(self, interval: float) -> None:
        self._stale_after = max(STALE_AFTER, 4 * interval)
        self._down_after = max(DOWN_AFTER, 2 * self._stale_after)
        self._last: float | None = None
        self._last_wall: float | None = None
        self._failure: Failure | None = None
        self.failures = 0
        self.in_a_row = 0

    def succeeded(self, now: float, wall: float) -> None:
        """A usable answer came; ``now``: monotonic, ``wall``: Unix seconds."""
        self._last, self._last_wall = now, wall
        self.in_a_row = 0

    def failed(self, kind: str, message: str, wall: float) -> None:
        """No usable answer came."""
        self._failure = Failure(kind, message, wall)
        self.failures += 1
        self.in_a_row += 1

    def state(self, now: float) -> str:
        """``ok``, ``stale`` or ``down``; ``down`` also before the first success."""
        if self._last is None or now - self._last > self._down_after:
            return "down"
        return "stale" if now - self._last > self._stale_after else "ok"

    def stats(self, now: float) -> dict[str, JSON]:
        """The counters under their published names; times in Unix milliseconds or None."""
        failure = self._failure
        return {
            "failures": self.failures,
            "consecutiveFailures": self.in_a_row,
            "lastSuccess": None if self._last_wall is None else milliseconds(self._last_wall),
            "lastError": failure
            and {"kind": failure.kind, "message": failure.message, "at": milliseconds(failure.at)},
            "state": self.state(now),
        }


class Usable:
    """Whether the rows that came lately can be used.

    Attributes:
        problem: in words, while most cannot; None otherwise.
    """

    def __init__(self) -> None:
        self._totals = [0, 0]
        self._lately = (LastMinute(STALE_AFTER), LastMinute(STALE_AFTER))
        self.problem: str | None = None

    def came(self, usable: int, unusable: int, now: float) -> None:
        """An answer had so many new rows; ``now``: monotonic seconds."""
        self._totals[0] += usable
        self._totals[1] += unusable
        good, bad = [
            lately.growth(total, now) for lately, total in zip(self._lately, self._totals, strict=True)
        ]
        spoilt = bad > good and bad >= LEAST_SPOILT
        self.problem = f"{bad} of {good + bad} new rows cannot be used" if spoilt else None


class Seldom:
    """Lets a recurring log line through once per key and minute.

    Args:
        every: seconds between two lines of one key.
    """

    def __init__(self, every: float = 60.0) -> None:
        self._every = every
        self._last: dict[str, float] = {}

    def allows(self, key: str, now: float) -> bool:
        """Whether a line of this key may be written at ``now`` (monotonic). Keys are a closed set."""
        if now - self._last.get(key, float("-inf")) < self._every:
            return False
        self._last[key] = now
        return True


class LastMinute:
    """How much a counter has grown within the last ``seconds``; asked at least once per poll."""

    def __init__(self, seconds: float = 60.0) -> None:
        self._seconds = seconds
        self._steps: deque[tuple[float, int]] = deque()
        self._total = 0

    def growth(self, total: int, now: float) -> int:
        """Growth up to ``total``, the counter's value at ``now`` (monotonic)."""
        steps = self._steps
        while steps and now - steps[0][0] > self._seconds:
            steps.popleft()
        if total != self._total:
            steps.append((now, total - self._total))
            self._total = total
        return sum(step for _, step in steps)
