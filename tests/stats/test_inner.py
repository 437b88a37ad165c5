"""Lists in lists, filled as far as there is room."""

from __future__ import annotations

from typing import Any

from unionws.stats.inner import FIRST, Inner, fill, in_order


def inner(rank: int, entries: int, made: list[int] | None = None, most: int = 3) -> Inner:
    def make() -> list[Any]:
        if made is not None:
            made.append(rank)
        return [f"{rank}.{depth}" for depth in range(entries)]

    return Inner(rank, [], most, make)


def test_the_first_items_come_first_and_each_first_entry_before_any_second() -> None:
    """Then those of lower rank, in the same way."""
    inners = [inner(rank, 2, most=2) for rank in (FIRST, 1, 0)]
    order = [(found.rank, depth) for found, depth in in_order(inners)]
    assert order == [(0, 0), (1, 0), (0, 1), (1, 1), (FIRST, 0), (FIRST, 1)]


def test_entries_are_made_once_and_only_when_one_is_wanted() -> None:
    """There are no more than were made."""
    made: list[int] = []
    wanted, other = inner(0, 2, made), inner(1, 2, made)
    assert [wanted.entry(depth) for depth in range(3)] == ["0.0", "0.1", None]
    assert made == [0]
    fill([other])
    assert (other.shown, made) == (["1.0", "1.1"], [0, 1])
