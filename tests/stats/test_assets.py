"""Asset volume."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.stats.traffic import NOW, transfer
from unionws.stats.assets import Assets
from unionws.stats.coverage import Coverage
from unionws.stats.flow import Flow
from unionws.stats.inner import fill


def volumes(*items: Any) -> Any:
    flow = Flow()
    flow.use_coverage(Coverage(0))
    flow.observe(items, NOW)
    flow.snapshot(NOW)
    reader = Assets(flow, "1m")
    data = reader.snapshot(NOW)["assetVolumeData"]
    fill(reader.inner())
    return data


def test_volume_is_exact_and_unknown_decimals_add_none() -> None:
    """0.1 + 0.2 is 0.3; a transfer of unknown amount counts, without volume or average."""
    data = volumes(
        transfer(NOW, amount=Decimal("0.1")),
        transfer(NOW, amount=Decimal("0.2")),
        transfer(NOW, amount=None),
        transfer(NOW - 100, amount=Decimal("0.1")),
    )
    (asset,) = data["assets"]
    assert (asset["transferCount"], asset["totalVolume"], asset["averageAmount"]) == (3, 0.3, 0.15)
    assert (asset["largestTransfer"], asset["volumeChange"], asset["countChange"]) == (0.2, 200.0, 200.0)
    assert (data["totalAssets"], data["totalVolume"], data["totalTransfers"]) == (1, 0.3, 3)


def test_one_symbol_on_many_chains_is_one_asset_with_its_routes() -> None:
    """Routes by share of the asset's transfers, at most five."""
    items = [transfer(NOW, destination=f"d.{n}", amount=Decimal(n)) for n in range(1, 8)]
    (asset,) = volumes(*items, transfer(NOW, destination="d.7", amount=Decimal(1)))["assets"]
    assert [(r["toChain"], r["count"], r["volume"]) for r in asset["topRoutes"]] == [
        ("d.7", 2, 8.0),
        ("d.1", 1, 1.0),
        ("d.2", 1, 2.0),
        ("d.3", 1, 3.0),
        ("d.4", 1, 4.0),
    ]
    assert asset["topRoutes"][0]["percentage"] == 25.0


def test_transfers_without_a_symbol_are_no_asset() -> None:
    """Nor are they in the totals."""
    data = volumes(transfer(NOW, symbol=None, amount=Decimal(5)), transfer(NOW, symbol=""))
    assert (data["assets"], data["totalAssets"], data["totalTransfers"]) == ([], 0, 0)
