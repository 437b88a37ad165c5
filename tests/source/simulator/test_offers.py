"""Tokens of a route."""

from __future__ import annotations

import re

from unionws.source.simulator.offers import offers_by_route, wrapped
from unionws.source.simulator.world import load_world


def test_base_tokens_are_of_the_source_and_quote_tokens_of_the_destination() -> None:
    """Both ends of every offer are on the right chain, in lower-case hex, under one symbol."""
    world = load_world()
    for route, offers in zip(world.routes, offers_by_route(world), strict=True):
        assert offers.offers
        for offer in offers.offers:
            assert offer.token.chain is route.source
            assert offer.quote.chain is route.destination
            assert offer.token.symbol == offer.quote.symbol
            assert re.fullmatch(r"0x[0-9a-f]+", offer.token.denom)
            assert re.fullmatch(r"0x[0-9a-f]+", offer.quote.denom)


def test_wrapping_and_unwrapping_are_inverse() -> None:
    """What arrives wrapped goes home under the very same denom."""
    world = load_world()
    offers = {
        (route.source.universal_chain_id, route.destination.universal_chain_id): found.offers
        for route, found in zip(world.routes, offers_by_route(world), strict=True)
    }
    there = next(o for o in offers["union.union-1", "arbitrum.42161"] if o.token.symbol == "eU")
    assert there.wrap_direction == "wrapping"
    assert there.quote == wrapped(there.token, there.quote.chain)
    home = next(o for o in offers["osmosis.osmosis-1", "babylon.bbn-1"] if o.token.symbol == "BABY")
    assert home.wrap_direction == "unwrapping"
    assert home.token == wrapped(home.quote, home.token.chain)
