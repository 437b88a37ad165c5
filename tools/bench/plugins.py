"""What plugins cost: per transfer and per delivery, with none and with twenty of them loaded.

``python tools/bench/plugins.py [--plugins 0,20] [--transfers 5000] [--clients 2000]``

Each plugin implements every hook that runs per batch or per transfer (``extend_transfers``,
``enriched``, ``urgent``, ``published``, a statistic, an indexed filter field), with as little work
of its own as can be, so that what is measured is what calling it costs. Transfers go through ingest's
calls in batches of five, as the stream does; deliveries are writes to /dev/null.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Sequence
from typing import Any

import harness

from unionws.broadcaster.fanout import Fanout
from unionws.broadcaster.filters import FilterFields
from unionws.broadcaster.groups import GroupKey, Groups
from unionws.enrich.transfers import Enricher, fragment, with_fields
from unionws.extensions import FilterField, Statistic
from unionws.hookspecs import hookimpl
from unionws.model import EnrichedTransfer, Fragment, TransfersRecord
from unionws.pluginhost import PluginHost
from unionws.settings import Settings
from unionws.stats.collector import Collector
from unionws.testing import transfer

HEADINGS = ("plugins", "µs per transfer", "µs per delivery", "calls per transfer")
BATCH = 5
ROUNDS = 5


class Plugin:
    """It does nothing, everywhere."""

    def __init__(self, number: int) -> None:
        self._name = f"bench.p{number}"

    @hookimpl
    def extend_transfers(self, transfers: Sequence[EnrichedTransfer]) -> list[None]:
        return [None] * len(transfers)

    @hookimpl
    def enriched(self, transfers: Sequence[EnrichedTransfer]) -> None:
        """Nothing."""

    @hookimpl
    def urgent(self, transfers: Sequence[EnrichedTransfer]) -> tuple[str, ...]:
        return ()

    @hookimpl
    def published(self, record: TransfersRecord) -> None:
        """Nothing."""

    @hookimpl
    def register_statistics(self) -> list[Statistic]:
        return [Statistic(self._name, self)]

    def observe(self, batch: Sequence[EnrichedTransfer], now: float) -> None:
        """Nothing."""

    def snapshot(self, now: float) -> dict[str, Any]:
        return {}

    @hookimpl
    def register_filters(self) -> list[FilterField]:
        keys = (self._name,)
        return [FilterField(self._name, str, lambda *_: True, str, lambda _: keys, lambda _: keys)]


class Member:
    """A client whose descriptor is /dev/null."""

    __slots__ = ("backlog", "fd", "group")

    def __init__(self, fd: int) -> None:
        self.fd, self.backlog, self.group = fd, None, None


class Nobody:
    """Sockets that are always ready."""

    def blocked(self, client: Any, frame: Any, sent: int) -> None: ...
    def send(self, client: Any, frame: Any) -> None: ...
    def broken(self, client: Any) -> None: ...


def host_of(count: int) -> PluginHost:
    host = PluginHost(Settings(PLUGINS_DIR=""))
    host.load([], [(f"p{number}", Plugin(number)) for number in range(count)])
    return host


def ingest_seconds(host: PluginHost, groups: Groups, transfers: int) -> float:
    """Time of everything that plugins take part in, for so many transfers."""
    statistics = host.collect("register_statistics", Statistic)
    collector = Collector(host.settings, statistics, now=time.time())
    rows = Enricher().enrich([transfer(sort_order=f"{n:09}", send_time=1.76e9) for n in range(BATCH)], 0.0)
    items: tuple[Fragment, ...] = tuple(fragment(row) for row in rows)
    started = time.perf_counter()
    for number in range(transfers // BATCH):
        batch = with_fields(rows, host.extra_fields(rows))
        host.fire("enriched", transfers=batch)
        host.urgent(batch)
        collector.observe(batch, 1.76e9)
        host.fire("published", record=TransfersRecord("bench", number, "", False, 0, items))
        groups.index.match(items)
    return time.perf_counter() - started


async def delivery_seconds(groups: Groups, clients: int, rounds: int) -> float:
    """Time of delivering one record to every client, ``rounds`` times."""
    fanout = Fanout(groups, Nobody(), compress_from=1 << 20, compress_level=0)
    (row,) = Enricher().enrich([transfer(sort_order="1", send_time=1.76e9)], 0.0)
    started = time.perf_counter()
    for number in range(1, rounds + 1):
        fanout.submit(TransfersRecord("bench", number, "", False, 0, (fragment(row),)))
        while fanout.sends < number * clients or fanout.busy:
            await asyncio.sleep(0)
    return time.perf_counter() - started


def measure(count: int, transfers: int, clients: int) -> tuple[str, ...]:
    """One row of the table: the best of some rounds."""
    host = host_of(count)
    fields = FilterFields(host.collect("register_filters", FilterField))
    groups = Groups(fields)
    null = os.open(os.devnull, os.O_WRONLY)
    key = GroupKey(frozenset({"transfers"}), "batch", False)
    for _ in range(clients):
        groups.join(Member(null), key, 0)
    flow = min(ingest_seconds(host, groups, transfers) for _ in range(ROUNDS)) / transfers
    calls = sum(plugin.calls for plugin in host.plugins()) / transfers / ROUNDS
    sends = 100 * clients
    fan = min(asyncio.run(delivery_seconds(groups, clients, 100)) for _ in range(ROUNDS)) / sends
    os.close(null)
    return (str(count), f"{flow * 1e6:.1f}", f"{fan * 1e6:.3f}", f"{calls:.1f}")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--plugins", default="0,20", help="how many, by commas")
    parser.add_argument("--transfers", type=int, default=5000)
    parser.add_argument("--clients", type=int, default=2000)
    args = parser.parse_args(argv)
    counts = [int(text) for text in args.plugins.split(",")]
    print(harness.table(HEADINGS, [measure(count, args.transfers, args.clients) for count in counts]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
