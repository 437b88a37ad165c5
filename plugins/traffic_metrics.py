"""Sample plugin: more figures for Prometheus: transfers by chain and network, and clients' stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from time import monotonic

from unionws import Metric, Service, TransfersRecord, hookimpl

MAX_CHAINS = 200
"""Sources of one count; what an indexer makes up beyond that is counted together."""


class Traffic:
    """What was counted since the process began."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self.transfers: Counter[tuple[str, ...]] = Counter()
        self.stays = 0
        self.seconds = 0.0
        self._since: dict[int, float] = {}

    def count(self, record: TransfersRecord) -> None:
        for item in record.items:
            key = (item.source, "testnet" if item.testnet else "mainnet")
            if key not in self.transfers and len(self.transfers) >= MAX_CHAINS:
                key = ("other", key[1])
            self.transfers[key] += 1

    def came(self, client: int) -> None:
        self._since[client] = self._now()

    def went(self, client: int) -> None:
        since = self._since.pop(client, None)
        if since is not None:
            self.stays += 1
            self.seconds += self._now() - since


class Here:
    traffic = Traffic()


@hookimpl
def startup(service: Service) -> None:
    Here.traffic = Traffic()


@hookimpl
def published(record: TransfersRecord) -> None:
    Here.traffic.count(record)


@hookimpl
def client_opened(client: int) -> None:
    Here.traffic.came(client)


@hookimpl
def client_closed(client: int) -> None:
    Here.traffic.went(client)


@hookimpl
def register_metrics() -> list[Metric]:
    return [
        Metric(
            "samples_transfers_total",
            "Transfers published, by source chain and network.",
            "counter",
            lambda: dict(Here.traffic.transfers),
            ("source", "network"),
        ),
        Metric("samples_stays_total", "Clients that came and went.", "counter", lambda: Here.traffic.stays),
        Metric(
            "samples_stay_seconds_total",
            "Seconds those clients stayed, in all.",
            "counter",
            lambda: Here.traffic.seconds,
        ),
    ]
