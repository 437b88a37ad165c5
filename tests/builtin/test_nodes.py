"""The node probes against the embedded indexer's stand-ins."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.source.indexers import until
from unionws.builtin.nodes import Nodes
from unionws.extensions import Statistic
from unionws.model import Chain
from unionws.pluginhost import PluginHost
from unionws.pluginservice import Doors
from unionws.settings import Settings
from unionws.source.chains import ChainRefresher
from unionws.source.simulator import Simulator
from unionws.source.simulator.nodes import node_state
from unionws.source.transport import Transport

STATES = {"down": "unhealthy", "slow": "degraded", "syncing": "degraded", "sound": "healthy"}


def host_of(**options: Any) -> PluginHost:
    host = PluginHost(Settings(PLUGINS_DIR="", **options))
    host.load([("nodes", Nodes)])
    host.doors = Doors(role="ingest")
    return host


async def chains_of(simulator: Simulator, port: int) -> tuple[Chain, ...]:
    transport = Transport(f"http://127.0.0.1:{port}/v1/graphql")
    found: list[tuple[Chain, ...]] = []
    await ChainRefresher(transport, Settings(), on_chains=found.append).refresh()
    transport.close()
    return found[0]


def test_every_node_of_every_family_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Down, slow, syncing and sound nodes are what the embedded indexer made them."""
    monkeypatch.setattr("unionws.source.simulator.nodes.SLOW_SECONDS", 0.5)
    monkeypatch.setattr("unionws.probes.standing.SLOW", 0.4)

    async def play() -> None:
        simulator = Simulator(rate=0.1)
        port = simulator.start("127.0.0.1", 0)
        simulator.rpc_base = f"http://127.0.0.1:{port}"
        chains = await chains_of(simulator, port)
        host = host_of(PROBE_PRIVATE_ADDRESSES=True)
        host.start()
        (statistic,) = host.collect("register_statistics", Statistic)
        assert statistic.observer.snapshot(0.0) == {}
        host.fire("chains_listed", chains=chains)
        await until(lambda: statistic.observer.snapshot(0.0))
        data = statistic.observer.snapshot(0.0)["nodeHealthData"]
        host.stop()
        facts = {chain.universal_chain_id: chain for chain in simulator.indexer.chains}
        await simulator.stop()
        assert {chain.rpc_type for chain in chains} == {"evm", "cosmos", "sui"}
        for node in data["nodesWithRpcs"]:
            place = int(node["rpcUrl"].rpartition("node")[2]) if "node" in node["rpcUrl"] else 0
            assert node["status"] in _expected(facts[node["chainId"]], place), node
            assert ("latestBlockHeight" in node) == (node["status"] != "unhealthy")
        assert data["totalNodes"] == len(data["nodesWithRpcs"]) >= 26
        assert data["healthyNodes"] + data["degradedNodes"] + data["unhealthyNodes"] == data["totalNodes"]
        assert min(data["healthyNodes"], data["degradedNodes"], data["unhealthyNodes"]) > 0

    asyncio.run(play())


def _expected(chain: Any, place: int) -> set[str]:
    """A syncing sui node, or a REST entry without a time, cannot be told from a sound one."""
    state = node_state(chain, place)
    return {STATES[state], "healthy"} if state == "syncing" else {STATES[state]}


def test_private_nodes_are_told_unhealthy_unless_allowed() -> None:
    """The chain list cannot make the service call its own network."""

    async def play() -> None:
        simulator = Simulator(rate=0.1)
        port = simulator.start("127.0.0.1", 0)
        simulator.rpc_base = f"http://127.0.0.1:{port}"
        chains = await chains_of(simulator, port)
        host = host_of()
        host.start()
        (statistic,) = host.collect("register_statistics", Statistic)
        host.fire("chains_listed", chains=chains[:3])
        await until(lambda: statistic.observer.snapshot(0.0))
        data = statistic.observer.snapshot(0.0)["nodeHealthData"]
        assert {node["errorMessage"] for node in data["nodesWithRpcs"]} == {"not a public address"}
        assert data["unhealthyNodes"] == data["totalNodes"] > 0
        host.stop()
        await simulator.stop()

    asyncio.run(play())


def test_probes_can_be_switched_off() -> None:
    """NODE_PROBES False registers nothing, so the key is never there; an edge never probes."""

    async def play() -> None:
        host = host_of(NODE_PROBES=False)
        host.start()
        assert host.collect("register_statistics", Statistic) == []
        host.stop()
        edge = host_of()
        edge.doors.role = "edge"
        before = len(asyncio.all_tasks())
        edge.start()
        assert len(asyncio.all_tasks()) == before
        edge.fire("chains_listed", chains=[replace(Chain("a.1"), rpc_type="evm")])
        edge.stop()

    asyncio.run(play())
