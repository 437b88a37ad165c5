"""The newest transfers in memory, against a plain list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.broadcaster.factory import EPOCH, NOW_MS, fragment, record
from unionws.history.ring import Ring
from unionws.model import Fragment


def filled(size: int, counts: list[int], step: int = 1000) -> tuple[Ring, list[Fragment]]:
    """A ring after records of so many transfers each, one per second, and all of these."""
    ring, everything = Ring(size), []
    for number, count in enumerate(counts):
        items = [fragment(f"{len(everything) + index + 1:04}") for index in range(count)]
        everything += items
        ring.append(record(len(everything), *items, timestamp=NOW_MS + number * step))
    return ring, everything


@given(st.integers(5, 12), st.lists(st.integers(1, 5), min_size=1, max_size=12))
def test_ring_holds_the_newest(size: int, counts: list[int]) -> None:
    """As many as it has room for, by position."""
    ring, everything = filled(size, counts)
    assert (ring.highest, len(ring)) == (len(everything), min(size, len(everything)))
    assert ring.lowest == ring.highest - len(ring) + 1
    held = ring.between(ring.lowest, ring.highest, 5)
    assert held is not None
    assert list(held.items) == everything[-len(ring) :]
    assert ring.since(0, 100) == everything[::-1][: len(ring)]


@given(st.lists(st.integers(1, 5), min_size=2, max_size=8), st.data())
def test_any_stretch_is_one_record(counts: list[int], data: st.DataObject) -> None:
    """With the positions of its transfers, and the cursor accounted for at its end."""
    ring, everything = filled(100, counts)
    first = data.draw(st.integers(1, len(everything)))
    last = data.draw(st.integers(first, len(everything)))
    stretch = ring.between(first, last, 77)
    assert stretch is not None
    assert list(stretch.items) == everything[first - 1 : last]
    assert (stretch.epoch, stretch.seq, stretch.timestamp, stretch.late) == (EPOCH, last, 77, False)
    assert stretch.cursor >= stretch.items[-1].sort_order


@pytest.mark.parametrize(("first", "last"), [(3, 5), (0, 1), (9, 12), (8, 6), (11, 11)])
def test_what_is_not_all_held_is_nothing(first: int, last: int) -> None:
    """Never a part of what was asked for."""
    ring, _ = filled(6, [5, 5])
    assert ring.between(first, last, 0) is None


def test_empty_ring() -> None:
    """Nothing is held, and nothing is reached."""
    ring = Ring(10)
    assert (len(ring), ring.lowest, ring.highest) == (0, 1, 0)
    assert ring.between(1, 1, 0) is None
    assert ring.since(0, 5) == []
    assert ring.position_at(0) == 0
    assert not ring.reaches(NOW_MS)
    assert ring.published_at("9") is None


def test_recent_transfers_newest_first() -> None:
    """Published at or after a moment, at most so many."""
    ring, everything = filled(100, [2, 2, 2])
    assert ring.since(NOW_MS + 1000, 100) == everything[:1:-1]
    assert ring.since(NOW_MS + 1000, 3) == everything[:2:-1]
    assert ring.since(NOW_MS + 2001, 100) == []


def test_position_of_a_moment() -> None:
    """Everything published from then on stands behind it."""
    ring, _ = filled(100, [2, 2, 2])
    assert [ring.position_at(NOW_MS + ms) for ms in (0, 1, 1000, 2000, 2001)] == [0, 2, 2, 4, 6]


def test_reach_is_known() -> None:
    """A ring answers for a moment only when it holds something from before it."""
    ring, _ = filled(4, [2, 2, 2])
    assert not ring.reaches(NOW_MS + 1000)
    assert ring.reaches(NOW_MS + 1001)


def test_cursor_is_found_by_order_not_by_place() -> None:
    """Late rows stand behind newer ones: the greatest sort_order up to the cursor counts."""
    ring = Ring(10)
    ring.append(record(1, fragment("0005"), timestamp=100))
    ring.append(record(2, fragment("0009"), timestamp=200))
    ring.append(record(3, fragment("0003"), timestamp=300))
    assert [ring.published_at(cursor) for cursor in ("0004", "0005", "0008", "0009", "9")] == [
        300,
        100,
        100,
        200,
        200,
    ]
    assert ring.published_at("0002") is None


def test_another_epoch_empties_the_ring() -> None:
    """Its positions are other positions."""
    ring, _ = filled(10, [3])
    ring.append(record(2, epoch="epoch002"))
    assert (ring.epoch, ring.lowest, ring.highest) == ("epoch002", 2, 2)


def test_hole_empties_the_ring() -> None:
    """What does not follow on the last record starts anew."""
    ring, _ = filled(10, [3])
    ring.append(record(5))
    assert (ring.lowest, ring.highest) == (5, 5)
    assert ring.between(3, 5, 0) is None
