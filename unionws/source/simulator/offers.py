"""Which tokens travel a route, and as what they arrive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate

from unionws.source.simulator.addresses import display_address
from unionws.source.simulator.world import ChainFacts, Route, Token, World


@dataclass(frozen=True, slots=True)
class Offer:
    """A token that can be sent on a route.

    Attributes:
        token: the base token, on the source chain.
        quote: the token the receiver gets, on the destination chain.
        wrap_direction: ``wrapping``, ``unwrapping`` or None (another token of the same symbol).
        scale: base units in one display unit.
        size: a typical amount, in display units.
    """

    token: Token
    quote: Token
    wrap_direction: str | None
    scale: int
    size: float


@dataclass(frozen=True, slots=True)
class Offers:
    """The offers of a route with their cumulative weights."""

    offers: tuple[Offer, ...]
    weights: tuple[float, ...]


def offers_by_route(world: World) -> tuple[Offers, ...]:
    """The offers of each route, in the order of ``world.routes``."""
    return tuple(_offers(world, route) for route in world.routes)


def wrapped(token: Token, chain: ChainFacts) -> Token:
    """What ``token`` is called on another chain: a contract whose address follows from both."""
    raw = blake2b(f"{chain.universal_chain_id}/{token.denom}".encode(), digest_size=32).hexdigest()
    return Token(chain, token.symbol, token.name, token.decimals, _contract(chain, raw))


def _contract(chain: ChainFacts, raw: str) -> str:
    if chain.rpc_type == "evm":
        return "0x" + raw[:40]
    if chain.rpc_type == "cosmos":
        return "0x" + display_address(chain, "0x" + raw).encode().hex()
    return "0x" + f"0x{raw}::fungible_token::FUNGIBLE_TOKEN".encode().hex()


def _offers(world: World, route: Route) -> Offers:
    weighted = list(_weighted(world, route))
    return Offers(tuple(offer for _, offer in weighted), tuple(accumulate(weight for weight, _ in weighted)))


def _weighted(world: World, route: Route) -> Iterator[tuple[float, Offer]]:
    there = {token.symbol: token for token in world.tokens_of(route.destination)}
    here = world.tokens_of(route.source)
    for place, token in enumerate(here):
        weight = 10.0 if place == 0 else 6.0 if token.symbol == "U" else 0.3
        quote = there.get(token.symbol)
        if quote is None:
            yield weight, _offer(token, wrapped(token, route.destination), "wrapping", world.sizes)
        else:
            yield weight, _offer(token, quote, None, world.sizes)
    known = {token.symbol for token in here}
    for token in there.values():
        if token.symbol not in known and token.decimals is not None:
            yield 1.5, _offer(wrapped(token, route.source), token, "unwrapping", world.sizes)


def _offer(token: Token, quote: Token, wrap_direction: str | None, sizes: Mapping[str, float]) -> Offer:
    decimals = token.decimals if token.decimals is not None else 8
    return Offer(token, quote, wrap_direction, 10**decimals, sizes.get(token.symbol, sizes[""]))
