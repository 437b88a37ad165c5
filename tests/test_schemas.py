"""The published schemas against what is really sent."""

from __future__ import annotations

import json
from typing import Any

import pytest
import ujson

from tests.schema import validate
from tests.stats.contract import TRANSFER, check_chart, walk
from tests.stats.traffic import NOW, Traffic
from unionws.builtin.nodes import Shown
from unionws.builtin.statistics import register_statistics
from unionws.enrich.transfers import Enricher
from unionws.extensions import Statistic
from unionws.model import Chain, Rpc
from unionws.probes.calls import targets
from unionws.probes.latency import MOST, Latencies
from unionws.probes.standing import Result, Standing
from unionws.schemas import SCHEMAS, published
from unionws.settings import Settings
from unionws.source.decode import Decoder
from unionws.source.simulator import Simulator
from unionws.stats.collector import Collector
from unionws.stats.trim import CHART_BYTES

DAY = 86_400


class Plugin:
    def observe(self, batch: object, now: float) -> None: ...

    def snapshot(self, now: float) -> dict[str, Any]:
        return {"anything": [1, {"goes": None}]}


def busy(short: str = "1m", limit: int = CHART_BYTES) -> Collector:
    """Everything there is to show: many chains, all latencies, a hundred nodes, a plugin."""
    settings = Settings(SHORT_WINDOW=short)
    latencies, shown, standing = Latencies(), Shown(), Standing()
    more = [Statistic("latency", latencies), Statistic("nodes", shown), Statistic("acme.x", Plugin())]
    collector = Collector(settings, [*register_statistics(settings), *more], now=NOW - 61 * DAY, limit=limit)
    traffic = Traffic(chains=20, routes=60, assets=20)
    for age in (60 * DAY, DAY, 600, 20):
        collector.observe(list(traffic.over(NOW - age, NOW, 400)), NOW)
    points = {"p5": 1.0, "median": 20, "p95": 300.5}
    names = ("secs_until_packet_recv", "secs_until_write_ack", "secs_until_packet_ack")
    for _ in range(MOST):
        route = latencies.next(NOW)
        assert route is not None
        latencies.take(route, [dict.fromkeys(names, points)])
    rpcs = tuple(Rpc("rpc", f"https://rpc{n}.some-long-name.example/path") for n in range(4))
    nodes = targets([Chain(f"family.chain-{n}", rpc_type="evm", rpcs=rpcs) for n in range(25)], 100)
    standing.use(nodes)
    for number, node in enumerate(nodes):
        standing.take(node, Result(0.5, number) if number % 7 else Result(8.0, None, "x" * 200), NOW)
    shown.data = standing.data()
    return collector


@pytest.mark.parametrize("short", ["1m", "5m"])
def test_a_full_chart_is_as_its_schema_says_and_fits_its_frame(short: str) -> None:
    """Every key with every list, latencies and nodes included, in under 100 KB; and as the contract says."""
    snapshot = busy(short).snapshot(NOW)
    data = ujson.loads(snapshot.chart)
    validate(data, published("chartData"))
    validate(ujson.loads(snapshot.rates), published("rates"))
    assert len(snapshot.chart) < 100_000
    whole = ujson.loads(busy(short, 10_000_000).snapshot(NOW).chart)
    validate(whole, published("chartData"))
    check_chart(data)
    check_chart(whole)
    assert (len(whole["latencyData"]), len(whole["nodeHealthData"]["nodesWithRpcs"])) == (MOST, 100)
    assert set(published("chartData")["properties"]) == set(data)
    assert data["nodeHealthData"]["totalNodes"] == 100
    assert all(len(items) == 10 for items in data["activeSendersTimeScale"].values())


def test_an_empty_chart_is_as_its_schema_says() -> None:
    """Nothing counted, no statistic registered."""
    for statistics in ([], register_statistics(Settings())):
        snapshot = Collector(Settings(), statistics, now=NOW).snapshot(NOW)
        validate(ujson.loads(snapshot.chart), published("chartData"))


def rows(nulls: bool) -> list[dict[str, Any]]:
    found = Simulator(rate=1.0).transfers_between(NOW - 200, NOW)[:150]
    kept = ("sort_order", "source_universal_chain_id", "destination_universal_chain_id")
    return [{name: row[name] for name in kept} for row in found] if nulls else found


@pytest.mark.parametrize("nulls", [False, True])
def test_transfers_are_as_their_schema_says(nulls: bool) -> None:
    """With everything the indexer knows, and with nothing but what it must tell."""
    decoder = Decoder()
    transfers = [decoder.transfer(row, str(row["sort_order"])) for row in rows(nulls)]
    data = [ujson.loads(item.json) for item in Enricher().enrich(transfers, NOW)]
    assert len(data) > 100
    validate(data, published("transfers"))
    for item in data:
        walk(item, TRANSFER)
    validate(data[0], published("transfer"))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("currentRates.txPerMinute", 1.5),
        ("currentRates.txPerMinute", None),
        ("currentRates.dataAvailability.hasDay", 1),
        ("popularRoutes", None),
        ("popularRoutes.0.count", "7"),
        ("popularRoutes.0.fromName", ""),
        ("popularRoutesTimeScale.1d.0.lastActivity", "0001-13-01T00:00:00Z"),
        ("assetVolumeData.assets.0.topRoutes.0.percentage", 101),
        ("latencyData.0.packetAck", {"p5": 1, "median": 2}),
        ("nodeHealthData", []),
        ("nodeHealthData.nodesWithRpcs.0.status", "fine"),
        ("somethingElse", 1),
    ],
)
def test_what_would_break_a_client_is_against_the_schema(path: str, value: Any) -> None:
    """Each of these made a page throw, or would."""
    data = ujson.loads(busy(limit=10_000_000).snapshot(NOW).chart)
    *places, last = path.split(".")
    target = data
    for place in places:
        target = target[int(place)] if place.isdigit() else target[place]
    target[last] = value
    with pytest.raises((AssertionError, ValueError)):
        validate(data, published("chartData"))


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_a_document_of_plain_json(name: str) -> None:
    """It says which dialect it is in and what it is of."""
    schema = json.loads(json.dumps(published(name)))
    assert schema["$schema"].endswith("2020-12/schema")
    assert name in schema["title"]
