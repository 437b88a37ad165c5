"""The head of a changing table of counts, kept without scanning the table."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from heapq import nlargest, nsmallest
from typing import TypeAlias

from unionws.stats.span import Span

Rank: TypeAlias = tuple[int, bytes]
"""(−count, key): smaller is better, so ties go to the smaller key."""

_KEPT = 64
_MOST = 256
_WATCHED = 16


class Leaders:
    """Every key whose rank is at or above a boundary; the boundary moves when they get too many.

    Only when too few are left is the table scanned again, which the distance between what is kept
    and what is shown makes rare.

    Args:
        counts: the table, changed by its owner, who calls ``raised`` or ``lowered`` after each change.
    """

    __slots__ = ("_boundary", "_counts", "_members", "_watched")

    def __init__(self, counts: Mapping[bytes, int]) -> None:
        self._counts = counts
        self._members: set[bytes] = set()
        self._boundary: Rank | None = None
        self._watched: frozenset[bytes] = frozenset()

    def raised(self, key: bytes, count: int) -> None:
        """``key`` now has a higher ``count``."""
        if self._boundary is None or (-count, key) <= self._boundary:
            self._members.add(key)
            if len(self._members) > _MOST:
                self._keep_best(self._members)

    def lowered(self, key: bytes, count: int) -> None:
        """``key`` now has a lower ``count``; 0 when it left the table."""
        if not count or (self._boundary is not None and (-count, key) > self._boundary):
            self._members.discard(key)

    def watched(self, key: bytes) -> bool:
        """Whether ``key`` was among the first few when ``top`` was last asked."""
        return key in self._watched

    def clear(self) -> None:
        """The table was emptied."""
        self._members.clear()
        self._boundary = None

    def top(self, size: int) -> list[tuple[bytes, int]]:
        """The ``size`` (at most 64) highest counts, highest first, ties by ascending key."""
        if len(self._members) < size and len(self._members) < len(self._counts):
            self._keep_best(self._counts)
        ranks = nsmallest(max(size, _WATCHED), ((-self._counts[key], key) for key in self._members))
        self._watched = frozenset(key for _, key in ranks[:_WATCHED])
        return [(key, -count) for count, key in ranks[:size]]

    def _keep_best(self, keys: Collection[bytes]) -> None:
        best = _best([(key, self._counts[key]) for key in keys], _KEPT)
        everything = len(best) == len(self._counts)
        self._boundary = None if everything else best[-1]
        self._members = {key for _, key in best}


def _best(items: list[tuple[bytes, int]], size: int) -> list[Rank]:
    """The ``size`` best ranks, best first: by count alone first, for most tables are long and flat."""
    if len(items) <= size:
        return sorted((-count, key) for key, count in items)
    level = nlargest(size, (count for _, count in items))[-1]
    above = sorted((-count, key) for key, count in items if count > level)
    ties = nsmallest(size - len(above), [key for key, count in items if count == level])
    return above + [(-level, key) for key in ties]


class RankedSpan(Span[bytes]):
    """Plain counts of one window, without the preceding one, and their leaders.

    Args:
        size: whole buckets in the window.
    """

    __slots__ = ("leaders",)

    def __init__(self, size: int) -> None:
        super().__init__(size, previous=False)
        self.leaders = Leaders(self.current)

    def wants(self, key: bytes) -> bool:
        return self.leaders.watched(key)

    def clear(self) -> None:
        super().clear()
        self.leaders.clear()

    def _change(self, key: bytes, value: int) -> None:
        super()._change(key, value)
        if value > 0:
            self.leaders.raised(key, self.current[key])
        else:
            self.leaders.lowered(key, self.current.get(key, 0))
