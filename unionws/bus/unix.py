"""The bus between processes of one machine: a Unix socket, length-prefixed records, both ways.

Ingest listens, edges connect and connect again. Down go records (:mod:`unionws.bus.records`), up go
counters as JSON. Each frame is a 4-byte big-endian length and that many bytes. On connect an edge
says its name and position; it gets the current state, then the transfers it has not seen, then the
newest of each lasting kind.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import ujson
from tornado.iostream import IOStream, StreamBufferFullError, StreamClosedError
from tornado.netutil import add_accept_handler

from unionws.bus.local import Deliver, Report
from unionws.bus.records import LASTING, decode, encode
from unionws.model import JSON, Record, StateRecord, TransfersRecord

log = logging.getLogger("unionws.bus")

MAX_WAITING = 64 * 1024 * 1024
"""Bytes that may wait for one edge; a slower one is cut off, connects again and catches up."""

MAX_FRAME = 256 * 1024 * 1024
CHUNK = 1 << 18
RECONNECT_SECONDS = (0.05, 1.0)


def frame(data: bytes) -> bytes:
    """Bytes with their length in front."""
    return len(data).to_bytes(4, "big") + data


async def frames(stream: IOStream) -> AsyncIterator[bytes]:
    """Whole frames of a stream until it closes.

    Raises:
        ValueError: a length no peer of ours would send.
    """
    buffer = bytearray()
    while True:
        while len(buffer) >= 4:
            size = int.from_bytes(buffer[:4], "big")
            if size > MAX_FRAME:
                raise ValueError(f"a frame of {size} bytes announced")
            if len(buffer) < 4 + size:
                break
            yield bytes(buffer[4 : 4 + size])
            del buffer[: 4 + size]
        try:
            buffer += await stream.read_bytes(CHUNK, partial=True)
        except StreamClosedError:
            return


def listen() -> tuple[socket.socket, str]:
    """A listening socket in the abstract namespace (unix(7)), and its name for edges.

    Nothing is left in the file system after a crash; who may connect is checked by user id.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    name = f"unionws-{os.getpid()}-{os.urandom(8).hex()}"
    listener.bind("\0" + name)
    listener.listen(64)
    listener.setblocking(False)
    return listener, name


@dataclass(slots=True)
class Kept:
    """A record for edges that connect again; its frame is made for the first that has not got it."""

    record: TransfersRecord
    data: bytes = b""

    def frame(self) -> bytes:
        self.data = self.data or frame(encode(self.record))
        return self.data


