"""How a feed is usually written with Tornado: ``write_message`` to every handler, in a loop.

The yardstick of delivery.py. Same frames, rate and output as sendloop.c:
``python tools/bench/naive.py [--port 0] [--rate 10] [--bytes 1024]`` prints
``{"port":…,"pids":[…]}`` when it listens and ends on SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import time

from tornado.httpserver import HTTPServer
from tornado.ioloop import PeriodicCallback
from tornado.netutil import bind_sockets
from tornado.web import Application
from tornado.websocket import WebSocketClosedError, WebSocketHandler


class FeedHandler(WebSocketHandler):
    """Remembers itself in the application's set while it is open."""

    def initialize(self, clients: set[FeedHandler]) -> None:
        self.clients = clients

    def check_origin(self, origin: str) -> bool:
        return True

    def open(self) -> None:
        self.clients.add(self)

    def on_close(self) -> None:
        self.clients.discard(self)


class Feed:
    """Writes one message of ``size`` bytes to every client, ``rate`` times a second."""

    def __init__(self, clients: set[FeedHandler], size: int, rate: float) -> None:
        self._clients = clients
        head, tail = '{"type":"transfers","data":[],"pad":"', '","timestamp":'
        self._prefix = head + "x" * max(0, size - len(head) - len(tail) - 14) + tail
        self._timer = PeriodicCallback(self.publish, 1000 / rate)

    def start(self) -> None:
        self._timer.start()

    def stop(self) -> None:
        self._timer.stop()

    def publish(self) -> None:
        message = f"{self._prefix}{int(time.time() * 1000)}}}"
        for client in list(self._clients):
            try:
                client.write_message(message)
            except WebSocketClosedError:
                self._clients.discard(client)


async def serve(port: int, size: int, rate: float) -> None:
    """Serves until SIGTERM or SIGINT."""
    clients: set[FeedHandler] = set()
    server = HTTPServer(Application([("/.*", FeedHandler, {"clients": clients})]))
    sockets = bind_sockets(port, "127.0.0.1", backlog=4096)
    server.add_sockets(sockets)
    feed = Feed(clients, size, rate)
    feed.start()
    print(json.dumps({"port": sockets[0].getsockname()[1], "pids": [os.getpid()]}), flush=True)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
    feed.stop()
    server.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description="The naive Tornado feed server, as a yardstick.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--rate", type=float, default=10.0, help="messages a second to each client")
    parser.add_argument("--bytes", type=int, default=1024, help="size of a message")
    args = parser.parse_args()
    asyncio.run(serve(args.port, args.bytes, args.rate))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
