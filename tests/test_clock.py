from __future__ import annotations

import time

from unionws.clock import ManualClock, SystemClock, milliseconds


def test_a_manual_clock_moves_only_when_told() -> None:
    """advance() moves both clocks, step() the wall clock alone."""
    clock = ManualClock(100.0)
    started = clock.monotonic()
    clock.advance(2.5)
    clock.step(-50)
    assert (clock.time(), clock.monotonic() - started) == (52.5, 2.5)


def test_the_system_clock_is_the_machines() -> None:
    """Wall time lies between two readings of the machine; monotonic time never steps back."""
    clock = SystemClock()
    assert time.time() - 5 < clock.time() < time.time() + 5
    assert clock.monotonic() <= clock.monotonic()


def test_wire_timestamps_are_whole_milliseconds() -> None:
    """Cut, not rounded, so that a timestamp is never in the future."""
    assert milliseconds(1.9999) == 1999
