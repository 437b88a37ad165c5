"""Stand-ins for chains' RPC nodes, so that node probes have something to probe.

Most nodes are sound; which ones are down, slow or syncing follows from their address.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from unionws.source.simulator.rows import height_at, timestamp
from unionws.source.simulator.world import ChainFacts

SLOW_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class NodeAnswer:
    """HTTP status, JSON body and seconds to wait before both."""

    status: int
    body: Any
    delay: float = 0.0


def node_state(chain: ChainFacts, place: int) -> str:
    """``down``, ``slow``, ``syncing`` or ``sound``: of twelve nodes about one of each but the last."""
    digest = blake2b(f"{chain.universal_chain_id}/{place}".encode(), digest_size=2).digest()
    return {0: "down", 1: "slow", 2: "syncing"}.get(int.from_bytes(digest, "big") % 12, "sound")


def answer_node(chain: ChainFacts, place: int, path: str, request: Any, now: float) -> NodeAnswer:
    """Answer of the chain's node number ``place``.

    Args:
        path: what follows the node's address, such as ``/status``.
        request: the decoded JSON of a POST, or None.
        now: Unix seconds.
    """
    state = node_state(chain, place)
    if state == "down":
        return NodeAnswer(503, {"error": "node is down"})
    behind = 5_000.0 if state == "syncing" else 0.0
    body = _body(chain, path.rstrip("/"), request, now - behind, state == "syncing")
    delay = SLOW_SECONDS if state == "slow" else 0.0
    return NodeAnswer(404, {"error": f"no {path}"}, delay) if body is None else NodeAnswer(200, body, delay)


def _body(chain: ChainFacts, path: str, request: Any, tip: float, syncing: bool) -> Any:
    """``tip``: Unix seconds of the newest block the node knows."""
    if isinstance(request, dict):
        return _rpc(request, _METHODS.get(chain.rpc_type, {}), chain, tip, syncing)
    if chain.rpc_type == "cosmos":
        return _cosmos(path, chain, tip, syncing)
    if chain.rpc_type == "aptos" and path in ("", "/v1"):
        micros = str(int(tip * 1e6))
        return {
            "block_height": str(height_at(chain, tip)),
            "ledger_timestamp": micros,
            "node_role": "full_node",
        }
    return None


def _rpc(
    request: Mapping[str, Any],
    methods: Mapping[str, Callable[[ChainFacts, float, bool], Any]],
    chain: ChainFacts,
    tip: float,
    syncing: bool,
) -> Mapping[str, Any]:
    head = {"jsonrpc": "2.0", "id": request.get("id")}
    method = methods.get(str(request.get("method")))
    if method is None:
        return {**head, "error": {"code": -32601, "message": "method not found"}}
    return {**head, "result": method(chain, tip, syncing)}


def _cosmos(path: str, chain: ChainFacts, tip: float, syncing: bool) -> Any:
    if path == "/status":
        return {"jsonrpc": "2.0", "id": -1, "result": _cosmos_status(chain, tip, syncing)}
    if path == "/cosmos/base/tendermint/v1beta1/blocks/latest":
        return {"block": {"header": {"chain_id": chain.chain_id, "height": str(height_at(chain, tip))}}}
    return None


def _cosmos_status(chain: ChainFacts, tip: float, syncing: bool) -> Mapping[str, Any]:
    sync = {
        "latest_block_height": str(height_at(chain, tip)),
        "latest_block_time": timestamp(tip),
        "catching_up": syncing,
    }
    return {"node_info": {"network": chain.chain_id}, "sync_info": sync}


def _eth_syncing(chain: ChainFacts, tip: float, syncing: bool) -> Any:
    height = height_at(chain, tip)
    return {"currentBlock": hex(height), "highestBlock": hex(height + 2_000)} if syncing else False


_METHODS: Mapping[str, Mapping[str, Callable[[ChainFacts, float, bool], Any]]] = {
    "evm": {
        "eth_blockNumber": lambda chain, tip, _: hex(height_at(chain, tip)),
        "eth_syncing": _eth_syncing,
        "eth_chainId": lambda chain, _tip, _syncing: hex(int(chain.chain_id)),
    },
    "cosmos": {"status": _cosmos_status},
    "sui": {"sui_getLatestCheckpointSequenceNumber": lambda chain, tip, _: str(height_at(chain, tip))},
}
