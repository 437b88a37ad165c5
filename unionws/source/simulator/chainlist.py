"""What the API shows of a chain, and of the latency between two."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import Any

from unionws.source.simulator.addresses import display_address
from unionws.source.simulator.rows import ACK_SHARE, Moment, height_at, timestamp
from unionws.source.simulator.world import LATENCY_SIGMA, ChainFacts, Route, load_world

_ANSWERED_TYPES = ("rpc", "rest")
_FEATURES = ("packet_list", "transfer_list", "connection_list", "channel_list", "index_status")
_Z95 = 1.6449


def _status(chain: ChainFacts, moment: Moment) -> Mapping[str, Any]:
    height = height_at(chain, moment.now)
    age = moment.now % chain.block_seconds
    tip = timestamp(moment.now - age)
    return {"height": str(height), "timestamp": tip, "tip_age_seconds": int(age), "status": "ok"}


def _explorers(chain: ChainFacts, _moment: Moment) -> list[Mapping[str, Any]]:
    if chain.explorer is None:
        return []
    about = chain.explorer
    urls = {f"{kind}_url": f"{about['home']}/{about[kind]}/" for kind in ("tx", "address", "block")}
    names = {"name": about["name"], "display_name": about["display_name"], "home_url": about["home"]}
    return [{**names, **urls, "description": None, "logo_uri": None}]


def _rpcs(chain: ChainFacts, moment: Moment) -> list[Mapping[str, Any]]:
    """The chain's nodes, or, with an ``rpc_base``, stand-ins of the simulator itself: one for each
    node of a type they speak, and at least one."""
    if moment.rpc_base is None:
        return [_rpc(entry["type"], entry["url"]) for entry in chain.rpcs]
    types = [entry["type"] for entry in chain.rpcs if entry["type"] in _ANSWERED_TYPES] or ["rpc"]
    base = f"{moment.rpc_base}/rpc/{chain.universal_chain_id}"
    return [_rpc(kind, base + (f"/node{place}" if place else "")) for place, kind in enumerate(types)]


def _rpc(kind: str, url: str) -> Mapping[str, Any]:
    return {"type": kind, "url": url, "description": None, "contact": None}


def _minter(chain: ChainFacts, _moment: Moment) -> str:
    size = 20 if chain.rpc_type == "evm" else 32
    raw = blake2b(chain.universal_chain_id.encode(), person=b"minter", digest_size=size)
    return display_address(chain, "0x" + raw.hexdigest())


CHAIN_FIELDS: Mapping[str, Callable[[ChainFacts, Moment], Any]] = {
    "chain_id": lambda chain, _: chain.chain_id,
    "display_name": lambda chain, _: chain.display_name,
    "testnet": lambda chain, _: chain.testnet,
    "rpc_type": lambda chain, _: chain.rpc_type,
    "addr_prefix": lambda chain, _: chain.addr_prefix,
    "logo_uri": lambda chain, _: None,
    "universal_chain_id": lambda chain, _: chain.universal_chain_id,
    "minter_address_display": _minter,
    "status": _status,
    "editions": lambda chain, _: list(chain.editions),
    "explorers": _explorers,
    "rpcs": _rpcs,
}
"""Every field of ``v2_chain_type`` that takes no argument: (chain, moment) to its value."""


def features(chain: ChainFacts, _moment: Moment, where: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What may be shown of a chain, by environment; ``where`` is {environment: {_eq: text}}."""
    condition = where.get("environment") or {}
    wanted = condition.get("_eq")
    found = [edition["environment"].upper() for edition in chain.editions]
    return [
        {"environment": environment, **dict.fromkeys(_FEATURES, True), "transfer_submission": True}
        for environment in found
        if wanted is None or environment == wanted.upper()
    ]


def latency(source: str | None, destination: str | None) -> list[Mapping[str, Any]]:
    """``v2_stats_latency``: one entry for each route that fits; None fits all."""
    return [_percentiles(route) for route in _fitting(load_world().routes, source, destination)]


def _fitting(routes: Iterable[Route], source: str | None, destination: str | None) -> Iterable[Route]:
    for route in routes:
        leaves = source is None or route.source.universal_chain_id == source
        arrives = destination is None or route.destination.universal_chain_id == destination
        if leaves and arrives:
            yield route


def _percentiles(route: Route) -> Mapping[str, Any]:
    """Seconds until each event, from the very distribution that transfers are drawn from."""
    spread = math.exp(_Z95 * LATENCY_SIGMA)
    written = route.latency * (1 + ACK_SHARE)
    medians = {"packet_recv": route.latency, "write_ack": written, "packet_ack": written + route.back}
    return {
        f"secs_until_{event}": {
            "p5": round(median / spread, 3),
            "median": round(median, 3),
            "p95": round(median * spread, 3),
        }
        for event, median in medians.items()
    }
