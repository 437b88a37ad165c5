"""The bus inside one process."""

from __future__ import annotations

from collections.abc import Mapping

from unionws.bus.local import LocalBus
from unionws.model import JSON, ChainsRecord, ChartRecord, MessageRecord, Record, StateRecord, StatusRecord

STATE = StateRecord(1, "epoch001", 7, "c", {})


def test_every_edge_gets_every_record_in_order() -> None:
    """A record is delivered before publish returns."""
    bus = LocalBus()
    one: list[Record] = []
    other: list[Record] = []
    bus.subscribe(one.append)
    bus.subscribe(other.append)
    published = [STATE, MessageRecord(2, "a.b", "a.c", b"1"), StatusRecord(3, b"{}")]
    for record in published:
        bus.publish(record)
    assert one == other == published


def test_late_edge_gets_the_newest_of_each_lasting_kind() -> None:
    """The state first, so that it knows its position; passing records are gone."""
    bus = LocalBus()
    newest = [ChainsRecord(4, b"[]"), ChartRecord(5, 2, b"{}", b"{}"), StatusRecord(6, b"{}")]
    for record in (ChartRecord(3, 1, b"{}", b"{}"), *newest, MessageRecord(2, "a.b", "a.c", b"1"), STATE):
        bus.publish(record)
    got: list[Record] = []
    bus.subscribe(got.append)
    assert got[0] == STATE
    assert sorted(got[1:], key=lambda record: record.timestamp) == newest


def test_it_is_busy_while_an_edge_is_sending() -> None:
    """Ingest may wait for that before it does what takes time."""
    sending = [True]
    bus = LocalBus(lambda: sending[0])
    assert bus.busy
    sending.clear()
    sending.append(False)
    assert not bus.busy
    assert not LocalBus().busy


def test_reports_reach_ingest() -> None:
    """Counters go up; before anybody listens they go nowhere."""
    bus = LocalBus()
    heard: list[tuple[str, Mapping[str, JSON]]] = []
    bus.report("e0", {"clients": 1})
    bus.on_report(lambda edge, counters: heard.append((edge, counters)), lambda edge: None)
    bus.report("e0", {"clients": 2})
    assert heard == [("e0", {"clients": 2})]
