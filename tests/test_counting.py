"""Statistics through starts, stops, crashes and lost files, against an indexer that goes on meanwhile."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from tornado.web import RequestHandler

from tests.source.indexers import HttpIndexer, row, until
from unionws import app
from unionws.bus.local import LocalBus
from unionws.clock import SystemClock
from unionws.history.statefolder import StateFolder
from unionws.history.store import Store
from unionws.ingest import Ingest
from unionws.model import Record, TransfersRecord
from unionws.settings import Settings
from unionws.stats import cells

PAST = 350
DAY = 86_400
OPTIONS: dict[str, Any] = {
    "PLUGINS_DIR": "",
    "POLL_INTERVAL": 50,
    "SPREAD_MS": 0,
    "OVERLAP_SECONDS": 1.0,
    "BACKFILL_DAYS": 2,
    "BACKFILL_PAUSE_MS": 0,
}


class Rows:
    """An indexer with a past of two days that gets new rows now and then."""

    def __init__(self) -> None:
        self.draw = random.Random(1)
        self.rows: dict[str, dict[str, Any]] = {}
        now = time.time()
        for number in range(PAST):
            self.add(now - 60 - number * 2 * DAY / PAST)
        self.pause = 0.0

    def add(self, sent: float | None = None) -> None:
        sent = time.time() if sent is None else sent
        moment = datetime.fromtimestamp(sent, timezone.utc)
        key = f"{int(sent):012d}-{self.draw.getrandbits(60):020d}"
        wallet = f"0x{self.draw.randrange(50):040x}"
        stamp = moment.isoformat().replace("+00:00", "Z")
        self.rows[key] = row(key, transfer_send_timestamp=stamp, sender_canonical=wallet)

    async def reply(self, handler: RequestHandler, body: dict[str, Any]) -> None:
        if body["operationName"] == "UnionwsChains":
            chain = {"universal_chain_id": "ethereum.1", "rpcs": []}
            handler.write({"data": {"v2_chains": [chain]}})
            return
        cursor, keys = body["variables"].get("cursor"), sorted(self.rows)
        if cursor is None or '"lt"' in body["query"]:
            if cursor is not None:
                await asyncio.sleep(self.pause)
            keys = [key for key in keys if cursor is None or key < cursor][::-1]
        else:
            keys = [key for key in keys if key > cursor]
        handler.write({"data": {"v2_transfers": [self.rows[key] for key in keys[:100]]}})


class Run:
    """One run of ingest in a state folder."""

    def __init__(self, path: Path, url: str, **options: Any) -> None:
        self.settings = Settings(**{**OPTIONS, **options})
        self.folder = StateFolder(path)
        self.store = Store(self.folder, self.settings, SystemClock())
        self.store.open()
        bus = LocalBus()
        bus.subscribe(self._take)
        self.published: list[str] = []
        host = app.load_plugins(self.settings)
        self.ingest = Ingest(self.settings, host, bus, SystemClock(), self.store, self.folder, url)

    def _take(self, record: Record) -> None:
        if isinstance(record, TransfersRecord):
            self.published += [item.sort_order for item in record.items]

    async def start(self) -> Run:
        await self.ingest.open()
        self.ingest.start()
        return self

    @property
    def counting(self) -> Any:
        return self.ingest._counting

    @property
    def total(self) -> int:
        rates = self.counting.snapshot().data["currentRates"]
        return int(rates["totalTracked"])

    @property
    def filled(self) -> int:
        return int(self.counting.view()["rows"])

    async def save(self) -> None:
        """As in ten seconds."""
        self.counting._keeper._next = 0.0
        self.counting._saved = None
        self.counting.tick("ok")
        await until(lambda: self.counting._keeper.due() or self.counting._keeper._running is None)

    async def stop(self) -> None:
        await self.ingest.stop()
        self.folder.release()

    async def crash(self) -> None:
        """Everything not yet on the disk is lost."""
        ingest = self.ingest
        await ingest._counting.stop_filling()
        await ingest._feed.stop()
        ingest._scheduler.stop()
        ingest._lag.stop()
        for task in ingest._tasks:
            task.stop()
        ingest._counting._keeper.close(ingest._counting.collector, None)
        self.store._checkpoints.stop()
        self.store._database.close()
        self.folder.release()


class World:
    """The indexer, and runs one after the other."""

    def __init__(self, path: Path, indexer: HttpIndexer, rows: Rows) -> None:
        self.path, self.indexer, self.rows = path, indexer, rows

    async def run(self, **options: Any) -> Run:
        return await Run(self.path, self.indexer.url, **options).start()

    def live(self, count: int = 5) -> None:
        for _ in range(count):
            self.rows.add()

    async def all_counted(self, run: Run) -> None:
        """Every row there is was counted, and stays counted once."""
        await until(lambda: run.counting.view()["done"] and run.total >= len(self.rows.rows))
        await until(lambda: run.counting.snapshot().data["dataAvailability"]["hasDay"])
        await asyncio.sleep(0.3)
        assert run.total == len(self.rows.rows)
        data = run.counting.snapshot().data
        assert data["currentRates"]["txPer7Days"] == run.total
        assert data["activeWalletRates"]["sendersLast7d"] == 50


def play(path: Path, scene: Callable[[World], Awaitable[None]]) -> None:
    async def run() -> None:
        rows = Rows()
        indexer = HttpIndexer(rows.reply)
        indexer.start()
        try:
            await scene(World(path, indexer, rows))
        finally:
            await indexer.stop()

    asyncio.run(asyncio.wait_for(run(), 50))


def test_past_and_stream_are_counted_side_by_side(tmp_path: Path) -> None:
    """The past is counted and stored but not published; the stream is published and not filled in."""

    async def scene(world: World) -> None:
        run = await world.run()
        await until(lambda: run.filled > 0)
        world.live()
        await world.all_counted(run)
        await run.stop()
        assert len(run.published) == 5
        assert run.filled == PAST
        with sqlite3.connect(run.folder.database) as connection:
            found = connection.execute("SELECT count(seq), count(*) FROM transfers").fetchone()
        connection.close()
        assert found == (5, PAST + 5)

    play(tmp_path, scene)


def test_what_is_restored_is_added_up_before_anybody_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Off the loop, at the start: the first snapshot only adds what moved since."""
    added: list[tuple[bool, int]] = []
    add = cells.Rollup.add

    def counted(rollup: cells.Rollup, moved: Mapping[cells.Cell, int]) -> None:
        added.append((threading.current_thread() is threading.main_thread(), len(moved)))
        add(rollup, moved)

    async def scene(world: World) -> None:
        run = await world.run()
        await world.all_counted(run)
        await run.stop()
        monkeypatch.setattr(cells.Rollup, "add", counted)
        run = await world.run()
        restored = sum(number for _, number in added)
        assert restored
        assert not any(on_the_loop for on_the_loop, number in added if number)
        added.clear()
        assert run.total == len(world.rows.rows)
        assert sum(number for _, number in added) <= restored / 2
        await run.stop()

    play(tmp_path, scene)


