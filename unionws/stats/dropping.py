"""What becomes of keys that a table has no room for, and how much that can make a figure too low."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

from unionws.stats.packing import count, pair, volume

K = TypeVar("K", bound=Hashable)

Losses: TypeAlias = dict[str, int]
"""By kind of figure, the most that one figure of that kind is too low by; packed."""

COUNTS = "counts"
"""The kind of figure of a table whose keys are figures themselves."""


class Dropping(Protocol[K]):
    """Decides what is dropped first, and where it goes.

    Attributes:
        prices: that keys have, lowest first.
    """

    prices: Sequence[int]

    def price(self, key: K) -> int:
        """What dropping ``key`` costs, relative to others; 0: it is never dropped."""

    def parents(self, key: K) -> Sequence[K]:
        """The keys that a dropped key's figure is added to."""

    def losses(self, dropped: Mapping[K, int]) -> Losses:
        """The most that one figure of each kind loses when all these are dropped."""

    def losses_before(self, entries: Mapping[K, int], cut: int) -> Losses:
        """The same for a bucket of a file that only told the largest dropped count."""


class Forgetting:
    """Dropped keys are forgotten: each is a figure of its own."""

    prices: Sequence[int] = (1,)

    def price(self, key: Hashable) -> int:
        return 1

    def parents(self, key: Hashable) -> tuple[()]:
        return ()

    def losses(self, dropped: Mapping[Any, int]) -> Losses:
        return {COUNTS: most(dropped)}

    def losses_before(self, entries: Mapping[Any, int], cut: int) -> Losses:
        return {COUNTS: cut} if cut else {}


def most(figures: Mapping[Any, int]) -> int:
    """The largest count and the largest volume of packed figures, each by itself, packed."""
    return pair(max(map(count, figures.values())), max(map(volume, figures.values())))


def added(first: Losses, second: Losses) -> Losses:
    """Both losses together."""
    return {kind: first.get(kind, 0) + second.get(kind, 0) for kind in first.keys() | second.keys()}
