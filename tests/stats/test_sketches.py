"""Distinct keys per window."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stats.traffic import NOW
from unionws.stats.sketches import RELATIVE_ERROR, Distinct, cover, estimate
from unionws.stats.windows import WINDOWS, Window

DAY = 86_400


@given(st.integers(-500, 500), st.integers(-1, 300), st.integers(2, 60))
def test_a_cover_has_every_bucket_once(low: int, length: int, ratio: int) -> None:
    """Fine and coarse buckets together are low..high, without overlap."""
    fine, coarse = cover(low, low + length, ratio)
    found = [index for part in fine for index in part]
    found += [index for whole in coarse for index in range(whole * ratio, (whole + 1) * ratio)]
    assert sorted(found) == list(range(low, low + length + 1))
    assert sum(len(part) for part in fine) <= max(2 * (ratio - 1), length + 1 if not coarse else 0)


def exact(events: list[tuple[float, str]], window: Window, now: float) -> tuple[int, int]:
    start, end = window.start(now), (now // window.step + 1) * window.step
    current = {key for time, key in events if start <= time < end}
    before = {key for time, key in events if start - window.seconds <= time < start}
    return len(current), len(before)


def found(distinct: Distinct, window: Window) -> tuple[int, int]:
    pair = distinct.pair(window)
    return estimate(pair.current), estimate(pair.previous)


@pytest.mark.parametrize("seed", range(4))
def test_few_keys_are_counted_exactly_in_every_window(seed: int) -> None:
    """True unions: a key in many buckets counts once; late rows and clock steps included."""
    draw = random.Random(seed)
    distinct, events, now = Distinct(), list[tuple[float, str]](), NOW
    for _ in range(12):
        now += draw.choice((0.5, 7, 95, 4000, 2 * DAY, -3600))
        for _ in range(25):
            span = draw.choice((40, 600, 7200, 3 * DAY, 60 * DAY))
            time, key = now - draw.uniform(0, span), str(draw.randrange(150))
            distinct.add(time, key)
            events.append((time, key))
        distinct.advance(now)
        for window in WINDOWS:
            assert found(distinct, window) == exact(events, window, now)
    assert estimate(distinct.ever()) == len({key for _, key in events})


def test_many_keys_are_counted_within_the_stated_error() -> None:
    """Twenty thousand keys over a day: within three standard errors in every window."""
    draw, distinct = random.Random(9), Distinct()
    events = [(NOW - draw.uniform(0, DAY), str(draw.randrange(20_000))) for _ in range(40_000)]
    for time, key in events:
        distinct.add(time, key)
    distinct.advance(NOW)
    for window in WINDOWS:
        for value, truth in zip(found(distinct, window), exact(events, window, NOW), strict=True):
            assert abs(value - truth) <= 3 * RELATIVE_ERROR * truth


def test_what_comes_between_two_looks_is_there_at_the_next() -> None:
    """Events in the open buckets are counted without a bucket having to close."""
    distinct = Distinct()
    distinct.advance(NOW)
    distinct.add(NOW, "a")
    distinct.advance(NOW)
    assert {found(distinct, window) for window in WINDOWS} == {(1, 0)}


def test_keys_without_a_time_count_in_the_total_only() -> None:
    """None is in no window."""
    distinct = Distinct()
    distinct.add(None, "a")
    distinct.advance(NOW)
    assert (estimate(distinct.ever()), found(distinct, WINDOWS[-1])) == (1, (0, 0))
