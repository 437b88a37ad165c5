"""Feed the real bus with synthetic transfers: ingest is replaced, everything behind it is not.

    python tools/bench/publish.py --port 8080 --rate 10 --bytes 1024

Each tick publishes one record whose ``transfers`` frame is about ``--bytes`` long. Prints one JSON
line when it listens, and ends on SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal

from tornado.ioloop import PeriodicCallback

from unionws.app import EdgeServer, listen, load_plugins
from unionws.bus.local import LocalBus
from unionws.clock import SystemClock, milliseconds
from unionws.edge import Edge
from unionws.model import Fragment, StateRecord, TransfersRecord
from unionws.settings import load_settings

ENVELOPE_BYTES = 130
EPOCH = "benchmark0"


class Publisher:
    """Publishes one transfer per tick.

    Args:
        size: bytes of the whole transfers message.
    """

    def __init__(self, bus: LocalBus, size: int) -> None:
        self._bus = bus
        self._size = size
        self._clock = SystemClock()
        self.seq = 0

    def state(self) -> None:
        """Publish the state record every edge waits for."""
        views = {"upstream": {"state": "ok"}, "position": {"epoch": EPOCH, "seq": self.seq, "cursor": ""}}
        self._bus.publish(StateRecord(self._now(), EPOCH, self.seq, f"{self.seq:020}", views))

    def tick(self) -> None:
        """Publish the next transfer."""
        self.seq += 1
        item = self._item()
        self._bus.publish(TransfersRecord(EPOCH, self.seq, item.sort_order, False, self._now(), (item,)))

    def _item(self) -> Fragment:
        order = f"{self.seq:020}"
        head = '{"sort_order":"%s","source_chain":{"universal_chain_id":"union.union-1"},"filler":"' % order
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


async def run(options: argparse.Namespace) -> None:
    """Serve and publish until SIGTERM or SIGINT."""
    overrides = [f"PORT={options.port}", "HOST=127.0.0.1", "LOG_LEVEL=WARNING", "PLUGINS_DIR=", *options.set]
    settings = load_settings(None, overrides, {})
    listeners = listen(settings)
    edge = Edge(settings, load_plugins(settings), SystemClock())
    bus = LocalBus()
    bus.subscribe(edge.on_record)
    server = EdgeServer(edge, settings, SystemClock())
    server.start(listeners)
    publisher = Publisher(bus, options.bytes)
    publisher.state()
    ticks = [PeriodicCallback(publisher.state, 1000), PeriodicCallback(publisher.tick, 1000 / options.rate)]
    for tick in ticks:
        tick.start()
    ready = {"port": listeners[0].getsockname()[1], "pids": [os.getpid()]}
    print(json.dumps(ready), flush=True)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await stopping.wait()
    for tick in ticks:
        tick.stop()
    await server.stop("shutdown")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--rate", type=float, default=10.0, help="records a second")
    parser.add_argument("--bytes", type=int, default=1024, help="bytes of one transfers message")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
