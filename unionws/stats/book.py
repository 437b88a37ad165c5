"""The last time something was seen and what it was called then, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Generic, TypeVar

from unionws.model import JSON
from unionws.stats.parts import Parts

K = TypeVar("K", bound=Hashable)


class Book(Generic[K]):
    """Key → (time, label) of its newest event, for keys that are recent or listed.

    Two generations: when the young one is full it becomes the old one, and the old one goes.
    ``find`` carries what it finds over, so what is listed at each snapshot stays known.

    Args:
        size: keys in one generation.
    """

    __slots__ = ("_changed", "_old", "_size", "_young")

    def __init__(self, size: int) -> None:
        self._size = size
        self._changed: set[K] | None = None
        self._young: dict[K, tuple[float, str]] = {}
        self._old: dict[K, tuple[float, str]] = {}

    def note(self, key: K, time: float, label: str) -> None:
        """Remember an event, unless a newer one is known; an empty label leaves the known one."""
        entry = self._young.get(key)
        if entry is not None:
            if time >= entry[0]:
                self._put(key, (time, label or entry[1]))
        elif (old := self._old.get(key)) is None:
            self._put(key, (time, label))
        elif time >= old[0]:
            self._put(key, (time, label or old[1]))

    def find(self, key: K) -> tuple[float, str] | None:
        """Time and label of the newest event, or None when it was forgotten."""
        entry = self._young.get(key)
        if entry is None and (entry := self._old.get(key)) is not None:
            self._put(key, entry)
        return entry

    def state(self, dump: Callable[[K], str], *, whole: bool) -> Parts:
        """Entries that changed since the last call, or all; ``dump`` names a key."""
        keys = self._changed
        if whole or keys is None:
            keys = self._old.keys() | self._young.keys()
        self._changed = set()
        return {dump(key): self._young.get(key) or self._old.get(key) for key in keys}

    def restore(self, parts: Mapping[str, JSON], load: Callable[[str], K]) -> None:
        """Take entries of ``state`` back, before anything is noted; ``load`` undoes ``dump``."""
        found = sorted(((load(name), part) for name, part in parts.items()), key=lambda pair: pair[1][0])
        entries = {key: (float(time), str(label)) for key, (time, label) in found}
        keys = list(entries)
        self._old = {key: entries[key] for key in keys[: -self._size]}
        self._young = {key: entries[key] for key in keys[-self._size :]}

    def _put(self, key: K, entry: tuple[float, str]) -> None:
        if len(self._young) >= self._size and key not in self._young:
            if self._changed is not None:
                self._changed |= self._old.keys()
            self._young, self._old = {}, self._young
        self._young[key] = entry
        if self._changed is not None:
            self._changed.add(key)
