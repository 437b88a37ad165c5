"""What parked clients send, over real TCP sockets: messages, control frames and violations."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
import ujson

from tests.connections.lot import Lot, lots
from tests.connections.wire import BINARY, CONTINUATION, PING, PONG, TEXT, Got, Peer, close_frame, masked
from unionws import frames
from unionws.connections.inbox import Message


@pytest.fixture
def lot() -> Iterator[Lot]:
    with lots() as made:
        yield made


# -- receiving ----------------------------------------------------------------------------------


def test_messages_reach_the_application(lot: Lot) -> None:
    """Text and binary messages are handed over whole, and no parser is left behind."""
    client, peer = lot.park()
    peer.send(masked(TEXT, b"one") + masked(BINARY, b"two"))
    lot.loop.until(lambda: len(lot.messages) == 2)
    assert lot.messages == [Message(TEXT, "one"), Message(BINARY, b"two")]
    assert client.inbox is None


def test_message_may_arrive_byte_by_byte(lot: Lot) -> None:
    """A parser exists only while a message is under way."""
    client, peer = lot.park()
    data = masked(TEXT, b"slow")
    peer.send(data[:3])
    lot.loop.until(lambda: client.inbox is not None)
    for byte in data[3:]:
        peer.send(bytes([byte]))
    lot.loop.until(lambda: lot.messages)
    assert (lot.messages, client.inbox) == ([Message(TEXT, "slow")], None)


def test_ping_is_answered_with_its_payload(lot: Lot) -> None:
    """Also in the middle of a fragmented message."""
    _, peer = lot.park()
    peer.send(masked(TEXT, b"a", fin=False) + masked(PING, b"are you there") + masked(CONTINUATION, b"b"))
    assert peer.frame() == Got(PONG, b"are you there")
    lot.loop.until(lambda: lot.messages)
    assert lot.messages == [Message(TEXT, "ab")]


def test_bytes_from_behind_the_handshake_are_taken(lot: Lot) -> None:
    """What the door read too much is not lost."""
    client, peer = lot.park()
    lot.loop.call(lot.parking.receive, client, masked(PING, b"early")[:5])
    lot.loop.call(lot.parking.receive, client, masked(PING, b"early")[5:])
    assert peer.frame() == Got(PONG, b"early")


def test_compressed_messages_are_read_where_agreed(lot: Lot) -> None:
    """A client that agreed to compression may use it, another one may not."""
    packed = masked(TEXT, frames.deflate(b"packed", 6), rsv=4)
    (_, agreed), (_, not_agreed) = lot.park(deflate=True), lot.park()
    agreed.send(packed)
    not_agreed.send(packed)
    lot.loop.until(lambda: lot.messages)
    assert lot.messages == [Message(TEXT, "packed")]
    assert [got.code for got in not_agreed.frames()] == [1002]


# -- violations ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "code"), [(b"\x81\x05", 1002), (masked(TEXT, b"\xff"), 1007), (close_frame(1005), 1002)]
)
def test_violation_is_answered_with_its_code(lot: Lot, data: bytes, code: int) -> None:
    """The client is told why, and counted."""
    client, peer = lot.park()
    peer.send(data)
    assert [got.code for got in peer.frames()] == [code]
    lot.loop.until(lambda: lot.gone)
    assert lot.gone == [(client, code)]
    assert lot.parking.counters.protocol_errors == 1


def test_too_large_a_message_is_refused_while_it_arrives(lot: Lot) -> None:
    """An error message, then 1009, before the message is there."""
    _, peer = lot.park()
    peer.send(masked(TEXT, b"x" * 10, length=1001))
    error, closed = peer.frames()
    told_to = ujson.loads(error.payload)
    assert (told_to["type"], told_to["code"]) == ("error", "message_too_large")
    assert list(told_to)[-1] == "timestamp"
    assert closed.code == 1009


def test_last_words_survive_unread_megabytes(lot: Lot) -> None:
    """A client that keeps sending still reads why it was closed: no reset destroys it.

    What it sends looks like close frames, so the parser must have given up to understand.
    """
    _, peer = lot.park()
    flood = masked(TEXT, b"", length=8_000_000) + close_frame(1000) * 500_000
    sender = threading.Thread(target=flood_quietly, args=(peer, flood))
    sender.start()
    error, closed = peer.frame(), peer.frame()
    assert error is not None
    assert closed is not None
    assert closed.code == 1009
    sender.join()


def flood_quietly(peer: Peer, data: bytes) -> None:
    """Send everything, then end the stream; fails the test by way of a reset being visible."""
    peer.send(data)
    peer.socket.shutdown(socket.SHUT_WR)
