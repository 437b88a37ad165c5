"""/graphql-stats, /slow-clients and /debug, field by field."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.talking import Talker
from tests.web.serving import EPOCH, NOW_MS, Service, fragment
from unionws.model import StateRecord

METRICS = {
    "totalClients",
    "slowClients",
    "slowClientPercentage",
    "totalBufferFullEvents",
    "highQueueUtilization",
    "slowClientThreshold",
    "slowClientTimeWindow",
    "autoDisconnectEnabled",
}
DETAIL = {
    "clientAddr": str,
    "shardIndex": int,
    "queueUtilization": float,
    "bufferFullCount": int,
    "lastBufferFull": int,
    "recentBufferFulls": int,
    "isMarkedSlow": bool,
    "slowMarkedAt": int,
    "isClosed": bool,
}
GRAPHQL = {
    "graphqlClient": {"endpoint": "http://x/", "timeout": 8, "transport": {}},
    "polls": 3,
    "failures": 1,
}


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with Service("MAX_BACKLOG_BYTES=16384", "SEND_BUFFER_BYTES=4096") as running:
        views = {
            "upstream": {"state": "ok"},
            "graphql": GRAPHQL,
            "buckets": {"seconds": 10},
            "plugins": {"plugins": [{"name": "messages"}]},
        }
        running.publish(StateRecord(NOW_MS, EPOCH, 0, "", views))
        running.chart({"currentRates": {"txPerMinute": 3}, "popularRoutes": [{"count": 1}]})
        yield running


def test_graphql_stats(service: Service) -> None:
    """As ingest reported them."""
    told = service.json("/graphql-stats")
    del told["timestamp"]
    assert told == GRAPHQL


def test_no_clients_are_zeros(service: Service) -> None:
    """Never NaN: nothing is divided by nobody."""
    told = service.json("/slow-clients")
    assert set(told["metrics"]) == METRICS
    assert told["metrics"]["slowClientPercentage"] == 0
    assert told["metrics"]["totalClients"] == 0
    assert (told["metrics"]["slowClientThreshold"], told["metrics"]["slowClientTimeWindow"]) == (10, 60)
    assert told["detailsIncluded"] is False
    assert "slowClientDetails" not in told


def test_slow_client_is_shown(service: Service) -> None:
    """One that does not read, with its counters."""
    with Talker(service.port) as slow, Talker(service.port) as other:
        slow.until("status")
        other.until("status")
        edge = service.edge
        while not edge.parking.counters.skipped:
            items = [fragment(service.seq + index, symbol="x" * 4000) for index in range(1, 6)]
            service.transfers(*items)
            service.until(lambda: edge.fanout.seq == service.seq)
            other.next()
        told = service.json("/slow-clients?detail=true")
    metrics = told["metrics"]
    assert (metrics["totalClients"], metrics["slowClients"]) == (2, 1)
    assert metrics["slowClientPercentage"] == 50
    assert metrics["totalBufferFullEvents"] >= 1
    assert told["detailsIncluded"] is True
    [detail] = told["slowClientDetails"]
    assert {name: type(value) for name, value in detail.items()} == DETAIL
    assert detail["clientAddr"] == "127.0.0.1"
    assert detail["isMarkedSlow"] is True
    assert detail["bufferFullCount"] >= 1


def test_debug_has_everything(service: Service) -> None:
    """For a look in trouble."""
    told = service.json("/debug")
    assert {"config", "server", "buckets", "rawStats", "topRoutes", "topSenders", "timestamp"} <= set(told)
    assert told["rawStats"] == {"txPerMinute": 3}
    assert told["topRoutes"] == [{"count": 1}]
    assert told["buckets"] == {"seconds": 10}
    assert told["plugins"] == [{"name": "messages"}]
    assert told["server"]["edges"]["e0"]["opened"] >= 0
