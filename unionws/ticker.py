"""Something done again and again on the running loop, whatever happens to the wall clock."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

log = logging.getLogger("unionws.app")


class Ticker:
    """Calls a function every so many seconds of the loop's own, monotonic clock.

    Tornado's PeriodicCallback counts by the wall clock: set back an hour, it pauses for that hour.
    Ticks that were missed while the loop was busy are not made up for.

    Args:
        action: what it raises is logged, and the next tick comes all the same. A coroutine runs
            beside the ticks; while it does, they do nothing.
        seconds: from one tick to the next.
    """

    def __init__(self, action: Callable[[], object], seconds: float) -> None:
        self._action = action
        self._seconds = seconds
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Tick on the running loop; the first time after one interval."""
        self.stop()
        loop = asyncio.get_running_loop()
        self._due = loop.time() + self._seconds
        self._timer = loop.call_at(self._due, self._tick)

    def stop(self) -> None:
        """Tick no more; a coroutine that runs is cancelled."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._running is not None:
            self._running.cancel()
            self._running = None

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        self._due = max(self._due + self._seconds, loop.time())
        self._timer = loop.call_at(self._due, self._tick)
        if self._running is not None and not self._running.done():
            return
        try:
            doing = self._action()
        except Exception:
            log.exception("a periodic task failed")
            return
        if isinstance(doing, Coroutine):
            self._running = loop.create_task(_guarded(doing))


async def _guarded(doing: Coroutine[Any, Any, object]) -> None:
    try:
        await doing
    except Exception:
        log.exception("a periodic task failed")
