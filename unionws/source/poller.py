"""Drives the polling: asks what ``window`` decides, waits as ``backoff`` says, hands on what is new."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Iterable
from typing import Any

from tornado.ioloop import PeriodicCallback

from unionws.clock import Clock, SystemClock
from unionws.errors import UpstreamError
from unionws.model import JSON, Transfer
from unionws.settings import Settings
from unionws.source import queries
from unionws.source.backoff import Backoff
from unionws.source.decode import Decoder, Page
from unionws.source.health import LastMinute, Seldom, UpstreamHealth, Usable
from unionws.source.transport import Transport
from unionws.source.window import Ask, News, Origin, Window

logger = logging.getLogger("unionws.source")


class Poller:
    """Finds every new transfer once and hands it to ``on_batch``.

    Args:
        on_batch: called with the new transfers of one answer in send-time order, never with an
            empty list. What it raises is logged; the batch is not repeated.
        resume_from: a stored ``position``; it goes before LAST_SORT_ORDER. Without either, the
            rows that exist at the start are not handed out.
        known: keys after ``resume_from`` that were handed out before it was stored.
    """

    def __init__(
        self,
        transport: Transport,
        settings: Settings,
        *,
        on_batch: Callable[[list[Transfer]], None],
        clock: Clock | None = None,
        resume_from: str | None = None,
        known: Iterable[str] = (),
    ) -> None:
        self._transport = transport
        self._on_batch = on_batch
        self._clock = clock or SystemClock()
        self._interval = settings.POLL_INTERVAL / 1000
        self._variables: dict[str, Any] = {"limit": settings.POLL_LIMIT}
        if settings.MAINNET_ONLY:
            self._variables["network"] = "mainnet"
        cursor = resume_from or settings.LAST_SORT_ORDER or None
        self._window = Window(
            limit=settings.POLL_LIMIT, overlap=settings.OVERLAP_SECONDS, resume_from=cursor, known=known
        )
        self._decoder = Decoder()
        self._backoff = Backoff()
        self._health = UpstreamHealth(self._interval)
        self._warnings = Seldom()
        self._state = self._health.state(0.0)
        self._usable = Usable()
        self._unusable = LastMinute()
        self._unusable_told: dict[str, int] = {}
        self._unusable_lines = Seldom(every=3600.0)
        self._counts = dict.fromkeys(("polls", "pages", "rows", "duplicates", "lateRows"), 0)
        self._not_before = float("-inf")
        self._timer = PeriodicCallback(self._tick, settings.POLL_INTERVAL)
        self._guard: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def position(self) -> str | None:
        """The cursor from which a restart finds everything; None while nothing is settled.

        It is that of the re-scan: rows after it may still appear, and most of them were handed
        out already, so whoever resumes from it must know them by ``sort_order``. It says nothing
        of what became of the transfers after ``on_batch``.
        """
        return self._window.trail.base

    @property
    def seen(self) -> Collection[str]:
        """Keys after ``position`` that were handed out, or were there before polling began."""
        return self._window.trail.seen

    @property
    def origin(self) -> Origin | None:
        """What is never handed out, so that others may fetch exactly that; None until it is known."""
        return self._window.origin

    @property
    def is_quiet(self) -> bool:
        """Whether polls go well and none is under way: room for a request that can wait."""
        busy = self._task is not None and not self._task.done()
        waits = self._clock.monotonic() < self._not_before
        return not busy and not waits and not self._window.initial and self.state == "ok"

    @property
    def state(self) -> str:
        """``ok``, ``stale`` or ``down``."""
        return self._health.state(self._clock.monotonic())

    def start(self) -> None:
        """Poll at once, then every POLL_INTERVAL, on the running IOLoop."""
        self._restart_timer()
        self._tick()

    async def stop(self) -> None:
        """Poll no more; a request under way is given up."""
        self._timer.stop()
        if self._guard is not None:
            self._guard.cancel()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def _restart_timer(self) -> None:
        self._timer.stop()
        self._timer.start()
        self._arm_guard()

    def _arm_guard(self) -> None:
        """PeriodicCallback counts by the wall clock: set back an hour, it would sleep that hour."""
        if self._guard is not None:
            self._guard.cancel()
        loop = asyncio.get_running_loop()
        self._guard = loop.call_later(4 * self._interval + 1, self._restart_timer)

    def _tick(self) -> None:
        self._arm_guard()
        now = self._clock.monotonic()
        self._tell_state(now)
        busy = self._task is not None and not self._task.done()
        if not busy and now >= self._not_before:
            self._window.tick()
            self._counts["polls"] += 1
            self._task = asyncio.get_running_loop().create_task(self._poll())

    async def _poll(self) -> None:
        """Ask page after page until the window wants no more for this interval, or one fails."""
        while (ask := self._window.next(self._clock.monotonic())) is not None:
            try:
                page = await self._fetch(ask)
            except UpstreamError as error:
                self._failed(ask, error.kind, str(error), error.retry_after)
                return
            except Exception as error:
                logger.exception("a poll failed for a reason of our own")
                self._failed(ask, "internal", repr(error)[:200], None)
                return
            self._succeeded(ask, page)

    async def _fetch(self, ask: Ask) -> Page:
        query = queries.NEWEST if ask.cursor is None else queries.AFTER if ask.ascending else queries.BEFORE
        variables = self._variables if ask.cursor is None else {**self._variables, "cursor": ask.cursor}
        data = await self._transport.query(query.document, variables, query.name)
        return self._decoder.page(data, query.field, self._window.known)

    def _succeeded(self, ask: Ask, page: Page) -> None:
        now = self._clock.monotonic()
        self._backoff.succeeded()
        self._health.succeeded(now, self._clock.time())
        self._tell_state(now)
        self._tell_unusable(now)
        new = len(page.transfers)
        self._usable.came(new, page.size - page.duplicates - new, now)
        news = self._window.accept(ask, page, now)
        self._count(page, news)
        if news.transfers:
            self._hand_on(list(news.transfers))

    def _count(self, page: Page, news: News) -> None:
        self._counts["pages"] += 1
        self._counts["rows"] += len(news.transfers)
        self._counts["duplicates"] += page.duplicates
        self._counts["lateRows"] += news.late

    def _hand_on(self, transfers: list[Transfer]) -> None:
        try:
            self._on_batch(transfers)
        except Exception:
            logger.exception("a batch of transfers was not taken", extra={"fields": {"rows": len(transfers)}})

    def _failed(self, ask: Ask, kind: str, message: str, retry_after: float | None) -> None:
        now = self._clock.monotonic()
        self._window.failed(ask)
        self._health.failed(kind, message, self._clock.time())
        wait = self._backoff.failed(retry_after)
        self._not_before = now + wait
        if self._warnings.allows(kind, now):
            fields = {"kind": kind, "error": message, "wait_seconds": round(wait, 2), "for": ask.part.value}
            logger.warning("the indexer gave no usable answer", extra={"fields": fields})

    def _tell_state(self, now: float) -> None:
        state = self._health.state(now)
        if state != self._state:
            self._state = state
            level = logging.INFO if state == "ok" else logging.WARNING
            fields = {"state": state, "failures": self._health.in_a_row}
            logger.log(level, f"the indexer is {state}", extra={"fields": fields})

    def _tell_unusable(self, now: float) -> None:
        unusable = self._decoder.unusable
        if not self._unusable.growth(unusable.total(), now):
            return
        for kind, count in unusable.items():
            if self._unusable_told.get(kind) != count and self._unusable_lines.allows(kind, now):
                fields = {"kind": kind, "count": count}
                logger.warning("the indexer sent something unusable", extra={"fields": fields})
            self._unusable_told[kind] = count

    def stats(self) -> dict[str, JSON]:
        """Counters since the start.

        ``polls``: intervals in which the indexer was asked; ``pages``: answers; ``rows``: transfers
        handed on, ``lateRows`` of them behind the newest cursor; ``duplicates``: rows that came
        again, those of re-scans included; ``unusable``: rows by kind, and fields as ``field:name``.
        """
        trail = self._window.trail
        unusable = self._decoder.unusable
        now = self._clock.monotonic()
        return {
            **self._counts,
            **self._health.stats(now),
            "unusable": dict(unusable),
            "problem": self._usable.problem,
            "unusableLastMinute": self._unusable.growth(unusable.total(), now),
            "cursor": trail.newest,
            "remembered": len(trail.seen),
            "isInitialFetch": self._window.initial,
            "transport": self._transport.stats(),
        }
