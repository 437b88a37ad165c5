"""Loads the chain list at the start, and again every five minutes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from unionws.clock import Clock, SystemClock
from unionws.errors import UpstreamError, UpstreamGarbage
from unionws.model import JSON, Chain
from unionws.settings import Settings
from unionws.source import queries
from unionws.source.backoff import Backoff
from unionws.source.decode import Decoder
from unionws.source.health import Seldom, UpstreamHealth
from unionws.source.transport import Transport

REFRESH_EVERY = 300.0

logger = logging.getLogger("unionws.source")


class ChainRefresher:
    """Keeps the chain list; the old one stays while the indexer fails, or answers an empty one.

    Its requests take their turn with the poller's in the Transport.

    Args:
        on_chains: called with the list, in the order of universal ids, when it has changed.
    """

    def __init__(
        self,
        transport: Transport,
        settings: Settings,
        *,
        on_chains: Callable[[tuple[Chain, ...]], None],
        clock: Clock | None = None,
    ) -> None:
        self._transport = transport
        self._on_chains = on_chains
        self._clock = clock or SystemClock()
        self._decoder = Decoder()
        self._backoff = Backoff()
        self._health = UpstreamHealth(REFRESH_EVERY)
        self._warnings = Seldom()
        self._named: set[str] = set()
        self._task: asyncio.Task[None] | None = None
        self.chains: tuple[Chain, ...] = ()

    def start(self) -> None:
        """Load at once, on the running IOLoop."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Refresh no more; a request under way is given up."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(await self.refresh())

    async def refresh(self) -> float:
        """Ask once; the seconds to wait before the next time."""
        try:
            self._take(await self._fetch())
        except UpstreamError as error:
            return self._failed(error.kind, str(error), error.retry_after)
        except Exception as error:
            logger.exception("loading the chains failed for a reason of our own")
            return self._failed("internal", repr(error)[:200], None)
        self._backoff.succeeded()
        self._health.succeeded(self._clock.monotonic(), self._clock.time())
        return REFRESH_EVERY

    async def _fetch(self) -> tuple[Chain, ...]:
        query = queries.CHAINS
        data = await self._transport.query(query.document, None, query.name)
        chains = self._decoder.chains(data, query.field)
        for kind in self._decoder.unusable.keys() - self._named:
            self._named.add(kind)
            logger.warning("a chain has something unusable", extra={"fields": {"kind": kind}})
        if not chains:
            raise UpstreamGarbage("the chain list is empty")
        return chains

    def _take(self, chains: tuple[Chain, ...]) -> None:
        if chains == self.chains:
            return
        self.chains = chains
        logger.info("the chain list has changed", extra={"fields": {"chains": len(chains)}})
        try:
            self._on_chains(chains)
        except Exception:
            logger.exception("the chain list was not taken")

    def _failed(self, kind: str, message: str, retry_after: float | None) -> float:
        wait = self._backoff.failed(retry_after)
        self._health.failed(kind, message, self._clock.time())
        if self._warnings.allows(kind, self._clock.monotonic()):
            fields = {"kind": kind, "error": message, "wait_seconds": round(wait, 2)}
            logger.warning("the chain list could not be loaded", extra={"fields": fields})
        return wait

    def stats(self) -> dict[str, JSON]:
        """Counters since the start."""
        return {"chains": len(self.chains), **self._health.stats(self._clock.monotonic())}
