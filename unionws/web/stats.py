"""``/stats``, ``/stats/enhanced``, ``/scheduler``, ``/buckets``: the figures behind the stream."""

from __future__ import annotations

from typing import Any

import ujson
from tornado.web import HTTPError

from unionws.model import JSON
from unionws.web.base import OPERATORS, READERS, View, Views

ENHANCED = (
    "activeWalletRates",
    "popularRoutesTimeScale",
    "activeSendersTimeScale",
    "activeReceiversTimeScale",
    "dataAvailability",
    "chainFlowData",
    "assetVolumeData",
)
MOST_RECENT = 1_000


def stats(views: Views) -> dict[str, JSON]:
    """The body of ``/stats``."""
    chart, position, clients = views.chart(), views.ingest("position"), views.clients()
    return {
        "lastSortOrder": position.get("cursor", ""),
        "isInitialFetch": views.ingest("upstream").get("isInitialFetch", True),
        "scheduledTransfers": views.ingest("scheduler").get("queued", 0),
        "clientCount": clients["totalClients"],
        "transferRates": chart.get("currentRates", {}),
        "popularRoutes": chart.get("popularRoutes", []),
        "activeSenders": chart.get("activeSenders", []),
        "activeReceivers": chart.get("activeReceivers", []),
        "backfill": views.ingest("backfill"),
        "performance": clients["performance"],
        "config": legacy_config(views),
        "uptime": round(views.uptime(), 3),
        "timestamp": views.now_ms(),
    }


def legacy_config(views: Views) -> dict[str, JSON]:
    """Settings, with the old names of two of them beside the present ones."""
    config: dict[str, Any] = dict(views.config())
    config["SPREAD_TIME_MS"] = config["SPREAD_MS"]
    config["FUTURE_BUFFER_SECONDS"] = config["FUTURE_BUFFER_MS"] / 1000
    return config


class StatsHandler(View):
    needs = READERS

    def get(self) -> None:
        self.answer(stats(self.views))


class EnhancedStatsHandler(View):
    needs = READERS

    def get(self) -> None:
        chart = self.views.chart()
        self.answer({**stats(self.views), **{key: chart[key] for key in ENHANCED if key in chart}})


class SchedulerHandler(View):
    needs = OPERATORS

    def get(self) -> None:
        self.answer({**self.views.ingest("scheduler"), "timestamp": self.views.now_ms()})


class BucketsHandler(View):
    """Transfers of the last minutes, from this edge's memory."""

    needs = OPERATORS

    def get(self) -> None:
        minutes = self._minutes()
        recent = self.views.recent(minutes)
        shown = [ujson.loads(item.json) for item in recent[:MOST_RECENT]]
        transfers = {"minutesRequested": minutes, "transferCount": len(recent), "transfers": shown}
        self.answer(
            {
                "bucketStats": self.views.ingest("buckets"),
                "recentTransfers": transfers,
                "timestamp": self.views.now_ms(),
            }
        )

    def _minutes(self) -> int:
        given = self.get_query_argument("minutes", "5")
        if not (given.isascii() and given.isdigit() and len(given) <= 2 and 1 <= int(given) <= 60):
            raise HTTPError(400, reason="minutes must be a whole number from 1 to 60")
        return int(given)


ROUTES = [
    ("/stats", StatsHandler),
    ("/stats/enhanced", EnhancedStatsHandler),
    ("/scheduler", SchedulerHandler),
    ("/buckets", BucketsHandler),
]
