"""chartData leaves in small slices, and turns go between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.broadcaster.factory import record
from tests.broadcaster.test_fanout import Desk, key
from tests.connections.lot import lots
from unionws.broadcaster import charts as charts_module
from unionws.broadcaster.charts import Charts
from unionws.frames import Frame
from unionws.model import ChartRecord


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """Ten members, and charts to two of them at a time."""
    monkeypatch.setattr(charts_module, "SENDS_PER_SLICE", 2)
    with lots() as lot:
        yield Desk(lot, 10)


def chart(rev: int) -> ChartRecord:
    return ChartRecord(4, rev, b'{"rev":%d}' % rev, b"{}")


def send_chart(desk: Desk, then: Callable[[], object]) -> None:
    """Submit a chart, act behind its first slice, and wait until all is sent."""
    plain = desk.sockets.send

    def send(client: Any, frame: Frame) -> None:
        plain(client, frame)
        if len(desk.sockets.sent) == 2:
            desk.lot.loop._loop.call_soon(then)

    desk.sockets.send = send  # type: ignore[method-assign]
    desk.lot.loop.call(desk.fanout.submit, chart(1))
    desk.lot.loop.until(lambda: len(desk.sockets.sent) >= 2 and desk.fanout.idle)


def kinds(desk: Desk) -> list[str]:
    """What was sent, in order: c for a chart, t for transfers."""
    return ["c" if frame.chart else "t" for _, frame in desk.sockets.sent]


def test_transfers_do_not_wait_for_the_whole_chart(desk: Desk) -> None:
    """They go out between two of its slices, and the rest of the chart behind them."""
    send_chart(desk, lambda: desk.fanout.submit(record(1)))
    sent = kinds(desk)
    assert sent.count("c") == sent.count("t") == 10
    assert sent[:2] == ["c", "c"]
    assert "t" in sent[2:5]  # behind one more slice at most
    assert sent[-1] == "c"


def test_slice_goes_on_with_the_next_group(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients with filters of their own are groups of one each, and no slower to serve."""
    slices: list[int] = []
    plain = Charts._slice

    def counted(charts: Charts) -> None:
        slices.append(1)
        plain(charts)

    monkeypatch.setattr(Charts, "_slice", counted)
    for member in desk.members:
        desk.groups.join(member, key(fromChains=[f"z.{member.name}"]), 0)
    send_chart(desk, lambda: None)
    assert {member.name for member, _ in desk.sockets.sent} == set(range(10))
    assert len(slices) == 5


def test_newer_chart_waits_until_everybody_has_the_one_being_sent(desk: Desk) -> None:
    """So nobody at the end is left out for ever; of several that wait the newest goes."""
    send_chart(desk, lambda: [desk.fanout.submit(chart(rev)) for rev in (2, 3)])
    sent = [(member.name, frame.data) for member, frame in desk.sockets.sent]
    assert sorted(name for name, _ in sent[:10]) == sorted(name for name, _ in sent[10:]) == list(range(10))
    assert all(b'"rev":1' in data for _, data in sent[:10])
    assert all(b'"rev":3' in data for _, data in sent[10:])


def test_who_left_meanwhile_is_not_sent_it(desk: Desk) -> None:
    """Unsubscribed or gone: nothing more; another filter alone makes no difference."""
    left: set[Any] = set()

    def leave() -> None:
        served = {member for member, _ in desk.sockets.sent}
        gone, quiet, other, *_ = [member for member in desk.members if member not in served]
        desk.groups.leave(gone)
        desk.groups.join(quiet, key(channels=frozenset({"transfers"})), 0)
        desk.groups.join(other, key(fromChains=["z.9"]), 0)
        left.update({gone, quiet})

    send_chart(desk, leave)
    assert len(left) == 2
    assert {member for member, _ in desk.sockets.sent} == set(desk.members) - left


def test_nothing_is_sent_after_a_stop(desk: Desk) -> None:
    """What was still to come is forgotten."""
    send_chart(desk, desk.fanout.stop)
    assert len(desk.sockets.sent) == 2
