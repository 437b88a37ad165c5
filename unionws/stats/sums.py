"""Sums per key over every window: exact, with late rows in their own time, in bounded memory.

An event is added to one bucket of each width (1 s, 1 min, 1 h) and to the running totals of the
windows that hold its time. When time moves on, whole buckets pass from a window to the one before
it and out, so reading a window costs nothing. A row ahead of the newest bucket waits in its own.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Generic, TypeVar

from unionws.model import JSON
from unionws.stats.packing import count
from unionws.stats.parts import Parts
from unionws.stats.ring import Ring
from unionws.stats.span import Span
from unionws.stats.windows import Window, capacity, reach

K = TypeVar("K", bound=Hashable)

_SLACK = 64
"""One part in so many of a budget is freed at a time, so that pruning is rare and short."""


class _Tier(Generic[K]):
    """The buckets of one width and the windows made of them."""

    __slots__ = (
        "_budget",
        "_cuts",
        "_fold",
        "_head",
        "_limit",
        "_reach",
        "_ring",
        "_stale",
        "entries",
        "spans",
        "step",
    )

    def __init__(
        self, step: int, spans: Sequence[Span[K]], budget: int, fold: Callable[[K], K] | None
    ) -> None:
        widest = max(span.reach for span in spans)
        self.step = step
        self.spans = spans
        self.entries = 0
        self._ring: Ring[dict[K, int]] = Ring(capacity(widest), dict)
        self._reach = reach(widest, step)
        self._budget = self._limit = budget
        self._fold = fold
        self._cuts: dict[int, int] = {}
        self._head = 0
        self._stale = True

    def add(self, index: int, key: K, value: int) -> None:
        if self._head - index > self._reach:
            return
        bucket = self._ring.buckets.get(index)
        if bucket is None:
            bucket = self._ring.open(index)
            self._expire()
        self._ring.changed.add(index)
        self._put(bucket, index, key, value)
        if self.entries > self._limit:
            self._prune()

    def advance(self, head: int) -> None:
        """Make ``head`` the newest bucket; steps back, or ones wider than a window, start over."""
        moved = head - self._head
        if self._stale or not 0 <= moved <= self.spans[0].size:
            self._rebuild(head)
        else:
            for newest in range(self._head + 1, head + 1):
                for span in self.spans:
                    span.step(newest, self._ring.buckets)
        self._head = head

    def missing(self, span: Span[K]) -> int:
        """The most that a key's figure in this window can be too low."""
        oldest = self._head - span.size
        return sum(cut for index, cut in self._cuts.items() if oldest <= index <= self._head)

    def newest(self, key: K, span: Span[K]) -> int | None:
        """Number of the window's newest bucket that holds ``key``."""
        window = range(self._head, self._head - span.size - 1, -1)
        return next((index for index in window if key in self._ring.buckets.get(index, ())), None)

    def _expire(self) -> None:
        for index, bucket in self._ring.expire():
            self.entries -= len(bucket)
            self._cuts.pop(index, None)
            if index >= self._head - self.spans[-1].reach:
                self._stale = True

    def _rebuild(self, head: int) -> None:
        for span in self.spans:
            span.rebuild(head, self._ring.buckets)
        self._stale = False

    def _prune(self) -> None:
        """Drop the rare half of the fullest buckets until the budget is kept.

        Where keys that are not to be dropped fill the budget, it is tried again a little later.
        """
        slack = self._budget // _SLACK
        buckets = self._ring.buckets
        for index in sorted(buckets, key=lambda index: (-len(buckets[index]), index)):
            if self.entries <= self._budget - slack:
                break
            self._cut(index)
        self._limit = max(self._budget, self.entries + slack)

    def _cut(self, index: int) -> None:
        bucket = self._ring.buckets[index]
        keys = [key for key in bucket if not self._kept(key)]
        keys.sort(key=lambda key: count(bucket[key]))
        rare = keys[: (len(keys) + 1) // 2]
        self._ring.changed.add(index)
        if rare:
            self._cuts[index] = self._cuts.get(index, 0) + count(bucket[rare[-1]])
        for key in rare:
            value = self._take(bucket, index, key)
            if self._fold is not None:
                self._put(bucket, index, self._fold(key), value)
        self._ring.buckets[index] = dict(bucket)  # a dict that lost keys keeps their room

    def state(self, dump: Callable[[K], JSON], *, whole: bool) -> Parts:
        """Per changed bucket its entries, and what was cut from it; made when it is asked for."""
        parts: Parts = {}
        for index in self._ring.take_changed(whole=whole):
            bucket = self._ring.buckets.get(index)
            cut = self._cuts.get(index, 0)
            parts[str(index)] = None if bucket is None else partial(_entries, dict(bucket), cut, dump)
        return parts

    def restore(self, index: int, entries: Mapping[K, int], cut: int) -> None:
        self._ring.buckets[index] = dict(entries)
        self.entries += len(entries)
        self._limit = max(self._budget, self.entries)
        if cut:
            self._cuts[index] = cut
        self._stale = True

    def _kept(self, key: K) -> bool:
        if self._fold is not None:
            return self._fold(key) == key
        return any(span.wants(key) for span in self.spans)

    def _take(self, bucket: dict[K, int], index: int, key: K) -> int:
        value = bucket.pop(key)
        self.entries -= 1
        age = self._head - index
        if age >= 0 and not self._stale:
            for span in self.spans:
                span.add(age, key, -value)
        return value

    def _put(self, bucket: dict[K, int], index: int, key: K, value: int) -> None:
        old = bucket.get(key)
        if old is None:
            self.entries += 1
            bucket[key] = value
        else:
            bucket[key] = old + value
        age = self._head - index
        if age >= 0:
            for span in self.spans:
                span.add(age, key, value)


def _entries(bucket: Mapping[K, int], cut: int, dump: Callable[[K], JSON]) -> JSON:
    return {"cut": cut, "entries": [[dump(key), value] for key, value in bucket.items()]}


class Sums(Generic[K]):
    """Per key, an integer sum over each window (plain counts, or packed figures).

    Exact while the budget holds. Over it the rarest keys of the fullest buckets are dropped (not
    those that a window's top list shows), and a figure is too low by at most ``missing(window)``.

    Args:
        spans: the running totals of each window, shortest first.
        budget: bucket entries (key and bucket) held per bucket width.
        fold: the key that a dropped key's figure goes to (a key that folds to itself is never
            dropped); None: it is forgotten.
    """

    def __init__(
        self, spans: Mapping[Window, Span[K]], *, budget: int, fold: Callable[[K], K] | None = None
    ) -> None:
        self._spans = dict(spans)
        self._tiers: dict[int, _Tier[K]] = {}
        for step, group in groupby(self._spans, lambda window: window.step):
            self._tiers[step] = _Tier(step, [self._spans[window] for window in group], budget, fold)

    def add(self, time: float, key: K, value: int = 1) -> None:
        """Add ``value`` at ``time`` (as ``windows.place`` gives it)."""
        second = int(time)
        for step, tier in self._tiers.items():
            tier.add(second // step, key, value)

    def advance(self, now: float) -> None:
        """Move all windows to ``now``."""
        for tier in self._tiers.values():
            tier.advance(int(now // tier.step))

    def current(self, window: Window) -> Mapping[K, int]:
        """Sums over the window as of the last ``advance``; read it, do not keep it."""
        return self._spans[window].current

    def previous(self, window: Window) -> Mapping[K, int]:
        """Sums over the preceding window."""
        return self._spans[window].previous

    def last_seen(self, key: K, window: Window) -> float | None:
        """Start of the newest bucket of the window that holds ``key``, in Unix seconds."""
        index = self._tiers[window.step].newest(key, self._spans[window])
        return None if index is None else float(index * window.step)

    def missing(self, window: Window) -> int:
        """The most that a key's count in the window can be too low; 0 while everything is exact."""
        return self._tiers[window.step].missing(self._spans[window])

    def state(self, dump: Callable[[K], JSON], *, whole: bool) -> Parts:
        """Buckets that changed since the last call, or all; ``dump`` makes a key JSON."""
        return {
            f"{step}/{index}": part
            for step, tier in self._tiers.items()
            for index, part in tier.state(dump, whole=whole).items()
        }

    def restore(self, parts: Mapping[str, JSON], load: Callable[[JSON], K]) -> None:
        """Take buckets of ``state`` back, before anything is counted; ``load`` undoes ``dump``."""
        for name, part in parts.items():
            step, index = map(int, name.split("/"))
            entries = {load(key): int(value) for key, value in part["entries"]}
            self._tiers[step].restore(index, entries, int(part["cut"]))

    @property
    def entries(self) -> int:
        """Bucket entries held, all widths together."""
        return sum(tier.entries for tier in self._tiers.values())
