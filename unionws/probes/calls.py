"""What to ask a chain's node, and what its answer means. Pure.

The family is the chain's ``rpc_type``, the entry the ``type`` of the RPC address; an entry that no
call below speaks (grpc, graphql) is not probed.

====== ========= ==================================================================
family entry     call
====== ========= ==================================================================
cosmos rpc       GET ``/status``
cosmos rest      GET ``/cosmos/base/tendermint/v1beta1/blocks/latest``
evm    rpc       POST ``eth_blockNumber``, then ``eth_syncing``
aptos  rpc, rest GET the address itself (``…/v1``)
sui    rpc       POST ``sui_getLatestCheckpointSequenceNumber``
====== ========= ==================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import ujson

from unionws.model import Chain

OLD_BLOCK = 300.0
"""Seconds: a node whose newest block is older lags behind, or its chain has stopped."""

LATEST_BLOCK = "/cosmos/base/tendermint/v1beta1/blocks/latest"
HIGHEST = 2**63


@dataclass(frozen=True, slots=True)
class Call:
    """One request: a GET, or a POST of ``body``."""

    url: str
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What answers say.

    Attributes:
        height: newest block.
        lag: why the node is behind, in words; "" when it is not.
    """

    height: int | None = None
    lag: str = ""


class Unusable(Exception):
    """An answer is not what the call promises; ``str()`` says why."""


Read = Callable[[Sequence[Any], float], Found]
"""From the decoded answers, and Unix seconds of now."""


@dataclass(frozen=True, slots=True)
class Target:
    """One node of a chain: what to ask, in order, and how to read the answers."""

    chain: str
    chain_name: str
    url: str
    family: str
    calls: tuple[Call, ...]
    read: Read


def targets(chains: Iterable[Chain], most: int) -> list[Target]:
    """Every node that can be probed, in the order of the chains; at most ``most``."""
    found = {
        (chain.universal_chain_id, rpc.url): _target(chain, rpc.type, rpc.url)
        for chain in chains
        for rpc in chain.rpcs
    }
    return [target for target in found.values() if target is not None][:most]


def _target(chain: Chain, entry: str, url: str) -> Target | None:
    plan = _PLANS.get((chain.rpc_type, entry))
    if plan is None or not url.startswith(("http://", "https://")):
        return None
    calls, read = plan
    name = chain.display_name or chain.chain_id or chain.universal_chain_id
    made = tuple(call(url.rstrip("/")) for call in calls)
    return Target(chain.universal_chain_id, name, url, chain.rpc_type, made, read)


def _get(path: str) -> Callable[[str], Call]:
    return lambda base: Call(base + path)


def _post(method: str) -> Callable[[str], Call]:
    body = ujson.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": []}).encode()
    return lambda base: Call(base, body)


# --------------------------------------------------------------------------------------- reading


def _object(value: Any, *path: str) -> Mapping[str, Any]:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, dict):
        raise Unusable(f"no {'.'.join(path) or 'object'} in the answer")
    return value


def _result(answer: Any) -> Any:
    """``result`` of a JSON-RPC answer."""
    whole = _object(answer)
    if whole.get("error") is not None or "result" not in whole:
        error = whole.get("error")
        words = error.get("message") if isinstance(error, dict) else error
        raise Unusable(f"RPC error: {words}" if words else "no result in the answer")
    return whole["result"]


def _height(value: Any, base: int = 10) -> int:
    try:
        height = value if type(value) is int else int(str(value), base)
    except ValueError:
        height = -1
    if not 0 <= height < HIGHEST:
        raise Unusable(f"{str(value)[:40]!r} is no block height")
    return height


def _age(seconds: float | None, now: float) -> str:
    if seconds is None or now - seconds <= OLD_BLOCK:
        return ""
    return f"newest block is {round(now - seconds)} s old"


def _moment(value: Any) -> float | None:
    """Unix seconds of an RFC 3339 text with any number of digits; None when it is not one."""
    text = str(value)
    try:
        return datetime.fromisoformat(f"{text[:19]}+00:00").timestamp() if text.endswith("Z") else None
    except ValueError:
        return None


def _cosmos_status(answers: Sequence[Any], now: float) -> Found:
    sync = _object(_result(answers[0]), "sync_info")
    lag = _age(_moment(sync.get("latest_block_time")), now)
    if sync.get("catching_up") is True:
        lag = "catching up"
    return Found(_height(sync.get("latest_block_height")), lag)


def _cosmos_block(answers: Sequence[Any], now: float) -> Found:
    header = _object(answers[0], "block", "header")
    return Found(_height(header.get("height")), _age(_moment(header.get("time")), now))


def _evm(answers: Sequence[Any], _now: float) -> Found:
    syncing = _result(answers[1])
    return Found(_height(_result(answers[0]), 16), "syncing" if syncing else "")


def _aptos(answers: Sequence[Any], now: float) -> Found:
    ledger = _object(answers[0])
    micros = str(ledger.get("ledger_timestamp"))
    time = int(micros) / 1e6 if micros.isascii() and micros.isdecimal() and len(micros) < 20 else None
    return Found(_height(ledger.get("block_height")), _age(time, now))


def _sui(answers: Sequence[Any], _now: float) -> Found:
    return Found(_height(_result(answers[0])))


_PLANS: Mapping[tuple[str, str], tuple[Sequence[Callable[[str], Call]], Read]] = {
    ("cosmos", "rpc"): ([_get("/status")], _cosmos_status),
    ("cosmos", "rest"): ([_get(LATEST_BLOCK)], _cosmos_block),
    ("evm", "rpc"): ([_post("eth_blockNumber"), _post("eth_syncing")], _evm),
    ("aptos", "rpc"): ([_get("")], _aptos),
    ("aptos", "rest"): ([_get("")], _aptos),
    ("sui", "rpc"): ([_post("sui_getLatestCheckpointSequenceNumber")], _sui),
}
