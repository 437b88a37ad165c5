from __future__ import annotations

from dataclasses import replace

import pytest

from tests.scheduler.playing import CALM, OFF
from unionws.scheduler.rules import Rules
from unionws.settings import Settings


def test_rules_come_from_settings_in_seconds() -> None:
    """The default settings give 3 s spread, 1 s buffer, 0.5 s jitter and frames of 5."""
    assert Rules.of(Settings()) == CALM


def test_no_spread_turns_buffer_and_jitter_off() -> None:
    """SPREAD_MS = 0 leaves no delay of any kind."""
    assert Rules.of(Settings(SPREAD_MS=0)) == OFF
    assert not OFF.smooth


def test_the_spread_falls_with_activity() -> None:
    """The spread is SPREAD_MS at level 0.1, POLL_INTERVAL at 1.0, and a straight line between."""
    assert CALM.spread_at(0.1) == 3.0
    assert CALM.spread_at(1.0) == pytest.approx(0.5)
    assert CALM.spread_at(0.55) == pytest.approx(1.75)


def test_a_long_poll_interval_does_not_lengthen_the_spread() -> None:
    """SPREAD_MS stays the longest spread when polls are further apart."""
    assert replace(CALM, poll_interval=10.0).spread_at(1.0) == 3.0
