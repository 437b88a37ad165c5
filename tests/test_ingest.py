"""Ingest between the embedded indexer and the bus."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.source.indexers import FastClock, until
from unionws import Service, hookimpl, ingest
from unionws.app import BUILTINS
from unionws.bus.local import LocalBus
from unionws.history.statefolder import StateFolder
from unionws.history.store import Store
from unionws.ingest import Ingest
from unionws.model import MessageRecord, Record, TransfersRecord
from unionws.pluginhost import PluginHost
from unionws.settings import Settings
from unionws.source.simulator import Bursts, Simulator

SETTINGS = Settings(POLL_INTERVAL=50, SPREAD_MS=0, PLUGINS_DIR="", UPDATES_PER_MINUTE=120, OVERLAP_SECONDS=0)


class Run:
    """One run of ingest, with what it published; its time and the indexer's run 60 times as fast."""

    def __init__(
        self, folder: Path, simulator: Simulator, port: int, clock: FastClock, *plugins: tuple[str, object]
    ) -> None:
        self.sending = False
        self.records: list[Record] = []
        self.state = StateFolder(folder)
        store = Store(self.state, SETTINGS, clock)
        store.open()
        bus = LocalBus(lambda: self.sending)
        host = PluginHost(SETTINGS)
        host.load(BUILTINS, plugins)
        self.host = host
        endpoint = f"http://127.0.0.1:{port}/v1/graphql"
        self.ingest = Ingest(SETTINGS, host, bus, clock, store, self.state, endpoint)
        bus.subscribe(self.records.append)

    async def end(self) -> None:
        await self.ingest.stop()
        self.state.release()

    @property
    def transfers(self) -> dict[str, dict[str, Any]]:
        records = [record for record in self.records if isinstance(record, TransfersRecord)]
        return {item.sort_order: json.loads(item.json) for record in records for item in record.items}

    @property
    def updates(self) -> list[MessageRecord]:
        return [record for record in self.records if isinstance(record, MessageRecord)]


def play(folder: Path, scene: Callable[..., Any]) -> None:
    """A scene with an indexer; each call of ``begin`` is a run of ingest on the same folder."""

    async def with_simulator() -> None:
        clock = FastClock(60.0)
        simulator = Simulator(rate=0.3, seed=2, clock=clock, bursts=Bursts(every=0))
        port = simulator.start("127.0.0.1", 0)

        async def begin(*plugins: tuple[str, object]) -> Run:
            run = Run(folder, simulator, port, clock, *plugins)
            await run.ingest.open()
            run.ingest.start()
            return run

        try:
            await scene(begin)
        finally:
            await simulator.stop()

    asyncio.run(with_simulator())


def test_receipts_follow_the_transfers_they_belong_to(tmp_path: Path) -> None:
    """A message for each, with its transfer's filter keys, behind the transfer and only once."""

    async def scene(begin: Callable[[], Awaitable[Run]]) -> None:
        run = await begin()
        await until(lambda: len(run.updates) >= 5)
        await run.end()
        seen: set[str] = set()
        for record in run.updates:
            (fact,) = json.loads(record.data)
            assert (record.channel, record.type) == ("transferUpdates", "transferUpdates")
            assert record.about is not None
            assert record.about.sort_order == fact["sort_order"] not in seen
            seen.add(fact["sort_order"])
            sent = run.transfers[fact["sort_order"]]
            assert fact["packet_hash"] == sent["packet_hash"]
            assert "transfer_recv_timestamp" not in sent
            assert fact["transfer_recv_timestamp"] > sent["transfer_send_timestamp"]

    play(tmp_path / "state", scene)


def test_a_restart_goes_on_waiting_for_receipts(tmp_path: Path) -> None:
    """What an earlier run published is watched too."""

    async def scene(begin: Callable[[], Awaitable[Run]]) -> None:
        run = await begin()
        await until(lambda: len(run.transfers) >= 10)
        await run.end()
        before = run.transfers.keys()
        again = await begin()
        await until(lambda: before & {update.about.sort_order for update in again.updates if update.about})
        await again.end()

    play(tmp_path / "state", scene)


class Told:
    """Remembers what was published, as plugins hear of it."""

    def __init__(self) -> None:
        self.seqs: list[int] = []

    @hookimpl
    def published(self, record: TransfersRecord) -> None:
        self.seqs.append(record.seq)


def test_plugins_hear_of_transfers_that_are_with_the_clients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While they are being sent a plugin that takes its time would hold them up; the last are told too."""
    monkeypatch.setattr(ingest, "TOLD_WITHIN", 1e9)
    told = Told()

    async def scene(begin: Callable[..., Awaitable[Run]]) -> None:
        run = await begin(("told", told))
        run.sending = True
        await until(lambda: run.transfers)
        assert told.seqs == []
        run.sending = False
        await until(lambda: told.seqs)
        run.sending = True
        await run.end()
        records = [record.seq for record in run.records if isinstance(record, TransfersRecord)]
        assert told.seqs == records

    play(tmp_path, scene)


def test_plugins_hear_of_transfers_even_if_clients_are_never_idle(
    tmp_path: Path,
) -> None:
    """A second later at most."""
    told = Told()

    async def scene(begin: Callable[..., Awaitable[Run]]) -> None:
        run = await begin(("told", told))
        run.sending = True
        await until(lambda: told.seqs)
        await run.end()

    play(tmp_path, scene)


class Careless:
    """Changes what it is given."""

    service: Service

    @hookimpl
    def startup(self, service: Service) -> None:
        self.service = service


def test_statistics_that_a_plugin_changes_are_its_own(tmp_path: Path) -> None:
    """The next who asks gets them as they are."""
    careless = Careless()

    async def scene(begin: Callable[..., Awaitable[Run]]) -> None:
        run = await begin(("careless", careless))
        run.host.start()
        await until(lambda: careless.service.statistics())
        figures = dict(careless.service.statistics())
        figures["currentRates"].clear()
        assert careless.service.statistics()["currentRates"]["txPerMinute"] >= 0
        run.host.stop()
        await run.end()

    play(tmp_path, scene)


def numbered(run: Run) -> list[TransfersRecord]:
    return [record for record in run.records if isinstance(record, TransfersRecord)]


def test_a_restart_catches_up_with_what_was_sent_meanwhile(tmp_path: Path) -> None:
    """In the same numbering and without a hole; what is older than a minute is marked late."""

    async def scene(begin: Callable[[], Awaitable[Run]]) -> None:
        run = await begin()
        await until(lambda: len(run.transfers) >= 5)
        await run.end()
        last = numbered(run)[-1]
        await asyncio.sleep(3.0)  # three minutes of the indexer's time
        again = await begin()
        await until(lambda: any(not record.late and record.seq > last.seq for record in numbered(again)))
        await again.end()
        new = [record for record in numbered(again) if record.seq > last.seq]
        assert {record.epoch for record in new} == {last.epoch}
        first = [record.seq - len(record.items) + 1 for record in new]
        assert first == [last.seq + 1, *(record.seq + 1 for record in new[:-1])]
        assert sum(len(record.items) for record in new if record.late) > 10
        assert not run.transfers.keys() & {item.sort_order for record in new for item in record.items}

    play(tmp_path / "state", scene)
