"""What an edge's HTTP views read: live state of the edge, and ingest's last word."""

from __future__ import annotations

import asyncio
import gc
import platform
from collections.abc import Mapping, Sized
from dataclasses import asdict
from itertools import islice

import ujson

from unionws import __version__, asyncapi
from unionws.clock import Clock, milliseconds
from unionws.connections.client import SKIP_WINDOW, SKIPS_ALLOWED, Client
from unionws.edge import Edge
from unionws.history.memory import MemoryPages
from unionws.history.reader import Reader
from unionws.measure import LoopLag, process_counters, resident_bytes
from unionws.model import JSON, ChartRecord, Fragment
from unionws.settings import Settings, public_view
from unionws.web.history import Pages

MOST_BUCKETS = 100_000
NEARLY_FULL = 0.8
SHOWN_SLOW = 100
UNSHOWN = ("addresses", "keys", "measures")


class EdgeViews:
    """Implements :class:`unionws.web.base.Views` for one edge."""

    def __init__(self, edge: Edge, settings: Settings, clock: Clock) -> None:
        self._edge = edge
        self.settings = settings
        self._clock = clock
        self._started = clock.monotonic()
        self._chart_of: ChartRecord | None = None
        self._chart: Mapping[str, JSON] = {}
        self._described: Mapping[str, JSON] = {}
        self.fields = edge.fields
        self._http: Sized = ()
        self._lag: LoopLag | None = None
        self.pages: Pages = edge.archive if isinstance(edge.archive, Reader) else MemoryPages(edge.ring)

    def attach(self, http: Sized, lag: LoopLag) -> None:
        """Also tell of the HTTP connections, and how late the loop is."""
        self._http, self._lag = http, lag

    def ingest(self, view: str) -> Mapping[str, JSON]:
        return self._edge.views.get(view) or {}

    def state_age(self) -> float | None:
        if not self._edge.views:
            return None
        return self._clock.monotonic() - self._edge.state_at

    def chart(self) -> Mapping[str, JSON]:
        """Decoded when first asked for: the stream itself only carries bytes."""
        record = self._edge.greeting.chart
        if record is not None and record is not self._chart_of:
            self._chart_of, self._chart = record, ujson.loads(record.chart)
        return self._chart

    def described(self) -> Mapping[str, JSON]:
        """Made when first asked for."""
        edge = self._edge
        if not self._described:
            self._described = asyncapi.document(edge.messages, edge.requests, edge.fields.names)
        return self._described

    def counters(self) -> dict[str, JSON]:
        """This edge's counters, as it reports them to ingest."""
        edge = self._edge
        slow = [client.backlog for client in edge.parking.backlogged if client.backlog]
        full = self.settings.MAX_BACKLOG_BYTES
        return {
            **edge.gate.admission.report(),
            **process_counters(),
            "room": edge.gate.admission.bounds.room,
            "httpConnections": len(self._http),
            "backlogBytes": sum(backlog.size for backlog in slow),
            "measures": self._measures(),
            **({"plugins": edge.plugins()} if edge.plugins() else {}),
            "clients": len(edge.parking),
            "groups": len(edge.groups),
            **{camel(name): value for name, value in asdict(edge.parking.counters).items()},
            "refused": dict(edge.gate.refused),
            "gone": {str(code): count for code, count in edge.visits.gone.items()},
            "sends": edge.fanout.sends,
            "frames": edge.fanout.frames,
            "deflates": edge.fanout.deflates,
            "slow": len(slow),
            "queuesNearlyFull": sum(backlog.size > NEARLY_FULL * full for backlog in slow),
        }

    def _measures(self) -> dict[str, JSON]:
        fanout = self._edge.fanout
        measures = {"delivery": fanout.delivery, "turn": fanout.turn, "encode": fanout.encode}
        if self._lag is not None:
            measures["lag"] = self._lag.histogram
        return {name: histogram.dump() for name, histogram in measures.items()}

    def edges(self) -> Mapping[str, Mapping[str, JSON]]:
        return {**self.ingest("edges"), self._edge.name: self.counters()}

    def edges_wanted(self) -> int:
        return self._edge.gate.admission.edges

    def own_metrics(self) -> list[dict[str, JSON]]:
        """What plugins of this edge give as figures."""
        return self._edge.metrics()

    def clients(self) -> Mapping[str, JSON]:
        """Totals over all edges."""
        edges = self.edges()
        return {
            "totalClients": sum(edge["clients"] for edge in edges.values()),
            "performance": self._performance(edges),
            "server": {
                "version": __version__,
                "python": platform.python_version(),
                "edge": self._edge.name,
                "seq": self._edge.fanout.seq,
                "edges": {name: shown(edge) for name, edge in edges.items()},
            },
            "slow": self._slow(edges),
            "slowDetails": [self._slow_detail(client) for client in self._slow_clients()],
        }

    def recent(self, minutes: int) -> list[Fragment]:
        return self._edge.ring.since(self.now_ms() - minutes * 60_000, MOST_BUCKETS)

    def config(self) -> Mapping[str, JSON]:
        return public_view(self.settings)

    def uptime(self) -> float:
        return self._clock.monotonic() - self._started

    def now_ms(self) -> int:
        return milliseconds(self._clock.time())

    def _performance(self, edges: Mapping[str, Mapping[str, JSON]]) -> dict[str, JSON]:
        processes = [
            {"name": name, "pid": edge["pid"], "memoryMB": edge["memoryMB"]} for name, edge in edges.items()
        ]
        return {
            "goroutines": len(asyncio.all_tasks()),
            "memoryMB": round(resident_bytes() / 1e6, 1),
            "gcCount": sum(generation["collections"] for generation in gc.get_stats()),
            "broadcastWorkers": len(edges),
            "clientShards": sum(edge["groups"] for edge in edges.values()),
            "processes": processes,
        }

    def _slow_clients(self) -> list[Client]:
        return list(islice(self._edge.parking.backlogged, SHOWN_SLOW))

    def _slow(self, edges: Mapping[str, Mapping[str, JSON]]) -> dict[str, JSON]:
        total = sum(edge["clients"] for edge in edges.values())
        slow = sum(edge["slow"] for edge in edges.values())
        return {
            "totalClients": total,
            "slowClients": slow,
            "slowClientPercentage": round(100 * slow / total, 2) if total else 0,
            "totalBufferFullEvents": sum(edge["skipped"] for edge in edges.values()),
            "highQueueUtilization": sum(edge["queuesNearlyFull"] for edge in edges.values()),
            "slowClientThreshold": SKIPS_ALLOWED,
            "slowClientTimeWindow": int(SKIP_WINDOW),
            "autoDisconnectEnabled": True,
        }

    def _slow_detail(self, client: Client) -> dict[str, JSON]:
        assert client.backlog is not None
        now, wall = self._clock.monotonic(), self._clock.time()
        skips = [wall - (now - at) for at in client.backlog.skips]
        detail = {
            "clientAddr": client.address,
            "shardIndex": client.number,
            "queueUtilization": round(client.backlog.size / self.settings.MAX_BACKLOG_BYTES, 3),
            "bufferFullCount": client.backlog.skipped,
            "recentBufferFulls": len([at for at in skips if wall - at < SKIP_WINDOW]),
            "isMarkedSlow": bool(skips),
            "isClosed": client.fd < 0,
        }
        if skips:
            detail["lastBufferFull"], detail["slowMarkedAt"] = milliseconds(skips[-1]), milliseconds(skips[0])
        return detail


def shown(edge: Mapping[str, JSON]) -> dict[str, JSON]:
    """An edge's counters without what is only for the other edges and for /metrics."""
    return {name: value for name, value in edge.items() if name not in UNSHOWN}


def camel(name: str) -> str:
    """``snake_case`` as ``camelCase``, the style of every JSON name here."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
