from __future__ import annotations

import asyncio
from typing import Any

from unionws.builtin import sources
from unionws.clock import SystemClock
from unionws.extensions import Intake, Source
from unionws.pluginhost import PluginHost
from unionws.settings import Settings
from unionws.source.indexer import Indexer
from unionws.source.simulator import Simulator


def test_the_indexer_is_a_source_of_transfers_and_chains() -> None:
    """Through the public door: from the hook to transfers, chains, position and figures."""

    async def scenario() -> None:
        simulator = Simulator(rate=50.0)
        endpoint = f"http://127.0.0.1:{simulator.start('127.0.0.1', 0)}/v1/graphql"
        got: dict[str, list[Any]] = {"transfers": [], "chains": []}
        host = PluginHost(Settings(PLUGINS_DIR="", POLL_INTERVAL=50))
        host.load([("sources", sources)])
        source: Source = host.source()
        intake = Intake(
            host.settings,
            SystemClock(),
            on_transfers=got["transfers"].extend,
            on_chains=got["chains"].append,
            on_updates=lambda updates: None,
            resume_from=None,
            known=(),
            endpoint=endpoint,
        )
        feed = source.open(intake)
        assert isinstance(feed, Indexer)
        feed.start()
        while not (len(got["transfers"]) >= 5 and got["chains"] and feed.position):
            await asyncio.sleep(0.01)
        stats = feed.stats()
        assert (stats["state"], stats["transport"]["endpoint"]) == ("ok", endpoint)
        assert stats["rows"] >= 5
        assert "chains" in stats
        assert any(row.sort_order in feed.seen for row in got["transfers"])
        await feed.stop()
        count = len(got["transfers"])
        await asyncio.sleep(0.1)
        assert len(got["transfers"]) == count
        await simulator.stop()

    asyncio.run(asyncio.wait_for(scenario(), 20))
