"""Real chains, routes and tokens, from ``world.json``, as the simulator's stage.

``world.json``: ``chains``, ``routes`` (a pair of chains, its channels, the two service-level
bounds in seconds or null, and how favoured each direction is), ``tokens`` (``decimals`` null: not
known, as for several tokens of the real indexer) and ``sizes`` (a typical amount per symbol, in
display units).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

LATENCY_SIGMA = 0.45
"""Spread of a route's log-normal latency; draws are cut at three of these."""

_USUAL_LATENCY = {"cosmos": 45.0, "sui": 20.0, "aptos": 20.0}


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """A chain; ``number`` is its place in the list and ``block_seconds`` the time between blocks."""

    number: int
    universal_chain_id: str
    chain_id: str
    display_name: str | None
    testnet: bool
    rpc_type: str
    addr_prefix: str | None
    block_seconds: float = 2.0
    editions: tuple[Mapping[str, str], ...] = ()
    rpcs: tuple[Mapping[str, str], ...] = ()
    explorer: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """A token on one chain; ``denom`` is ``0x`` hex, ``decimals`` None when not known."""

    chain: ChainFacts
    symbol: str
    name: str
    decimals: int | None
    denom: str


@dataclass(frozen=True, slots=True)
class Route:
    """One direction between two chains.

    Attributes:
        weight: how favoured it is, relative to the others.
        latency: median seconds until the packet is received.
        back: the same of the opposite direction, which an acknowledgement takes.
    """

    number: int
    source: ChainFacts
    destination: ChainFacts
    source_channel: int
    destination_channel: int
    weight: float
    latency: float
    back: float

    @property
    def testnet(self) -> bool:
        return self.source.testnet or self.destination.testnet


@dataclass(frozen=True, slots=True)
class World:
    """Everything there is; routes are directed, two for each pair."""

    chains: tuple[ChainFacts, ...]
    routes: tuple[Route, ...]
    tokens: tuple[Token, ...]
    sizes: Mapping[str, float]

    def chain(self, universal_chain_id: str) -> ChainFacts:
        """The chain of that id; KeyError when there is none."""
        for chain in self.chains:
            if chain.universal_chain_id == universal_chain_id:
                return chain
        raise KeyError(universal_chain_id)

    def tokens_of(self, chain: ChainFacts) -> tuple[Token, ...]:
        """The tokens of a chain, its gas token first."""
        return tuple(token for token in self.tokens if token.chain is chain)


@cache
def load_world() -> World:
    """Read ``world.json`` of this package; the result is shared and never changes."""
    facts = json.loads((files(__package__) / "world.json").read_text("utf-8"))
    chains = tuple(_chain(number, entry) for number, entry in enumerate(facts["chains"]))
    by_id = {chain.universal_chain_id: chain for chain in chains}
    routes = tuple(
        _route(number, entry, by_id, reverse)
        for number, (entry, reverse) in enumerate(
            (entry, reverse) for entry in facts["routes"] for reverse in (False, True)
        )
    )
    tokens = tuple(Token(**{**entry, "chain": by_id[entry["chain"]]}) for entry in facts["tokens"])
    return World(chains, routes, tokens, facts["sizes"])


def _chain(number: int, entry: Mapping[str, Any]) -> ChainFacts:
    lists = {key: tuple(entry[key]) for key in ("editions", "rpcs")}
    return ChainFacts(number, **{**entry, **lists})


def _route(number: int, entry: Mapping[str, Any], chains: Mapping[str, ChainFacts], reverse: bool) -> Route:
    ends = [chains[entry["a"]], chains[entry["b"]]]
    channels = [entry["a_channel"], entry["b_channel"]]
    bounds = list(entry["sla"] or (None, None))
    if reverse:
        ends, channels, bounds = ends[::-1], channels[::-1], bounds[::-1]
    latency, back = (_median(end, bound) for end, bound in zip(ends, bounds, strict=True))
    source, destination = ends
    weight = entry["weights"][reverse]
    return Route(number, source, destination, channels[0], channels[1], weight, latency, back)


def _median(source: ChainFacts, bound: float | None) -> float:
    """Typical seconds to finality and relay: a tenth of the promised bound, else by chain family."""
    return bound / 10 if bound is not None else _USUAL_LATENCY.get(source.rpc_type, 240.0)
