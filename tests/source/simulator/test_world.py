"""The stage agrees with the published facts about chains, routes, tokens and addresses."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from unionws.source.simulator.world import load_world

BESIDE = Path(__file__).parents[3].parent / "shared" / "domain_data.json"


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    path = Path(os.environ.get("UNION_DOMAIN_DATA", BESIDE))
    if not path.is_file():
        pytest.skip(f"no facts to compare with: {path} (set UNION_DOMAIN_DATA)")
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def test_chains_are_real(facts: dict[str, Any]) -> None:
    """Each chain is in the facts with the same names, family, prefix and nodes."""
    known = {chain["universal_chain_id"]: chain for chain in facts["chains"]}
    world = load_world()
    assert len(world.chains) >= 25
    assert {True, False} == {chain.testnet for chain in world.chains}
    assert {"evm", "cosmos", "sui"} == {chain.rpc_type for chain in world.chains}
    for chain in world.chains:
        fact = known[chain.universal_chain_id]
        for name in ("chain_id", "display_name", "testnet", "rpc_type", "addr_prefix"):
            assert getattr(chain, name) == fact[name], (chain.universal_chain_id, name)
        assert list(chain.rpcs) == fact["rpcs"]
        assert list(chain.editions) == fact["editions"]


def test_routes_are_real(facts: dict[str, Any]) -> None:
    """Each pair and its channels are in the facts, in both directions."""
    known = set()
    for route in facts["routes"]:
        known.add((route["a"], route["a_channel"], route["b"], route["b_channel"]))
        known.add((route["b"], route["b_channel"], route["a"], route["a_channel"]))
    ours = {
        (
            route.source.universal_chain_id,
            route.source_channel,
            route.destination.universal_chain_id,
            route.destination_channel,
        )
        for route in load_world().routes
    }
    assert ours == known


def test_tokens_are_real(facts: dict[str, Any]) -> None:
    """Each token is in the facts with the same denom and decimals."""
    known = {
        (token["chain"], token["denom"], token["symbol"], token["name"], token["decimals"])
        for token in facts["tokens"]
    }
    for token in load_world().tokens:
        entry = (token.chain.universal_chain_id, token.denom, token.symbol, token.name, token.decimals)
        assert entry in known


def test_every_route_promises_a_latency() -> None:
    """Latencies and weights are positive, and opposite routes swap theirs."""
    routes = load_world().routes
    ends = {(route.source.number, route.destination.number): route for route in routes}
    for route in routes:
        opposite = ends[route.destination.number, route.source.number]
        assert route.weight > 0
        assert route.latency == opposite.back > 0
