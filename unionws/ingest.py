"""Ingest: polls, enriches, schedules, counts, numbers and publishes. It knows no client.

A composition of the stages in flow order; each stage is handed the next one's door as a callback.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Protocol

import ujson
from tornado.ioloop import IOLoop

from unionws.clock import Clock, milliseconds
from unionws.clockwatch import ClockWatch
from unionws.counting import Counting
from unionws.enrich.names import chains_json
from unionws.enrich.transfers import Enricher, fragment, with_fields
from unionws.extensions import Intake, Statistic, Watcher
from unionws.history.positions import Progress
from unionws.history.statefolder import StateFolder
from unionws.history.store import Store
from unionws.measure import LoopLag, process_counters
from unionws.model import (
    JSON,
    Chain,
    ChainsRecord,
    ChartRecord,
    EnrichedTransfer,
    MessageRecord,
    Record,
    StateRecord,
    StatusRecord,
    Transfer,
    TransfersRecord,
    TransferUpdate,
)
from unionws.pluginhost import PluginHost
from unionws.scheduler.runner import Scheduler
from unionws.settings import Settings
from unionws.ticker import Ticker

log = logging.getLogger("unionws.ingest")

STATE_INTERVAL = 1.0
TOLD_WITHIN = 1.0
"""Seconds after which plugins hear of what was published even if edges are still busy with it."""
TELL_EVERY = 0.005
UPDATES = "transferUpdates"
"""Message type and channel of what becomes known of a transfer later."""


class Bus(Protocol):
    """Ingest's end of the bus."""

    @property
    def busy(self) -> bool: ...

    def publish(self, record: Record) -> None: ...

    def preload(self, records: Sequence[TransfersRecord]) -> None: ...


