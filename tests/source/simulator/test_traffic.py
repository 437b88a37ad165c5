"""Traffic: a pure function of seed and time, and believable."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import pytest

from unionws.source.simulator.traffic import (
    CACHED_ROWS,
    LONGEST_DELAY,
    Bursts,
    Row,
    Traffic,
    rhythm,
)

NOON = 1_760_011_200
NO_BURSTS = Bursts(every=0)


def traffic(seed: int = 1, rate: float = 5.0, bursts: Bursts = NO_BURSTS, people: int = 50_000) -> Traffic:
    return Traffic(rate=rate, seed=seed, bursts=bursts, people=people)


def rows_of(source: Traffic, seconds: int, start: int = NOON) -> list[Row]:
    return [
        row
        for number in range(start // source.span, (start + seconds) // source.span)
        for row in source.block(number)
    ]


def test_same_seed_gives_the_same_rows_in_any_order_of_asking() -> None:
    """Two instances agree on a block however they came to it, and another seed differs."""
    one, two = traffic(), traffic()
    number = NOON // one.span
    forwards = [one.block(number + place) for place in range(5)]
    backwards = [two.block(number + place) for place in reversed(range(5))]
    assert forwards == backwards[::-1]
    assert traffic(seed=2).block(number) != forwards[0]


def test_a_block_is_sorted_and_within_its_time() -> None:
    """Rows of a block are in text order and were sent inside the block."""
    source = traffic()
    number = NOON // source.span
    rows = source.block(number)
    assert len(rows) > 20
    assert all(before.sort_order < after.sort_order for before, after in pairwise(rows))
    assert all(row.second // source.span == number for row in rows)


def test_little_is_held_however_much_is_asked_for() -> None:
    """Walking far keeps only the newest blocks."""
    source = traffic(rate=50)
    rows = rows_of(source, 600)
    assert len(rows) > 2 * CACHED_ROWS
    assert sum(len(block) for block in source._cache.values()) <= CACHED_ROWS


@pytest.mark.parametrize("rate", [0.2, 5.0, 400.0])
def test_the_rate_is_kept(rate: float) -> None:
    """Packets a second follow the rate times the hour's rhythm."""
    seconds = int(max(60, 3000 / rate))
    source = traffic(rate=rate)
    packets = {row.packet for row in rows_of(source, seconds)}
    expected = rate * seconds * rhythm(NOON + seconds / 2)
    assert abs(len(packets) - expected) < 6 * math.sqrt(expected) + 2 * rate * source.span


def test_the_day_has_a_rhythm_that_averages_to_one() -> None:
    """The afternoon is busier than the night and a day's mean is the rate."""
    hours = [rhythm(hour * 3600) for hour in range(24)]
    assert hours[15] == max(hours) > 1.4
    assert hours[3] == min(hours) < 0.6
    assert sum(hours) / 24 == pytest.approx(1.0)


def test_a_rate_of_nothing_is_silent() -> None:
    """Rate 0 without bursts sends nothing."""
    assert rows_of(traffic(rate=0.0), 3600) == []


def test_bursts_are_within_one_second() -> None:
    """A burst of 300 packets falls into one second."""
    source = traffic(rate=1.0, bursts=Bursts(low=300, high=300, every=120.0))
    counts = Counter(row.second for row in rows_of(source, 1800) if row.transfer_index == 0)
    assert sum(1 for count in counts.values() if count >= 300) >= 5


@pytest.mark.parametrize("bad", [{"low": 5, "high": 4}, {"every": -1.0}, {"low": -1}])
def test_impossible_bursts_are_refused(bad: dict[str, float]) -> None:
    """Bursts check themselves."""
    with pytest.raises(ValueError, match="bursts of"):
        Bursts(**bad)  # type: ignore[arg-type]


def test_batches_share_a_packet_hash() -> None:
    """Some packets carry two transfers, numbered 0 and 1 under one packet hash."""
    packets: dict[str, list[Row]] = {}
    for row in rows_of(traffic(), 1200):
        packets.setdefault(row.packet_hash, []).append(row)
    sizes = Counter(len(rows) for rows in packets.values())
    assert set(sizes) == {1, 2}
    assert 0.02 < sizes[2] / len(packets) < 0.07
    pair = next(rows for rows in packets.values() if len(rows) == 2)
    assert [row.transfer_index for row in pair] == [0, 1]
    assert len({row.sort_order for row in pair}) == 2


def test_wallets_follow_zipf() -> None:
    """The busiest wallet is met often, yet thousands of wallets are met at all."""
    counts = Counter(row.sender for row in rows_of(traffic(), 6000))
    assert counts.most_common(1)[0][0] == 1
    assert counts[1] > 500
    assert len(counts) > 3_000
    assert max(counts) <= 50_000


def test_favourite_routes_lead() -> None:
    """The heaviest route is met most, and every route is met."""
    routes = Counter(row.route.number for row in rows_of(traffic(), 6000))
    heaviest = max((row.route for row in rows_of(traffic(), 600)), key=lambda route: route.weight)
    assert routes.most_common(1)[0][0] == heaviest.number
    assert len(routes) == 58


def test_amounts_are_whole_base_units_around_the_usual_size() -> None:
    """The median amount in display units is near the token's usual size."""
    rows = [row for row in rows_of(traffic(), 6000) if row.offer.token.symbol == "ETH"]
    shown = sorted(row.amount / row.offer.scale for row in rows)
    assert all(isinstance(row.amount, int) and row.amount >= 1 for row in rows)
    assert 0.04 < shown[len(shown) // 2] < 0.16
    assert shown[-1] > 20 * shown[len(shown) // 2]


def test_visibility_is_pure_and_bounded() -> None:
    """A fifth is 2 to 8 s later than without the fault; nothing is later than LONGEST_DELAY."""
    rows = rows_of(traffic(), 1200)
    late_by = [row.visible_at(0.2) - row.visible_at(0.0) for row in rows]
    late = [seconds for seconds in late_by if seconds]
    assert 0.17 < len(late) / len(rows) < 0.23
    assert all(1.99 < seconds < 8.01 for seconds in late)
    assert all(0 < row.visible_at(1.0) - row.sent < LONGEST_DELAY for row in rows)
