"""Counting: statistics with all that feeds them: the stream, the file of the last run, the past.

What makes a figure right after any end of a run:

* a transfer is counted when it is published, in the same turn of the loop in which the history stores
  it; a save says up to which number the figures count, and is made only while the history has all;
* a start takes the saved figures and counts again what the history has above that number;
* what was not published before the end is polled again, and counted then;
* back-filling counts exactly the rows that polling leaves out, and its position is saved with the
  figures in one transaction.

Where the history cannot prove what was published since the save (it was lost, or is younger), the
figures begin anew and back-filling makes them again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from unionws.clock import Clock
from unionws.enrich.stored import recalled
from unionws.enrich.transfers import Enricher, fragment
from unionws.extensions import Feed, Statistic
from unionws.history.reader import History
from unionws.history.retention import DAY
from unionws.history.statefolder import StateFolder
from unionws.history.store import Store
from unionws.model import JSON, EnrichedTransfer
from unionws.settings import Settings
from unionws.source.backfill import Backfill
from unionws.source.decode import Page
from unionws.source.filling import Filling, Past
from unionws.source.window import Origin
from unionws.stats.collector import Collector, Snapshot
from unionws.stats.persistence import Keeper
from unionws.stats.statefile import Kept, Mark

log = logging.getLogger("unionws.stats")

MOST_RECALLED = 200_000
"""Published transfers counted again at a start, a few seconds' work; with more the figures begin anew."""
PAGE = 1_000


@runtime_checkable
class HasPast(Protocol):
    """A feed that can be asked for what was there before it began."""

    @property
    def origin(self) -> Origin | None: ...

    @property
    def quiet(self) -> bool: ...

    def before(self, cursor: str | None) -> Awaitable[Page]: ...


