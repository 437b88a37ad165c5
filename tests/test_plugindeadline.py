"""In the main thread of a process, as in the service: signals reach no other."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from unionws import pluginguard
from unionws.discovery import Candidate
from unionws.plugindeadline import SIGNAL, Overdue
from unionws.pluginguard import BlockedError, Guard, Place
from unionws.pluginloading import Plugin

FOREVER = 60.0


def place(name: str = "acme") -> Place:
    return Place(Plugin(Candidate(name, "a test", object)), "somewhere")


@pytest.fixture(name="guard")
def fixture_guard() -> Iterator[Guard]:
    """One that cuts calls of more than 40 ms."""
    guard = Guard()
    guard.deadline.start(0.04)
    yield guard
    guard.deadline.stop()


def sleep() -> None:
    time.sleep(FOREVER)


def wait_for_a_lock() -> None:
    threading.Event().wait(FOREVER)


def spin() -> None:
    while True:
        pass


def swallow() -> None:
    """As careless code does."""
    until = time.monotonic() + FOREVER
    while time.monotonic() < until:
        with contextlib.suppress(Exception):
            time.sleep(FOREVER)


def log_on() -> None:
    while True:
        logging.getLogger("acme").debug("on and on")


@pytest.mark.parametrize("block", [sleep, wait_for_a_lock, spin, swallow, log_on])
def test_a_call_that_takes_too_long_is_cut_short(guard: Guard, block: Callable[[], None]) -> None:
    """Whatever it waits for; the second time in a row the plugin is switched off."""
    at = place()
    began = time.monotonic()
    assert guard.run(at, block, default="d") == "d"
    assert "BlockedError: kept everything waiting, and was cut short after" in at.plugin.last_error
    assert at.plugin.state == "active"
    with pytest.raises(BlockedError):
        guard.attempt(at, block)
    assert time.monotonic() - began < FOREVER / 2
    assert (at.plugin.state, at.plugin.calls, at.plugin.failures) == ("switched off", 2, 2)


def test_the_second_time_within_a_minute_is_the_last(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    """At whatever place: a plugin with many of them shall not hold up the stream at each."""
    one = place()
    other, third = Place(one.plugin, "elsewhere"), Place(one.plugin, "at last")
    guard.run(one, sleep)
    monkeypatch.setattr(pluginguard, "FORGET_AFTER", 0.0)
    guard.run(other, sleep)
    assert one.plugin.state == "active"
    monkeypatch.undo()
    guard.run(third, sleep)
    assert (one.plugin.state, one.plugin.failures) == ("switched off", 3)


def test_a_plugin_may_tidy_up(guard: Guard) -> None:
    """What it has in finally and with is done."""
    done = []

    def careful() -> None:
        try:
            sleep()
        finally:
            done.append(True)

    guard.run(place(), careful)
    assert done == [True]


def test_our_own_plugins_are_not_cut(guard: Guard) -> None:
    """A recording shall have no half lines because a disk was slow."""
    ours = Place(Plugin(Candidate("recorder", "built in", object, builtin=True)), "somewhere")
    assert guard.run(ours, lambda: time.sleep(0.3) or "written") == "written"
    assert ours.plugin.failures == 0


def test_many_short_calls_are_not_one_long_one(guard: Guard) -> None:
    """The limit is for each."""
    at = place()
    for _ in range(300):
        guard.run(at, time.sleep, 0.001)
    assert (at.plugin.failures, at.plugin.calls) == (0, 300)


def test_what_a_plugin_calls_of_ours_is_not_left_halfway(guard: Guard) -> None:
    """It is cut as soon as it is back in its own code."""
    ours: dict[str, Any] = {"sleep": time.sleep, "__name__": "unionws.bus.local"}
    exec("def publish(done):\n    sleep(0.3)\n    done.append(True)", ours)
    done: list[bool] = []

    def told() -> None:
        ours["publish"](done)
        sleep()

    at = place()
    guard.run(at, told)
    assert (done, at.plugin.failures) == ([True], 1)


def test_a_call_inside_another_is_blamed_itself(guard: Guard) -> None:
    """And the outer one goes on, with what is left of its time."""
    outer, inner = place("outer"), place("inner")

    def ask() -> str:
        guard.run(inner, sleep)
        return "on"

    assert guard.run(outer, ask) == "on"
    assert (outer.plugin.failures, inner.plugin.failures) == (0, 1)


def test_nothing_but_a_call_is_ever_cut(guard: Guard) -> None:
    """A signal from elsewhere, between calls and in one that just began, does nothing."""
    at = place()
    for _ in range(100):
        signal.raise_signal(SIGNAL)
        assert guard.run(at, lambda: signal.raise_signal(SIGNAL) or "done") == "done"
    assert at.plugin.failures == 0


def test_elsewhere_and_without_a_limit_nothing_is_watched() -> None:
    """Not in another thread, and not by a limit of 0."""
    guard, threads = Guard(), threading.active_count()
    other = threading.Thread(target=guard.deadline.start, args=(0.04,))
    other.start()
    other.join()
    guard.deadline.start(0)
    assert threading.active_count() == threads
    guard.deadline.stop()


def test_it_is_no_exception() -> None:
    """So `except Exception` does not keep it."""
    assert not issubclass(Overdue, Exception)
