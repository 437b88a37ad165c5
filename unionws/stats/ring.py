"""Time buckets of one width: the newest so many, whatever the clock does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

B = TypeVar("B")


class Ring(Generic[B]):
    """Bucket number (time // width) → bucket.

    Bounded by number, oldest first, not by age: a clock that jumps ahead and back again finds
    everything still there.

    Args:
        capacity: buckets held.
        make: makes an empty bucket.

    Attributes:
        buckets: bucket number → bucket.
        changed: numbers of buckets whose content was changed, noted by whoever changes it.
    """

    __slots__ = ("_capacity", "_make", "_taken", "buckets", "changed")

    def __init__(self, capacity: int, make: Callable[[], B]) -> None:
        self.buckets: dict[int, B] = {}
        self.changed: set[int] = set()
        self._taken = False
        self._capacity = capacity
        self._make = make

    def open(self, index: int) -> B:
        """The bucket ``index``, made when it is not there."""
        bucket = self.buckets.get(index)
        if bucket is None:
            bucket = self.buckets[index] = self._make()
        return bucket

    def expire(self) -> list[tuple[int, B]]:
        """Take out and return the oldest buckets when there are more than the ring holds."""
        excess = len(self.buckets) - self._capacity
        if excess <= 0:
            return []
        oldest = sorted(self.buckets)[: excess + self._capacity // 12]
        if self._taken:
            self.changed.update(oldest)
        else:
            self.changed.difference_update(oldest)  # nobody has heard of them
        return [(index, self.buckets.pop(index)) for index in oldest]

    def take_changed(self, *, whole: bool) -> list[int]:
        """Numbers of the buckets changed or gone since the last call; ``whole``: of all there are."""
        taken: Iterable[int] = self.buckets if whole else self.changed
        numbers = list(taken)
        self.changed.clear()
        self._taken = True
        return numbers
