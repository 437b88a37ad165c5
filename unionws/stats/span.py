"""Running totals of one window and of the window before it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Generic, TypeVar

from unionws.stats.windows import Window

K = TypeVar("K", bound=Hashable)


class Span(Generic[K]):
    """Per key the sum over the newest ``size + 1`` buckets, and over the ``size`` before them.

    Ages count buckets back from the newest: 0 is the one that holds now.

    Args:
        size: whole buckets in the window.
        previous: whether the preceding window is wanted.
    """

    __slots__ = ("current", "previous", "reach", "size")

    def __init__(self, size: int, *, previous: bool) -> None:
        self.size = size
        self.reach = 2 * size if previous else size
        self.current: dict[K, int] = {}
        self.previous: dict[K, int] = {}

    def add(self, age: int, key: K, value: int) -> None:
        """Count ``value`` (below zero: take it back) in the window that has this age, if any has."""
        if age <= self.size:
            self._change(key, value)
        elif age <= self.reach:
            self._change_previous(key, value)

    def step(self, head: int, buckets: Mapping[int, Mapping[K, int]]) -> None:
        """Move on by one bucket, to newest bucket ``head``."""
        for key, value in buckets.get(head, {}).items():
            self._change(key, value)
        leaving = buckets.get(head - self.size - 1, {})
        for key, value in leaving.items():
            self._change(key, -value)
        if self.reach > self.size:
            for key, value in leaving.items():
                self._change_previous(key, value)
            for key, value in buckets.get(head - self.reach - 1, {}).items():
                self._change_previous(key, -value)

    def rebuild(self, head: int, buckets: Mapping[int, Mapping[K, int]]) -> None:
        """Start over from the buckets, newest being ``head``."""
        self.clear()
        for age in range(self.reach + 1):
            for key, value in buckets.get(head - age, {}).items():
                self.add(age, key, value)

    def wants(self, key: K) -> bool:
        """Whether ``key`` is shown, or nearly, and so must not be dropped."""
        return False

    def clear(self) -> None:
        """Forget everything."""
        self.current.clear()
        self.previous.clear()

    def _change(self, key: K, value: int) -> None:
        total = self.current.get(key, 0) + value
        if total:
            self.current[key] = total
        else:
            self.current.pop(key, None)

    def _change_previous(self, key: K, value: int) -> None:
        total = self.previous.get(key, 0) + value
        if total:
            self.previous[key] = total
        else:
            self.previous.pop(key, None)


def spans(windows: Iterable[Window], *, previous: bool = True) -> dict[Window, Span[K]]:
    """Plain running totals for each window, and for the one before it unless not wanted."""
    return {window: Span(window.buckets, previous=previous) for window in windows}
