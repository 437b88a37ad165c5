"""Drives the search for outcomes of published transfers: asks what ``openings`` decides, politely.

Live polls go first: a request is only made between two polls, while the indexer is well, within
the budget UPDATES_PER_MINUTE, and given up early so that it cannot hold back a poll for long.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from unionws.clock import Clock
from unionws.errors import UpstreamError
from unionws.model import JSON, Fragment, TransferUpdate
from unionws.settings import Settings
from unionws.source import queries
from unionws.source.backoff import Backoff
from unionws.source.decode import Decoder, rows_of
from unionws.source.health import Seldom
from unionws.source.openings import Openings
from unionws.source.transport import Transport

logger = logging.getLogger("unionws.source")

PAGE = 100
"""Rows of a page: the indexer's maximum, since one page is one request of the budget."""

DEADLINE = 3.0
STOP_AGAIN = 0.5
"""Seconds after which a task that goes on in spite of its cancellation is told again."""

QUIET_CHECK = 0.02


class UpdateFinder:
    """Reads published transfers again until their outcome is known.

    Args:
        on_updates: called with what became known, never with an empty list.
        is_quiet: asked whether a request would be in nobody's way.
    """

    def __init__(
        self,
        transport: Transport,
        settings: Settings,
        *,
        on_updates: Callable[[Sequence[TransferUpdate]], None],
        is_quiet: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self._transport = transport
        self._on_updates = on_updates
        self._is_quiet = is_quiet
        self._clock = clock
        self._per_minute = settings.UPDATES_PER_MINUTE
        self._variables: dict[str, Any] = {"limit": PAGE}
        if settings.MAINNET_ONLY:
            self._variables["network"] = "mainnet"
        self._openings = Openings(limit=PAGE)
        self._decoder = Decoder()
        self._backoff = Backoff()
        self._warnings = Seldom()
        self._counts = dict.fromkeys(("requests", "failures", "found"), 0)
        self._task: asyncio.Task[None] | None = None

    def watch(self, transfers: Sequence[Fragment], base: str | None) -> None:
        """Look for the outcome of published transfers; ``base``: a key the indexer showed before them."""
        if self._per_minute:
            self._openings.add(transfers, base, self._clock.time(), self._clock.monotonic())

    def start(self) -> None:
        """Begin, on the running loop, unless the budget is 0."""
        if self._per_minute:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Ask no more; a request under way is given up."""
        while self._task is not None and not self._task.done():
            # Once is not always enough: a request that ends at the same moment can win over it.
            self._task.cancel()
            await asyncio.wait([self._task], timeout=STOP_AGAIN)

    async def _run(self) -> None:
        pause = 60.0 / self._per_minute
        while True:
            await asyncio.sleep(pause)
            while not self._is_quiet():
                await asyncio.sleep(QUIET_CHECK)
            cursor = self._openings.next(self._clock.monotonic())
            if cursor is not None:
                await asyncio.sleep(await self._ask(cursor))

    async def _ask(self, cursor: str) -> float:
        """Read one page; the seconds to wait beyond the usual pause."""
        self._counts["requests"] += 1
        try:
            self._take(cursor, await self._fetch(cursor))
        except UpstreamError as error:
            return self._failed(error.kind, str(error), error.retry_after)
        except Exception as error:
            logger.exception("looking for outcomes failed for a reason of our own")
            return self._failed("internal", repr(error)[:200], None)
        self._backoff.succeeded()
        return 0.0

    async def _fetch(self, cursor: str) -> Any:
        query = queries.OUTCOMES
        variables = {**self._variables, "cursor": cursor}
        return await self._transport.query(query.document, variables, query.name, within=DEADLINE)

    def _take(self, cursor: str, data: Any) -> None:
        field = queries.OUTCOMES.field
        outcomes = self._decoder.outcomes(data, field)
        size = len(rows_of(data, field))
        updates = self._openings.accept(cursor, outcomes, size, self._clock.monotonic())
        self._counts["found"] += len(updates)
        if updates:
            self._on_updates(updates)

    def _failed(self, kind: str, message: str, retry_after: float | None) -> float:
        self._counts["failures"] += 1
        wait = self._backoff.failed(retry_after)
        if self._warnings.allows(kind, self._clock.monotonic()):
            fields = {"kind": kind, "error": message, "wait_seconds": round(wait, 2)}
            logger.warning("outcomes could not be looked for", extra={"fields": fields})
        return wait

    def stats(self) -> dict[str, JSON]:
        """Counters since the start; ``open``: transfers whose outcome is not known yet."""
        return {**self._counts, "open": len(self._openings), "forgotten": self._openings.forgotten}
