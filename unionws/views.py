"""What an edge's HTTP views read: live state of the edge, and ingest's last word."""

from __future__ import annotations

import asyncio
import gc
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import ujson

from unionws import __version__
from unionws.clock import Clock, milliseconds
from unionws.connections.client import SKIP_WINDOW, SKIPS_ALLOWED, Client
from unionws.edge import Edge
from unionws.history.memory import MemoryPages
from unionws.history.reader import Reader
from unionws.model import JSON, ChartRecord, Fragment
from unionws.settings import Settings, public_view
from unionws.web.history import Pages

MOST_BUCKETS = 100_000
NEARLY_FULL = 0.8
SHOWN_SLOW = 100


class EdgeViews:
    """Implements :class:`unionws.web.base.Views` for one edge."""

    def __init__(self, edge: Edge, settings: Settings, clock: Clock) -> None:
        self._edge = edge
        self._settings = settings
        self._clock = clock
        self._started = clock.monotonic()
        self._chart_of: ChartRecord | None = None
        self._chart: Mapping[str, JSON] = {}
        self.fields = edge.fields
        self.pages: Pages = edge.archive if isinstance(edge.archive, Reader) else MemoryPages(edge.ring)

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

    def counters(self) -> dict[str, JSON]:
        """This edge's counters, as it reports them to ingest."""
        edge = self._edge
        slow = [client.backlog for client in edge.parking.backlogged if client.backlog]
        full = self._settings.MAX_BACKLOG_BYTES
        return {
            "pid": os.getpid(),
            "memoryMB": round(resident_bytes() / 1e6, 1),
            "clients": len(edge.parking),
            "groups": len(edge.groups),
            **{camel(name): value for name, value in asdict(edge.parking.counters).items()},
            "refused": dict(edge.refused),
            "sends": edge.fanout.sends,
            "frames": edge.fanout.frames,
            "deflates": edge.fanout.deflates,
            "slow": len(slow),
            "queuesNearlyFull": sum(backlog.size > NEARLY_FULL * full for backlog in slow),
        }

    def clients(self) -> Mapping[str, JSON]:
        """Totals: this edge's counters as they are now, the others' as last reported."""
        edges = {**self.ingest("edges"), self._edge.name: self.counters()}
        return {
            "totalClients": sum(edge["clients"] for edge in edges.values()),
            "performance": self._performance(edges),
            "server": {
                "version": __version__,
                "python": platform.python_version(),
                "edge": self._edge.name,
                "seq": self._edge.fanout.seq,
                "edges": edges,
            },
            "slow": self._slow(edges),
            "slowDetails": [self._slow_detail(client) for client in self._slow_clients()],
        }

    def recent(self, minutes: int) -> list[Fragment]:
        return self._edge.ring.since(self.now_ms() - minutes * 60_000, MOST_BUCKETS)

    def config(self) -> Mapping[str, JSON]:
        return public_view(self._settings)

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
            "queueUtilization": round(client.backlog.size / self._settings.MAX_BACKLOG_BYTES, 3),
            "bufferFullCount": client.backlog.skipped,
            "recentBufferFulls": len([at for at in skips if wall - at < SKIP_WINDOW]),
            "isMarkedSlow": bool(skips),
            "isClosed": client.fd < 0,
        }
        if skips:
            detail["lastBufferFull"], detail["slowMarkedAt"] = milliseconds(skips[-1]), milliseconds(skips[0])
        return detail


def camel(name: str) -> str:
    """``snake_case`` as ``camelCase``, the style of every JSON name here."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def resident_bytes() -> int:
    """Resident memory of this process (proc(5), statm)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")
