"""Back-filling against an indexer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.source.indexers import FastClock, until
from unionws.errors import UpstreamStatus
from unionws.model import Chain, Transfer
from unionws.settings import Settings
from unionws.source.backfill import Backfill
from unionws.source.decode import Page
from unionws.source.filling import Filling, Past
from unionws.source.window import Origin

DAY = 86_400


class Scene:
    """An indexer of one row an hour, and what is made of it."""

    def __init__(self, *, days: int = 2, rows: int = 24 * 10) -> None:
        self.clock = FastClock(1.0)
        self.now = self.clock.time()
        self.times = [self.now - 3600 * number for number in range(rows)]
        self.got: list[float] = []
        self.asked = 0
        self.problems: list[Exception] = []
        self.refusals: list[Exception] = []
        self.ready = True
        self.filling = Filling(Origin("9", frozenset()), self.now)
        settings = Settings(BACKFILL_DAYS=days, BACKFILL_PAUSE_MS=0)
        self.backfill = Backfill(
            self.filling,
            settings,
            fetch=self.fetch,
            ready=lambda: self.ready,
            on_past=self.take,
            clock=self.clock,
        )

    async def fetch(self, cursor: str | None) -> Page:
        self.asked += 1
        await asyncio.sleep(0)
        if self.problems:
            raise self.problems.pop(0)
        rows = [Transfer(f"{time:020.6f}", Chain("a"), Chain("b"), send_time=time) for time in self.times]
        page = [row for row in rows if cursor is None or row.sort_order < cursor][:10]
        return Page(len(page), tuple(row.sort_order for row in page), tuple(page))

    def take(self, past: Past) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.got += [time for _, time in past.rows]

    async def finish(self) -> None:
        self.backfill.start()
        await until(lambda: self.backfill.done)


def play(scene: Callable[[Scene], Awaitable[None]], **options: Any) -> Scene:
    made: list[Scene] = []

    async def run() -> None:
        made.append(Scene(**options))
        try:
            await scene(made[0])
        finally:
            await made[0].backfill.stop()

    asyncio.run(run())
    return made[0]


def test_rows_come_newest_first_and_no_further_than_wanted() -> None:
    """It stops with the page that reaches BACKFILL_DAYS."""
    scene = play(Scene.finish, days=2)
    assert scene.got == scene.times[: len(scene.got)]
    assert 48 <= len(scene.got) <= 70
    view = scene.backfill.view()
    assert (view["state"], view["done"], view["percent"], view["rows"]) == (
        "done",
        True,
        100.0,
        len(scene.got),
    )


def test_it_ends_where_the_indexer_does() -> None:
    """An indexer younger than BACKFILL_DAYS is read whole."""
    scene = play(Scene.finish, days=60, rows=25)
    assert scene.got == scene.times
    assert scene.filling.exhausted


def test_nothing_is_asked_when_it_is_off_or_done() -> None:
    """0 days asks nothing, and says so."""
    scene = play(Scene.finish, days=0)
    assert (scene.asked, scene.backfill.view()["state"]) == (0, "off")


def test_nothing_is_asked_while_polling_is_not_well() -> None:
    """The stream goes first."""

    async def wait(scene: Scene) -> None:
        scene.ready = False
        scene.backfill.start()
        await asyncio.sleep(0.2)
        assert (scene.asked, scene.backfill.view()["state"]) == (0, "waiting")
        scene.ready = True
        await until(lambda: scene.backfill.done)

    assert play(wait).got


@pytest.mark.parametrize("where", ["problems", "refusals"])
def test_a_page_that_fails_is_asked_for_again_and_counted_once(
    where: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the indexer fails or whoever takes the rows, none is missing and none comes twice."""
    monkeypatch.setattr("unionws.source.backoff.FIRST", 0.01)

    async def fail(scene: Scene) -> None:
        scene.backfill._backoff._step = 0.01
        getattr(scene, where).append(UpstreamStatus(503) if where == "problems" else OSError("disk full"))
        await scene.finish()

    scene = play(fail)
    assert scene.got == scene.times[: len(scene.got)]
    assert scene.backfill.view()["failures"] == 1
    assert [record.message for record in caplog.records] == ["a page could not be back-filled"]
