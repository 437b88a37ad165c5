"""Under 100 KB, whatever the traffic."""

from __future__ import annotations

from typing import Any

import pytest

from tests.stats.traffic import NOW, Traffic
from unionws.builtin.statistics import register_statistics
from unionws.extensions import Statistic
from unionws.settings import Settings
from unionws.stats.collector import Collector
from unionws.stats.guard import encode
from unionws.stats.inner import Inner
from unionws.stats.trim import fit, join, size

DAY = 86_400


class Fixed:
    """A plugin's statistic that always says the same."""

    def __init__(self, figures: Any) -> None:
        self.figures = figures

    def observe(self, batch: object, now: float) -> None: ...

    def snapshot(self, now: float) -> Any:
        return self.figures


def busy(limit: int, plugins: int = 0) -> Collector:
    """25 chains, 50 routes, 30 assets, every window full."""
    settings = Settings()
    statistics = [*register_statistics(settings)]
    statistics += [Statistic(f"acme.p{n}", Fixed({"x": "y" * (1000 + n)})) for n in range(plugins)]
    collector = Collector(settings, statistics, now=NOW - 61 * DAY, limit=limit)
    traffic = Traffic(chains=25, routes=50, assets=30, wallets=3000)
    for age in (60 * DAY, DAY, 600, 20):
        collector.observe(list(traffic.over(NOW - age, NOW, 1200)), NOW)
    return collector


def lengths(data: Any) -> list[int]:
    assets, chains = data["assetVolumeData"], data["chainFlowData"]
    inner = [[len(a["topRoutes"]) for a in assets["assetVolumeTimeScale"]["30d"]]]
    inner += [[len(c["topAssets"]) for c in chains["chainFlowTimeScale"]["30d"]]]
    return inner[0] + inner[1]


def test_the_busiest_believable_message_stays_under_100_kb_with_whole_lists() -> None:
    """Without the limit it would be more than twice that; ten items stay in every list."""
    snapshot = busy(99_000).snapshot(NOW)
    assert 95_000 < len(snapshot.chart) < 99_900
    assert len(busy(1_000_000).snapshot(NOW).chart) > 200_000
    data = snapshot.data
    for scale in (
        data["popularRoutesTimeScale"],
        data["activeSendersTimeScale"],
        data["chainFlowData"]["chainFlowTimeScale"],
        data["assetVolumeData"]["assetVolumeTimeScale"],
    ):
        assert [len(items) for items in scale.values()] == [10] * 7
    assert data["chainFlowData"]["chains"] == data["chainFlowData"]["chainFlowTimeScale"]["1m"]


@pytest.mark.parametrize("limit", [120_000, 150_000, 200_000])
def test_the_first_items_keep_their_inner_lists_longest(limit: int) -> None:
    """Room is used up, later ranks lose first, and nothing is longer than in the item above it by far."""
    snapshot = busy(limit).snapshot(NOW)
    assert limit - 1000 < len(encode(snapshot.data)) < limit + 700
    assets = lengths(snapshot.data)[:10]
    assert min(assets[:5]) >= max(assets[5:])
    assert max(assets[:5]) - min(assets[:5]) <= 1


def test_what_fits_is_not_touched() -> None:
    """The limit itself is allowed."""
    data = dict(busy(1_000_000).snapshot(NOW).data)
    whole = encode(data)
    parts = fit(data, {}, (), len(whole))
    assert (join(parts), size(parts)) == (whole, len(whole))
    assert encode(data) == whole


def test_what_is_encoded_already_is_not_encoded_again() -> None:
    """Unless lists in it were filled."""
    data = dict(busy(1_000_000).snapshot(NOW).data)
    given = {"currentRates": b'{"given":1}', "assetVolumeData": b'{"given":2}'}
    assert fit(data, given, (), 1_000_000).items() >= given.items()
    full = Inner(0, [], 1, lambda: ["entry"])
    parts = fit(data, given, [full], 1_000_000)
    assert (parts["currentRates"], full.shown) == (given["currentRates"], ["entry"])
    assert parts["assetVolumeData"] == encode(data["assetVolumeData"])


def test_what_finds_no_room_is_left_out_and_nothing_after_it_comes_in() -> None:
    """Entries are taken in their order while they fit; a list that is there twice takes twice the room."""
    data: dict[str, Any] = {"currentRates": "x" * 100, "ext": {}}
    bare = len(encode(data))
    made = [Inner(rank, [], 1, lambda: ["y" * 8], twice=rank == 1) for rank in range(3)]
    fit(data, {}, made, bare + 29)
    assert [len(inner.shown) for inner in made] == [1, 0, 0]
    made = [Inner(rank, [], 1, lambda: ["y" * 8], twice=rank == 1) for rank in range(3)]
    fit(data, {}, made, bare + 30)
    assert [len(inner.shown) for inner in made] == [1, 1, 0]


def test_plugins_figures_go_last_and_the_largest_first() -> None:
    """Only when the bare lists leave no room for them."""
    data = busy(99_000, plugins=8).snapshot(NOW).data
    assert 0 < len(data["ext"]) < 8
    assert set(data["ext"]) == {f"acme.p{n}" for n in range(len(data["ext"]))}
    assert set(lengths(data)) == {0}


def node(number: int, status: str) -> dict[str, Any]:
    return {"rpcUrl": f"https://node{number}.example", "status": status, "padding": "x" * 150}


def test_nodes_and_latencies_give_way_before_any_list_of_ten() -> None:
    """Sound nodes first, from the end; totals stay; whoever gave the lists still has them whole."""
    statuses = ["healthy", "unhealthy"] * 30
    nodes = {"totalNodes": 60, "nodesWithRpcs": [node(n, status) for n, status in enumerate(statuses)]}
    latencies = [{"sourceName": f"chain {n}", "padding": "x" * 200} for n in range(20)]
    counted = busy(99_000)
    data = dict(counted.snapshot(NOW).data)
    for limit in (99_000, 96_000):
        full = {**data, "nodeHealthData": nodes, "latencyData": latencies}
        fit(full, {}, (), limit)
        left = [found["status"] for found in full["nodeHealthData"]["nodesWithRpcs"]]
        assert full["nodeHealthData"]["totalNodes"] == 60
        assert left.count("unhealthy") == 30 or left.count("healthy") == 0
        assert len(full["latencyData"]) == 20 or not left
        assert full["latencyData"] == latencies[: len(full["latencyData"])]
        assert all(len(items) == 10 for items in full["activeSendersTimeScale"].values())
    assert (len(nodes["nodesWithRpcs"]), len(latencies)) == (60, 20)
