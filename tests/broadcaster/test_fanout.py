"""Delivery over real sockets: one encoding per group, one send per turn, order, slices."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import ujson

from tests.broadcaster.factory import EPOCH, NOW_MS, fragment, record
from tests.connections.lot import Lot, lots
from tests.connections.wire import Peer
from unionws.broadcaster import fanout as fanout_module
from unionws.broadcaster.fanout import HEARTBEAT, Fanout, join
from unionws.broadcaster.filters import FilterFields
from unionws.broadcaster.groups import GroupKey, Groups
from unionws.builtin.filters import FIELDS
from unionws.connections.client import Client
from unionws.frames import Frame
from unionws.model import ChainsRecord, ChartRecord, MessageRecord, StateRecord, StatusRecord

FILTERS = FilterFields(FIELDS)
CHANNELS = frozenset({"transfers", "chartData", "chains", "status"})


def key(
    *, channels: frozenset[str] = CHANNELS, form: str = "batch", deflate: bool = False, **fields: object
) -> GroupKey:
    return GroupKey(channels, form, deflate, FILTERS.parse(fields))


class Station:
    """A Fanout whose members are parked clients."""

    def __init__(self, lot: Lot) -> None:
        self.lot = lot
        self.call = lot.loop.call
        self.groups = Groups(FILTERS)
        self.fanout = Fanout(self.groups, lot.parking, compress_from=300, compress_level=6)
        self.call(self.fanout.position, EPOCH, 0, "")

    def member(self, wanted: GroupKey | None = None, *, buffers: int = 0) -> tuple[Client, Peer]:
        wanted = wanted or key()
        client, peer = self.lot.park(deflate=wanted.deflate, buffers=buffers)
        self.call(self.groups.join, client, wanted, self.fanout.seq)
        return client, peer

    def submit(self, *records: Any) -> None:
        """Submit in one turn of the loop, and wait until it is delivered."""
        self.call(lambda: [self.fanout.submit(one) for one in records] and None)
        self.lot.loop.until(lambda: self.fanout.idle)


@pytest.fixture
def station() -> Iterator[Station]:
    with lots() as lot:
        yield Station(lot)


def told(peer: Peer) -> dict[str, Any]:
    """The next message, inflated where it is compressed."""
    got = peer.frame()
    assert got is not None
    payload = got.payload
    if got.rsv:
        payload = zlib.decompressobj(-15).decompress(payload + b"\0\0\xff\xff")
    message: dict[str, Any] = ujson.loads(payload)
    return message


def orders(message: dict[str, Any]) -> list[str]:
    return [item["sort_order"] for item in message["data"]]


# -- groups -------------------------------------------------------------------------------------


def test_group_is_encoded_once(station: Station) -> None:
    """Its members get the very same bytes."""
    peers = [station.member()[1] for _ in range(5)]
    station.submit(record(1))
    assert {ujson.dumps(told(peer)) for peer in peers} == {
        ujson.dumps(
            {"type": "transfers", "data": [{"sort_order": "0001"}], "epoch": EPOCH, "seq": 1, "prev": 0}
            | {"cursor": "0001", "timestamp": NOW_MS}
        )
    }
    assert (station.fanout.frames, station.fanout.sends) == (1, 5)


def test_group_is_deflated_once(station: Station) -> None:
    """However many members; below the threshold not at all, and never for who did not agree."""
    packed = [station.member(key(deflate=True))[1] for _ in range(3)]
    plain = station.member()[1]
    station.submit(record(1, *[fragment(f"{number:0200}") for number in range(3)]))
    for peer in packed:
        assert len(orders(told(peer))) == 3
    assert len(orders(told(plain))) == 3
    assert station.fanout.deflates == 1
    station.submit(record(4))
    assert packed[0].frame().rsv == 0  # type: ignore[union-attr]
    assert station.fanout.deflates == 1


def test_filters_with_equal_matches_share_the_frame(station: Station) -> None:
    """Two groups that want the same transfers from the same position are encoded once."""
    station.member(key(fromChains=["a.1"]))
    station.member(key(chains=["a.1"]))
    station.submit(record(1))
    assert (station.fanout.frames, station.fanout.sends) == (1, 2)


def test_filtered_client_sees_no_gap(station: Station) -> None:
    """prev is what the group's last frame accounted for, whatever came between for others."""
    _, peer = station.member(key(fromChains=["c.3"]))
    station.submit(record(1, fragment("0001", source="c.3")))
    station.submit(record(2), record(3))
    station.submit(record(5, fragment("0004"), fragment("0005", source="c.3")))
    first, second = told(peer), told(peer)
    assert (first["prev"], first["seq"], orders(first)) == (0, 1, ["0001"])
    assert (second["prev"], second["seq"], orders(second)) == (1, 5, ["0005"])


def test_single_form_gets_one_message_each(station: Station) -> None:
    """In one send."""
    _, peer = station.member(key(form="single"))
    station.submit(record(2, fragment("0001"), fragment("0002")))
    assert [told(peer)["data"]["sort_order"] for _ in range(2)] == ["0001", "0002"]
    assert station.fanout.sends == 1


