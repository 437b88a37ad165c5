"""Window edges, and where an event counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stats.traffic import NOW
from unionws.stats.windows import WINDOWS, Window, capacity, place, reach

DAY = 86_400
times = st.floats(1.5e9, 2.5e9)


@given(times, st.sampled_from(WINDOWS))
def test_an_edge_is_the_length_back_floored_to_the_step(now: float, window: Window) -> None:
    """s <= now − W < s + step, s on the grid, and the preceding window is as long."""
    start = window.start(now)
    assert start <= now - window.seconds < start + window.step
    assert start % window.step == 0
    assert start - window.start_before(now) == window.seconds


@given(times)
def test_a_longer_window_contains_a_shorter_one(now: float) -> None:
    """Starts never come later as windows get longer."""
    starts = [window.start(now) for window in WINDOWS]
    assert starts == sorted(starts, reverse=True)


def test_steps_follow_the_length() -> None:
    """One second up to five minutes, one minute up to a day, one hour above."""
    steps = {window.key: window.step for window in WINDOWS}
    assert steps == {"30s": 1, "1m": 1, "5m": 1, "1h": 60, "1d": 60, "7d": 3600, "14d": 3600, "30d": 3600}


@pytest.mark.parametrize(
    ("age", "counted_at"),
    [
        (0, 0),
        (5.25, 5.25),
        (-0.001, 0),
        (-60, 0),
        (-61, -61),
        (-7200, -7200),
        (-7201, None),
        (61 * DAY, 61 * DAY),
        (61 * DAY + 1, None),
        (float("nan"), None),
    ],
)
def test_rows_ahead_count_as_now_and_rows_far_off_nowhere(age: float, counted_at: float | None) -> None:
    """A minute of skew is forgiven, two hours are kept for their time, 61 days back is the end."""
    expected = None if counted_at is None else NOW - counted_at
    assert place(NOW - age, NOW) == expected


@pytest.mark.parametrize("window", WINDOWS)
def test_rings_hold_and_accept_more_than_two_windows(window: Window) -> None:
    """A bucket is not lost while the preceding window may need it, nor after two hours of a fast clock."""
    needed = 2 * window.buckets + 1
    assert capacity(2 * window.buckets) > needed
    assert reach(2 * window.buckets, window.step) * window.step >= 2 * window.seconds + 7200
