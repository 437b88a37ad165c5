from __future__ import annotations

import pytest

from unionws.source.health import LastMinute, Seldom, UpstreamHealth, Usable


@pytest.mark.parametrize(
    ("interval", "age", "state"),
    [
        (0.5, 5, "ok"),
        (0.5, 5.1, "stale"),
        (0.5, 30, "stale"),
        (0.5, 30.1, "down"),
        (10, 39, "ok"),
        (10, 41, "stale"),
    ],
)
def test_the_state_follows_the_age_of_the_last_success(interval, age, state):
    """Stale after five seconds or four polls, down after thirty seconds."""
    health = UpstreamHealth(interval)
    health.succeeded(100.0, 1_760_000_000.0)
    assert health.state(100.0 + age) == state


def test_before_the_first_success_it_is_down():
    """A service that never reached the indexer says so."""
    health = UpstreamHealth(0.5)
    assert health.state(0.0) == "down"
    assert health.stats(0.0)["lastSuccess"] is None


def test_failures_are_counted_and_the_last_one_told():
    """A success ends the row of failures, not the total."""
    health = UpstreamHealth(0.5)
    health.failed("timeout", "too slow", 1_760_000_000.0)
    health.failed("status", "HTTP status 500", 1_760_000_001.5)
    assert health.stats(0.0)["consecutiveFailures"] == 2
    health.succeeded(5.0, 1_760_000_002.0)
    assert health.stats(5.0) == {
        "failures": 2,
        "consecutiveFailures": 0,
        "lastSuccess": 1_760_000_002_000,
        "lastError": {"kind": "status", "message": "HTTP status 500", "at": 1_760_000_001_500},
        "state": "ok",
    }


def test_a_recurring_line_is_written_once_a_minute_per_key():
    """Other keys are not held back."""
    seldom = Seldom()
    allowed = [seldom.allows("timeout", now) for now in (0.0, 1.0, 59.0, 60.0, 61.0)]
    assert allowed == [True, False, False, True, False]
    assert seldom.allows("status", 61.0)


def test_growth_is_that_of_the_last_minute():
    """Older steps fall out; the total goes on."""
    recent = LastMinute()
    assert recent.growth(0, 0.0) == 0
    assert recent.growth(3, 10.0) == 3
    assert recent.growth(5, 50.0) == 5
    assert recent.growth(5, 71.0) == 2
    assert recent.growth(5, 200.0) == 0


def test_mostly_unusable_rows_are_a_problem_while_they_last():
    """In words; over when good rows come again or none at all."""
    usable = Usable()
    usable.came(10, 0, 0.0)
    usable.came(0, 9, 1.0)
    assert usable.problem is None
    usable.came(0, 2, 2.0)
    assert usable.problem == "11 of 21 new rows cannot be used"
    usable.came(3, 0, 3.0)
    assert usable.problem is None
    usable.came(0, 9, 6.5)
    assert usable.problem == "11 of 14 new rows cannot be used"
    usable.came(0, 0, 20.0)
    assert usable.problem is None


def test_a_single_row_that_stays_unusable_is_no_problem():
    """Re-scans see it again every 2 s, for as long as they reach back."""
    usable = Usable()
    for second in range(0, 20, 2):
        usable.came(0, 1, float(second))
        assert usable.problem is None
