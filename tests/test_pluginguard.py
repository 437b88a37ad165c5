from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from unionws import pluginguard
from unionws.discovery import Candidate
from unionws.pluginguard import FAILURES_IN_A_ROW, FailedError, Guard, Place
from unionws.pluginloading import Plugin


def place(name: str = "acme") -> Place:
    return Place(Plugin(Candidate(name, "a test", object)), "somewhere")


def fail() -> None:
    raise KeyError("no")


def taking(monkeypatch: pytest.MonkeyPatch, seconds: float) -> Callable[[], str]:
    """A function that seems to take that long."""
    now = [0.0]
    monkeypatch.setattr(pluginguard, "perf_counter", lambda: now[0])

    def wait() -> str:
        now[0] += seconds
        return "done"

    return wait


def test_the_answer_or_the_default() -> None:
    """What works is passed on; what raises is counted, named and replaced."""
    guard, at = Guard(), place()
    assert guard.run(at, lambda number: number + 1, 2) == 3
    assert guard.run(at, fail, default="d") == "d"
    assert (at.plugin.calls, at.plugin.failures) == (2, 1)
    assert at.plugin.last_error == "somewhere: KeyError: 'no'"


def test_failures_in_a_row_at_one_place_switch_the_plugin_off_and_that_is_told() -> None:
    """Failures at two places do not add up; who is told learns plugin, place and error."""
    guard, one = Guard(), place()
    other = Place(one.plugin, "elsewhere")
    told: list[Mapping[str, Any]] = []
    guard.on_switched_off = told.append
    for _ in range(FAILURES_IN_A_ROW - 1):
        guard.run(one, fail)
        guard.run(other, fail)
    assert (one.plugin.state, told) == ("active", [])
    guard.run(one, fail)
    assert one.plugin.state == "switched off"
    assert told == [{"plugin": "acme", "hook": "somewhere", "error": "KeyError: 'no'"}]
    calls = one.plugin.calls
    assert guard.run(other, fail, default=7) == 7
    assert one.plugin.calls == calls


def test_a_refusal_is_no_failure() -> None:
    """An error that is a proper answer goes to the caller and ends a row of failures."""
    guard, at = Guard(), place()

    def refuse() -> None:
        raise ValueError("not that")

    for _ in range(3):
        for _ in range(FAILURES_IN_A_ROW - 1):
            guard.run(at, fail)
        with pytest.raises(ValueError, match="not that"):
            guard.attempt(at, refuse, refusals=(ValueError,))
    assert at.plugin.state == "active"


def test_a_call_that_blocks_counts_for_three(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its answer is used, but the second one in a row ends the plugin."""
    guard, at = Guard(), place()
    block = taking(monkeypatch, 5.0)
    assert guard.run(at, block) == "done"
    assert at.plugin.state == "active"
    assert guard.run(at, block) == "done"
    assert at.plugin.state == "switched off"
    assert "BlockedError: kept everything waiting for 5.0 s" in at.plugin.last_error
    assert "Plugin switched off after repeated failures" in caplog.messages


def test_slow_calls_are_counted_and_warned_about_once_a_minute(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They are no failures, however many."""
    guard, at = Guard(), place()
    clock = [1000.0]
    monkeypatch.setattr(pluginguard, "monotonic", lambda: clock[0])
    slow = taking(monkeypatch, 0.25)
    for _ in range(20):
        guard.run(at, slow)
    clock[0] += 61
    guard.run(at, slow)
    warned = [record.__dict__["fields"] for record in caplog.records]
    assert [(fields["plugin"], fields["ms"], fields["slow"]) for fields in warned] == [
        ("acme", 250.0, 1),
        ("acme", 250.0, 21),
    ]
    assert (at.plugin.slow, at.plugin.slowest, at.plugin.failures) == (21, 0.25, 0)
    assert at.plugin.seconds == pytest.approx(21 * 0.25)


def test_a_trace_names_every_call(caplog: pytest.LogCaptureFixture) -> None:
    """With the switch on, each call is a line with plugin, place and milliseconds."""
    guard, at = Guard(), place()
    with caplog.at_level(logging.INFO, "unionws.pluginhost"):
        guard.run(at, time.time)
        guard.trace = True
        guard.run(at, time.time)
        guard.run(at, fail)
    traced = [record for record in caplog.records if record.getMessage() == "Plugin called"]
    assert [record.__dict__["fields"]["hook"] for record in traced] == ["somewhere", "somewhere"]
    assert traced[0].__dict__["fields"]["ms"] >= 0


def test_a_flood_of_failures_does_not_flood_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """A plugin that fails every other time is logged a few times, then once in a hundred."""
    guard, at = Guard(), place()
    for _ in range(300):
        guard.run(at, fail)
        guard.run(at, time.time)
    assert len(caplog.records) == FAILURES_IN_A_ROW + 3


@pytest.mark.parametrize("error", [SystemExit("gone"), asyncio.CancelledError(), KeyboardInterrupt()])
def test_what_would_end_more_than_the_call_does_not(error: BaseException) -> None:
    """It is a failure like any other; whoever asked gets an Exception."""
    guard, at = Guard(), place()

    def leave() -> None:
        raise error

    assert guard.run(at, leave, default="d") == "d"
    with pytest.raises(FailedError, match=type(error).__name__):
        guard.attempt(at, leave)
    assert at.plugin.failures == 2


def test_a_plugin_that_holds_too_much_is_switched_off() -> None:
    """By name, with how much it is."""
    guard, at = Guard(), place()
    at.plugin.held = 123_000_000
    guard.holds_too_much(at.plugin)
    assert at.plugin.state == "switched off"
    assert at.plugin.last_error == "memory: LeakError: it holds more than 123 MB"
