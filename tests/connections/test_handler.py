"""What comes behind a handshake while it is still being decided, through both doors."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.web import Application

from tests.connections.lot import Lot, lots
from tests.connections.wire import BINARY, PING, PONG, TEXT, Got, Peer, masked, upgrade
from unionws.connections.fastdoor import FastDoor
from unionws.connections.handler import SocketHandler
from unionws.connections.handshake import Accept, Refuse, Upgrade, accept
from unionws.connections.inbox import Message
from unionws.connections.limits import Limits
from unionws.frames import Frame

PATIENCE = 10.0


class Doorkeeper:
    """Lets everybody in, but takes its time to decide until the test says so."""

    def __init__(self, lot: Lot) -> None:
        self._lot = lot
        self.asked = threading.Event()
        self.decided = threading.Event()

    def judge(self, upgrade: Upgrade) -> Any:
        self.asked.set()
        assert self.decided.wait(PATIENCE)
        return "plan"

    def admit(self, plan: Any, key: str, address: str) -> Accept | Refuse:
        return accept(key, "")

    def welcome(self, fd: int, address: str, answer: Accept, plan: Any, early: bytes = b"") -> None:
        parking = self._lot.parking
        client = parking.park(fd, address, deflate=False)
        parking.send(client, Frame(answer.response))
        if early and client.fd >= 0:
            parking.receive(client, early)


class House:
    """One of the two doors on a free port."""

    def __init__(self, lot: Lot, door: str) -> None:
        self.lot = lot
        self.keeper = Doorkeeper(lot)
        listener = socket.create_server(("127.0.0.1", 0))
        # as the service does: without it the fast door may look before the request is there
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 5)
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        self._close = lot.loop.call(self._open, door, listener)

    def _open(self, door: str, listener: socket.socket) -> Callable[[], None]:
        if door == "fast":
            fast = FastDoor("/ws", self.keeper, lambda made, _: made.close())
            fast.open([listener])
            return fast.close
        http = HTTPServer(Application([("/ws", SocketHandler, {"doorkeeper": self.keeper})]))
        http.add_socket(listener)
        return http.stop

    def close(self) -> None:
        self.lot.loop.call(self._close)


@pytest.fixture(params=["fast", "handler"])
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    with lots(Limits(max_message=300_000, backlog_bytes=100_000, backlog_frames=50)) as lot:
        made = House(lot, request.param)
        yield made
        made.close()


def test_frames_and_end_that_come_while_the_handshake_is_judged(house: House) -> None:
    """They are answered before the connection is over."""
    with Peer.connect(house.port) as peer:
        peer.send(upgrade())
        assert house.keeper.asked.wait(PATIENCE)
        peer.send(masked(TEXT, b"one") + masked(PING, b"still there?"))
        peer.socket.shutdown(socket.SHUT_WR)
        house.keeper.decided.set()
        assert peer.response()[0] == 101
        assert peer.frames() == [Got(PONG, b"still there?")]
    house.lot.loop.until(lambda: house.lot.gone)
    assert house.lot.messages == [Message(TEXT, "one")]


def test_frames_and_end_in_one_piece_with_the_handshake(house: House) -> None:
    """The same, all sent at once."""
    house.keeper.decided.set()
    with Peer.connect(house.port) as peer:
        peer.send(upgrade() + masked(TEXT, b"one") + masked(PING, b"still there?"))
        peer.socket.shutdown(socket.SHUT_WR)
        assert peer.response()[0] == 101
        assert peer.frames() == [Got(PONG, b"still there?")]
    assert house.lot.messages == [Message(TEXT, "one")]


def test_more_than_a_door_buffers_behind_the_handshake(house: House) -> None:
    """What is not read by the door is read later, in order."""
    with Peer.connect(house.port) as peer:
        peer.send(upgrade())
        assert house.keeper.asked.wait(PATIENCE)
        peer.send(masked(BINARY, b"x" * 250_000) + masked(PING, b"last"))
        house.keeper.decided.set()
        assert peer.response()[0] == 101
        assert peer.frame() == Got(PONG, b"last")
    assert house.lot.messages == [Message(BINARY, b"x" * 250_000)]


def test_peer_that_leaves_while_it_is_judged(house: House) -> None:
    """It is let in, found gone, and leaves nothing."""
    with Peer.connect(house.port) as peer:
        peer.send(upgrade())
        assert house.keeper.asked.wait(PATIENCE)
    house.keeper.decided.set()
    house.lot.loop.until(lambda: house.lot.gone)
    assert len(house.lot.parking) == 0