def test_records_of_one_turn_go_out_in_one_send(station: Station) -> None:
    """In order, with everything else that became due."""
    _, peer = station.member()
    station.submit(record(1), StatusRecord(5, b"{}"), record(2))
    assert [told(peer)["type"] for _ in range(3)] == ["transfers", "status", "transfers"]
    assert station.fanout.sends == 1


def test_channels_choose_what_comes(station: Station) -> None:
    """Each record goes to the subscribers of its channel; rates only to who asks."""
    everything = station.member()[1]
    rates = station.member(key(channels=frozenset({"rates", "acme.news"})))[1]
    station.submit(
        ChainsRecord(1, b"[]"),
        MessageRecord(2, "acme.news", "acme.headline", b'"hi"'),
        StateRecord(3, EPOCH, 0, "", {}),
        ChartRecord(4, 1, b'{"rev":1}', b'{"txPerMinute":1}'),
        record(1),
    )
    assert {told(everything)["type"] for _ in range(3)} == {"chains", "transfers", "chartData"}
    assert told(rates) == {"type": "acme.headline", "data": "hi", "timestamp": 2}
    assert told(rates) == {"type": "rates", "data": {"txPerMinute": 1}, "timestamp": 4}


def test_newest_chart_of_a_turn_is_sent(station: Station) -> None:
    """Several snapshots due together are one."""
    _, peer = station.member()
    station.submit(*[ChartRecord(4, rev, b'{"rev":%d}' % rev, b"{}") for rev in (1, 2, 3)])
    assert told(peer)["data"] == {"rev": 3}
    assert station.fanout.sends == 1


def test_new_epoch_starts_every_group_anew(station: Station) -> None:
    """Positions of another numbering mean nothing."""
    _, peer = station.member()
    station.submit(record(1))
    station.submit(record(901, epoch="epoch002"))
    told(peer)
    renewed = told(peer)
    assert (renewed["epoch"], renewed["prev"], renewed["seq"]) == ("epoch002", 900, 901)
    assert (station.fanout.epoch, station.fanout.seq) == ("epoch002", 901)


# -- slow and closed members --------------------------------------------------------------------


def test_stalled_member_does_not_hold_up_the_others(station: Station) -> None:
    """It is told its gap when it reads again; the others see nothing of it."""
    stalled, late = station.member(buffers=4096)
    _, reader = station.member()
    filler = [fragment("x" * 4000) for _ in range(5)]
    for number in range(1, 26):
        station.submit(record(5 * number, *filler))
        assert told(reader)["seq"] == 5 * number
    assert stalled.backlog
    assert station.lot.parking.counters.skipped > 0
    got: list[bytes] = []
    while not got or b"[G " not in got[-1]:
        frame = late.frame()
        assert frame is not None
        got.append(frame.payload)
    _, first, last = got[-1].strip(b"[]").split()
    assert int(first) == ujson.loads(got[-2])["seq"]
    assert int(first) < int(last) <= 125


