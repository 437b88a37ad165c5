"""What a chain is called, and the chain as clients get it.

The indexer tells of a chain twice: in every transfer (*embedded*) and in its chain list (*listed*).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from unionws.enrich.text import encode, whole_texts
from unionws.model import JSON, Chain


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """One side of a transfer, from both tellings.

    Attributes:
        name: display name, never empty.
        rpc_type, addr_prefix: decide how addresses are shown; empty when unknown.
        json: the chain object of the contract's Transfer table.
    """

    universal_chain_id: str
    name: str
    testnet: bool
    rpc_type: str
    addr_prefix: str
    json: dict[str, JSON]


def display_name(embedded: Chain, listed: Chain | None = None) -> str:
    """The listed name, else the embedded one, else the chain id, else the universal id."""
    return (
        (listed.display_name if listed else "")
        or embedded.display_name
        or embedded.chain_id
        or (listed.chain_id if listed else "")
        or embedded.universal_chain_id
    )


def chain_facts(embedded: Chain, listed: Chain | None = None) -> ChainFacts:
    """Both tellings joined: the embedded one first, the listed one where that is silent.

    An embedded ``testnet`` that is null was decoded as False, so either telling's True counts.
    """
    other = listed or embedded
    testnet = embedded.testnet or other.testnet
    rpc_type = embedded.rpc_type or other.rpc_type
    addr_prefix = embedded.addr_prefix or other.addr_prefix
    return ChainFacts(
        universal_chain_id=embedded.universal_chain_id,
        name=display_name(embedded, listed),
        testnet=testnet,
        rpc_type=rpc_type,
        addr_prefix=addr_prefix,
        json={
            "universal_chain_id": embedded.universal_chain_id,
            "display_name": embedded.display_name or display_name(embedded, listed),
            "chain_id": embedded.chain_id or other.chain_id,
            "testnet": testnet,
            "rpc_type": rpc_type,
            "addr_prefix": addr_prefix,
        },
    )


def chains_json(chains: Iterable[Chain]) -> bytes:
    """The ``data`` of a ``chains`` message: an encoded array in the given order.

    A chain without a name is shown by its id; ``logo_uri`` and ``rpcs`` are left out when unknown.
    """
    return encode([_listed_json(whole_texts(chain)) for chain in chains])


def _listed_json(chain: Chain) -> dict[str, JSON]:
    data = dict(chain_facts(chain).json)
    if chain.logo_uri:
        data["logo_uri"] = chain.logo_uri
    if chain.rpcs:
        data["rpcs"] = [{"url": rpc.url, "type": rpc.type} for rpc in chain.rpcs]
    return data
