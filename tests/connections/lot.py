"""A car park for tests: real TCP sockets parked on a loop of their own."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from tests.connections.wire import Peer
from tests.looped import LoopThread
from unionws import frames
from unionws.clock import ManualClock
from unionws.connections.client import Client
from unionws.connections.inbox import Message
from unionws.connections.limits import Limits
from unionws.connections.parking import Parking
from unionws.frames import Frame

INTERVAL = 20
LIMITS = Limits(max_message=1000, backlog_bytes=100_000, backlog_frames=50)


def gap_frame(_client: Client, first: int, last: int) -> Frame:
    return Frame(frames.text(b"[G %d %d]" % (first, last)), first, last)


def transfers(prev: int, seq: int, size: int = 4000) -> Frame:
    return Frame(frames.text(b"[T %d %d%s]" % (prev, seq, b"." * size)), prev, seq)


def chart(rev: int, size: int = 4000) -> Frame:
    return Frame(frames.text(b"[C %d%s]" % (rev, b"." * size)), chart=True)


class Lot:
    """A Parking on a loop of its own, with what it reported."""

    def __init__(self, loop: LoopThread, limits: Limits) -> None:
        self.loop = loop
        self.clock = ManualClock()
        self.messages: list[Message] = []
        self.gone: list[tuple[Client, int]] = []
        self.peers: list[Peer] = []
        self.on_message = lambda client, message: self.messages.append(message)
        self.parking = loop.call(self._build, limits)

    def _build(self, limits: Limits) -> Parking:
        parking = Parking(
            limits,
            on_message=lambda client, message: self.on_message(client, message),
            on_gone=lambda client, code: self.gone.append((client, code)),
            make_gap=gap_frame,
            ping_interval=INTERVAL,
            clock=self.clock,
        )
        parking.start()
        parking._sweeper.stop()  # tests sweep when they want to
        return parking

    def park(self, *, deflate: bool = False, buffers: int = 0) -> tuple[Client, Peer]:
        """A client, and the other end of its connection."""
        ours, theirs = tcp_pair(buffers)
        ours.setblocking(False)
        peer = Peer(theirs, pings=True)
        self.peers.append(peer)
        return self.loop.call(self.parking.park, ours.detach(), "192.0.2.1", deflate=deflate), peer

    def send(self, client: Client, frame: Frame) -> None:
        self.loop.call(self.parking.send, client, frame)

    def close(self, client: Client, code: int, reason: str = "", words: bytes = b"") -> None:
        self.loop.call(self.parking.close, client, code, reason, words)

    def sweep(self, times: int = 1) -> None:
        for _ in range(times):
            self.loop.call(self.parking.sweep)

    def stall(self, client: Client) -> int:
        """Send transfers until the socket takes no more; the newest position."""
        seq = 0
        while not client.backlog:
            seq += 1
            self.send(client, transfers(seq - 1, seq))
        return seq


def tcp_pair(buffers: int) -> tuple[socket.socket, socket.socket]:
    with socket.socket() as listener:
        if buffers:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffers)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        theirs = socket.socket()
        if buffers:
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffers)
        theirs.connect(listener.getsockname())
        ours, _ = listener.accept()
    return ours, theirs


@contextmanager
def lots(limits: Limits = LIMITS) -> Iterator[Lot]:
    with LoopThread() as loop:
        made = Lot(loop, limits)
        try:
            yield made
        finally:
            loop.call(made.parking.stop)
            for peer in made.peers:
                peer.close()