class UnixBus:
    """Ingest's end.

    Args:
        listener: from :func:`listen`; it outlives this process, so edges just wait for the next.
        keep: newest transfers kept for edges that connect again.
    """

    def __init__(self, listener: socket.socket, keep: int) -> None:
        self._listener = listener
        self._keep = keep
        self._kept = 0
        self._tail: deque[Kept] = deque()
        self._lasting: dict[type, bytes] = {}
        self._edges: dict[IOStream, str] = {}
        self._on_report: Report | None = None
        self._on_lost: Callable[[str], None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._close_listener: Callable[[], None] | None = None

    def start(self) -> None:
        """Accept edges on the running loop."""
        self._close_listener = add_accept_handler(self._listener, self._accept)

    def stop(self) -> None:
        """Close the connections; the listening socket belongs to the supervisor."""
        if self._close_listener is not None:
            self._close_listener()
        for stream in list(self._edges):
            stream.close()
        for task in self._tasks:
            task.cancel()

    async def flush(self) -> None:
        """Wait until what was published is with the kernel, a second at most."""
        for _ in range(100):
            if not self.busy:
                return
            await asyncio.sleep(0.01)

    @property
    def busy(self) -> bool:
        """What was published is not with the kernel yet."""
        return any(stream.writing() for stream in self._edges)

    def on_report(self, handler: Report, lost: Callable[[str], None]) -> None:
        """Be called with an edge's name and counters, and with its name when it is gone."""
        self._on_report, self._on_lost = handler, lost

    def preload(self, records: Iterable[TransfersRecord]) -> None:
        """Before the first record: what an earlier run published, for edges that have not got it."""
        for record in records:
            self._remember(Kept(record))

    def publish(self, record: Record) -> None:
        """Hand a record to every edge, in order."""
        data = frame(encode(record))
        if isinstance(record, LASTING):
            self._lasting[type(record)] = data
        elif isinstance(record, TransfersRecord):
            self._remember(Kept(record, data))
        for stream in list(self._edges):
            self._write(stream, data)

    def _remember(self, kept: Kept) -> None:
        self._tail.append(kept)
        self._kept += len(kept.record.items)
        while self._kept > self._keep and len(self._tail) > 1:
            self._kept -= len(self._tail.popleft().record.items)

    def _write(self, stream: IOStream, data: bytes) -> None:
        try:
            future = stream.write(data)
        except StreamBufferFullError:
            log.warning("edge cut off: too slow for the bus", extra={"fields": {"edge": self._edges[stream]}})
            stream.close()
            return
        except StreamClosedError:
            return
        future.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _accept(self, connection: socket.socket, _address: Any) -> None:
        if peer_user(connection) != os.getuid():
            log.warning("bus connection of another user refused")
            connection.close()
            return
        connection.setblocking(False)
        stream = IOStream(connection, max_write_buffer_size=MAX_WAITING)
        task = asyncio.ensure_future(self._serve(stream))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, stream: IOStream) -> None:
        name = ""
        try:
            async for data in frames(stream):
                message = ujson.loads(data)
                if not name:
                    name = str(message["edge"])
                    self._greet(stream, name, message)
                elif self._on_report is not None:
                    self._on_report(name, message)
        except (ValueError, KeyError, TypeError) as error:
            log.warning("bus connection closed", extra={"fields": {"edge": name, "error": str(error)}})
        finally:
            stream.close()
            known = self._edges.pop(stream, None) is not None
            if known and self._on_lost is not None and name not in self._edges.values():
                self._on_lost(name)

    def _greet(self, stream: IOStream, name: str, position: Mapping[str, JSON]) -> None:
        self._edges[stream] = name
        self._write(stream, b"".join(self.greeting(position.get("epoch", ""), position.get("seq", 0))))

    def greeting(self, epoch: JSON, seq: JSON) -> list[bytes]:
        """Frames for an edge at a position: the state, the transfers behind it, the newest of each kind."""
        state = self._lasting.get(StateRecord)
        lasting = [data for kind, data in self._lasting.items() if kind is not StateRecord]
        return [*([state] if state else []), *self._behind(epoch, seq), *lasting]

    def _behind(self, epoch: JSON, seq: JSON) -> list[bytes]:
        """What was published behind a position, the newest of it where it is too much for one write.

        Positions of two epochs compare by place only.
        """
        missed: list[bytes] = []
        size = 0
        for kept in reversed(self._tail):
            if kept.record.epoch == epoch and kept.record.seq <= seq:
                break
            size += len(kept.frame())
            if size > MAX_WAITING // 2:
                break
            missed.append(kept.data)
        return missed[::-1]


def peer_user(connection: socket.socket) -> int:
    """User id of the process at the other end (unix(7), SO_PEERCRED)."""
    size = struct.calcsize("3i")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    return int(struct.unpack("3i", credentials)[1])


class UnixBusEdge:
    """An edge's end: connects, and connects again for as long as it runs.

    Args:
        name: the edge's.
        position: asked at each connect for ``(epoch, seq)`` of the last record delivered.
    """

    def __init__(self, address: str, name: str, position: Callable[[], tuple[str, int]]) -> None:
        self._address = address
        self._name = name
        self._position = position
        self._stream: IOStream | None = None
        self._task: asyncio.Task[None] | None = None

    def subscribe(self, deliver: Deliver) -> None:
        """Deliver every record from now on, on the running loop."""
        self._task = asyncio.ensure_future(self._run(deliver))

    async def stop(self) -> None:
        """Disconnect for good."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._stream is not None:
            self._stream.close()

    def report(self, edge: str, counters: Mapping[str, JSON]) -> None:
        """Send counters up, when connected."""
        if self._stream is not None and not self._stream.closed():
            self._send(counters)

    def _send(self, message: JSON) -> None:
        assert self._stream is not None
        try:
            future = self._stream.write(frame(ujson.dumps(message).encode()))
        except StreamClosedError:
            return
        future.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _run(self, deliver: Deliver) -> None:
        first, longest = RECONNECT_SECONDS
        wait = first
        while True:
            try:
                await self._follow(deliver)
                wait = first
            except (OSError, StreamClosedError, ValueError) as error:
                log.debug("bus not reached", extra={"fields": {"error": str(error)}})
            except Exception:
                log.exception("a record of the bus was not taken")
            await asyncio.sleep(wait)
            wait = min(wait * 2, longest)

    async def _follow(self, deliver: Deliver) -> None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.setblocking(False)
        self._stream = IOStream(connection, max_buffer_size=2 * MAX_FRAME)
        try:
            await self._stream.connect("\0" + self._address)
            epoch, seq = self._position()
            self._send({"edge": self._name, "epoch": epoch, "seq": seq})
            async for data in frames(self._stream):
                deliver(decode(data))
        finally:
            self._stream.close()
