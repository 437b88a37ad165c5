"""A small real WebSocket server that plays a script to each connection in turn."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, Finish
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from unionws.client import Backoff, Client, Event, TransferReceived

QUICK = Backoff(base=0.01, cap=0.02, stable=60.0)


LIMIT = 15.0
"""Seconds after which a test that hangs fails."""


def drive(body: Callable[[], Awaitable[None]]) -> None:
    """Runs the coroutine with the limit."""
    asyncio.run(asyncio.wait_for(body(), LIMIT))  # type: ignore[arg-type]


async def collect(client: Client, until: Callable[[list[Event]], bool]) -> list[Event]:
    """Events up to the one that fulfils ``until``."""
    events: list[Event] = []
    async for event in client:
        events.append(event)
        if until(events):
            return events
    return events


def numbers(events: list[Event]) -> list[str]:
    return [event.transfer["sort_order"] for event in events if isinstance(event, TransferReceived)]


def has_transfers(count: int) -> Callable[[list[Event]], bool]:
    return lambda events: len(numbers(events)) >= count


def transfer(number: int, **fields: Any) -> dict[str, Any]:
    """A transfer with the key ``order-<number>``."""
    return {"sort_order": f"order-{number}", "sourceDisplayName": "Union", **fields}


def frame(seq: int, prev: int, *numbers: int, epoch: str = "epoch001", **fields: Any) -> dict[str, Any]:
    """A transfers frame with positions; its transfers are numbered ``numbers``."""
    items = [transfer(number) for number in numbers]
    position = {"epoch": epoch, "seq": seq, "prev": prev, "cursor": f"order-{seq}"}
    return {"type": "transfers", "data": items, **fields, **position, "timestamp": 1}


def greeting(seq: int | None = None, *features: str, epoch: str = "epoch001") -> dict[str, Any]:
    """A connected message; without ``seq`` it is one of a server without positions."""
    data: dict[str, Any] = {"protocol": 1, "features": list(features)}
    if seq is not None:
        data |= {"epoch": epoch, "seq": seq}
    return {"type": "connected", "message": "hello", "data": data, "timestamp": 1}


class Connection(WebSocketHandler):
    """One connection; the script speaks through ``say`` and ``close``."""

    def initialize(self, server: StandIn) -> None:
        self.server = server
        self.heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def prepare(self) -> None:
        self.server.queries.append({name: self.get_query_argument(name) for name in self.request.arguments})
        self.server.headers.append(dict(self.request.headers))
        if self.server.refusals:
            status, headers = self.server.refusals.pop(0)
            self.set_status(status)
            for name, value in headers.items():
                self.set_header(name, value)
            self.write(self.server.said)
            raise Finish

    def open(self) -> None:
        # A task: Tornado reads nothing from a client while its open() runs.
        self.server.start(self)

    def on_message(self, message: str | bytes) -> None:
        self.heard.put_nowait(json.loads(message))

    async def say(self, *messages: dict[str, Any] | str) -> None:
        for message in messages:
            await self.write_message(message)

    def drop(self) -> None:
        """Ends the connection without a close frame."""
        self.ws_connection.stream.close()


Script = Callable[[Connection, int], Awaitable[None]]


class StandIn:
    """Serves the script on a free port inside ``async with``.

    Args:
        refusals: status and headers for the first handshakes.
        said: the JSON body of those answers.
    """

    def __init__(
        self,
        script: Script,
        refusals: list[tuple[int, dict[str, str]]] | None = None,
        said: dict[str, str] | None = None,
    ) -> None:
        self.said = said or {}
        self.script = script
        self.refusals = refusals or []
        self.queries: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.opened = 0
        self._tasks: list[asyncio.Task[None]] = []
        self.url = ""

    async def __aenter__(self) -> StandIn:
        self._server = HTTPServer(Application([("/ws", Connection, {"server": self})]))
        sockets = bind_sockets(0, "127.0.0.1")
        self._server.add_sockets(sockets)
        self.url = f"ws://127.0.0.1:{sockets[0].getsockname()[1]}/ws"
        return self

    def start(self, connection: Connection) -> None:
        """Plays the script to a new connection."""
        self._tasks.append(asyncio.create_task(self._play(connection, self.opened)))
        self.opened += 1

    async def _play(self, connection: Connection, number: int) -> None:
        try:
            await self.script(connection, number)
        except WebSocketClosedError:
            return  # the client left before the script ended

    async def __aexit__(self, *error: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._server.stop()
        await self._server.close_all_connections()


class DeafServer:
    """Greets every connection by hand, then reads and answers nothing, not even a ping or a close."""

    def __init__(self) -> None:
        self.url = ""
        self._writers: list[asyncio.StreamWriter] = []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(line for line in head.split("\r\n") if line.lower().startswith("sec-websocket-key"))
        joined = key.partition(":")[2].strip() + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(joined.encode()).digest()).decode()
        payload = json.dumps(greeting(0)).encode()
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
            + bytes([0x81, 126, len(payload) >> 8, len(payload) & 255])
            + payload
        )
        self._writers.append(writer)

    async def __aenter__(self) -> DeafServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/ws"
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()
