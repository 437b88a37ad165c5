"""RPC stand-ins: each chain family answers its own calls."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from unionws.source.simulator.nodes import NodeAnswer, answer_node, node_state
from unionws.source.simulator.rows import height_at
from unionws.source.simulator.world import ChainFacts, load_world

NOW = 1_760_011_200.0


def chain_in(state: str, rpc_type: str) -> tuple[ChainFacts, int]:
    """A node of that family and state: (chain, place)."""
    found = [chain for chain in load_world().chains if chain.rpc_type == rpc_type]
    return next((chain, place) for place in range(50) for chain in found if node_state(chain, place) == state)


def call(state: str, rpc_type: str, method: str) -> NodeAnswer:
    chain, place = chain_in(state, rpc_type)
    return answer_node(chain, place, "", {"jsonrpc": "2.0", "id": 1, "method": method}, NOW)


@pytest.mark.parametrize(
    ("rpc_type", "method"),
    [("evm", "eth_blockNumber"), ("sui", "sui_getLatestCheckpointSequenceNumber")],
)
def test_heights_are_the_chains(rpc_type: str, method: str) -> None:
    """The height is the one the chain has now."""
    chain, _ = chain_in("sound", rpc_type)
    answer = call("sound", rpc_type, method)
    assert answer.status == 200
    assert int(answer.body["result"], 0) == height_at(chain, NOW)
    assert answer.body["id"] == 1


def test_evm_says_whether_it_syncs() -> None:
    """eth_syncing is false on a sound node and an object on one that is behind."""
    assert call("sound", "evm", "eth_syncing").body["result"] is False
    behind = call("syncing", "evm", "eth_syncing").body["result"]
    assert int(behind["currentBlock"], 0) < int(behind["highestBlock"], 0)


def test_cosmos_answers_status_and_rest() -> None:
    """/status carries the height and catching_up, the REST path the latest block."""
    chain, place = chain_in("sound", "cosmos")
    status = answer_node(chain, place, "/status", None, NOW).body["result"]
    assert status["sync_info"]["latest_block_height"] == str(height_at(chain, NOW))
    assert status["sync_info"]["catching_up"] is False
    assert status["node_info"]["network"] == chain.chain_id
    block = answer_node(chain, place, "/cosmos/base/tendermint/v1beta1/blocks/latest", None, NOW).body
    assert block["block"]["header"]["height"] == str(height_at(chain, NOW))
    slow, place = chain_in("syncing", "cosmos")
    assert answer_node(slow, place, "/status", None, NOW).body["result"]["sync_info"]["catching_up"] is True


def test_aptos_answers_its_ledger() -> None:
    """GET /v1 gives the height."""
    chain = replace(load_world().chains[0], rpc_type="aptos")
    place = next(place for place in range(50) if node_state(chain, place) == "sound")
    assert answer_node(chain, place, "/v1/", None, NOW).body["block_height"] == str(height_at(chain, NOW))


def test_another_familys_call_is_refused() -> None:
    """eth_ calls to a cosmos node are unknown methods, unknown paths 404."""
    assert call("sound", "cosmos", "eth_blockNumber").body["error"]["code"] == -32601
    chain, place = chain_in("sound", "evm")
    assert answer_node(chain, place, "/status", None, NOW).status == 404


def test_some_nodes_are_unwell() -> None:
    """Of the real chains' first nodes some are down or slow or behind, most are sound."""
    assert call("down", "evm", "eth_blockNumber").status == 503
    assert call("slow", "evm", "eth_blockNumber").delay > 0
    states = Counter(node_state(chain, 0) for chain in load_world().chains)
    assert states["sound"] > len(load_world().chains) / 2
    assert len(states) >= 3