class Counting:
    """The statistics of one ingest.

    Args:
        statistics: makes them; called again where a file turns out to be of no use.
        folder: the store's.
        store: open.
        enricher: the one of the stream: it knows the chains.
    """

    def __init__(
        self,
        settings: Settings,
        statistics: Callable[[], Sequence[Statistic]],
        *,
        folder: StateFolder,
        store: Store,
        feed: Feed,
        enricher: Enricher,
        clock: Clock,
    ) -> None:
        self._settings, self._statistics = settings, statistics
        self._store, self._feed, self._enricher, self._clock = store, feed, enricher, clock
        self._database = folder.database
        self._keeper = Keeper(folder.statistics, clock)
        self._backfill: Backfill | None = None
        self._until = ""
        self._saved: tuple[int, JSON] | None = None
        self.collector = self._collector()

    def _collector(self) -> Collector:
        return Collector(self._settings, self._statistics(), now=self._clock.time())

    # -- beginning and end ----------------------------------------------------------------------

    async def open(self) -> None:
        """Take the figures of the last run; before anything is counted or polled."""
        await asyncio.to_thread(self._load)

    def _load(self) -> None:
        kept = self._keeper.load()
        if kept is None:
            return
        problem = self._doubt(kept.mark)
        if not problem and not self._restore(kept):
            problem = "its figures cannot be used"
        if problem:
            self._keeper.set_aside(problem)
            self.collector = self._collector()

    def _doubt(self, mark: Mark) -> str:
        """Why it cannot be told what was published since the file was saved; "" when it can."""
        if self._store.problem is not None:
            return "the history cannot be read"
        if isinstance(self._feed, HasPast) and (self._store.position is None or not mark.backfill):
            return "there is no stored position to go on from"
        if self._store.numbering.seq - mark.seq > MOST_RECALLED:
            return "too much was published since it was saved"
        return ""

    def _restore(self, kept: Kept) -> bool:
        mark, coverage = kept.mark, self.collector.coverage
        if not self.collector.restore(kept.states) or not self._recall(mark):
            return False
        for start, end in mark.spans:
            coverage.add(start, end)
        if isinstance(self._feed, HasPast):
            coverage.begin(mark.since)
            self._backfill = self._filler(self._feed, Filling.of(mark.backfill))
        else:
            coverage.add(mark.since, mark.saved)  # nobody knows what such a source did meanwhile
        self.collector.prepare(self._clock.time())
        fields = {"seq": mark.seq, "counted_again": max(0, self._store.numbering.seq - mark.seq)}
        log.info("statistics restored", extra={"fields": fields})
        return True

    def _recall(self, mark: Mark) -> bool:
        """Count what was published since; False when some of it is not in the history any more."""
        last = self._store.numbering.seq
        if last < mark.seq:
            # The machine itself went down and took the newest commits of the history along. What they
            # held is polled again, but is in these figures; rows of the same moment that are not are
            # missed rather than anything counted twice.
            self._until = mark.cursor
        seq, history = mark.seq, History(self._database)
        try:
            while seq < last:
                rows = history.after_seq(seq, PAGE)
                if not rows or [number for number, _ in rows] != list(range(seq + 1, seq + 1 + len(rows))):
                    return False
                self.collector.observe([recalled(item) for _, item in rows], self._clock.time())
                seq = rows[-1][0]
        finally:
            history.close()
        return True

    def start(self) -> None:
        """Go on with back-filling, if it had begun."""
        if self._backfill is not None:
            self._backfill.start()

    async def stop_filling(self) -> None:
        """Ask for nothing more; before the feed stops."""
        if self._backfill is not None:
            await self._backfill.stop()

    async def close(self) -> None:
        """Save what was counted; the store is still open."""
        mark = self._mark() if self._store.problem is None else None
        await asyncio.to_thread(self._keeper.close, self.collector, mark)

    # -- counting -------------------------------------------------------------------------------

    def observe(self, items: Sequence[EnrichedTransfer]) -> None:
        """Count transfers that are published in this turn of the loop."""
        if self._until:
            items = [item for item in items if item.transfer.sort_order > self._until]
        self.collector.observe(items, self._clock.time())

    def snapshot(self) -> Snapshot:
        """The figures as of now."""
        return self.collector.snapshot(self._clock.time())

    def tick(self, state: str) -> None:
        """Once a second, after the store's. ``state``: the source's."""
        self.collector.coverage.current = state == "ok"
        self._cover()
        if self._backfill is None and isinstance(self._feed, HasPast):
            self._begin_filling(self._feed)
        if self._store.problem is None and self._keeper.due():
            self._save()

    def _save(self) -> None:
        state = (self._store.numbering.seq, self._backfill and self._backfill.filling.cursor)
        if state != self._saved:
            self._saved = state
            self._keeper.save(self.collector, self._mark())

    def _mark(self) -> Mark:
        self._cover()
        coverage, numbering = self.collector.coverage, self._store.numbering
        filling = {} if self._backfill is None else self._backfill.filling.state()
        return Mark(
            numbering.seq, numbering.cursor, self._clock.time(), coverage.since, coverage.spans, filling
        )

    # -- the past -------------------------------------------------------------------------------

    def _begin_filling(self, feed: HasPast) -> None:
        """As soon as polling knows what it leaves out: live time begins here, and the past before it."""
        if feed.origin is None:
            return
        now = self._clock.time()
        self.collector.coverage.begin(now)
        self._backfill = self._filler(feed, Filling(feed.origin, now))
        self._backfill.start()
        self._keeper.hurry()

    def _filler(self, feed: HasPast, filling: Filling) -> Backfill:
        return Backfill(
            filling,
            self._settings,
            fetch=feed.before,
            ready=lambda: feed.quiet,
            on_past=self._on_past,
            clock=self._clock,
        )

    def _on_past(self, past: Past) -> None:
        """Store a page's rows, then count them: what raises must not leave them counted.

        Raises:
            sqlite3.Error: the history refuses.
        """
        now = self._clock.time()
        items = [item for row, time in past.rows for item in self._enricher.enrich([row], time)]
        oldest = now - self._settings.HISTORY_MAX_AGE * DAY
        kept = [fragment(item) for item in items if item.event_time >= oldest]
        if kept:
            self._store.add_backfilled(kept)
        self.collector.observe(items, now)

    def _cover(self) -> None:
        """What back-filling has read is covered."""
        filling = self._backfill and self._backfill.filling
        if filling and (filling.exhausted or filling.reached is not None):
            since = 0.0 if filling.exhausted else filling.reached
            self.collector.coverage.add(since or 0.0, filling.upper)

    # -- figures --------------------------------------------------------------------------------

    def view(self) -> Mapping[str, JSON]:
        """Progress of back-filling, for ``/stats``."""
        days = self._settings.BACKFILL_DAYS
        waiting = {"days": days, "state": "waiting" if days else "off", "done": not days, "rows": 0}
        return waiting if self._backfill is None else self._backfill.view()

    def saves(self) -> Mapping[str, JSON]:
        """How saving goes."""
        return self._keeper.view()