class Ingest:
    """One instance polls and publishes.

    Args:
        store: open; this instance closes it.
        folder: the store's.
        endpoint: the indexer; differs from GRAPHQL_ENDPOINT when simulated.
    """

    def __init__(
        self,
        settings: Settings,
        host: PluginHost,
        bus: Bus,
        clock: Clock,
        store: Store,
        folder: StateFolder,
        endpoint: str | None = None,
    ) -> None:
        self._settings = settings
        self._host = host
        self._bus = bus
        self._clock = clock
        self._store = store
        store.progress = self._progress
        self._due: list[tuple[Sequence[EnrichedTransfer], bool]] = []
        self._untold: list[TransfersRecord] = []
        self._tell_by = 0.0
        intake = Intake(
            settings,
            clock,
            on_transfers=self._on_batch,
            on_chains=self._on_chains,
            resume_from=store.position,
            known=store.known(),
            endpoint=endpoint or settings.GRAPHQL_ENDPOINT,
            on_updates=self._on_updates,
        )
        self._feed = host.source().open(intake)
        self._enricher = Enricher()
        self._scheduler = Scheduler(settings, on_due=self._on_due, clock=clock)
        self._counting = Counting(
            settings,
            lambda: host.collect("register_statistics", Statistic),
            folder=folder,
            store=store,
            feed=self._feed,
            enricher=self._enricher,
            clock=clock,
        )
        self._chart = b"{}"
        self._chart_rev = 0
        self._lag = LoopLag()
        self._watched = ClockWatch(clock)
        self._upstream = self._problem = ""
        self._status: Mapping[str, JSON] = {}
        self._draining = False
        self._edges: dict[str, Mapping[str, JSON]] = {}
        host.doors.open(bus.publish, self._statistics, getattr(self._feed, "ask", None))
        self._tasks = (
            Ticker(self._publish_chart, settings.CHART_INTERVAL),
            Ticker(self._each_second, STATE_INTERVAL),
        )

    async def open(self) -> None:
        """Take up what the last run left; before ``start``."""
        await self._counting.open()

    def start(self) -> None:
        """Begin to poll and publish on the current IOLoop."""
        tail = self._store.tail(self._settings.HISTORY_RING)
        self._bus.preload(tail)
        self._watch(tail)
        self._scheduler.start()
        self._feed.start()
        self._counting.start()
        self._lag.start()
        for task in self._tasks:
            task.start()
        self._publish_state()
        self._publish_chart()

    async def stop(self) -> None:
        """Stop polling, publish what is queued, say that the service is draining."""
        self._draining = True
        await self._counting.stop_filling()
        await self._feed.stop()
        self._scheduler.stop()
        self._scheduler.drain()
        self._publish_due()
        self._tell_by = 0.0
        self._tell()
        self._lag.stop()
        for task in self._tasks:
            task.stop()
        await self._counting.close()
        self._store.close()
        self._publish_state()

    # -- edges ----------------------------------------------------------------------------------

    def on_report(self, edge: str, counters: Mapping[str, JSON]) -> None:
        """An edge's counters; all edges learn them with the next state."""
        self._edges[edge] = counters

    def on_edge_lost(self, edge: str) -> None:
        """An edge is gone, and its clients with it."""
        self._edges.pop(edge, None)

    # -- the flow -------------------------------------------------------------------------------

    def _on_chains(self, chains: tuple[Chain, ...]) -> None:
        self._enricher.set_chains(chains)
        self._bus.publish(ChainsRecord(self._now_ms(), chains_json(chains)))
        self._host.fire("chains_listed", chains=chains)

    def _on_batch(self, transfers: list[Transfer]) -> None:
        plain = self._enricher.enrich(transfers, self._clock.time())
        batch = with_fields(plain, self._host.extra_fields(plain))
        self._host.fire("enriched", transfers=batch)
        self._scheduler.add(batch, self._host.urgent(batch))

    def _on_due(self, items: Sequence[EnrichedTransfer], late: bool) -> None:
        """Take one frame of a turn; those of a turn are stored in one transaction, then published."""
        if not self._due:
            IOLoop.current().add_callback(self._publish_due)
        self._due.append((items, late))

    def _publish_due(self) -> None:
        due, self._due = self._due, []
        if not due:
            return
        for items, _ in due:
            self._counting.observe(items)
        frames = [(tuple([fragment(item) for item in items]), late) for items, late in due]
        records = self._store.append(frames, self._now_ms())
        for record in records:
            self._bus.publish(record)
        self._watch(records)
        if not self._untold:
            self._tell_by = self._clock.monotonic() + TOLD_WITHIN
            IOLoop.current().add_callback(self._tell)
        self._untold += records

    def _tell(self) -> None:
        """Plugins hear of what was published once it is with the clients: they may take their time."""
        if self._bus.busy and self._clock.monotonic() < self._tell_by:
            IOLoop.current().call_later(TELL_EVERY, self._tell)
            return
        records, self._untold = self._untold, []
        for record in records:
            self._host.fire("published", record=record)

    def _watch(self, records: Sequence[TransfersRecord]) -> None:
        """What was published may have an outcome later."""
        if isinstance(self._feed, Watcher):
            self._feed.watch([item for record in records for item in record.items])

    def _on_updates(self, updates: Sequence[TransferUpdate]) -> None:
        """Each is a message of its own, for those whose filter passes that transfer."""
        now = self._now_ms()
        for update in updates:
            known = {"sort_order": update.about.sort_order, "packet_hash": update.packet_hash}
            facts = {name: value for name, value in known.items() if value is not None} | dict(update.facts)
            data = ujson.dumps([facts], escape_forward_slashes=False).encode()
            self._bus.publish(MessageRecord(now, UPDATES, UPDATES, data, update.about))

    def _progress(self) -> Progress | None:
        """How far polling is settled; not past a transfer that waits to be published."""
        position, lowest = self._feed.position, self._scheduler.lowest()
        if position is None or (lowest is not None and lowest <= position):
            return None
        return Progress(position, self._handled)

    def _handled(self) -> set[str]:
        return set(self._feed.seen) - {item.transfer.sort_order for item in self._scheduler.pending()}

    def _each_second(self) -> None:
        self._watched.tick()
        self._publish_due()
        self._store.tick()
        self._counting.tick(str(self._feed.stats()["state"]))
        self._host.save()
        self._publish_state()

    # -- figures and state ----------------------------------------------------------------------

    def _publish_chart(self) -> None:
        snapshot = self._counting.snapshot()
        if snapshot.rev == self._chart_rev:
            return
        self._chart, self._chart_rev = snapshot.chart, snapshot.rev
        self._bus.publish(ChartRecord(self._now_ms(), snapshot.rev, snapshot.chart, snapshot.rates))

    def _statistics(self) -> Mapping[str, JSON]:
        """The newest chartData, decoded anew for each plugin that asks: it may do with it what it wants."""
        figures: Mapping[str, JSON] = ujson.loads(self._chart)
        return figures

    def _publish_state(self) -> None:
        numbering = self._store.numbering
        source = self._feed.stats()
        views = {
            "upstream": source,
            "position": {"epoch": numbering.epoch, "seq": numbering.seq, "cursor": self._cursor(source)},
            "history": self._store.view(),
            "clock": {"problem": self._watched.problem, "steps": self._watched.steps},
            "scheduler": self._scheduler.view(),
            "graphql": self._graphql_view(source),
            "buckets": self._buckets_view(),
            "backfill": self._counting.view(),
            "edges": dict(self._edges),
            "plugins": {"plugins": [asdict(info) for info in self._host.plugins()]},
            "metrics": {"metrics": self._host.metrics()},
            "process": {**process_counters(), "lag": self._lag.histogram.dump()},
        }
        state = StateRecord(self._now_ms(), numbering.epoch, numbering.seq, numbering.cursor, views)
        self._bus.publish(state)
        self._publish_status(source)
        self._tell_faults(str(source["state"]), self._store.problem or "")

    def _tell_faults(self, upstream: str, problem: str) -> None:
        """Once per change, and not for being well from the start."""
        if upstream != self._upstream and (self._upstream or upstream != "ok"):
            self._host.fire("fault", kind="upstream", detail={"state": upstream})
        if problem != self._problem:
            self._host.fire("fault", kind="history", detail={"problem": problem or None})
        self._upstream, self._problem = upstream, problem

    def _cursor(self, source: Mapping[str, JSON]) -> str:
        """The greatest cursor published, or the one polling began at."""
        return self._store.numbering.cursor or source.get("cursor") or ""

    def _graphql_view(self, source: Mapping[str, JSON]) -> dict[str, JSON]:
        """What the operators' view of the indexer shows; of another source only its own figures."""
        transport = source.get("transport")
        if transport is None:
            return {"source": source}
        return {
            "graphqlClient": {
                "endpoint": transport["endpoint"],
                "timeout": transport["timeout"],
                "transport": transport,
            },
            "polls": source["polls"],
            "failures": source["failures"],
            "lastSuccess": source["lastSuccess"],
            "lastError": source["lastError"],
            "latency": transport["latencyMs"],
            "source": source,
            "chains": source["chains"],
        }

    def _buckets_view(self) -> dict[str, JSON]:
        collector = self._counting.collector
        return {
            "since": milliseconds(collector.coverage.since),
            "published": self._store.numbering.seq,
            "snapshots": self._chart_rev,
            "failures": collector.failures(),
            "saving": self._counting.saves(),
        }

    def _publish_status(self, source: Mapping[str, JSON]) -> None:
        """Tell clients when the state changed; a longer lag alone is no change."""
        status = {"system": self._system(source), "upstream": source["state"]}
        if status == self._status:
            return
        self._status = status
        lag = (
            {} if source["lastSuccess"] is None else {"lagMs": max(0, self._now_ms() - source["lastSuccess"])}
        )
        self._bus.publish(StatusRecord(self._now_ms(), ujson.dumps({**status, **lag}).encode()))

    def _system(self, source: Mapping[str, JSON]) -> str:
        if self._draining:
            return "draining"
        if source["lastSuccess"] is None:
            return "warming"
        return "online" if source["state"] == "ok" and self._store.problem is None else "degraded"

    def _now_ms(self) -> int:
        return milliseconds(self._clock.time())
