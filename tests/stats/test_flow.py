"""The table behind routes, chain flow and asset volume."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.stats.traffic import NOW, Traffic, transfer
from unionws.stats import flow as module
from unionws.stats.flow import Flow, Rollup
from unionws.stats.packing import count
from unionws.stats.windows import SCALES


def test_a_rollup_that_everything_left_is_empty() -> None:
    """Adding and taking back the same cells leaves no key behind."""
    rollup = Rollup()
    cells = {("a", "b", "U"): 3, ("a", "c", ""): 1, ("c", "a", "U"): 2}
    rollup.add(cells)
    assert (count(rollup.routes["a", "b"]), rollup.assets, rollup.sent["a"]) == (3, {"U": 5}, 4)
    assert (rollup.sent_assets["a"], rollup.asset_routes["U"]["c", "a"]) == ({"U": 3}, 2)
    rollup.add({cell: -value for cell, value in cells.items()})
    assert rollup == Rollup()


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


def test_over_the_budget_rare_assets_lose_and_routes_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of tokens is filed under no symbol; routes and common assets stay."""
    monkeypatch.setattr(module, "BUDGET", 60)
    flow = Flow()
    for number in range(900):
        symbol = "U" if number % 3 == 0 else f"SPAM{number}"
        flow.observe([transfer(NOW, symbol=symbol, amount=Decimal(1))], NOW)
    flow.snapshot(NOW)
    for window in SCALES:
        rollup = flow.rollups(window)[0]
        assert [count(packed) for packed in rollup.routes.values()] == [900]
        assert count(rollup.assets["U"]) == 300
        assert len(rollup.assets) <= 60


def test_names_are_those_of_the_newest_transfer_and_keys_when_there_is_none() -> None:
    """A chain nobody saw is called by its id, an asset without a name by its symbol."""
    flow = Flow()
    flow.observe([transfer(NOW, symbol="U", name="Union"), transfer(NOW - 9, symbol="U", name="Old")], NOW)
    flow.observe([transfer(NOW, symbol="X" * 99)], NOW)
    assert (flow.asset_name("U"), flow.asset_name("X" * 48)) == ("Union", "X" * 48)
    assert (flow.chain_name("bob.60808"), flow.chain_name("other.1")) == ("Chain bob.60808", "other.1")
    assert flow.last_activity("asset", "nothing") == {}
