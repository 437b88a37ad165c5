"""unionws.broadcaster.pace: chartData as often as an edge can afford it."""

from __future__ import annotations

import pytest

from unionws.broadcaster.pace import LONGEST, Pace


def run(pace: Pace, share: float, charts: int) -> None:
    """Send charts one interval apart while the process uses ``share`` of a core."""
    now, cpu = 1000.0, 50.0
    for _ in range(charts):
        now += pace.interval
        cpu += pace.interval * share
        pace.sent(now, cpu)


def test_a_calm_edge_keeps_the_wanted_interval() -> None:
    """Below the busy mark nothing changes, and nothing is ever waited for."""
    pace = Pace(5.0)
    run(pace, 0.6, 50)
    assert pace.interval == 5.0
    assert not pace.lengthened
    assert pace.wait(1000.1) == 0.0


def test_a_busy_edge_sends_charts_less_often_up_to_a_bound() -> None:
    """While the core is busy the interval grows, but never beyond the longest."""
    pace = Pace(5.0)
    run(pace, 0.9, 3)
    assert 5.0 < pace.interval < LONGEST
    run(pace, 1.0, 50)
    assert pace.interval == LONGEST


def test_it_returns_to_the_wanted_interval_when_the_load_is_gone() -> None:
    """A calm time undoes what a busy time did, no further than wanted."""
    pace = Pace(5.0)
    run(pace, 1.0, 10)
    run(pace, 0.1, 50)
    assert pace.interval == 5.0


def test_the_wait_ends_one_interval_after_the_last_chart() -> None:
    """A lengthened interval counts from the chart before."""
    pace = Pace(2.0)
    pace.sent(100.0, 0.0)
    assert pace.sent(102.0, 2.0)
    assert pace.wait(103.0) == pytest.approx(2.0)
    assert pace.wait(110.0) == 0.0


def test_charts_in_a_hurry_do_not_count() -> None:
    """Two charts at once say nothing about the load of an interval."""
    pace = Pace(10.0)
    pace.sent(100.0, 0.0)
    assert not pace.sent(100.1, 0.1)
    assert pace.interval == 10.0
