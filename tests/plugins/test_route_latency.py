from __future__ import annotations

from typing import Any

from tests.plugins.samples import sample_host
from unionws import Chain, EnrichedTransfer, Observer, Statistic, Transfer

NOW = 1_760_000_000.0


def transfer(seconds: float | None, route: str = "a->b") -> EnrichedTransfer:
    received = None if seconds is None else NOW + seconds
    row = Transfer("k", Chain("a.1"), Chain("b.2"), send_time=NOW, recv_time=received)
    return EnrichedTransfer(row, NOW, route, "A", "B", False, "", "", None, b"{}")


def observer() -> Observer:
    found = {item.name: item for item in sample_host().collect("register_statistics", Statistic)}
    return found["samples.latency"].observer


def routes(latencies: Observer) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = list(latencies.snapshot(NOW)["routes"])
    return found


def test_percentiles_of_each_route() -> None:
    """Of a hundred times, the 50th, 90th and 99th smallest; the busiest route comes first."""
    latencies = observer()
    latencies.observe([transfer(float(number)) for number in range(100, 0, -1)], NOW)
    latencies.observe([transfer(7.0, "c->d")], NOW)
    assert routes(latencies) == [
        {"route": "a->b", "count": 100, "p50": 50.0, "p90": 90.0, "p99": 99.0},
        {"route": "c->d", "count": 1, "p50": 7.0, "p90": 7.0, "p99": 7.0},
    ]


def test_what_is_not_known_does_not_count() -> None:
    """Not yet received, received before it was sent, or after more than a month."""
    latencies = observer()
    latencies.observe([transfer(None), transfer(-1.0), transfer(31 * 86_400.0)], NOW)
    assert routes(latencies) == []


def test_memory_is_bounded() -> None:
    """The last 500 times of the 200 routes seen last; 20 are shown."""
    latencies: Any = observer()
    latencies.observe([transfer(1.0, f"r{number}") for number in range(1000)], NOW)
    latencies.observe([transfer(float(number), "r999") for number in range(1000)], NOW)
    kept = latencies._observer._routes
    assert (len(kept), len(kept["r999"]), len(routes(latencies))) == (200, 500, 20)
    assert routes(latencies)[0]["p50"] == 749.0
