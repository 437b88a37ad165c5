"""Durations by bucket, added up over processes."""

from __future__ import annotations

import asyncio
import time

from unionws.measure import BOUNDS, LAG_INTERVAL, Histogram, LoopLag, added


def test_durations_fall_into_their_buckets() -> None:
    """A bucket includes its upper end; what is longer than all is counted too; negative is nothing."""
    histogram = Histogram()
    for seconds in (-1.0, 0.0005, 0.001, 0.0011, 99.0):
        histogram.observe(seconds)
    assert histogram.counts[:2] == [3, 1]
    assert histogram.counts[-1] == 1
    assert sum(histogram.counts) == 5


def test_reports_of_several_processes_add_up() -> None:
    """Counts and sums of dumps are added bucket by bucket."""
    first, second = Histogram(), Histogram()
    first.observe(0.002)
    second.observe(0.002)
    second.observe(1.0)
    counts, total = added([first.dump(), second.dump()])
    assert (counts[1], sum(counts), total) == (2, 3, 1.004)
    assert added([]) == ([0] * (len(BOUNDS) + 1), 0.0)


def test_a_blocked_loop_shows_as_lag() -> None:
    """A tick that comes late counts by how late it is."""

    async def scene() -> LoopLag:
        lag = LoopLag()
        lag.start()
        await asyncio.sleep(LAG_INTERVAL - 0.1)
        time.sleep(0.3)
        await asyncio.sleep(0.05)
        lag.stop()
        return lag

    lag = asyncio.run(scene())
    assert sum(lag.histogram.counts) == 1
    assert lag.histogram.total > 0.1
