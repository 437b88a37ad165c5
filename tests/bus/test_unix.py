"""unionws.bus.unix: records between processes in order, without hole or repeat over reconnects."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from unionws.bus import unix
from unionws.model import ChainsRecord, Fragment, Record, StateRecord, TransfersRecord

EPOCH = "epoch0000001"


def record(seq: int, size: int = 10) -> TransfersRecord:
    item = Fragment("s", "a.1", "b.2", "", "", "", "", "", False, 0, b'"%s"' % (b"x" * size))
    return TransfersRecord(EPOCH, seq, f"{seq:09}", False, seq, (item,))


def state(seq: int) -> StateRecord:
    return StateRecord(0, EPOCH, seq, "", {"v": {"n": seq}})


async def until(condition: Callable[[], Any]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come about in time")


class Edge:
    """An edge's end that notes what it gets and knows its position."""

    def __init__(self, address: str, name: str = "e0") -> None:
        self.got: list[Record] = []
        self.place = ("", 0)
        self.end = unix.UnixBusEdge(address, name, lambda: self.place)

    def take(self, record: Record) -> None:
        self.got.append(record)
        if isinstance(record, TransfersRecord):
            self.place = (record.epoch, record.seq)

    @property
    def seqs(self) -> list[int]:
        return [record.seq for record in self.got if isinstance(record, TransfersRecord)]


def run(scene: Callable[[socket.socket, str], Any]) -> None:
    """Play a scene with a listening socket of its own."""
    listener, address = unix.listen()

    async def whole() -> None:
        await scene(listener, address)
        await asyncio.sleep(0.01)

    try:
        asyncio.run(whole())
    finally:
        listener.close()


def test_state_comes_first_then_history_then_what_lasts() -> None:
    """A new edge knows the position before the transfers, so it can tell old from new."""

    async def scene(listener: socket.socket, address: str) -> None:
        bus, edge = unix.UnixBus(listener, 100), Edge(address)
        for made in (ChainsRecord(1, b"[]"), record(1), record(2), state(2)):
            bus.publish(made)
        bus.start()
        edge.end.subscribe(edge.take)
        await until(lambda: len(edge.got) == 4)
        assert edge.got == [state(2), record(1), record(2), ChainsRecord(1, b"[]")]
        await edge.end.stop()
        bus.stop()

    run(scene)


def test_an_edge_that_connects_again_gets_what_it_missed_once() -> None:
    """Also when ingest was replaced by another that knows the same tail."""

    async def scene(listener: socket.socket, address: str) -> None:
        first, edge = unix.UnixBus(listener, 100), Edge(address)
        first.start()
        edge.end.subscribe(edge.take)
        await until(lambda: first._edges)
        for seq in (1, 2, 3):
            first.publish(record(seq))
        await until(lambda: edge.seqs == [1, 2, 3])
        first.stop()
        second = unix.UnixBus(listener, 100)
        second.preload([record(seq) for seq in range(1, 6)])
        second.start()
        await until(lambda: edge.seqs == [1, 2, 3, 4, 5])
        second.publish(record(6))
        await until(lambda: edge.seqs == [1, 2, 3, 4, 5, 6])
        await edge.end.stop()
        second.stop()

    run(scene)


def test_only_the_newest_are_kept_for_who_comes_late() -> None:
    """The tail is bounded; older ones are on disk."""

    async def scene(listener: socket.socket, address: str) -> None:
        bus, edge = unix.UnixBus(listener, 3), Edge(address)
        for seq in range(1, 10):
            bus.publish(record(seq))
        bus.start()
        edge.end.subscribe(edge.take)
        await until(lambda: edge.seqs)
        assert edge.seqs == [7, 8, 9]
        await edge.end.stop()
        bus.stop()

    run(scene)


def test_counters_go_up_and_an_edge_that_is_gone_is_reported() -> None:
    """By the name it gave."""

    async def scene(listener: socket.socket, address: str) -> None:
        bus, edge = unix.UnixBus(listener, 3), Edge(address, "e7")
        reports: list[tuple[str, Mapping[str, Any]]] = []
        lost: list[str] = []
        bus.on_report(lambda name, counters: reports.append((name, counters)), lost.append)
        bus.start()
        edge.end.subscribe(edge.take)
        await until(lambda: bus._edges)
        edge.end.report("e7", {"clients": 3})
        await until(lambda: reports)
        assert reports == [("e7", {"clients": 3})]
        await edge.end.stop()
        await until(lambda: lost)
        assert lost == ["e7"]
        bus.stop()

    run(scene)


def test_an_edge_too_slow_for_the_bus_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What waits for it is bounded, and the others go on."""
    monkeypatch.setattr(unix, "MAX_WAITING", 200_000)

    async def scene(listener: socket.socket, address: str) -> None:
        bus, quick = unix.UnixBus(listener, 3), Edge(address)
        bus.start()
        quick.end.subscribe(quick.take)
        slow = socket.socket(socket.AF_UNIX)
        slow.connect("\0" + address)
        slow.sendall(unix.frame(b'{"edge":"slow","epoch":"","seq":0}'))
        await until(lambda: len(bus._edges) == 2)
        for seq in range(1, 60):
            bus.publish(record(seq, 20_000))
            await asyncio.sleep(0)
            await until(lambda seq=seq: seq in quick.seqs)
        assert list(bus._edges.values()) == ["e0"]
        slow.close()
        await quick.end.stop()
        bus.stop()

    run(scene)
    assert "too slow" in caplog.text


@pytest.mark.parametrize("sent", [b"\xff\xff\xff\xff", b"\0\0\0\2[]", b"\0\0\0\1{"])
def test_who_speaks_otherwise_is_hung_up_on(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """A length nobody sends, a greeting that is none, no JSON."""

    async def scene(listener: socket.socket, address: str) -> None:
        bus = unix.UnixBus(listener, 3)
        bus.start()
        stranger = socket.socket(socket.AF_UNIX)
        stranger.connect("\0" + address)
        stranger.sendall(sent)
        stranger.setblocking(False)
        assert await asyncio.get_running_loop().sock_recv(stranger, 10) == b""
        stranger.close()
        bus.stop()

    run(scene)
    assert "bus connection closed" in caplog.text


def test_the_user_at_the_other_end_is_known() -> None:
    """By the kernel, not by what it says."""
    import os

    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        assert unix.peer_user(one) == os.getuid()