def test_member_closed_during_a_turn_is_left_alone(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets no frame behind its close frame, and its close handshake goes on."""
    monkeypatch.setattr(fanout_module, "SENDS_PER_SLICE", 1)
    members = [station.member() for _ in range(4)]

    def close_the_rest() -> None:
        for client, _ in members:
            station.lot.parking.close(client, 4200, "restart")

    def submit_and_close() -> None:
        station.fanout.submit(record(1))
        station.lot.loop._loop.call_soon(station.lot.loop._loop.call_soon, close_the_rest)

    station.call(submit_and_close)
    station.lot.loop.until(lambda: not station.fanout.busy and station.lot.parking.closing == 4)
    for _, peer in members:
        *_, last = peer.frames()
        assert last.code == 4200
    assert station.lot.parking.closing == 4


# -- turns and slices ---------------------------------------------------------------------------


class Recorder:
    """Sockets that write down who is sent what; their members have a backlog, so all goes here."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, Frame]] = []

    def send(self, client: Any, frame: Frame) -> None:
        self.sent.append((client, frame))

    def blocked(self, client: Any, frame: Frame, sent: int) -> None:
        raise AssertionError

    def broken(self, client: Any) -> None:
        raise AssertionError


class Member:
    def __init__(self, name: int) -> None:
        self.name = name
        self.group: Any = None
        self.backlog = ()
        self.fd = -1


class Desk:
    """A Fanout with recorded sends and slices of three."""

    def __init__(self, lot: Lot, count: int) -> None:
        self.lot = lot
        self.sockets = Recorder()
        self.groups = Groups(FILTERS)
        self.fanout = Fanout(self.groups, self.sockets, compress_from=300, compress_level=6)
        self.fanout.position(EPOCH, 0, "")
        self.members = [Member(number) for number in range(count)]
        for member in self.members:
            self.groups.join(member, key(), 0)

    def submit(self, one: Any, then: Callable[[], None] | None = None) -> list[int]:
        """Submit, run ``then`` after the first slice, and return who was sent something, in order."""
        self.sockets.sent.clear()

        async def within() -> None:
            loop = self.lot.loop._loop
            self.fanout.submit(one)
            if then is not None:
                loop.call_soon(loop.call_soon, then)

        self.lot.loop.run(within())
        self.lot.loop.until(lambda: self.sockets.sent and not self.fanout.busy)
        return [member.name for member, _ in self.sockets.sent]


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(fanout_module, "SENDS_PER_SLICE", 3)
    with lots() as lot:
        yield Desk(lot, 10)


def test_nobody_is_always_last(desk: Desk) -> None:
    """The order begins elsewhere in each turn, and everybody is served once."""
    turns = [desk.submit(record(seq)) for seq in range(1, 11)]
    assert all(sorted(turn) == list(range(10)) for turn in turns)
    assert len({turn[-1] for turn in turns}) > 5


def test_late_members_come_behind_the_others(desk: Desk) -> None:
    """In every group, until they are late no more; each is served once all the same."""
    for member in desk.members[:4]:
        desk.groups.join_late(member, key(), 0)
    for member in desk.members[8:]:
        desk.groups.join(member, key(fromChains=["a.1"]), 0)
    for seq in range(1, 6):
        turn = desk.submit(record(seq))
        assert sorted(turn) == list(range(10))
        assert set(turn[6:]) == {0, 1, 2, 3}
    desk.groups.settle()
    turns = [desk.submit(record(seq)) for seq in range(6, 16)]
    assert all(sorted(turn) == list(range(10)) for turn in turns)
    assert any(set(turn[6:]) != {0, 1, 2, 3} for turn in turns)


def test_loop_does_other_things_between_slices(desk: Desk) -> None:
    """A long turn does not block it."""
    seen: list[int] = []
    desk.submit(record(1), lambda: seen.append(len(desk.sockets.sent)))
    assert 0 < seen[0] < 10


def test_change_of_a_filter_waits_for_the_end_of_the_turn(desk: Desk) -> None:
    """A client gets the frames of its old filter before the answer that a new one is set."""
    moving = desk.members
    states: list[tuple[bool, int]] = []

    def change() -> None:
        states.append((desk.fanout.busy, len(desk.sockets.sent)))
        desk.fanout.between(answer)

    def answer() -> None:
        states.append((desk.fanout.busy, len(desk.sockets.sent)))
        for member in moving:
            desk.groups.join(member, key(fromChains=["z.9"]), desk.fanout.seq)

    desk.submit(record(1), change)
    assert states[0][0]
    assert states[0][1] < 10
    assert states[1] == (False, 10)
    assert [group.seq for group in desk.groups] == [1]


def test_between_turns_changes_happen_at_once(desk: Desk) -> None:
    """Nobody waits for a turn that is not there."""
    done: list[bool] = []
    desk.lot.loop.call(desk.fanout.between, lambda: done.append(True))
    assert done == [True]


def test_member_that_joins_during_a_turn_is_not_sent_it(desk: Desk) -> None:
    """It starts behind the record that is being delivered."""
    newcomer = Member(99)
    served = desk.submit(record(1), lambda: desk.groups.join(newcomer, key(), desk.fanout.seq) and None)
    assert 99 not in served
    assert newcomer.group.seq == 1


def test_what_comes_during_a_turn_follows_it(desk: Desk) -> None:
    """Nobody gets the second record before everybody had the first."""
    served = desk.submit(record(1), lambda: desk.fanout.submit(record(2)))
    desk.lot.loop.until(lambda: len(desk.sockets.sent) == 20)
    assert sorted(served[:10]) == list(range(10))
    assert [frame.seq for _, frame in desk.sockets.sent] == [1] * 10 + [2] * 10


def test_joined_frame_spans_its_parts() -> None:
    """Positions from the first to the last with any; messages counted; parts kept apart."""
    parts = (Frame(b"a"), Frame(b"b", 3, 5), Frame(b"c", 5, 9, 2))
    made = join(parts)
    assert (made.data, made.prev, made.seq, made.messages, made.parts) == (b"abc", 3, 9, 4, parts)
    assert join(parts[:1]) is parts[0]


# -- heartbeat ----------------------------------------------------------------------------------


def test_heartbeat_comes_only_after_silence(desk: Desk) -> None:
    """Fifteen seconds after the last frame, and again after as long."""
    desk.submit(record(1))
    desk.sockets.sent.clear()
    beats = []
    for second in range(1, 2 * HEARTBEAT + 1):
        desk.lot.loop.call(desk.fanout.heartbeat, b"{}")
        desk.lot.loop.until(lambda: not desk.fanout.busy)
        if desk.sockets.sent:
            assert len(desk.sockets.sent) == 10
            beats.append(second)
            desk.sockets.sent.clear()
    assert beats == [HEARTBEAT, 2 * HEARTBEAT]
