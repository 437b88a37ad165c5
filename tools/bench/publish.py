"""Feed the real bus with synthetic transfers: ingest is replaced, everything behind it is not.

    python tools/bench/publish.py --port 8080 --rate 10 --bytes 1024

Each tick publishes one record whose ``transfers`` frame is about ``--bytes`` long; with ``--charts``
a chartData snapshot of full size follows every so many seconds. Prints one JSON line when it listens,
and ends on SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from statistics_cost import DAY, Maker
from tornado.ioloop import PeriodicCallback

from unionws.app import BUILTINS, run_edge, run_process, supervise
from unionws.assembly import assemble
from unionws.builtin.statistics import register_statistics
from unionws.bus.local import LocalBus
from unionws.bus.unix import UnixBus
from unionws.clock import SystemClock, milliseconds
from unionws.edge import Edge
from unionws.history.reader import Reader
from unionws.history.statefolder import StateFolder
from unionws.listening import listen, share_out
from unionws.model import JSON, ChartRecord, Fragment, StateRecord, TransfersRecord
from unionws.pluginhost import PluginHost
from unionws.reloading import Live
from unionws.settings import Settings
from unionws.stats.collector import Collector
from unionws.succession import Readiness

ENVELOPE_BYTES = 130
EPOCH = "benchmark0"
CHART_TRANSFERS = 20_000


class Publisher:
    """Publishes one transfer per tick.

    Args:
        size: bytes of the whole transfers message.
    """

    def __init__(self, bus: LocalBus | UnixBus, size: int) -> None:
        self._bus = bus
        self._size = size
        self._clock = SystemClock()
        self._edges: dict[str, Mapping[str, JSON]] = {}
        self.seq = 0
        bus.on_report(self._edges.__setitem__, lambda edge: self._edges.pop(edge, None))

    def state(self) -> None:
        """Publish the state record every edge waits for."""
        position = {"epoch": EPOCH, "seq": self.seq, "cursor": ""}
        views = {"upstream": {"state": "ok"}, "position": position, "edges": dict(self._edges)}
        self._bus.publish(StateRecord(self._now(), EPOCH, self.seq, f"{self.seq:020}", views))

    def tick(self) -> None:
        """Publish the next transfer."""
        self.seq += 1
        item = self._item()
        self._bus.publish(TransfersRecord(EPOCH, self.seq, item.sort_order, False, self._now(), (item,)))

    def _item(self) -> Fragment:
        order = f"{self.seq:020}"
        head = f'{{"sort_order":"{order}","source_chain":{{"universal_chain_id":"union.union-1"}},"filler":"'
        filler = "x" * max(0, self._size - ENVELOPE_BYTES - len(head) - 2)
        return Fragment(
            sort_order=order,
            source="union.union-1",
            destination="ethereum.1",
            sender=f"0x{self.seq:040x}",
            receiver="0x" + "22" * 20,
            symbol="u",
            token="0x6175",
            amount="1",
            testnet=False,
            event_ms=self._now(),
            json=(head + filler + '"}').encode(),
        )

    def _now(self) -> int:
        return milliseconds(self._clock.time())


class Charts:
    """Publishes real snapshots of a collector that has seen thirty days of 50 routes and 30 assets."""

    def __init__(self, bus: LocalBus | UnixBus) -> None:
        self._bus = bus
        self._maker = Maker(5_000)
        self._clock = SystemClock()
        settings, now = Settings(), self._clock.time()
        self._collector = Collector(settings, register_statistics(settings), now=now - 30 * DAY)
        for number in range(CHART_TRANSFERS):
            when = now - 30 * DAY * (1 - number / CHART_TRANSFERS) ** 4
            self._collector.observe([self._maker.make(when)], when)

    def publish(self) -> None:
        """Count one more transfer and publish what there is now."""
        now = self._clock.time()
        self._collector.observe([self._maker.make(now)], now)
        snapshot = self._collector.snapshot(now)
        record = ChartRecord(milliseconds(now), snapshot.rev, snapshot.chart, snapshot.rates)
        self._bus.publish(record)


async def publish(bus: LocalBus | UnixBus, options: argparse.Namespace, stopping: asyncio.Event) -> None:
    """In ingest's place: publish until ``stopping``."""
    publisher = Publisher(bus, options.bytes)
    publisher.state()
    for _ in range(options.history):
        publisher.tick()
    states = PeriodicCallback(publisher.state, 1000)
    ticks = [PeriodicCallback(publisher.tick, 1000 / options.rate)]
    if options.charts:
        charts = Charts(bus)
        charts.publish()
        ticks.append(PeriodicCallback(charts.publish, options.charts * 1000))
    states.start()
    stopped = asyncio.ensure_future(stopping.wait())
    await asyncio.wait([stopped], timeout=options.silence)
    for tick in ticks:
        tick.start()
    await stopped
    for tick in [states, *ticks]:
        tick.stop()


def run_one(settings: Settings, host: PluginHost, folder: StateFolder, options: argparse.Namespace) -> None:
    """Publisher and edge in this process."""
    [listener] = listen(settings)

    async def work(stopping: asyncio.Event) -> None:
        bus, archive = LocalBus(), Reader(folder.database)
        edge = Edge(settings, host, SystemClock(), archive=archive)
        serving = asyncio.ensure_future(
            run_edge(edge, bus, Live(settings), archive, [listener], stopping, lambda: None)
        )
        say(listener, [os.getpid()])
        await asyncio.gather(serving, publish(bus, options, stopping))

    run_process(host, Live(settings), work)


def run_many(settings: Settings, host: PluginHost, folder: StateFolder, options: argparse.Namespace) -> None:
    """The publisher as the supervisor's first process, and edges of their own."""
    listeners = listen(settings, options.edges)

    def instead_of_ingest(stopping: asyncio.Event, bus: UnixBus) -> Awaitable[None]:
        bus.start()
        return publish(bus, options, stopping)

    shares = share_out(listeners, options.edges)
    supervisor = supervise(Live(settings), host, folder, shares, instead_of_ingest, Readiness())
    supervisor.start()
    say(listeners[0], [os.getpid(), *supervisor.pids])
    supervisor.wait()


def say(listener: socket.socket, pids: list[int]) -> None:
    """Tell who started this where clients connect and which processes to measure."""
    print(json.dumps({"port": listener.getsockname()[1], "pids": pids}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--rate", type=float, default=10.0, help="records a second")
    parser.add_argument("--bytes", type=int, default=1024, help="bytes of one transfers message")
    parser.add_argument("--history", type=int, default=0, help="transfers published before all others")
    parser.add_argument("--edges", type=int, default=0, help="edge processes; 0: one process for all")
    parser.add_argument("--charts", type=float, default=0.0, help="seconds between snapshots; 0: none")
    parser.add_argument("--silence", type=float, default=0.0, help="seconds before the first record")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting")
    options = parser.parse_args()
    chart_interval = [f"CHART_INTERVAL={options.charts}"] if options.charts else []
    given = [
        *chart_interval,
        f"PORT={options.port}",
        "HOST=127.0.0.1",
        "LOG_LEVEL=WARNING",
        "PLUGINS_DIR=",
        "MAX_CLIENTS=0",
    ]
    loaded, host = assemble(None, [*given, *options.set], {}, BUILTINS)
    with TemporaryDirectory() as empty:
        run = run_many if options.edges else run_one
        run(loaded.settings, host, StateFolder(Path(empty) / "state"), options)


if __name__ == "__main__":
    main()
