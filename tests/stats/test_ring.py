"""Time buckets, bounded by number."""

from __future__ import annotations

from unionws.stats.ring import Ring


def test_the_oldest_buckets_go_and_only_over_the_capacity() -> None:
    """Up to the capacity nothing goes; then a few of the oldest at once."""
    ring: Ring[list[int]] = Ring(32, list)
    for index in range(100, 132):
        ring.open(index).append(index)
        assert ring.expire() == []
    ring.open(50)
    assert [index for index, _ in ring.expire()] == [50, 100, 101]
    assert ring.open(131) == [131]


def test_a_gap_in_time_costs_nothing() -> None:
    """Buckets from before a jump of the clock are still there after it."""
    ring: Ring[list[int]] = Ring(32, list)
    ring.open(5).append(1)
    ring.open(1_000_000)
    assert ring.expire() == []
    assert ring.open(5) == [1]
