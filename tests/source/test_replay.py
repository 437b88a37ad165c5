from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from unionws.clock import ManualClock
from unionws.extensions import Intake
from unionws.model import Chain, Transfer
from unionws.settings import Settings
from unionws.source import replay
from unionws.source.recording import line_of
from unionws.source.replay import Replay

SIDES = (Chain("a.1"), Chain("b.2"))


class Stage:
    """A recording of a chain list and three moments, ten seconds apart; and what was handed on."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "r.jsonl"
        lines = [line_of(990.0, chains=SIDES)]
        for number in range(1, 4):
            at = 990.0 + 10 * number
            rows = [Transfer(f"{number}", *SIDES, send_time=at - 2.0, transfer_send_timestamp="old")]
            lines.append(line_of(at, transfers=rows))
        self.path.write_text("".join(lines))
        self.clock = ManualClock(5000.0)
        self.rows: list[tuple[float, Transfer]] = []
        self.chains: list[Any] = []
        self.slept: list[float] = []

    def feed(self, speed: float, loop: bool = False) -> Replay:
        intake = Intake(
            Settings(),
            self.clock,
            on_transfers=self._take,
            on_chains=self.chains.append,
            on_updates=lambda updates: None,
            resume_from=None,
            known=(),
            endpoint="",
        )
        return Replay(intake, self.path, speed, loop)

    def _take(self, transfers: list[Transfer]) -> None:
        self.rows += [(self.clock.time(), transfer) for transfer in transfers]

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.advance(seconds)


def play(stage: Stage, feed: Replay, monkeypatch: Any, rows: int = 3) -> None:
    """Run the feed, time passing as it sleeps, until that many rows were handed on."""
    sleep = asyncio.sleep

    async def passing(seconds: float) -> None:
        await stage.sleep(seconds)
        await sleep(0)

    async def scenario() -> None:
        feed.start()
        while len(stage.rows) < rows and not feed.stats()["consecutiveFailures"]:
            await sleep(0)
        for _ in range(5):
            await sleep(0)
        await feed.stop()

    monkeypatch.setattr(replay.asyncio, "sleep", passing)
    asyncio.run(scenario())


def test_moments_come_at_their_distance_divided_by_the_speed(tmp_path: Path, monkeypatch: Any) -> None:
    """And their times are now: two seconds old then, two seconds old now."""
    stage = Stage(tmp_path)
    play(stage, stage.feed(speed=5.0), monkeypatch)
    assert [at - 5000.0 for at, _ in stage.rows] == [2.0, 4.0, 6.0]
    assert [at - (row.send_time or 0) for at, row in stage.rows] == [2.0, 2.0, 2.0]
    assert {row.transfer_send_timestamp for _, row in stage.rows} == {None}
    assert stage.chains == [SIDES]


def test_without_pause_everything_comes_at_once(tmp_path: Path, monkeypatch: Any) -> None:
    """Speed 0."""
    stage = Stage(tmp_path)
    feed = stage.feed(speed=0.0)
    play(stage, feed, monkeypatch)
    assert [at for at, _ in stage.rows] == [5000.0] * 3
    stats = feed.stats()
    assert (stats["state"], stats["moments"], stats["rows"], stats["passes"]) == ("ok", 4, 3, 1)


def test_every_pass_is_news(tmp_path: Path, monkeypatch: Any) -> None:
    """In a loop the same rows come again under greater keys: nobody takes them for known."""
    stage = Stage(tmp_path)
    feed = stage.feed(speed=0.0, loop=True)
    play(stage, feed, monkeypatch, rows=9)
    keys = [row.sort_order for _, row in stage.rows]
    assert len(set(keys)) == len(keys) >= 9
    assert keys == sorted(keys)
    assert feed.stats()["cursor"] == keys[-1]
    assert (feed.position, list(feed.seen)) == (None, [])


def test_a_recording_that_cannot_be_read_is_an_upstream_that_is_down(
    tmp_path: Path, monkeypatch: Any
) -> None:
    """With the reason, for /health."""
    stage = Stage(tmp_path)
    stage.path.unlink()
    feed = stage.feed(speed=1.0)
    play(stage, feed, monkeypatch)
    stats = feed.stats()
    assert (stats["state"], stats["lastSuccess"]) == ("down", None)
    assert "r.jsonl" in stats["lastError"]["message"]
