"""The head of a changing table of counts, kept without scanning the table."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Generic, TypeVar

from unionws.stats.figures import top
from unionws.stats.packing import counts
from unionws.stats.span import Span

K = TypeVar("K", bytes, str)

_KEPT = 64
_MOST = 256
_WATCHED = 16


class Leaders(Generic[K]):
    """Every key whose rank is at or above a boundary; the boundary moves when they get too many.

    Only when too few are left is the table scanned again, which the distance between what is kept
    and what is shown makes rare. Ranks are by count, highest first, ties by ascending key.

    Args:
        figures: the table (counts, or packed figures), changed by its owner, who calls ``raised`` or
            ``lowered`` after each change.
    """

    __slots__ = ("_boundary", "_first", "_members", "_watched", "figures")

    def __init__(self, figures: Mapping[K, int]) -> None:
        self.figures: Mapping[K, int] = figures
        self._members: set[K] = set()
        self._boundary: tuple[int, K] | None = None
        self._watched: frozenset[K] = frozenset()
        self._first: list[tuple[K, int]] = []

    def raised(self, key: K, count: int) -> None:
        """``key`` now has a higher ``count``."""
        if self._boundary is None or (-count, key) <= self._boundary:
            self._members.add(key)
            self._first = []
            if len(self._members) > _MOST:
                self._keep_best(self._members)

    def lowered(self, key: K, count: int) -> None:
        """``key`` now has a lower ``count``; 0 when it left the table."""
        if key in self._members:
            self._first = []
            if not count or (self._boundary is not None and (-count, key) > self._boundary):
                self._members.discard(key)

    def watched(self, key: K) -> bool:
        """Whether ``key`` was among the first few when ``top`` was last asked."""
        return key in self._watched

    def clear(self) -> None:
        """The table was emptied."""
        self._members.clear()
        self._boundary, self._first = None, []

    def top(self, size: int) -> list[tuple[K, int]]:
        """The ``size`` (at most 64) highest counts, highest first, ties by ascending key."""
        if len(self._members) < size and len(self._members) < len(self.figures):
            self._keep_best(self.figures)
        if len(self._first) < size:
            self._first = self._best(self._members, max(size, _WATCHED))
            self._watched = frozenset([key for key, _ in self._first[:_WATCHED]])
        return self._first[:size]

    def _keep_best(self, keys: Collection[K]) -> None:
        best = self._best(keys, _KEPT)
        everything = len(best) == len(self.figures)
        self._boundary = None if everything else (-best[-1][1], best[-1][0])
        self._members = {key for key, _ in best}

    def _best(self, keys: Collection[K], size: int) -> list[tuple[K, int]]:
        return top(counts(self.figures, keys), size)


class RankedSpan(Span[bytes]):
    """Plain counts of one window, without the preceding one, and their leaders.

    Args:
        size: whole buckets in the window.
    """

    __slots__ = ("leaders",)

    def __init__(self, size: int) -> None:
        super().__init__(size, previous=False)
        self.leaders: Leaders[bytes] = Leaders(self.current)

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
