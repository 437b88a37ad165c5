"""Which routes are asked about, and what is shown."""

from __future__ import annotations

from typing import Any

import pytest

from tests.stats.traffic import NOW, transfer
from unionws.probes.latency import FADE, KEPT, MOST, REFRESH, Latencies

POINTS = {"p5": 1.5, "median": 2, "p95": 3.25}
ROW = {"secs_until_packet_recv": POINTS, "secs_until_write_ack": POINTS, "secs_until_packet_ack": POINTS}


def seen(**counts: int) -> Latencies:
    """Routes to these chains, so busy."""
    latencies = Latencies()
    for chain, count in counts.items():
        latencies.observe([transfer(NOW, source="a.1", destination=chain)] * count, NOW)
    return latencies


def asked(latencies: Latencies, now: float) -> list[str]:
    found = []
    while (route := latencies.next(now)) is not None:
        found.append(route.destination)
    return found


def test_the_busiest_routes_are_asked_about_first_and_each_once_in_a_while() -> None:
    """Ties by name; again when the answer is old."""
    latencies = seen(b=2, c=5, d=2)
    assert asked(latencies, 0.0) == ["c", "b", "d"]
    assert asked(latencies, REFRESH - 1) == []
    assert asked(latencies, REFRESH) == ["c", "b", "d"]


def test_only_so_many_routes_are_asked_about_and_remembered() -> None:
    """The rarest are left out."""
    latencies = Latencies()
    for number in range(KEPT + 10):
        latencies.observe(
            [transfer(NOW, source="a.1", destination=f"b.{number}")] * (1 + (number < MOST)), NOW
        )
    assert sorted(asked(latencies, 0.0)) == sorted(f"b.{number}" for number in range(MOST))


def test_what_was_busy_long_ago_gives_way() -> None:
    """Activity fades; rows of the past count nothing."""
    latencies = seen(b=6, c=2)
    for step in range(1, 4):
        latencies.observe([transfer(NOW + step * FADE, source="a.1", destination="c")], NOW + step * FADE)
    latencies.observe([transfer(NOW - 86_400, source="a.1", destination="b")] * 99, NOW + 3 * FADE)
    assert asked(latencies, 0.0) == ["c", "b"]


def test_the_entry_is_the_contracts() -> None:
    """Names as in the newest transfer, three objects of three numbers."""
    latencies = seen(b=1)
    route = latencies.next(0.0)
    assert route is not None
    latencies.take(route, [ROW])
    assert latencies.snapshot(NOW) == {
        "latencyData": [
            {
                "sourceName": "Chain a.1",
                "destinationName": "Chain b",
                "sourceChain": "a.1",
                "destinationChain": "b",
                "packetRecv": POINTS,
                "writeAck": POINTS,
                "packetAck": POINTS,
            }
        ]
    }


@pytest.mark.parametrize(
    "rows",
    [
        None,
        [],
        {},
        [None],
        [{}],
        [{**ROW, "secs_until_packet_ack": None}],
        [{**ROW, "secs_until_write_ack": 5}],
        [{**ROW, "secs_until_write_ack": {"p5": 1, "median": None, "p95": 2}}],
        [{**ROW, "secs_until_write_ack": {"p5": "1", "median": 1, "p95": 2}}],
        [{**ROW, "secs_until_write_ack": {"p5": float("nan"), "median": 1, "p95": 2}}],
        [{**ROW, "secs_until_write_ack": {"p5": -1, "median": True, "p95": 2}}],
    ],
)
def test_a_route_without_all_its_figures_is_left_out(rows: Any) -> None:
    """Nothing, nulls, texts and NaN: clients throw on each of them."""
    latencies = seen(b=1)
    route = latencies.next(0.0)
    assert route is not None
    latencies.take(route, [ROW])
    latencies.take(route, rows)
    assert latencies.snapshot(NOW) == {"latencyData": []}
