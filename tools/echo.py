"""The connection layer alone, as an echo server for conformance suites (Autobahn and our own).

    python tools/echo.py --port 9001 --deflate --door fast

Text and binary messages come back as they are, compressed where that was agreed on. Prints one JSON
line {"port": N} when it listens, and ends on SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import socket
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.web import Application

from unionws import frames
from unionws.clock import SystemClock
from unionws.connections.client import Client
from unionws.connections.fastdoor import FastDoor
from unionws.connections.handler import SocketHandler
from unionws.connections.handshake import Accept, Refuse, Upgrade, accept, check, extension
from unionws.connections.inbox import Message
from unionws.connections.limits import Limits
from unionws.connections.parking import Parking
from unionws.frames import Frame
from unionws.listening import listen
from unionws.settings import Settings

PATH = "/ws"
LEVEL = 6
MAX_BYTES = 16 * 1024 * 1024
BACKLOG_BYTES = 256 * 1024 * 1024
BACKLOG_FRAMES = 1_000_000
PING_INTERVAL = 54
HEADER_BYTES = 16_384


class Echo:
    """A doorkeeper that lets everybody in and says back what they say."""

    def __init__(self, *, max_bytes: int, deflate: bool) -> None:
        self._deflate = deflate
        self.parking = Parking(
            Limits(max_bytes, BACKLOG_BYTES, BACKLOG_FRAMES),
            on_message=self._echo,
            on_gone=lambda client, code: None,
            make_gap=lambda client, first, last: Frame(b""),
            ping_interval=PING_INTERVAL,
            clock=SystemClock(),
        )

    def judge(self, upgrade: Upgrade) -> str | Refuse:
        """The extensions to agree on."""
        return check(upgrade, lambda origin: True) or extension(upgrade, self._deflate)

    def admit(self, plan: str, key: str, address: str) -> Accept | Refuse:
        """Everybody with a valid key."""
        return accept(key, plan)

    def welcome(self, fd: int, address: str, answer: Accept, plan: str, early: bytes = b"") -> None:
        """Park, answer, and take what came behind the handshake."""
        client = self.parking.park(fd, address, deflate=answer.deflate)
        self.parking.send(client, Frame(answer.response))
        if early and client.fd >= 0:
            self.parking.receive(client, early)

    def _echo(self, client: Client, message: Message) -> None:
        payload = message.data.encode() if isinstance(message.data, str) else message.data
        if client.deflate:
            payload = frames.deflate(payload, LEVEL)
        self.parking.send(client, Frame(frames.encode(message.opcode, payload, compressed=client.deflate)))


class Server:
    """An Echo behind one of the two doors.

    Args:
        idle: seconds a connection may take for its request.
    """

    def __init__(self, echo: Echo, door: str, idle: float) -> None:
        self._echo = echo
        self._http = HTTPServer(
            Application([(PATH, SocketHandler, {"doorkeeper": echo})]),
            max_header_size=HEADER_BYTES,
            idle_connection_timeout=idle,
        )
        self._fast = FastDoor(PATH, echo, self._otherwise) if door == "fast" else None

    def _otherwise(self, connection: socket.socket, address: Any) -> None:
        self._http.handle_stream(IOStream(connection), address)

    def start(self, listener: socket.socket) -> None:
        """Serve on the running loop."""
        self._echo.parking.start()
        if self._fast is not None:
            self._fast.open([listener])
        else:
            self._http.add_socket(listener)

    async def stop(self) -> None:
        """Close everything."""
        self._http.stop()
        if self._fast is not None:
            self._fast.close()
        await self._http.close_all_connections()
        self._echo.parking.stop()


async def run(options: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    [listener] = listen(Settings(HOST=options.host, PORT=options.port))
    echo = Echo(max_bytes=options.max_bytes, deflate=options.deflate)
    server = Server(echo, options.door, options.idle)
    server.start(listener)
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    await stopping.wait()
    await server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9001, help="0 takes a free one")
    parser.add_argument("--deflate", action="store_true", help="agree to permessage-deflate")
    parser.add_argument("--max-bytes", type=int, default=MAX_BYTES, help="largest message, after inflation")
    parser.add_argument("--door", choices=("fast", "handler"), default="fast")
    parser.add_argument("--idle", type=float, default=30.0, help="seconds a request may take")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
