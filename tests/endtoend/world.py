"""A service without an indexer, a clock or a network: one edge on a loop that is turned by hand."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from tests.endtoend.follower import Follower, Ledger, Resume
from unionws import app
from unionws.clock import ManualClock, milliseconds
from unionws.connections.handshake import Refuse, Upgrade
from unionws.edge import Edge
from unionws.model import Fragment, StateRecord, TransfersRecord
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
KEPT_RECORDS = 4
"""Of the bus, for an edge that connects anew."""

HEADERS = {
    "host": "example.org",
    "upgrade": "websocket",
    "connection": "Upgrade",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
}


class Disk:
    """History that holds all that was published from ``lowest`` on, and answers a turn later."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.lowest: int | None = None
        self.records: list[TransfersRecord] = []

    def _rows(self) -> list[tuple[int, Fragment, int, str]]:
        """Number, transfer, time of publishing and cursor, of all that is held."""
        rows = []
        for record in self.records:
            first = record.seq - len(record.items) + 1
            rows += [
                (first + i, item, record.timestamp, record.cursor) for i, item in enumerate(record.items)
            ]
        return [row for row in rows if self.lowest is not None and row[0] >= self.lowest]

    async def between(self, first: int, last: int) -> TransfersRecord:
        await asyncio.sleep(0)
        rows = [row for row in self._rows() if first <= row[0] <= last]
        items, cursor = tuple(row[1] for row in rows), rows[-1][3] if rows else ""
        epoch = self.records[-1].epoch if self.records else ""
        return TransfersRecord(epoch, last, cursor, False, 0, items)

    async def position_before(self, cursor: str, back_ms: int) -> int | None:
        await asyncio.sleep(0)
        rows = self._rows()
        nearest = max((row for row in rows if row[1].sort_order <= cursor), key=_key, default=None)
        if nearest is None:
            return None
        earlier = [seq for seq, _, published, _ in rows if published < nearest[2] - back_ms]
        return earlier[-1] if earlier else None


def _key(row: tuple[int, Fragment, int, str]) -> str:
    return row[1].sort_order


class World:
    """Publishes, and lets followers in.

    Args:
        disk: whether there is history behind the edge's memory.
    """

    def __init__(self, disk: bool) -> None:
        self.ledger = Ledger()
        self.clock = ManualClock()
        self.epoch, self.seq, self.cursor = "epoch0000", 0, ""
        self.ledger.places[self.epoch, 0] = 0
        self._host = PluginHost(SETTINGS)
        self._host.load(app.BUILTINS)
        self._kept: deque[TransfersRecord] = deque(maxlen=KEPT_RECORDS)
        self._has_disk = disk
        self.disk = Disk(self.ledger)
        self._loop = asyncio.new_event_loop()
        self.edge = self.call(self._new_edge)

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

    # -- ingest ---------------------------------------------------------------------------------

    def publish(self, items: Sequence[Fragment], *, delivered: bool = True) -> None:
        """Number some transfers and hand them to the edge, unless the bus has lost them."""
        for item in items:
            self.ledger.items.append(item)
            place = len(self.ledger.items)
            self.ledger.place_of[item.sort_order] = place
            self.seq += 1
            self.ledger.places[self.epoch, self.seq] = place
        self.cursor = max(self.cursor, *(item.sort_order for item in items))
        record = TransfersRecord(self.epoch, self.seq, self.cursor, False, self._now(), tuple(items))
        self._kept.append(record)
        if self._has_disk:
            self.disk.records.append(record)
            self.disk.lowest = self.disk.lowest or self.seq - len(items) + 1
        if delivered:
            self.call(lambda: self.edge.on_record(record))

    def _now(self) -> int:
        return milliseconds(self.clock.time())

    def expire(self) -> None:
        """Let the older half of the history on disk go."""
        if self.disk.lowest is not None:
            self.disk.lowest = (self.disk.lowest + self.seq + 1) // 2

    def new_epoch(self, *, anew: bool) -> None:
        """Ingest cannot prove that it goes on where it ended; ``anew``: it has lost its state altogether."""
        before, self.epoch = self.epoch, f"epoch{int(self.epoch[5:]) + 1:04}"
        if anew:
            self.seq, self.cursor = 0, ""
            self.disk.records.clear()
            self.disk.lowest = None
            self._kept.clear()
            self.ledger.places[self.epoch, 0] = len(self.ledger.items)
        else:
            known = [(seq, place) for (epoch, seq), place in self.ledger.places.items() if epoch == before]
            self.ledger.places.update({(self.epoch, seq): place for seq, place in known})

    # -- the edge -------------------------------------------------------------------------------

    def _new_edge(self) -> Edge:
        """An edge as the bus greets it: the state, then what is kept."""
        edge = Edge(SETTINGS, self._host, self.clock, archive=self.disk if self._has_disk else None)
        edge.parking.start()
        edge.on_record(StateRecord(self._now(), self.epoch, self.seq, self.cursor, {}))
        for record in self._kept:
            edge.on_record(record)
        return edge

    def kill_edge(self) -> None:
        """The edge ends without a word, and another takes its place."""
        self.call(self.edge.stop)
        self.edge = self.call(self._new_edge)

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
