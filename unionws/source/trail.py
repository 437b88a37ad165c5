"""What was seen, when, and from where the next re-scan must start. Pure.

The indexer may show a row *late*: behind a cursor it showed before, at most OVERLAP_SECONDS after
it first showed any row that sorts behind the late one. Every such row is found, because:

* let a re-scan start at T0 and run from ``base`` to the newest key known at T0. It returns
  whatever was visible at T0 (less SLACK for the indexer's own cache of answers);
* so the next one only has to find rows that became visible after T0 - SLACK. All keys greater
  than such a row were first *shown* after T0 - SLACK - OVERLAP, hence first *seen* after it;
* so the greatest key seen before that moment is not behind the row: it is the next ``base``.

T0 moves only when a re-scan was completed: failures and outages make the next one reach further
back, never less far. Only the moments at which *we* saw a key count, so neither the upstream's
clock nor the inside of a cursor is ever interpreted.

Keys at or before ``base`` can never be asked for again, so they are forgotten; the memory holds
the window that re-scans cover and nothing else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

SLACK = 3.0
"""Seconds: 1 for the answers the indexer may cache (``@cached(ttl: 1)``), 1 for cursors that
order by whole seconds, 1 for the way of an answer to us."""

BEGINNING = float("-inf")


class Trail:
    """The keys seen after ``base``, and the newest key of each moment.

    Args:
        base: where re-scans start at first; None: at the indexer's first row.
        overlap: seconds a row may be late.

    Attributes:
        base: rows at or before it are all known, or will never come. None: nothing is settled.
        newest: greatest key seen, or None.
        seen: keys greater than ``base`` that were handed out (or belong to the baseline).
    """

    def __init__(self, base: str | None, overlap: float) -> None:
        self.base = base
        self.newest = base
        self.seen: set[str] = set()
        self._reach = overlap + SLACK
        self._moments: deque[tuple[float, str | None]] = deque([(BEGINNING, base)])

    def remember(self, keys: Iterable[str]) -> None:
        """Never hand these keys out again."""
        self.seen.update(keys)

    def advance(self, top: str, now: float) -> None:
        """``top`` was received at ``now`` (monotonic seconds); later calls never go back in time."""
        if self.newest is None or top > self.newest:
            self.newest = top
            self._moments.append((now, top))

    def settle(self, started: float) -> None:
        """A re-scan that started at ``started`` (monotonic seconds) has reached its end."""
        moments = self._moments
        while len(moments) > 1 and moments[1][0] < started - self._reach:
            moments.popleft()
        base = moments[0][1]
        if base is not None and base != self.base:
            self.base = base
            self.seen = {key for key in self.seen if key > base}
