"""``latencyData``: the indexer's latencies of the routes seen lately, asked for in the background."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from unionws.errors import UpstreamError
from unionws.extensions import Statistic
from unionws.hookspecs import hookimpl
from unionws.pluginservice import Service
from unionws.probes.latency import BUDGET, Latencies
from unionws.source.queries import LATENCY

AFTER_FAILURE = 60.0
"""Seconds without a question after one that was not answered: polling needs the indexer more."""


class Latency:
    """One per process; asks only where ingest is."""

    def __init__(self) -> None:
        self._latencies = Latencies()
        self._task: asyncio.Task[None] | None = None

    @hookimpl
    def register_statistics(self) -> Sequence[Statistic]:
        self._latencies = Latencies()
        return [Statistic("latency", self._latencies)]

    @hookimpl
    def startup(self, service: Service) -> None:
        if service.role != "edge":
            self._task = asyncio.get_running_loop().create_task(self._run(service))

    @hookimpl
    def shutdown(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._task = None

    async def _run(self, service: Service) -> None:
        pause = BUDGET
        while True:
            await asyncio.sleep(pause)
            pause = await self._ask(service)

    async def _ask(self, service: Service) -> float:
        """Ask about one route, if there is one; the seconds to wait before the next."""
        latencies = self._latencies
        route = latencies.next(time.monotonic())
        if route is None:
            return BUDGET
        ends = {"source": route.source, "destination": route.destination}
        try:
            data = await service.ask(LATENCY.document, ends, LATENCY.name)
        except UpstreamError as error:
            service.log.info("a latency is not known", extra={"fields": {"error": str(error)}})
            return AFTER_FAILURE
        latencies.take(route, data.get(LATENCY.field))
        return BUDGET
