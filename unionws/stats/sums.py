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
from unionws.stats.dropping import Dropping, Forgetting, Losses, added
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
        "_dropping",
        "_head",
        "_lacks",
        "_limit",
        "_reach",
        "_ring",
        "_stale",
        "entries",
        "spans",
        "step",
    )

    def __init__(self, step: int, spans: Sequence[Span[K]], budget: int, dropping: Dropping[K]) -> None:
        widest = max(span.reach for span in spans)
        self.step = step
        self.spans = spans
        self.entries = 0
        self._ring: Ring[dict[K, int]] = Ring(capacity(widest), dict)
        self._reach = reach(widest, step)
        self._budget = self._limit = budget
        self._dropping = dropping
        self._cuts: dict[int, Losses] = {}
        self._lacks: list[Span[str]] = [Span(span.size, previous=True) for span in spans]
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
                for lack in self._lacks:
                    lack.step(newest, self._cuts)
        self._head = head

    def follow(self, head: int) -> None:
        if head == self._head + 1:
            self.advance(head)

    def missing(self, span: Span[K], *, previous: bool) -> Losses:
        lack = self._lacks[self.spans.index(span)]
        return dict(lack.previous if previous else lack.current)

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
        for lack in self._lacks:
            lack.rebuild(head, self._cuts)
        self._stale = False

    def _prune(self) -> None:
        """Drop what is rare from the fullest buckets until the budget is kept.

        Dearer keys only where all buckets without their cheaper ones are still too much. Where keys
        that are not to be dropped fill the budget, it is tried again a little later.
        """
        slack = self._budget // _SLACK
        buckets = self._ring.buckets
        for dearest in self._dropping.prices:
            for index in sorted(buckets, key=lambda index: (-len(buckets[index]), index)):
                if self.entries <= self._budget - slack:
                    break
                self._cut(index, dearest)
        self._limit = max(self._budget, self.entries + slack)

    def _cut(self, index: int, dearest: int) -> None:
        """Make a bucket smaller by a quarter at least, if that can be."""
        bucket = self._ring.buckets[index]
        goal = len(bucket) * 3 // 4
        while len(bucket) > goal and (rare := self._rare(bucket, dearest)):
            self._drop(bucket, index, rare)
        self._ring.buckets[index] = dict(bucket)  # a dict that lost keys keeps their room

    def _rare(self, bucket: Mapping[K, int], dearest: int) -> list[K]:
        """The rare half of those keys that are the most for their price."""
        priced: dict[int, list[K]] = {}
        for key in bucket:
            price = self._dropping.price(key)
            if 0 < price <= dearest and not any(span.wants(key) for span in self.spans):
                priced.setdefault(price, []).append(key)
        keys = max(priced.items(), key=lambda pair: len(pair[1]) / pair[0], default=(0, []))[1]
        keys.sort(key=lambda key: count(bucket[key]))
        return keys[: (len(keys) + 1) // 2]

    def _drop(self, bucket: dict[K, int], index: int, keys: Sequence[K]) -> None:
        self._ring.changed.add(index)
        dropped = {key: self._take(bucket, index, key) for key in keys}
        for key, value in dropped.items():
            for parent in self._dropping.parents(key):
                self._put(bucket, index, parent, value)
        losses = self._dropping.losses(dropped)
        self._cuts[index] = added(self._cuts.get(index, {}), losses)
        if (age := self._head - index) >= 0 and not self._stale:
            for lack in self._lacks:
                for kind, loss in losses.items():
                    lack.add(age, kind, loss)

    def state(self, dump: Callable[[K], JSON], *, whole: bool) -> Parts:
        """Per changed bucket its entries, and what was cut from it; made when it is asked for."""
        parts: Parts = {}
        for index in self._ring.take_changed(whole=whole):
            bucket = self._ring.buckets.get(index)
            cut = dict(self._cuts.get(index, {}))
            parts[str(index)] = None if bucket is None else partial(_entries, dict(bucket), cut, dump)
        return parts

    def restore(self, index: int, entries: Mapping[K, int], cut: Losses | int) -> None:
        self._ring.buckets[index] = dict(entries)
        self.entries += len(entries)
        self._limit = max(self._budget, self.entries)
        if isinstance(cut, int):  # a file of old told the largest dropped count only
            cut = self._dropping.losses_before(entries, cut)
        if cut:
            self._cuts[index] = cut
        self._stale = True

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


def _entries(bucket: Mapping[K, int], cut: Losses, dump: Callable[[K], JSON]) -> JSON:
    return {"cut": cut, "entries": [[dump(key), value] for key, value in bucket.items()]}


class Sums(Generic[K]):
    """Per key, an integer sum over each window (plain counts, or packed figures).

    Exact while the budget holds. Over it the rarest keys of the fullest buckets are dropped (not
    those that a window's top list shows), and a figure is too low by at most ``missing(window)``.

    Args:
        spans: the running totals of each window, shortest first.
        budget: bucket entries (key and bucket) held per bucket width.
        dropping: what becomes of dropped keys.
    """

    def __init__(
        self, spans: Mapping[Window, Span[K]], *, budget: int, dropping: Dropping[K] | None = None
    ) -> None:
        rule: Dropping[K] = dropping or Forgetting()
        self._spans = dict(spans)
        self._tiers: dict[int, _Tier[K]] = {}
        for step, group in groupby(self._spans, lambda window: window.step):
            self._tiers[step] = _Tier(step, [self._spans[window] for window in group], budget, rule)

    def add(self, time: float, key: K, value: int = 1) -> None:
        """Add ``value`` at ``time`` (as ``windows.place`` gives it)."""
        second = int(time)
        for step, tier in self._tiers.items():
            tier.add(second // step, key, value)

    def follow(self, now: float) -> None:
        """Move the windows that are one bucket behind ``now``.

        Called for each batch of a busy stream it leaves little to do for ``advance``, which has to
        move by all buckets since the last time in one go.
        """
        for tier in self._tiers.values():
            tier.follow(int(now // tier.step))

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

    def missing(self, window: Window, *, previous: bool = False) -> Losses:
        """By kind, the most that a figure of the window can be too low; empty while all is exact.

        ``previous``: of the window before it.
        """
        return self._tiers[window.step].missing(self._spans[window], previous=previous)

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
            self._tiers[step].restore(index, entries, part["cut"])

    @property
    def entries(self) -> int:
        """Bucket entries held, all widths together."""
        return sum(tier.entries for tier in self._tiers.values())
