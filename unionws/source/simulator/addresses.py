"""Display and zkgm forms of canonical addresses, by chain family."""

from __future__ import annotations

from functools import lru_cache

import bech32
from Crypto.Hash import keccak

from unionws.source.simulator.world import ChainFacts


def display_address(chain: ChainFacts, canonical: str) -> str:
    """The form people see: ERC-55 (evm), bech32 of all bytes (cosmos), else the hex as it is."""
    if chain.rpc_type == "evm":
        return _checksummed(canonical)
    if chain.rpc_type == "cosmos" and chain.addr_prefix:
        return _bech32(chain.addr_prefix, canonical)
    return canonical


def zkgm_address(chain: ChainFacts, canonical: str) -> str:
    """The bytes a packet carries: the bech32 text (cosmos) or the canonical bytes, as ``0x`` hex."""
    if chain.rpc_type == "cosmos":
        return "0x" + display_address(chain, canonical).encode().hex()
    return canonical


@lru_cache(maxsize=20_000)
def _checksummed(canonical: str) -> str:
    digits = canonical[2:].lower()
    digest = keccak.new(digest_bits=256, data=digits.encode()).hexdigest()
    pairs = zip(digits, digest, strict=False)
    return "0x" + "".join(digit.upper() if mark > "7" else digit for digit, mark in pairs)


@lru_cache(maxsize=20_000)
def _bech32(prefix: str, canonical: str) -> str:
    groups = bech32.convertbits(bytes.fromhex(canonical[2:]), 8, 5)
    return str(bech32.bech32_encode(prefix, groups or []))
