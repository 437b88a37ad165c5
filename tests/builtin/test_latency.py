"""The latency plugin with a service that asks the embedded indexer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from tests.source.indexers import until
from tests.stats.traffic import NOW, transfer
from unionws.builtin.latency import Latency
from unionws.errors import UpstreamStatus
from unionws.extensions import Statistic
from unionws.model import JSON
from unionws.pluginhost import PluginHost
from unionws.pluginservice import Doors
from unionws.settings import Settings
from unionws.source.queries import LATENCY
from unionws.source.simulator import Simulator
from unionws.source.simulator.world import load_world
from unionws.source.transport import Transport


class Stage:
    """A host with the plugin, its pace a hundred times as fast."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, role: str = "ingest") -> None:
        monkeypatch.setattr("unionws.builtin.latency.BUDGET", 0.05)
        monkeypatch.setattr("unionws.builtin.latency.AFTER_FAILURE", 0.2)
        self.host = PluginHost(Settings(PLUGINS_DIR=""))
        self.host.load([("latency", Latency)])
        self.host.doors = Doors(role=role)
        self.asked: list[tuple[str, str]] = []
        self.problems: list[Exception] = []
        self.answer: Any = None

    async def ask(self, document: str, variables: Mapping[str, JSON], name: str) -> Mapping[str, JSON]:
        self.asked.append((variables["source"], variables["destination"]))
        if self.problems:
            raise self.problems.pop(0)
        found: Mapping[str, JSON] = await self.answer(document, variables, name)
        return found

    def start(self) -> Statistic:
        self.host.start()
        (statistic,) = self.host.collect("register_statistics", Statistic)
        self.host.doors.open(lambda record: None, dict, self.ask)
        return statistic


def test_routes_seen_get_the_indexers_latencies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Routes the indexer knows are shown; an empty answer is no entry; a failure is outlived."""

    async def play() -> None:
        simulator = Simulator(rate=0.1)
        transport = Transport(f"http://127.0.0.1:{simulator.start('127.0.0.1', 0)}/v1/graphql")
        stage = Stage(monkeypatch)
        stage.answer, stage.problems = transport.query, [UpstreamStatus(429)]
        statistic = stage.start()
        route = load_world().routes[0]
        known = (route.source.universal_chain_id, route.destination.universal_chain_id)
        batch = [transfer(NOW, source=known[0], destination=known[1])] * 2 + [transfer(NOW, source="x.1")]
        statistic.observer.observe(batch, NOW)
        await until(lambda: statistic.observer.snapshot(NOW)["latencyData"] or len(stage.asked) > 1)
        assert stage.asked[:2] == [known, ("x.1", "bob.60808")]
        monkeypatch.setattr("unionws.probes.latency.REFRESH", 0.0)
        await until(lambda: statistic.observer.snapshot(NOW)["latencyData"])
        (entry,) = statistic.observer.snapshot(NOW)["latencyData"]
        assert (entry["sourceChain"], entry["destinationChain"]) == known
        assert entry["packetRecv"]["p5"] < entry["packetRecv"]["median"] < entry["packetRecv"]["p95"]
        stage.host.stop()
        transport.close()
        await simulator.stop()

    asyncio.run(play())


def test_an_edge_asks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only ingest talks to the indexer."""

    async def play() -> None:
        stage = Stage(monkeypatch, role="edge")
        stage.start().observer.observe([transfer(NOW)], NOW)
        await asyncio.sleep(0.2)
        stage.host.stop()
        assert stage.asked == []

    asyncio.run(play())


def test_no_more_is_asked_than_the_budget_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred new routes are asked about one after the other, in the pace of the budget."""

    async def play() -> None:
        stage = Stage(monkeypatch)

        async def nothing(*_: object) -> Mapping[str, JSON]:
            return {LATENCY.field: []}

        stage.answer = nothing
        statistic = stage.start()
        statistic.observer.observe([transfer(NOW, source=f"x.{number}") for number in range(100)], NOW)
        await asyncio.sleep(0.5)
        stage.host.stop()
        assert 1 <= len(stage.asked) <= 10

    asyncio.run(play())
