"""The attacks of the abuse campaign: what strangers do to a service, all at once.

Each attack is a coroutine that goes on until it is cancelled; what was done is counted in a Tally.
The attackers say that they come through a trusted proxy, so they have as many addresses as they like.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

MASK = b"\x01\x02\x03\x04"
ONE_ADDRESS = "203.0.113.250"
CHANGES = 500
"""Filter changes in one write."""

OPENERS = 20
"""How many connections the one address opens at a time."""

WITHIN_LIMITS = 9
"""Filter changes a second of a client that keeps just within MAX_INBOUND_MESSAGES (100 in 10 s)."""

Tally = Counter[str]


# ---- bytes ----


def upgrade(address: str) -> bytes:
    """A handshake through a proxy that names the address."""
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nX-Forwarded-For: {address}\r\n\r\n"
    ).encode()


def frame(opcode: int, payload: bytes = b"", head: int = 0x80) -> bytes:
    """A masked frame; ``head``: its upper bits."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack(">H", size)
    body = bytes(byte ^ MASK[index % 4] for index, byte in enumerate(payload))
    return bytes([head | opcode]) + length + MASK + body


def change(number: int) -> bytes:
    """A filter no other has."""
    data = {"channel": "transfers", "filter": {"wallets": [f"0x{number:040x}"]}}
    return frame(1, json.dumps({"type": "setFilter", "data": data}).encode())


BROKEN = (
    frame(1, b"\xff\xfe not UTF-8"),
    frame(3, b"a reserved opcode"),
    frame(9, b"ping", head=0),  # a control frame in fragments
    b"\x81\x05hello",  # not masked
    b"\x81\xff" + struct.pack(">Q", 1 << 40) + MASK,  # a terabyte is announced
    frame(1, b"x" * 60_000),
    frame(8, b"\x03"),
)
PINGS = frame(9, b"x") * 1000


def addresses() -> Iterator[str]:
    """Ever new ones: 198.18.0.0/15 is kept for such tests (RFC 2544)."""
    for number in itertools.count():
        yield f"198.{18 + (number >> 16) % 2}.{number >> 8 & 255}.{number & 255}"


# ---- connections ----


@asynccontextmanager
async def connect(port: int, data: bytes) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection on which ``data`` was sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        yield reader, writer
    finally:
        writer.transport.abort()


async def swallow(reader: asyncio.StreamReader) -> None:
    """Read until the server ends it."""
    with suppress(OSError):
        while await reader.read(65_536):
            pass


async def again(attack: Callable[[], Awaitable[None]]) -> None:
    """Repeat an attack as long as it is let."""
    while True:
        with suppress(OSError, asyncio.IncompleteReadError):
            await attack()
        await asyncio.sleep(0.05)


class Attackers:
    """All attacks on one port.

    Attributes:
        tally: what was done: connections, messages and filter changes that left, answers.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._addresses = addresses()
        self._numbers = itertools.count()
        self.tally = Tally()

    async def slow_head(self) -> None:
        """A request that never ends, line by line."""
        self.tally["slow request heads"] += 1
        async with connect(self._port, b"GET /health HTTP/1.1\r\n") as (reader, writer):
            ended = asyncio.ensure_future(swallow(reader))
            while not ended.done():
                writer.write(b"X-A: b\r\n")
                await asyncio.wait([ended], timeout=1.0)

    async def giant_head(self) -> None:
        """A request head of 60 KB."""
        self.tally["giant request heads"] += 1
        async with connect(self._port, b"GET /health HTTP/1.1\r\nX-A: " + b"x" * 60_000) as (reader, _):
            await swallow(reader)

    async def malformed(self) -> None:
        """Each way of breaking RFC 6455 or the bound of a message."""
        for data in BROKEN:
            self.tally["malformed and oversized frames"] += 1
            async with connect(self._port, upgrade(next(self._addresses)) + data) as (reader, _):
                await swallow(reader)

    async def flood(self) -> None:
        """Control frames as fast as the socket takes them."""
        await self._pour("messages of floods", [PINGS], 1000)

    async def filter_flood(self) -> None:
        """Filter changes, all different, as fast as the socket takes them."""
        start = CHANGES * next(self._numbers)
        burst = b"".join(map(change, range(start, start + CHANGES)))
        while True:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._pour("filter changes of floods", [burst], CHANGES)
            await asyncio.sleep(0.05)

    async def _pour(self, what: str, bursts: Sequence[bytes], each: int) -> None:
        """Send bursts until the server ends it; counts what has left."""
        async with connect(self._port, upgrade(next(self._addresses))) as (reader, writer):
            ended, sent = asyncio.ensure_future(swallow(reader)), 0
            for burst in itertools.cycle(bursts):
                writer.write(burst)
                sent += len(burst)
                room = asyncio.ensure_future(writer.drain())
                await asyncio.wait([room, ended], timeout=0.5)
                room.cancel()
                await asyncio.gather(room, return_exceptions=True)
                if ended.done():
                    break
            left = sent - writer.transport.get_write_buffer_size()
            self.tally[what] += each * left // len(bursts[0])

    async def restless(self) -> None:
        """A client that changes its filter as often as it may, and reads the answers."""
        number = itertools.count(next(self._numbers) << 32)
        async with connect(self._port, upgrade(next(self._addresses))) as (reader, writer):
            ended = asyncio.ensure_future(swallow(reader))
            while not ended.done():
                writer.write(change(next(number)))
                self.tally["filter changes within limits"] += 1
                await asyncio.wait([ended], timeout=1 / WITHIN_LIMITS)

    async def one_address(self, count: int) -> None:
        """Connections from one address, kept open and unread as long as the server lets them."""
        async with AsyncExitStack() as held:
            for number in range(count):
                with suppress(OSError):
                    async with AsyncExitStack() as one:
                        opened = connect(self._port, upgrade(ONE_ADDRESS))
                        reader, _ = await one.enter_async_context(opened)
                        line = await reader.readline()
                        answer = line.split()[1].decode() if line else "nothing"
                        self.tally[f"connections of one address answered {answer}"] += 1
                        if answer == "101":
                            held.push_async_exit(one.pop_all())
                if number % 50 == 0:
                    await asyncio.sleep(0)
            await asyncio.Event().wait()

    def half_open(self, count: int) -> list[socket.socket]:
        """Clients that shake hands and are never heard of again: no reads, no pongs."""
        made = []
        for _ in range(count):
            one = socket.create_connection(("127.0.0.1", self._port), 10)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.sendall(upgrade(next(self._addresses)))
            made.append(one)
        self.tally["half-open sockets"] += count
        return made

    async def all_at_once(self, floods: int, restless: int, seconds: float) -> Tally:
        """Every attack for some seconds.

        Args:
            floods: connections that one address tries to open; a multiple of OPENERS.
            restless: clients that change their filters within the limits.
        """
        until, gone = time.monotonic() + seconds, self.half_open(200)
        repeated = [*[self.slow_head] * 200, *[self.giant_head] * 5, *[self.malformed] * 5]
        repeated += [*[self.flood] * 5, *[self.filter_flood] * 40, *[self.restless] * restless]
        running = [asyncio.ensure_future(again(attack)) for attack in repeated]
        openers = [self.one_address(floods // OPENERS) for _ in range(OPENERS)]
        running += [asyncio.ensure_future(opener) for opener in openers]
        await asyncio.sleep(max(0.0, until - time.monotonic()))
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for one in gone:
            one.close()
        return self.tally