@pytest.mark.parametrize("end", ["stop", "crash"])
def test_runs_that_end_anywhere_count_on_where_they_were(tmp_path: Path, end: str) -> None:
    """Rows of the past, of the stream, and of the time between two runs: each once."""

    async def scene(world: World) -> None:
        world.rows.pause = 0.05
        for number in range(2):
            run = await world.run()
            before = run.filled
            await until(lambda run=run, before=before: run.filled > before or run.counting.view()["done"])
            world.live()
            await until(lambda run=run, number=number: run.store.numbering.seq >= 5 + 8 * number)
            if number == 0:
                await run.save()
            world.live(1)
            await until(lambda run=run, number=number: run.store.numbering.seq >= 6 + 8 * number)
            await getattr(run, end)()
            world.live(2)
        run = await world.run()
        await world.all_counted(run)
        await run.stop()

    play(tmp_path, scene)


@pytest.mark.parametrize("lost", ["history.db", "statistics.db"])
def test_a_lost_file_is_made_up_for_by_the_indexer(tmp_path: Path, lost: str) -> None:
    """Without its figures, or without the proof of what they count, everything is filled in anew."""

    async def scene(world: World) -> None:
        run = await world.run()
        await until(lambda: run.filled > 0)
        world.live()
        await until(lambda: run.total >= PAST + 5)
        await run.stop()
        for file in tmp_path.glob(f"{lost}*"):
            file.unlink()
        world.live(3)
        run = await world.run()
        world.live(3)
        await world.all_counted(run)
        await run.stop()

    play(tmp_path, scene)


def test_without_back_filling_only_the_stream_counts_and_it_can_be_turned_on_later(
    tmp_path: Path,
) -> None:
    """BACKFILL_DAYS 0 remembers where the stream began, so that turning it on counts nothing twice."""

    async def scene(world: World) -> None:
        run = await world.run(BACKFILL_DAYS=0)
        await until(lambda: run.counting._backfill is not None)
        world.live()
        await until(lambda: run.total == 5)
        assert run.counting.view()["state"] == "off"
        assert not run.counting.snapshot().data["dataAvailability"]["hasDay"]
        await run.stop()
        run = await world.run()
        await world.all_counted(run)
        await run.stop()

    play(tmp_path, scene)


def test_rows_the_history_lost_with_the_machine_are_not_counted_again(tmp_path: Path) -> None:
    """When the figures are ahead of the history, rows up to where they count are passed over."""

    async def scene(world: World) -> None:
        run = await world.run(OVERLAP_SECONDS=60.0)
        await until(lambda: run.counting.view()["done"])
        world.live()
        await until(lambda: run.total == PAST + 5)
        await run.save()
        await run.crash()
        with sqlite3.connect(run.folder.database) as connection:
            connection.execute("DELETE FROM transfers WHERE seq > 2")
            connection.execute("UPDATE state SET seq = 2")
        connection.close()
        run = await world.run(OVERLAP_SECONDS=60.0)
        await asyncio.sleep(1.1)  # rows of the very second are passed over, too
        world.live(2)
        await until(lambda: len(run.published) == 5)
        await world.all_counted(run)
        await run.stop()

    play(tmp_path, scene)
