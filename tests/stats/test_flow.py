"""The table behind routes, chain flow and asset volume."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.stats.traffic import NOW, Traffic, transfer
from unionws.stats import flow as module
from unionws.stats.assets import Assets
from unionws.stats.chainflow import ChainFlow
from unionws.stats.flow import Flow
from unionws.stats.packing import count, scaled
from unionws.stats.windows import SCALES

LOSSES = {"assets", "assetRoutes", "chainAssets", "routes", "chains", "largestTransfers"}


def test_reading_twice_changes_nothing() -> None:
    """Rollups are brought up to date once per change, however often they are read."""
    flow = Flow()
    for item in Traffic().over(NOW - 500, NOW, 200):
        flow.observe([item], NOW)
    flow.snapshot(NOW)
    first = [str(flow.rollups(window)) for window in SCALES]
    flow.snapshot(NOW)
    assert [str(flow.rollups(window)) for window in SCALES] == first
    assert sum(map(count, flow.rollups(SCALES[-1])[0].routes.values())) == 200


def test_over_the_budget_rare_assets_lose_and_what_is_listed_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A flood of tokens becomes one; routes, a listed asset and the totals stay exact, as is said."""
    monkeypatch.setattr(module, "BUDGET", 60)
    flow = Flow()
    assets, chains = Assets(flow, "1m"), ChainFlow(flow, "1m")
    for number in range(900):
        symbol = "U" if number % 3 == 0 else f"SPAM{number}"
        flow.observe([transfer(NOW, symbol=symbol, amount=Decimal(1))], NOW)
        if number == 30:
            flow.snapshot(NOW)
            assets.snapshot(NOW)
    flow.snapshot(NOW)
    volume: Any = assets.snapshot(NOW)["assetVolumeData"]
    moved: Any = chains.snapshot(NOW)["chainFlowData"]
    assert (volume["totalTransfers"], volume["totalVolume"]) == (900, 900.0)
    assert 0 < volume["totalAssets"] <= 60
    assert (moved["totalOutgoing"], moved["totalIncoming"]) == (900, 900)
    for window in SCALES:
        first = volume["assetVolumeTimeScale"][window.key][0]
        assert (first["assetSymbol"], first["transferCount"], first["totalVolume"]) == ("U", 300, 300.0)
        assert [count(packed) for packed in flow.rollups(window)[0].routes.values()] == [900]
        lost = flow.too_low_by(window)
        assert {"assets", "assetRoutes", "chainAssets"} <= lost.keys() <= LOSSES
        assert lost["assets"]["count"] >= 1


def test_a_listed_asset_has_its_largest_transfer_in_a_flood_of_tokens() -> None:
    """Once it is in a list; what others' largest may be is said."""
    flow = Flow()
    assets = Assets(flow, "1m")
    for number in range(300):
        flow.observe([transfer(NOW - 200, symbol=f"SPAM{number}", amount=Decimal(5))], NOW)
    for _ in range(2):
        flow.observe([transfer(NOW - 100, symbol="U", amount=Decimal(3))], NOW)
    flow.snapshot(NOW)
    assets.snapshot(NOW)
    flow.observe([transfer(NOW - 300, symbol="U", amount=Decimal(9))], NOW)
    flow.snapshot(NOW)
    month = SCALES[-1]
    assert flow.largest("U", month) == scaled(Decimal(9))
    assert flow.too_low_by(month) == {"largestTransfers": {"volume": 5.0}}
    assert flow.too_low_by(SCALES[0]) == {}


def test_names_are_those_of_the_newest_transfer_and_keys_when_there_is_none() -> None:
    """A chain nobody saw is called by its id, an asset without a name by its symbol."""
    flow = Flow()
    flow.observe([transfer(NOW, symbol="U", name="Union"), transfer(NOW - 9, symbol="U", name="Old")], NOW)
    flow.observe([transfer(NOW, symbol="X" * 99)], NOW)
    assert (flow.asset_name("U"), flow.asset_name("X" * 48)) == ("Union", "X" * 48)
    assert (flow.chain_name("bob.60808"), flow.chain_name("other.1")) == ("Chain bob.60808", "other.1")
    assert flow.last_activity("asset", "nothing") == {}
