"""unionws.clockwatch: a stepped clock is told for a while, an ordinary one never."""

from __future__ import annotations

import pytest

from unionws.clock import ManualClock
from unionws.clockwatch import TOLD_FOR, ClockWatch


@pytest.mark.parametrize(("seconds", "word"), [(3600.0, "forward by 3600 s"), (-3600.0, "back by 3600 s")])
def test_a_step_is_told_for_a_while(seconds: float, word: str, caplog: pytest.LogCaptureFixture) -> None:
    """Direction and size, in the log at once and in ``problem`` until it is no news any more."""
    clock = ManualClock()
    watch = ClockWatch(clock)
    clock.step(seconds)
    watch.tick()
    assert word in str(watch.problem)
    assert [record.message for record in caplog.records] == ["clock stepped"]
    clock.advance(TOLD_FOR + 1)
    watch.tick()
    assert (watch.problem, watch.steps) == (None, 1)


def test_time_that_passes_is_no_step() -> None:
    """However long a tick is late, and while the clock is slewed."""
    clock = ManualClock()
    watch = ClockWatch(clock)
    for seconds in (1.0, 600.0, 1.0):
        clock.advance(seconds)
        clock.step(0.5)
        watch.tick()
    assert (watch.problem, watch.steps) == (None, 0)
