from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from random import Random

import pytest

from tests.scheduler.factory import WALL, item, keys
from unionws.clock import ManualClock
from unionws.model import EnrichedTransfer
from unionws.scheduler.runner import Scheduler
from unionws.settings import Settings

QUICK = Settings(SPREAD_MS=40, FUTURE_BUFFER_MS=10, JITTER_MS=10, POLL_INTERVAL=50)
OFF = Settings(SPREAD_MS=0)
FAR = Settings(SPREAD_MS=60_000, FUTURE_BUFFER_MS=60_000)


class Sink:
    """What was published: (keys, late) per frame."""

    def __init__(self) -> None:
        self.frames: list[tuple[list[str], bool]] = []

    def __call__(self, items: Sequence[EnrichedTransfer], late: bool) -> None:
        self.frames.append((keys(list(items)), late))

    @property
    def keys(self) -> list[str]:
        return [key for frame, _ in self.frames for key in frame]


def fresh(key: str, *, route: str = "a.1->b.1", age: float = 1.0) -> EnrichedTransfer:
    return item(key, route=route, age=age, wall=time.time())


async def reached(condition: Callable[[], bool]) -> None:
    for _ in range(5000):
        if condition():
            return
        await asyncio.sleep(0.001)
    pytest.fail("it did not come to that within 5,000 turns")


def test_everything_is_published_and_then_it_sleeps() -> None:
    """All transfers come out in frames of at most five, and no timer is left behind."""

    async def scene() -> None:
        sink = Sink()
        scheduler = Scheduler(QUICK, on_due=sink, random=Random(1))
        scheduler.start()
        assert scheduler._timer is None
        for poll in range(3):
            scheduler.add([fresh(f"{poll}-{n:02}", age=10 - poll - n / 100) for n in range(30)])
            await asyncio.sleep(0.01)
        await reached(lambda: len(sink.keys) == 90)
        assert sink.keys == [f"{poll}-{n:02}" for poll in range(3) for n in range(30)]
        assert max(len(frame) for frame, _ in sink.frames) <= 5
        await reached(lambda: scheduler._timer is None)
        assert scheduler.view()["queued"] == 0
        scheduler.stop()

    asyncio.run(scene())


def test_nothing_is_published_inside_add() -> None:
    """With smoothing off a transfer goes out in the loop's next turn, not inside the call."""

    async def scene() -> None:
        sink = Sink()
        scheduler = Scheduler(OFF, on_due=sink)
        scheduler.start()
        scheduler.add([fresh("1")])
        assert sink.frames == []
        await reached(lambda: sink.frames == [(["1"], False)])
        scheduler.stop()

    asyncio.run(scene())


def test_the_timer_moves_forward_for_what_is_due_sooner() -> None:
    """A late row does not wait for the wake-up that was set for a spread one."""

    async def scene() -> None:
        sink = Sink()
        scheduler = Scheduler(FAR, on_due=sink)
        scheduler.start()
        scheduler.add([fresh("spread")])
        scheduler.add([fresh("old", age=500)])
        await reached(lambda: sink.frames == [(["old"], True)])
        assert keys(list(scheduler.pending())) == ["spread"]
        assert scheduler.lowest() == "spread"
        scheduler.stop()

    asyncio.run(scene())


def test_a_failing_subscriber_is_logged_and_the_queue_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """When publishing one frame raises, the error is logged with its size and the next frame follows."""

    async def scene() -> None:
        seen: list[str] = []

        def publish(items: Sequence[EnrichedTransfer], late: bool) -> None:
            seen.extend(keys(list(items)))
            if "0" in seen[-len(items) :]:
                raise RuntimeError("disk full")

        scheduler = Scheduler(OFF, on_due=publish)
        scheduler.start()
        scheduler.add([fresh(str(n)) for n in range(8)])
        await reached(lambda: len(seen) == 8)
        scheduler.stop()
        assert seen == [str(n) for n in range(8)]

    with caplog.at_level(logging.ERROR, "unionws.scheduler"):
        asyncio.run(scene())
    (record,) = caplog.records
    assert record.name == "unionws.scheduler"
    assert record.__dict__["fields"] == {"transfers": 5, "late": False}
    assert record.exc_info is not None


