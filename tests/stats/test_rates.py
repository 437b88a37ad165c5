"""Transfers per window."""

from __future__ import annotations

from tests.stats.traffic import NOW, transfer
from unionws.stats.coverage import Coverage
from unionws.stats.rates import FIELDS, Rates
from unionws.stats.windows import WINDOWS


def test_each_window_counts_its_own_and_compares_with_the_one_before() -> None:
    """Three in each window's last step, one just before its edge."""
    for window in WINDOWS:
        rates = Rates("1m")
        rates.use_coverage(Coverage(0))
        edge = window.start(NOW)
        rates.observe([transfer(edge), transfer(edge + 1), transfer(NOW), transfer(edge - 1)], NOW)
        current = rates.snapshot(NOW)["currentRates"]
        assert current[FIELDS[window.key]] == 3
        assert current[FIELDS[window.key] + "Change"] == 200.0
        assert current["totalTracked"] == 4


def test_without_coverage_no_change_is_told() -> None:
    """A statistic that nobody told what is covered claims nothing."""
    assert not [key for key in Rates("1m").snapshot(NOW)["currentRates"] if key.endswith("Change")]


def test_the_minute_carries_the_short_window() -> None:
    """With 5m, txPerMinute and its change are the five minutes'."""
    rates = Rates("5m")
    rates.use_coverage(Coverage(NOW - 700))
    rates.observe([transfer(NOW - 200), transfer(NOW - 30), transfer(NOW - 400)], NOW)
    current = rates.snapshot(NOW)["currentRates"]
    assert (current["txPerMinute"], current["txPer5Minutes"], current["txPer30Seconds"]) == (2, 2, 1)
    assert current["txPerMinuteChange"] == current["txPer5MinutesChange"] == 100.0
