"""What an earlier run published reaches the edges that have not got it, and only those."""

from __future__ import annotations

import asyncio

from unionws.bus.local import LocalBus
from unionws.bus.unix import UnixBus, UnixBusEdge, listen
from unionws.model import Fragment, Record, StateRecord, TransfersRecord


def record(seq: int, epoch: str = "e1") -> TransfersRecord:
    item = Fragment(f"{seq:04d}", "a", "b", "", "", "", "", "", False, 0, b"{}")
    return TransfersRecord(epoch, seq, item.sort_order, False, seq, (item,))


def state(seq: int) -> StateRecord:
    return StateRecord(0, "e1", seq, "", {})


def numbers(records: list[Record]) -> list[int]:
    return [record.seq for record in records if isinstance(record, TransfersRecord)]


def after_restart(position: tuple[str, int], tail: list[TransfersRecord], wanted: int) -> list[Record]:
    """What an edge at ``position`` gets from an ingest that starts with ``tail``, then a state, then 9."""

    async def play() -> list[Record]:
        listener, address = listen()
        bus, got = UnixBus(listener, 100), []
        bus.preload(tail)
        bus.publish(state(8))
        bus.start()
        edge = UnixBusEdge(address, "e0", lambda: position)
        edge.subscribe(got.append)
        while not bus._edges:
            await asyncio.sleep(0.005)
        bus.publish(record(9))
        while len(got) < wanted:
            await asyncio.sleep(0.005)
        await edge.stop()
        bus.stop()
        listener.close()
        await asyncio.sleep(0)
        return got

    return asyncio.run(asyncio.wait_for(play(), 10))


def test_an_edge_gets_what_it_missed_once() -> None:
    """Exactly what was committed behind its position, whatever the crash kept from it."""
    tail = [record(n) for n in (5, 6, 7, 8)]
    assert numbers(after_restart(("e1", 6), tail, 4)) == [7, 8, 9]
    assert numbers(after_restart(("e1", 8), tail, 2)) == [9]


def test_a_new_edge_gets_all_behind_the_state() -> None:
    """So it knows them for history and does not deliver them as live."""
    got = after_restart(("", 0), [record(7), record(8)], 4)
    assert isinstance(got[0], StateRecord)
    assert numbers(got) == [7, 8, 9]


def test_positions_of_two_epochs_compare_by_place() -> None:
    """Records of the older epoch are not sent again to an edge that is in the newer one."""
    tail = [record(3, "e0"), record(4, "e0"), record(5), record(6)]
    assert numbers(after_restart(("e1", 5), tail, 3)) == [6, 9]
    assert numbers(after_restart(("e0", 3), tail, 5)) == [4, 5, 6, 9]


def test_within_one_process_it_comes_behind_the_state() -> None:
    """Whether the edge of the process is there before it or after it; once."""
    for early in (True, False):
        bus, got = LocalBus(), []
        if early:
            bus.subscribe(got.append)
        bus.preload([record(7), record(8)])
        bus.publish(state(8))
        if not early:
            bus.subscribe(got.append)
        assert [type(item) for item in got] == [StateRecord, TransfersRecord, TransfersRecord]
        bus.publish(record(9))
        bus.publish(state(9))
        assert numbers(got) == [7, 8, 9]
