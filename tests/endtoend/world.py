"""A service without an indexer, a clock or a network: one edge on a loop that is turned by hand.

The edge, the bus's memory, numbering and history are the real ones, in a real file. What is played
is what polls, and what kills: a process that dies leaves what it had written, and nothing else.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.endtoend.follower import Follower, Ledger, Resume
from unionws import app
from unionws.bus.records import decode
from unionws.bus.unix import UnixBus
from unionws.clock import ManualClock, milliseconds
from unionws.connections.handshake import Refuse, Upgrade
from unionws.edge import Edge
from unionws.history.positions import Progress
from unionws.history.reader import History
from unionws.history.retention import Bounds
from unionws.history.statefolder import StateFolder
from unionws.history.store import Store
from unionws.model import Fragment, Record, StateRecord, TransfersRecord
from unionws.pluginhost import PluginHost
from unionws.settings import Settings

SETTINGS = Settings(
    PLUGINS_DIR="",
    HISTORY_RING=12,
    MAX_BACKLOG_BYTES=3_000,
    MAX_BACKLOG_FRAMES=6,
    COMPRESSION_LEVEL=0,
    OVERLAP_SECONDS=5.0,
    SPREAD_MS=0,
    FUTURE_BUFFER_MS=0,
    JITTER_MS=0,
)
KEPT = 12
"""Transfers the bus keeps for an edge that connects anew."""

HEADERS = {
    "host": "example.org",
    "upgrade": "websocket",
    "connection": "Upgrade",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
}


class Past:
    """The history on disk as the edge reads it, an answer a turn later.

    Attributes:
        lowest: as it was when the edge asked last.
    """

    def __init__(self, path: Path) -> None:
        self._history = History(path)
        self.lowest: int | None = None

    def refresh(self) -> None:
        low, high = self._history.span()
        self.lowest = low if low <= high else None

    async def between(self, first: int, last: int) -> TransfersRecord:
        await asyncio.sleep(0)
        return self._history.between(first, last)

    async def position_before(self, cursor: str, back_ms: int) -> int | None:
        await asyncio.sleep(0)
        return self._history.position_before(cursor, back_ms)

    def close(self) -> None:
        self._history.close()


class World:
    """Publishes, and lets followers in.

    Args:
        disk: whether there is history behind the edge's memory.

    Attributes:
        epochs: all there were.
        troubles: what happened that a client may have to be told of; reading slowly is not known here.
    """

    def __init__(self, disk: bool) -> None:
        self.ledger = Ledger()
        self.clock = ManualClock()
        self.epochs: list[str] = []
        self.troubles: set[str] = {"slow"} if disk else {"slow", "no disk"}
        self._room = TemporaryDirectory(prefix="unionws-rules-")
        self._path = Path(self._room.name) / "state"
        self._host = PluginHost(SETTINGS)
        self._host.load(app.BUILTINS)
        self._has_disk = disk
        self._refuses = False
        self._unstored: list[Fragment] = []
        self._loop = asyncio.new_event_loop()
        self._listener = socket.socket()
        self._open_store()
        self.past = Past(self._folder.database)
        self._start_edge()

    # -- the loop -------------------------------------------------------------------------------

    def call(self, action: Callable[[], Any]) -> Any:
        """Do something on the loop."""

        async def act() -> Any:
            return action()

        return self._loop.run_until_complete(act())

    def turn(self, count: int = 1) -> None:
        """Let the loop do what is due, some times."""

        async def turns() -> None:
            for _ in range(count):
                await asyncio.sleep(0)

        self._loop.run_until_complete(turns())

    def close(self) -> None:
        """End everything."""
        self.call(self.edge.stop)
        self.turn(3)
        self._loop.close()
        self.past.close()
        self._die()
        self._listener.close()
        self._room.cleanup()

    # -- ingest ---------------------------------------------------------------------------------

    def _open_store(self) -> None:
        """Ingest starts: it goes on where the file says, and has for edges what it may not have sent."""
        before = self.epochs[-1] if self.epochs else ""
        self._folder = StateFolder(self._path)
        self.store = Store(self._folder, SETTINGS, self.clock)
        self.store.progress = lambda: Progress(self.store.numbering.cursor, lambda: ())
        self.store.open()
        assert self.store.problem is None
        if self.store.numbering.epoch != before:
            self._count_anew(before)
        self._bus = UnixBus(self._listener, KEPT)
        self._bus.preload(self.store.tail(SETTINGS.HISTORY_RING))
        self._bus.publish(self._state())

    def _count_anew(self, before: str) -> None:
        """Another epoch: what is stored has the same numbers in it, and what is not has none."""
        epoch, seq = self.store.numbering.epoch, self.store.numbering.seq
        places = self.ledger.places
        known = [(number, place) for (name, number), place in places.items() if name == before]
        places.update({(epoch, number): place for number, place in known if number <= seq})
        if seq == 0:  # nothing is left of what was published
            places[epoch, 0] = len(self.ledger.items)
        self.epochs.append(epoch)

    def _state(self) -> StateRecord:
        numbering = self.store.numbering
        return StateRecord(self._now(), numbering.epoch, numbering.seq, numbering.cursor, {})

    def publish(self, items: Sequence[Fragment], *, sent: bool = True, delivered: bool = True) -> None:
        """Number some transfers, store them and hand them to the edge.

        Args:
            sent: False: ingest dies before it can.
            delivered: False: the bus loses them.
        """
        for record in self.store.append([(tuple(items), False)], self._now()):
            self._note(record)
            if self.store.problem is not None:
                self._unstored += record.items
            if sent:
                self._bus.publish(record)
            if sent and delivered:
                self._tell(record)

    def _note(self, record: TransfersRecord) -> None:
        for seq, item in enumerate(record.items, record.seq - len(record.items) + 1):
            self.ledger.publish(item, record.epoch, seq)

    def _tell(self, record: Record) -> None:
        self.call(lambda: self.edge.on_record(record))

    def _now(self) -> int:
        return milliseconds(self.clock.time())

    def second(self) -> None:
        """What ingest does each second, and an edge now and then."""
        self.store.tick()
        if self.store.problem is None:
            self._unstored.clear()
        self._bus.publish(self._state())
        self._tell(self._state())
        self.past.refresh()

    def kill_ingest(self) -> None:
        """Ingest dies, and another takes its place; what was not stored is polled again."""
        self._die()
        again, self._unstored = self._unstored, []
        self._open_store()
        self.call(lambda: self._greet(self.edge))
        for item in again:
            self.publish([item])

    def _die(self) -> None:
        """Descriptors are closed and nothing is written. The disk is well again with the next."""
        self._refuses = False
        self.store._checkpoints.stop()
        self.store._database.close()
        self._folder.release()

    def disk_refuses(self) -> None:
        """From now on nothing can be stored."""
        self._refuses = True
        self.troubles.add("disk")

        def refuse(*_: object, **__: object) -> None:
            if self._refuses:
                raise sqlite3.OperationalError("disk I/O error")
            type(database).write(database, *_, **__)  # type: ignore[arg-type]

        database = self.store._database
        database.write = refuse  # type: ignore[method-assign]

    def disk_works(self) -> None:
        """It can again."""
        self._refuses = False

    def expire(self) -> None:
        """Let the older half of the history on disk go."""
        if self.store.problem is None:
            low, high = self.past._history.span()
            self.store._database.prune(Bounds((high - low + 1) // 2, 0), self.store.position)
            self.troubles.add("expired")

    def doubt(self) -> None:
        """Ingest dies, and cannot prove that it goes on where it ended: another epoch, the same numbers."""
        self.troubles.add("doubt")
        self._folder.continuity.unlink(missing_ok=True)
        self.kill_ingest()

    def lose_the_state(self) -> None:
        """Ingest dies and so does the disk: another epoch, which begins at 1."""
        self.troubles.add("state lost")
        self.store._checkpoints.stop()  # it might write while the folder goes
        shutil.rmtree(self._path)
        self.kill_ingest()

    # -- the edge -------------------------------------------------------------------------------

    def _start_edge(self) -> None:
        """An edge serves once it knows the position."""
        self.edge = self.call(self._new_edge)
        self.turn(2)

    def _new_edge(self) -> Edge:
        self.past.refresh()
        edge = Edge(SETTINGS, self._host, self.clock, archive=self.past if self._has_disk else None)
        edge.parking.start()
        self._greet(edge)
        return edge

    def _greet(self, edge: Edge) -> None:
        """What the bus says to an edge that connects."""
        for data in self._bus.greeting(*edge.position()):
            edge.on_record(decode(data[4:]))

    def kill_edge(self) -> None:
        """The edge ends without a word, and another takes its place."""
        self.call(self.edge.stop)
        self._start_edge()

    def restart(self) -> None:
        """The whole service ends as it should, and starts again."""
        closing = self.call(lambda: asyncio.ensure_future(self.edge.close_clients("shutdown")))
        self.turn(2)
        closing.cancel()
        self.call(self.edge.stop)
        self.store.close()
        self._folder.release()
        self._refuses = False
        again, self._unstored = self._unstored if self.store.problem else [], []
        self._open_store()
        self._start_edge()
        for item in again:
            self.publish([item])

    def open(self, follower: Follower, resume: Resume | None) -> None:
        """A follower connects."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the kernel's least
        follower.opened(theirs, resume)
        upgrade = Upgrade("GET", "1.1", follower.query(resume), HEADERS, "127.0.0.1")

        def enter() -> None:
            plan = self.edge.judge(upgrade)
            assert not isinstance(plan, Refuse), plan
            answer = self.edge.admit(plan, HEADERS["sec-websocket-key"], upgrade.address)
            assert not isinstance(answer, Refuse), answer
            self.edge.welcome(ours.detach(), upgrade.address, answer, plan)

        self.call(enter)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += theirs.recv(1)

    def heartbeat(self) -> None:
        """Sixteen quiet seconds."""
        for _ in range(16):
            self.call(self.edge._heartbeat)
