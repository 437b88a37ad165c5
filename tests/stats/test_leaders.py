"""Top lists kept along a changing table."""

from __future__ import annotations

import random

import pytest

from unionws.stats.leaders import Leaders, RankedSpan


def brute(counts: dict[bytes, int], size: int) -> list[tuple[bytes, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:size]


@pytest.mark.parametrize(("keys", "rounds"), [(5, 200), (100, 3000), (900, 12_000)])
def test_leaders_are_those_of_a_full_sort_after_any_changes(keys: int, rounds: int) -> None:
    """Few keys or many, flat or steep, rising or falling to nothing."""
    draw = random.Random(keys)
    counts: dict[bytes, int] = {}
    leaders = Leaders(counts)
    for number in range(rounds):
        key = b"%d" % int(keys * draw.random() ** draw.choice((1, 3)))
        if draw.random() < (0.65 if number < rounds // 2 else 0.35) or key not in counts:
            counts[key] = counts.get(key, 0) + 1
            leaders.raised(key, counts[key])
        else:
            counts[key] -= 1
            left = counts[key] or counts.pop(key)
            leaders.lowered(key, left)
        if number % 37 == 0:
            assert leaders.top(10) == brute(counts, 10)
    assert leaders.top(10) == brute(counts, 10)


def test_a_long_flat_table_gives_the_smallest_keys() -> None:
    """With every count equal the order is the keys'."""
    counts = {b"%05d" % number: 1 for number in random.Random(1).sample(range(99_999), 2000)}
    leaders = Leaders(counts)
    for key in counts:
        leaders.raised(key, 1)
    assert leaders.top(10) == brute(counts, 10)
    for key in [key for key, _ in brute(counts, 500)]:
        del counts[key]
        leaders.lowered(key, 0)
    assert leaders.top(10) == brute(counts, 10)


def test_a_ranked_span_keeps_its_leaders_through_steps_and_rebuilds() -> None:
    """Buckets coming and going, and starting over, leave the leaders right."""
    draw = random.Random(2)
    buckets = {n: {b"%d" % draw.randrange(200): draw.randrange(1, 5) for _ in range(30)} for n in range(40)}
    span = RankedSpan(5)
    span.rebuild(10, buckets)
    for head in range(11, 40):
        span.step(head, buckets)
        assert span.leaders.top(10) == brute(span.current, 10)
    current = dict(span.current)
    span.rebuild(39, buckets)
    assert (span.current, span.leaders.top(10)) == (current, brute(current, 10))
