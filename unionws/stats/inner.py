"""The lists inside the items of a list, made only where there is room for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from unionws.model import JSON

FIRST = 5
"""Items whose inner lists are filled first: the explorer page shows no more unless asked."""


class Inner:
    """An inner list that begins empty.

    Args:
        rank: of the item it belongs to, from 0.
        shown: the list, as it stands in the item.
        most: entries it can have.
        make: answers its entries, all it can have; called once, when the first is wanted.
        twice: whether the item is in the un-scaled list, too.
    """

    __slots__ = ("_entries", "_make", "copies", "most", "rank", "shown")

    def __init__(
        self, rank: int, shown: list[JSON], most: int, make: Callable[[], list[JSON]], *, twice: bool = False
    ) -> None:
        self.rank, self.shown, self.most = rank, shown, most
        self.copies = 1 + twice
        self._make = make
        self._entries: list[JSON] | None = None

    def entry(self, depth: int) -> JSON | None:
        """The entry that would be the next; None when it has no more."""
        if self._entries is None:
            self._entries = self._make()
        return self._entries[depth] if depth < len(self._entries) else None


def in_order(inners: Sequence[Inner]) -> Iterator[tuple[Inner, int]]:
    """Lists and depths, in the order in which they are to be filled.

    Those of the first items before the others, the first entry of each before the second of any.
    """
    later = sorted(inners, key=lambda inner: inner.rank)
    for group in (
        [inner for inner in later if inner.rank < FIRST],
        [inner for inner in later if inner.rank >= FIRST],
    ):
        for depth in range(max((inner.most for inner in group), default=0)):
            yield from ((inner, depth) for inner in group)


def fill(inners: Iterable[Inner]) -> None:
    """Make all of them whole."""
    for inner in inners:
        inner.shown.extend(entry for depth in range(inner.most) if (entry := inner.entry(depth)))
