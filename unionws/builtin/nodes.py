"""``nodeHealthData``: probes of the chains' RPC nodes, in the background, a few at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence

from unionws.extensions import Statistic
from unionws.hookspecs import hookimpl
from unionws.model import JSON, Chain, EnrichedTransfer
from unionws.pluginservice import Service
from unionws.probes.calls import Target, targets
from unionws.probes.prober import Prober
from unionws.probes.standing import Standing
from unionws.settings import Settings

ROUND_SECONDS = 60.0
LANES = 4
MOST_NODES = 120
"""Nodes probed: 30 KB of chartData."""


class Shown:
    """What the last whole round found: between rounds the figures stand still, and cost no frame."""

    def __init__(self) -> None:
        self.data: Mapping[str, JSON] | None = None

    def observe(self, batch: Sequence[EnrichedTransfer], now: float) -> None:
        """Nothing: nodes know of no transfers."""

    def snapshot(self, now: float) -> Mapping[str, JSON]:
        return {} if self.data is None else {"nodeHealthData": self.data}


class Nodes:
    """One per process; probes only where ingest is."""

    def __init__(self) -> None:
        self._shown = Shown()
        self._standing = Standing()
        self._targets: list[Target] = []
        self._listed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @hookimpl
    def register_statistics(self, settings: Settings) -> Sequence[Statistic]:
        return [Statistic("nodes", self._shown)] if settings.NODE_PROBES else []

    @hookimpl
    def startup(self, service: Service) -> None:
        if service.role != "edge" and service.settings.NODE_PROBES:
            self._task = asyncio.get_running_loop().create_task(self._run(service))

    @hookimpl
    def chains_listed(self, chains: Sequence[Chain]) -> None:
        self._targets = targets(chains, MOST_NODES)
        self._standing.use(self._targets)
        self._listed.set()

    @hookimpl
    def shutdown(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._task = None

    async def _run(self, service: Service) -> None:
        await self._listed.wait()
        private = service.settings.PROBE_PRIVATE_ADDRESSES
        lanes = [Prober(private=private, now=service.now) for _ in range(LANES)]
        try:
            while True:
                began = time.monotonic()
                await self._round(lanes, service)
                self._shown.data = self._standing.data()
                await asyncio.sleep(max(1.0, began + ROUND_SECONDS - time.monotonic()))
        finally:
            for lane in lanes:
                lane.close()

    async def _round(self, lanes: Sequence[Prober], service: Service) -> None:
        waiting = iter(self._targets)
        await asyncio.gather(*(self._lane(lane, waiting, service) for lane in lanes))

    async def _lane(self, lane: Prober, waiting: Iterator[Target], service: Service) -> None:
        for target in waiting:
            self._standing.take(target, await lane.probe(target), service.now())
