"""unionws.ticker: periodic work that no clock step and no error stops."""

from __future__ import annotations

import asyncio
import time

import pytest

from unionws.ticker import Ticker


def ticks(action: object, seconds: float, until: float) -> None:
    """Run a ticker for some loop time."""

    async def run() -> None:
        ticker = Ticker(action, seconds)  # type: ignore[arg-type]
        ticker.start()
        await asyncio.sleep(until)
        ticker.stop()
        await asyncio.sleep(2 * seconds)

    asyncio.run(run())


def test_it_ticks_until_it_is_stopped() -> None:
    """Several ticks while it runs, none afterwards."""
    seen: list[float] = []
    ticks(lambda: seen.append(time.monotonic()), 0.01, 0.1)
    assert 3 <= len(seen) <= 10
    assert seen[-1] - seen[0] < 0.11


def test_a_wall_clock_set_back_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall clock is not asked at all."""
    seen: list[int] = []

    def step_back() -> None:
        seen.append(1)
        monkeypatch.setattr(time, "time", lambda: 1_000.0)

    ticks(step_back, 0.01, 0.1)
    assert len(seen) >= 3


def test_an_action_that_raises_is_logged_and_called_again(caplog: pytest.LogCaptureFixture) -> None:
    """One failure is not the end."""
    seen: list[int] = []

    def fail() -> None:
        seen.append(1)
        raise RuntimeError("once too often")

    ticks(fail, 0.01, 0.05)
    assert len(seen) >= 2
    assert caplog.records[0].message == "a periodic task failed"


def test_a_coroutine_is_not_run_twice_at_a_time() -> None:
    """Ticks that come while it runs do nothing, and stopping cancels it."""
    seen: list[str] = []

    async def slow() -> None:
        seen.append("begun")
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    ticks(slow, 0.01, 0.1)
    assert seen == ["begun", "cancelled"]


def test_a_coroutine_that_raises_is_logged_and_run_again(caplog: pytest.LogCaptureFixture) -> None:
    """As with a plain function."""
    seen: list[int] = []

    async def fail() -> None:
        seen.append(1)
        raise RuntimeError("once too often")

    ticks(fail, 0.01, 0.05)
    assert len(seen) >= 2
    assert caplog.records[0].message == "a periodic task failed"
