"""Addresses: canonical bytes to the form people know, and back.

Canonical is ``0x`` and the bytes in hex. Displayed (semantics, Enrichment): ``evm`` as ERC-55,
``cosmos`` as bech32 of all bytes under the chain's prefix, ``aptos`` and ``sui`` as ``0x`` hex of
32 bytes, anything else as canonical.
"""

from __future__ import annotations

import re
from functools import lru_cache

from bech32 import bech32_decode, bech32_encode, convertbits
from Crypto.Hash import keccak

HEX = re.compile(r"0[xX](?:[0-9a-fA-F]{2})+")
BARE_HEX = re.compile(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")
PREFIX = re.compile(r"[!-@\[-~]{1,83}")
"""Human-readable part of a bech32 text (BIP 173), in lower case."""
BECH32 = re.compile(r"[!-~]{1,83}1[02-9ac-hj-np-z]{6,}", re.IGNORECASE | re.ASCII)
LONGEST = 200
"""Characters; longer texts are no address of any chain and are not worth a look."""
REMEMBERED = 20_000
"""Forms kept, about 8 MB: a bech32 text costs 60 µs to build, and wallets come back (Zipf)."""


def display_address(canonical: str, rpc_type: str, addr_prefix: str) -> str:
    """The display form of an address, or ``canonical`` itself where none can be formed."""
    if rpc_type not in ("evm", "cosmos", "aptos", "sui") or len(canonical) > LONGEST:
        return canonical
    return _formed(canonical, rpc_type, addr_prefix)


@lru_cache(maxsize=REMEMBERED)
def _formed(canonical: str, rpc_type: str, addr_prefix: str) -> str:
    if not HEX.fullmatch(canonical):
        return canonical
    size = len(canonical) // 2 - 1
    if rpc_type == "evm":
        return erc55(canonical) if size == 20 else canonical
    if rpc_type == "cosmos":
        return _bech32(canonical, addr_prefix) if size in (20, 32) else canonical
    return canonical.lower() if size == 32 else canonical


def erc55(canonical: str) -> str:
    """The mixed-case checksum form of 20 bytes in ``0x`` hex of any case (ERC-55)."""
    digits = canonical[2:].lower()
    digest = keccak.new(digest_bits=256, data=digits.encode()).hexdigest()
    return "0x" + "".join(c.upper() if d >= "8" else c for c, d in zip(digits, digest, strict=False))


def _bech32(canonical: str, addr_prefix: str) -> str:
    groups = convertbits(bytes.fromhex(canonical[2:]), 8, 5)
    if groups is None or not PREFIX.fullmatch(addr_prefix):
        return canonical
    return bech32_encode(addr_prefix, groups)


def canonical_forms(text: str) -> str | None:
    """The canonical form, in lower case, of an address in canonical or display form.

    Returns:
        ``0x`` and lower-case hex; None when the text does not look like an address.

    Raises:
        ValueError: it looks like one and its checksum is wrong.
    """
    text = text.strip()
    if len(text) > LONGEST:
        return None
    if BARE_HEX.fullmatch(text):
        text = "0x" + text
    if HEX.fullmatch(text):
        return _from_hex(text)
    return _from_bech32(text) if BECH32.fullmatch(text) else None


def _from_hex(text: str) -> str:
    digits = text[2:]
    mixed = digits != digits.lower() and digits != digits.upper()
    if mixed and len(digits) == 40 and erc55(text)[2:] != digits:
        raise ValueError(f"address {text}: its upper and lower case do not fit its ERC-55 checksum")
    return "0x" + digits.lower()


def _from_bech32(text: str) -> str:
    if text != text.lower() and text != text.upper():
        raise ValueError(f"address {text}: a bech32 text is all lower or all upper case")
    _, groups = bech32_decode(text)
    if groups is None:
        raise ValueError(f"address {text}: its bech32 checksum is wrong")
    octets = convertbits(groups, 5, 8, False)
    if not octets:
        raise ValueError(f"address {text}: its bech32 data is not whole bytes")
    return "0x" + bytes(octets).hex()
