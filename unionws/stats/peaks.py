"""The largest value per key in every window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import TypeAlias

from unionws.model import JSON
from unionws.stats.cells import OTHER
from unionws.stats.parts import Parts
from unionws.stats.ring import Ring
from unionws.stats.windows import Window, capacity, reach

_Peak: TypeAlias = tuple[int, int]
"""(value, bucket): of equal values the newer bucket, for it stays longer."""

KEYS_PER_BUCKET = 128
"""Keys one bucket holds, besides those that are wanted; the largest value of all others is kept as one."""

_PEAKS = 4_096


class _Tier:
    """Bucket maxima of one width, and the peak of each window, found again when it goes."""

    __slots__ = ("_head", "_most", "_peaks", "_reach", "_refused", "_ring", "_wanted", "step")

    def __init__(self, step: int, sizes: Sequence[int], wanted: Callable[[str], bool]) -> None:
        self.step = step
        self._wanted = wanted
        self._ring: Ring[dict[str, int]] = Ring(capacity(sizes[-1]), dict)
        self._reach = reach(sizes[-1], step)
        self._refused: set[int] = set()
        self._head = 0
        self._peaks: dict[int, dict[str, _Peak]] = {size: {} for size in sizes}
        self._most = dict.fromkeys(sizes, _PEAKS)

    def add(self, index: int, key: str, value: int) -> None:
        if self._head - index > self._reach:
            return
        bucket = self._ring.buckets.get(index)
        if bucket is None:
            bucket = self._ring.open(index)
            self._refused.difference_update(gone for gone, _ in self._ring.expire())
        if key not in bucket and len(bucket) >= KEYS_PER_BUCKET and not self._wanted(key):
            key = OTHER
            self._refused.add(index)
        if value > bucket.get(key, -1):
            bucket[key] = value
            self._ring.changed.add(index)
            self._raise(index, key, value)

    def advance(self, head: int) -> None:
        moved = head - self._head
        self._head = head
        if moved < 0:
            for peaks in self._peaks.values():
                peaks.clear()
        oldest = head - max(self._peaks)
        first = max(oldest, head - moved + 1) if moved >= 0 else oldest
        for index in range(first, head + 1):
            for key, value in self._ring.buckets.get(index, {}).items():
                self._raise(index, key, value)
        self._forget()

    def peak(self, key: str, size: int) -> int:
        """The largest value among the newest ``size + 1`` buckets; 0 when there is none."""
        found = self._peaks[size].get(key)
        if found is None or found[1] < self._head - size:
            found = self._search(key, size)
        return found[0] if found else 0

    def refused(self, size: int) -> int:
        """The largest value among the newest ``size + 1`` buckets that was given to no key."""
        oldest, buckets = self._head - size, self._ring.buckets
        return max((buckets[i][OTHER] for i in self._refused if oldest <= i <= self._head), default=0)

    def state(self, *, whole: bool) -> Parts:
        changed = self._ring.take_changed(whole=whole)
        found = [(index, self._ring.buckets.get(index)) for index in changed]
        return {f"{self.step}/{index}": bucket and dict(bucket) for index, bucket in found}

    def restore(self, index: int, bucket: Mapping[str, int]) -> None:
        self._ring.buckets[index] = dict(bucket)
        if OTHER in bucket:
            self._refused.add(index)

    def _forget(self) -> None:
        """Keep keys that nobody asks for from piling up: looked through when they have doubled."""
        for size, peaks in self._peaks.items():
            if len(peaks) > self._most[size]:
                oldest = self._head - size
                left = {key: peak for key, peak in peaks.items() if peak[1] >= oldest}
                self._peaks[size], self._most[size] = left, max(_PEAKS, 2 * len(left))

    def _raise(self, index: int, key: str, value: int) -> None:
        age = self._head - index
        for size, peaks in self._peaks.items():
            if 0 <= age <= size and (value, index) > peaks.get(key, (-1, 0)):
                peaks[key] = (value, index)

    def _search(self, key: str, size: int) -> _Peak | None:
        buckets = self._ring.buckets
        window = range(self._head - size, self._head + 1)
        values = [(buckets[i][key], i) for i in window if i in buckets and key in buckets[i]]
        if not values:
            self._peaks[size].pop(key, None)
            return None
        self._peaks[size][key] = max(values)
        return max(values)


class Peaks:
    """Largest value per key over each window.

    Where a bucket was full, the peak of a key may be too low: the true one is no more than ``refused``.

    Args:
        windows: shortest first.
        wanted: whether a key finds room in a full bucket, too; few may.
    """

    def __init__(self, windows: Sequence[Window], wanted: Callable[[str], bool] = lambda key: False) -> None:
        self._tiers = {
            step: _Tier(step, [window.buckets for window in group], wanted)
            for step, group in groupby(windows, lambda window: window.step)
        }

    def add(self, time: float, key: str, value: int) -> None:
        """Consider ``value`` at ``time``."""
        second = int(time)
        for step, tier in self._tiers.items():
            tier.add(second // step, key, value)

    def advance(self, now: float) -> None:
        """Move all windows to ``now``."""
        for tier in self._tiers.values():
            tier.advance(int(now // tier.step))

    def state(self, *, whole: bool) -> Parts:
        """Buckets that changed since the last call, or all."""
        return {name: part for tier in self._tiers.values() for name, part in tier.state(whole=whole).items()}

    def restore(self, parts: Mapping[str, JSON]) -> None:
        """Take buckets of ``state`` back, before anything is added."""
        for name, part in parts.items():
            step, index = map(int, name.split("/"))
            self._tiers[step].restore(index, part)

    def peak(self, key: str, window: Window) -> int:
        """The largest value in the window as of the last ``advance``; 0 when there is none."""
        return self._tiers[window.step].peak(key, window.buckets)

    def refused(self, window: Window) -> int:
        """The largest value in the window that was left out, whatever its key; 0 when all peaks are exact."""
        return self._tiers[window.step].refused(window.buckets)
