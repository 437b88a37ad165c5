"""Parked connections over real TCP sockets: writing, keep-alive and both ways to close."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from functools import partial

import pytest

from tests.connections.lot import INTERVAL, LIMITS, Lot, chart, lots, tcp_pair, transfers
from tests.connections.test_budget import NoTime
from tests.connections.test_client import check_account, told
from tests.connections.wire import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Got,
    Peer,
    close_frame,
    masked,
)
from unionws import frames
from unionws.connections.client import SKIP_WINDOW, Client
from unionws.connections.parking import CLOSE_TIMEOUT, EVENTS_AT_ONCE, PONG_TIMEOUT
from unionws.frames import Frame


@pytest.fixture
def lot() -> Iterator[Lot]:
    with lots() as made:
        yield made


# -- turns --------------------------------------------------------------------------------------


def test_a_flood_leaves_the_loop_turn_once_its_budget_is_spent(lot: Lot) -> None:
    """A few are read per turn where there is no time, in the order they came, and nobody is forgotten."""
    budget = NoTime()
    lot.parking._budget = budget
    turns: list[int] = []
    lot.on_message = lambda client, message: turns.append(budget.turns)
    peers = [lot.park()[1] for _ in range(5 * EVENTS_AT_ONCE)]
    lot.loop.call(lambda: [peer.send(masked(TEXT, b"hello")) for peer in peers])
    lot.loop.until(lambda: len(turns) == len(peers))
    assert max(turns.count(turn) for turn in turns) <= EVENTS_AT_ONCE


# -- closing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sent", "echoed"), [(1000, 1000), (4999, 4999), (1001, 1001), (None, 1000)])
def test_close_of_the_client_is_echoed(lot: Lot, sent: int | None, echoed: int) -> None:
    """RFC 6455 §5.5.1 and §7.1.1: the code comes back, then the server closes TCP."""
    client, peer = lot.park()
    peer.send(close_frame(sent))
    assert [got.code for got in peer.frames()] == [echoed]
    lot.loop.until(lambda: lot.gone)
    assert lot.gone == [(client, echoed)]
    assert (len(lot.parking), lot.parking.closing, client.fd) == (0, 0, -1)


def test_close_of_the_server_waits_for_the_answer(lot: Lot) -> None:
    """Last words, close frame, end of stream; the descriptor goes when the client has answered."""
    client, peer = lot.park()
    lot.close(client, 4200, "restart", frames.text(b"bye"))
    assert peer.frames() == [Got(TEXT, b"bye"), Got(CLOSE, (4200).to_bytes(2, "big") + b"restart")]
    assert (len(lot.parking), lot.parking.closing, list(lot.parking)) == (0, 1, [])
    peer.send(masked(TEXT, b"still talking") + close_frame(4200))
    lot.loop.until(lambda: lot.parking.closing == 0)
    assert client.fd == -1
    assert lot.gone == [(client, 4200)]
    assert lot.messages == []


def test_close_in_the_middle_of_a_message_stays_in_step(lot: Lot) -> None:
    """The rest of a message under way is no frame, and the close frame behind it is found."""
    client, peer = lot.park()
    data = masked(BINARY, close_frame(1000) * 50, mask=b"\0\0\0\0")
    peer.send(data[:100])
    lot.loop.until(lambda: client.inbox is not None)
    lot.close(client, 4200)
    assert len(peer.frames()) == 1
    peer.send(data[100:] + masked(PING, b""))
    peer.send(masked(PING, b""))
    lot.loop.until(lambda: client.inbox is None)
    assert lot.parking.closing == 1
    peer.send(close_frame(4200))
    lot.loop.until(lambda: lot.parking.closing == 0)


def test_client_that_never_answers_a_close_is_dropped(lot: Lot) -> None:
    """After CLOSE_TIMEOUT nobody waits any more."""
    client, peer = lot.park()
    lot.close(client, 4200)
    lot.clock.advance(CLOSE_TIMEOUT - 0.1)
    lot.sweep()
    assert lot.parking.closing == 1
    lot.clock.advance(0.2)
    lot.sweep()
    assert lot.parking.closing == 0
    assert [got.code for got in peer.frames()] == [4200]


def test_nothing_is_sent_behind_a_close_frame(lot: Lot) -> None:
    """A client that is closing gets no frames, and is not dropped for it either."""
    client, peer = lot.park()
    lot.close(client, 4200)
    lot.send(client, transfers(0, 1))
    lot.loop.call(lot.parking.broken, client)
    lot.close(client, 1000)
    assert lot.parking.closing == 1
    assert [got.code for got in peer.frames()] == [4200]
    assert lot.parking.counters.closed == 1


def test_client_that_vanishes_is_gone(lot: Lot) -> None:
    """An end of stream without a close frame is 1006."""
    client, peer = lot.park()
    peer.close()
    lot.loop.until(lambda: lot.gone)
    assert lot.gone == [(client, 1006)]
    assert len(lot.parking) == 0


def test_reset_is_noticed_at_once(lot: Lot) -> None:
    """A reset is 1006 too."""
    client, peer = lot.park()
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()
    lot.loop.until(lambda: lot.gone)
    assert lot.gone == [(client, 1006)]


def test_closed_client_is_never_written_to_again(lot: Lot) -> None:
    """Its descriptor number may belong to somebody else already."""
    old, old_peer = lot.park()
    number = old.fd
    ours, theirs = tcp_pair(0)
    ours.setblocking(False)
    old_peer.close()
    lot.loop.until(lambda: lot.gone)
    os.dup2(ours.fileno(), number)
    ours.close()
    new = lot.loop.call(lot.parking.park, number, "192.0.2.2", deflate=False)
    for action in (lot.parking.send, lambda client, frame: lot.parking.blocked(client, frame, 0)):
        lot.loop.call(action, old, transfers(0, 1))
    lot.loop.call(lot.parking.broken, old)
    lot.close(old, 4200)
    lot.send(new, Frame(frames.text(b"mine")))
    with Peer(theirs) as peer:
        assert peer.frame() == Got(TEXT, b"mine")
        assert new.fd == number


def test_stop_closes_everybody(lot: Lot) -> None:
    """No descriptor is left open."""
    (client, peer), (closing, _) = lot.park(), lot.park()
    lot.close(closing, 1000)
    lot.loop.call(lot.parking.stop)
    assert (client.fd, closing.fd) == (-1, -1)
    assert peer.ended()
    lot.parking = lot.loop.call(lot._build, LIMITS)


# -- slow readers -------------------------------------------------------------------------------


def read_text(peer: Peer, count: int) -> list[str]:
    """The texts of the next frames, without filler."""
    got = [peer.frame() for _ in range(count)]
    return told(b"".join(frame.payload for frame in got if frame is not None))


def test_slow_reader_gets_everything_within_the_bounds(lot: Lot) -> None:
    """What the kernel does not take waits, and comes in order."""
    client, peer = lot.park(buffers=4096)
    newest = lot.stall(client)
    lot.send(client, transfers(newest, newest + 1))
    assert list(lot.parking.backlogged) == [client]
    assert read_text(peer, newest + 1) == [f"T {seq - 1} {seq}" for seq in range(1, newest + 2)]
    lot.loop.until(lambda: client.backlog is None)
    assert lot.parking.counters.blocked == 1


def test_stalled_reader_is_told_its_gap_and_goes_on_live(lot: Lot) -> None:
    """Skipped positions are named, nothing is sent twice, and live frames follow."""
    client, peer = lot.park(buffers=4096)
    newest = lot.stall(client) + 40
    for seq in range(newest - 39, newest + 1):
        lot.send(client, transfers(seq - 1, seq))
    assert lot.parking.counters.skipped == 1
    seen: list[str] = []
    while not seen or seen[-1] != f"T {newest - 1} {newest}":
        seen += read_text(peer, 1)
    check_account(seen, newest)
    assert sum(text.startswith("G") for text in seen) == 1
    lot.send(client, transfers(newest, newest + 1))
    assert read_text(peer, 1) == [f"T {newest} {newest + 1}"]


def test_skips_are_remembered_after_the_queue_is_empty(lot: Lot) -> None:
    """Who catches up between two skips is still a slow consumer, for a minute."""
    client, peer = lot.park(buffers=4096)
    newest = lot.stall(client) + 30
    for seq in range(newest - 29, newest + 1):
        lot.send(client, transfers(seq - 1, seq))
    while not lot.loop.call(lambda: client.backlog is None or not client.backlog):
        assert peer.frame()
    assert client.backlog is not None
    assert client.backlog.skipped == 1
    lot.clock.advance(SKIP_WINDOW)
    lot.stall(client)
    lot.loop.until(lambda: peer.socket.recv(65_536) and client.backlog is None)


def test_ten_skips_close_the_slow_consumer(lot: Lot) -> None:
    """4103 is the last frame, and whole, after all the client has got."""
    client, peer = lot.park(buffers=4096)
    seq = lot.stall(client)
    while client in list(lot.parking):
        seq += 1
        lot.send(client, transfers(seq - 1, seq))
    lot.send(client, transfers(seq, seq + 1))
    assert lot.gone == [(client, 4103)]
    assert (lot.parking.counters.given_up, lot.parking.counters.skipped) == (1, 10)
    *_, last = peer.frames()
    assert (last.opcode, last.code) == (CLOSE, 4103)


def test_given_up_in_the_middle_of_a_joined_frame(lot: Lot) -> None:
    """The parts behind the one that was too much are not sent after the close frame."""
    client, peer = lot.park(buffers=4096)
    lot.stall(client)
    parts = tuple(Frame(frames.text(b"[O n%d%s]" % (number, b"." * 40_000))) for number in range(6))
    lot.send(client, Frame(b"".join(part.data for part in parts), parts=parts))
    assert lot.gone == [(client, 4103)]
    *_, last = peer.frames()
    assert last.code == 4103


def test_close_frame_follows_a_frame_larger_than_the_bounds(lot: Lot) -> None:
    """A client that has half of a large frame still gets the whole and the close frame."""
    client, peer = lot.park(buffers=4096)
    large = frames.text(b"x" * 3_000_000)
    lot.send(client, Frame(large))
    assert client.backlog
    lot.close(client, 4200)
    first, last = peer.frames()
    assert (len(first.payload), last.code) == (3_000_000, 4200)


def test_chart_waits_only_once(lot: Lot) -> None:
    """The newest chartData replaces the one that waits, also inside joined frames."""
    client, peer = lot.park(buffers=4096)
    newest = lot.stall(client)
    lot.send(client, chart(1))
    both = (transfers(newest, newest + 1), chart(2))
    lot.send(client, Frame(b"".join(part.data for part in both), newest, newest + 1, parts=both))
    lot.send(client, chart(3))
    assert read_text(peer, newest + 2)[newest - 1 :] == [
        f"T {newest - 1} {newest}",
        f"T {newest} {newest + 1}",
        "C 3",
    ]


# -- keep-alive ---------------------------------------------------------------------------------


def test_everybody_is_pinged_once_per_interval(lot: Lot) -> None:
    """One sweep a second over a part of the clients reaches all of them."""
    parked = [lot.park() for _ in range(5)]
    lot.sweep(PONG_TIMEOUT - 1)
    for _, peer in parked:
        peer.send(masked(PONG))
    lot.loop.until(lambda: all(client.seen for client, _ in parked))
    lot.sweep(INTERVAL - PONG_TIMEOUT + 1)
    for client, peer in parked:
        lot.close(client, 4200)
        assert [got.opcode for got in peer.frames()] == [PING, CLOSE]


def test_silent_client_is_closed_with_4201(lot: Lot) -> None:
    """Nobody waits longer than PING_INTERVAL and PONG_TIMEOUT for a dead peer."""
    client, peer = lot.park()
    for _ in range(INTERVAL + PONG_TIMEOUT):
        lot.sweep()
    assert lot.gone == [(client, 4201)]
    assert lot.parking.counters.pong_timeouts == 1
    assert peer.frames()[-1].code == 4201


def heard_at(client: Client, tick: int) -> bool:
    return client.seen == tick


@pytest.mark.parametrize("answer", [masked(PONG), masked(PONG, b"payload"), masked(TEXT, b"x")])
def test_client_that_says_anything_stays(lot: Lot, answer: bytes) -> None:
    """A pong, or any other sign of life, is enough."""
    client, peer = lot.park()
    for swept in range(PONG_TIMEOUT, 3 * INTERVAL, PONG_TIMEOUT):
        lot.sweep(PONG_TIMEOUT)
        peer.send(answer)
        lot.loop.until(partial(heard_at, client, swept))
    assert lot.gone == []


def waiting(client: Client) -> int:
    return client.backlog.size if client.backlog else 0


def took_more(client: Client, before: int) -> bool:
    return waiting(client) < before or not before


def test_slow_reader_that_reads_is_alive(lot: Lot) -> None:
    """A client with a queue is not pinged behind it, and lives as long as it takes bytes."""
    client, peer = lot.park(buffers=4096)
    lot.send(client, Frame(frames.text(b"x" * 3_000_000)))
    for _ in range(INTERVAL + PONG_TIMEOUT):
        lot.sweep()
        before = waiting(client)
        assert peer.socket.recv(65_536)
        lot.loop.until(partial(took_more, client, before))
    assert lot.gone == []


def test_reader_that_stopped_is_found(lot: Lot) -> None:
    """A client with a queue that takes nothing is closed in the same time as any other."""
    client, _ = lot.park(buffers=4096)
    lot.stall(client)
    lot.sweep(INTERVAL + PONG_TIMEOUT)
    assert lot.gone == [(client, 4201)]
