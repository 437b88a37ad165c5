"""Reads the past of the indexer in the background, page by page, newest first.

It takes its turn on the same line as polling, asks only while polling is well, pauses between pages
(BACKFILL_PAUSE_MS), and backs off on its own. A page is taken as a whole or asked for again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from unionws.clock import Clock
from unionws.errors import UpstreamError
from unionws.model import JSON
from unionws.settings import Settings
from unionws.source.backoff import Backoff
from unionws.source.decode import Page
from unionws.source.filling import Filling, Past
from unionws.source.health import Seldom

log = logging.getLogger("unionws.source")

DAY = 86_400
READY_EVERY = 0.05
"""Seconds between two looks whether a page may be asked for."""
TELL_EVERY = 300.0


class Backfill:
    """Moves a Filling back to BACKFILL_DAYS before now.

    Args:
        fetch: the page before a cursor (None: the newest); raises UpstreamError.
        ready: whether pages may be asked for now.
        on_past: takes the new rows of a page; what it raises has the page asked for again later.
    """

    def __init__(
        self,
        filling: Filling,
        settings: Settings,
        *,
        fetch: Callable[[str | None], Awaitable[Page]],
        ready: Callable[[], bool],
        on_past: Callable[[Past], None],
        clock: Clock,
    ) -> None:
        self.filling = filling
        self._fetch, self._ready, self._on_past = fetch, ready, on_past
        self._days = settings.BACKFILL_DAYS
        self._pause = settings.BACKFILL_PAUSE_MS / 1000
        self._clock = clock
        self._backoff = Backoff()
        self._warnings, self._told = Seldom(), Seldom(every=TELL_EVERY)
        self._failures = 0
        self._waiting = False
        self._task: asyncio.Task[None] | None = None

    @property
    def done(self) -> bool:
        """Whether there is nothing (more) to read."""
        return not self._days or self.filling.done(self._clock.time() - self._days * DAY)

    def start(self) -> None:
        """Begin, or go on, on the running loop."""
        if not self.done:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Ask no more; a request under way is given up."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while not self.done:
            self._waiting = not self._ready()
            await asyncio.sleep(READY_EVERY if self._waiting else await self._step())
        log.info("back-filling is done", extra={"fields": self.view()})

    async def _step(self) -> float:
        """Read one page; the seconds to wait before the next."""
        try:
            page = await self._fetch(self.filling.cursor)
            past = self.filling.accept(page)
            self._on_past(past)
        except Exception as error:  # noqa: BLE001 - told below, and tried again
            return self._failed(error)
        self._backoff.succeeded()
        self.filling.advance(page, past)
        if self._told.allows("progress", self._clock.monotonic()):
            log.info("back-filling", extra={"fields": self.view()})
        return self._pause

    def _failed(self, error: Exception) -> float:
        self._failures += 1
        upstream = isinstance(error, UpstreamError)
        kind = error.kind if isinstance(error, UpstreamError) else "internal"
        if self._warnings.allows(kind, self._clock.monotonic()):
            fields = {"kind": kind, "error": str(error)[:200]}
            log.warning("a page could not be back-filled", exc_info=not upstream, extra={"fields": fields})
        return self._backoff.failed(getattr(error, "retry_after", None))

    def _state(self) -> str:
        if not self._days:
            return "off"
        return "done" if self.done else "waiting" if self._waiting else "running"

    def view(self) -> dict[str, JSON]:
        """Progress; ``cursor`` and ``reachedDays`` are left out before the first page."""
        filling, days = self.filling, self._days
        data: dict[str, JSON] = {
            "days": days,
            "state": self._state(),
            "done": self.done,
            "rows": filling.rows,
            "failures": self._failures,
        }
        if filling.cursor is not None:
            data["cursor"] = filling.cursor
        if filling.reached is not None and days:
            reached = max(0.0, (self._clock.time() - filling.reached) / DAY)
            data["reachedDays"] = round(reached, 3)
            data["percent"] = 100.0 if self.done else round(min(99.9, 100 * reached / days), 1)
        return data