def test_nothing_before_start_nor_after_stop() -> None:
    """What is added while stopped is kept, and published once started again."""

    async def scene() -> None:
        sink = Sink()
        scheduler = Scheduler(OFF, on_due=sink)
        scheduler.add([fresh("1")])
        await asyncio.sleep(0.02)
        assert sink.frames == []
        scheduler.start()
        await reached(lambda: sink.keys == ["1"])
        scheduler.add([fresh("2")])
        scheduler.stop()
        scheduler.add([fresh("3")])
        await asyncio.sleep(0.02)
        assert sink.keys == ["1"]
        scheduler.start()
        await reached(lambda: sink.keys == ["1", "2", "3"])
        scheduler.stop()

    asyncio.run(scene())


def test_drain_publishes_the_rest_at_once() -> None:
    """At shutdown all that is queued goes out in frames, in order, without waiting."""

    async def scene() -> None:
        sink = Sink()
        scheduler = Scheduler(FAR, on_due=sink)
        scheduler.start()
        scheduler.add([fresh(f"{n:02}", age=30 - n) for n in range(12)] + [fresh("old", age=500)])
        scheduler.stop()
        drained = scheduler.drain()
        assert keys(drained) == sink.keys == ["old", *(f"{n:02}" for n in range(12))]
        assert [(len(frame), late) for frame, late in sink.frames] == [
            (1, True),
            (5, False),
            (5, False),
            (2, False),
        ]
        assert scheduler.lowest() is None
        assert scheduler.drain() == []

    asyncio.run(scene())


def test_a_subscriber_may_use_the_scheduler() -> None:
    """Adding and draining from within on_due neither loses nor repeats a transfer."""

    async def scene() -> None:
        sink = Sink()

        def publish(items: Sequence[EnrichedTransfer], late: bool) -> None:
            sink(items, late)
            if len(sink.frames) == 1:
                assert "0000" not in keys(list(scheduler.pending()))
                scheduler.add([fresh("added")])
                scheduler.drain()

        scheduler = Scheduler(OFF, on_due=publish)
        scheduler.start()
        scheduler.add([fresh(f"{n:04}") for n in range(1200)])
        await reached(lambda: len(sink.keys) == 1201)
        await asyncio.sleep(0.03)
        assert sorted(sink.keys) == [*(f"{n:04}" for n in range(1200)), "added"]
        scheduler.add([fresh("after")])
        await reached(lambda: sink.keys[-1] == "after")
        scheduler.stop()

    asyncio.run(scene())


def test_the_view_has_the_contracts_fields() -> None:
    """/scheduler tells the activity, the queue's length and when the next transfer is due."""
    clock = ManualClock(WALL)
    settings = Settings(SPREAD_MS=3000, FUTURE_BUFFER_MS=1000, JITTER_MS=0)
    scheduler = Scheduler(settings, on_due=Sink(), clock=clock)
    assert scheduler.view() == {
        "enhancedSchedulerEnabled": True,
        "activityStats": {
            "last30s": 0,
            "last5min": 0,
            "last1hr": 0,
            "totalTracked": 0,
            "activityLevel": 0.1,
        },
        "queued": 0,
    }
    scheduler.add([item(str(n), age=age) for n, age in enumerate([1.0] * 30 + [200.0, 2000.0, 9000.0])])
    assert scheduler.view() == {
        "enhancedSchedulerEnabled": True,
        "activityStats": {
            "last30s": 30,
            "last5min": 31,
            "last1hr": 32,
            "totalTracked": 33,
            "activityLevel": 0.5,
        },
        "queued": 33,
        "nextDueMs": 0,
    }
    scheduler.drain()
    scheduler.add([item("next", age=0.0)])
    clock.advance(0.4)
    assert scheduler.view()["nextDueMs"] == 600


def test_the_view_says_when_smoothing_is_off() -> None:
    """SPREAD_MS = 0 shows as a scheduler that is not enhanced."""
    assert Scheduler(OFF, on_due=Sink()).view()["enhancedSchedulerEnabled"] is False


def test_a_step_of_the_wall_clock_breaks_nothing() -> None:
    """After the clock is set a day forward or back, figures stay and transfers still come out."""
    clock = ManualClock(WALL)
    sink = Sink()
    scheduler = Scheduler(QUICK, on_due=sink, clock=clock)
    scheduler.add([item(f"a{n}", age=5.0, wall=clock.time()) for n in range(12)])
    for step in (86_400, -172_800):
        clock.step(step)
        assert scheduler.view()["activityStats"]["last30s"] == 12
    clock.advance(20)
    scheduler.add([item(f"b{n}", age=5.0, wall=clock.time()) for n in range(6)])
    assert scheduler.view()["activityStats"]["last30s"] == 18
    clock.advance(20)
    assert scheduler.view()["activityStats"]["last30s"] == 6
    assert scheduler.view()["activityStats"]["last5min"] == 18
    assert len(scheduler.drain()) == 18
