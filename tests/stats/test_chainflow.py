"""Chain flow."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.stats.traffic import NOW, transfer
from unionws.stats.chainflow import ChainFlow
from unionws.stats.coverage import Coverage
from unionws.stats.flow import Flow
from unionws.stats.inner import fill


def flowing(*items: Any) -> Any:
    flow = Flow()
    flow.use_coverage(Coverage(0))
    flow.observe(items, NOW)
    flow.snapshot(NOW)
    reader = ChainFlow(flow, "1m")
    data = reader.snapshot(NOW)["chainFlowData"]
    fill(reader.inner())
    return data


def test_counts_net_and_changes_per_chain() -> None:
    """net = in − out; a net that falls below a negative one has a negative change."""
    now, before = NOW - 2, NOW - 70
    data = flowing(
        *(transfer(now, source="a.1", destination="b.2") for _ in range(3)),
        transfer(now, source="b.2", destination="a.1"),
        transfer(before, source="a.1", destination="b.2"),
    )
    a, b = data["chains"]
    assert (a["universal_chain_id"], b["universal_chain_id"]) == ("a.1", "b.2")
    assert (a["outgoingCount"], a["incomingCount"], a["netFlow"]) == (3, 1, -2)
    assert (a["outgoingChange"], a["incomingChange"], a["netFlowChange"]) == (200.0, 100.0, -100.0)
    assert (b["netFlow"], b["netFlowChange"]) == (2, 100.0)
    assert (data["totalOutgoing"], data["totalIncoming"]) == (4, 4)


def test_chains_that_share_a_name_are_not_merged() -> None:
    """The key is the universal id."""
    items = [transfer(NOW, source="a.1", destination=f"b.{n}") for n in (1, 2)]
    assert len(flowing(*items)["chains"]) == 3


def test_top_assets_have_both_directions_and_their_share_of_all_transfers() -> None:
    """A transfer without a symbol is in the whole but in no asset."""
    data = flowing(
        transfer(NOW, source="a.1", destination="b.2", symbol="U", amount=Decimal("1.5")),
        transfer(NOW, source="b.2", destination="a.1", symbol="U", amount=Decimal("0.5")),
        transfer(NOW, source="a.1", destination="b.2", symbol="V"),
        transfer(NOW, source="a.1", destination="b.2", symbol=None),
    )
    u, v = data["chains"][0]["topAssets"]
    assert (u["assetSymbol"], u["outgoingCount"], u["incomingCount"], u["netFlow"]) == ("U", 1, 1, 0)
    assert (u["totalVolume"], u["averageAmount"], u["percentage"]) == (2.0, 1.0, 50.0)
    assert (v["assetSymbol"], v["totalVolume"], v["averageAmount"], v["percentage"]) == ("V", 0.0, 0.0, 25.0)
