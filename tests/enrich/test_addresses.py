from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unionws.enrich import addresses
from unionws.enrich.addresses import canonical_forms, display_address

DOMAIN_DATA = Path(
    os.environ.get("UNION_DOMAIN_DATA") or Path(__file__).parents[2].parent / "shared" / "domain_data.json"
)

BYTES_20 = "0x7e2a4035acd3bd00dc7c65cd0a31f981c654e254"
BYTES_32 = "0x8c75291f235fcf7f0dac98aadbd060eddaf2e08f35628e5e06368c4189665154"
CHECKSUMMED = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"

VECTORS = [
    ("cosmos", "union", BYTES_20, "union10c4yqddv6w7sphruvhxs5v0es8r9fcj5mpru7a"),
    ("cosmos", "osmo", BYTES_20, "osmo10c4yqddv6w7sphruvhxs5v0es8r9fcj5ed3yx7"),
    ("cosmos", "union", BYTES_32, "union1336jj8ertl8h7rdvnz4dh5rqahd09cy0x43guhsxx6xyrztx292qpe64fh"),
    ("evm", "0x", CHECKSUMMED.lower(), CHECKSUMMED),
    ("evm", "0x", "0x52908400098527886e0f7030069857d2e4169ee7", "0x52908400098527886E0F7030069857D2E4169EE7"),
    ("evm", "0x", "0xde709f2102306220921060314715629080e2fb77", "0xde709f2102306220921060314715629080e2fb77"),
    ("aptos", "", BYTES_32, BYTES_32),
    ("sui", "", BYTES_32, BYTES_32),
]


def published_vectors() -> list[dict[str, Any]]:
    if not DOMAIN_DATA.is_file():
        pytest.skip("no domain_data.json: set UNION_DOMAIN_DATA to its path")
    data = json.loads(DOMAIN_DATA.read_text("utf-8"))
    return [vector for vector in data["addresses"]["vectors"] if vector["display"]]


@pytest.mark.parametrize(("rpc_type", "prefix", "canonical", "display"), VECTORS)
def test_known_addresses_both_ways(rpc_type: str, prefix: str, canonical: str, display: str) -> None:
    """Known addresses are shown as their chain shows them, and read back to the same bytes."""
    assert display_address(canonical, rpc_type, prefix) == display
    assert canonical_forms(display) == canonical


def test_every_published_vector_both_ways() -> None:
    """All gathered address vectors hold in both directions."""
    vectors = published_vectors()
    assert len(vectors) > 10
    for vector in vectors:
        shown = display_address(vector["canonical"], vector["rpc_type"], vector["addr_prefix"] or "")
        assert shown == vector["display"], vector
        assert canonical_forms(vector["display"]) == vector["canonical"], vector


@pytest.mark.parametrize(
    ("rpc_type", "prefix", "canonical"),
    [
        ("evm", "0x", BYTES_32),
        ("evm", "0x", "0xzz"),
        ("evm", "0x", "0x12 34"),
        ("evm", "0x", "7e2a"),
        ("cosmos", "", BYTES_20),
        ("cosmos", "Union", BYTES_20),
        ("cosmos", "p" * 84, BYTES_20),
        ("cosmos", "pré", BYTES_20),
        ("cosmos", "union", "0x1234"),
        ("cosmos", "union", BYTES_20 + "0"),
        ("aptos", "", "0xA1"),
        ("sui", "", "0x2"),
        ("", "", BYTES_20),
        ("starknet", "0x", BYTES_20),
        ("evm", "0x", "\ud800"),
        ("cosmos", "union", "0x" + "00" * 5000),
    ],
)
def test_what_cannot_be_formed_stays_canonical(rpc_type: str, prefix: str, canonical: str) -> None:
    """An address that its chain's rule does not fit is shown as the indexer gave it."""
    assert display_address(canonical, rpc_type, prefix) == canonical


def test_canonical_case_does_not_matter() -> None:
    """Upper-case canonical hex gives the same display form."""
    upper = "0x" + BYTES_20[2:].upper()
    assert display_address(upper, "cosmos", "union") == display_address(BYTES_20, "cosmos", "union")
    assert display_address("0x" + CHECKSUMMED[2:].upper(), "evm", "0x") == CHECKSUMMED
    assert display_address("0x" + BYTES_32[2:].upper(), "aptos", "") == BYTES_32


@given(
    st.binary(min_size=20, max_size=20) | st.binary(min_size=32, max_size=32),
    st.sampled_from(["a", "osmo1x"]),
)
def test_bech32_keeps_every_byte(octets: bytes, prefix: str) -> None:
    """Bech32 forms carry all 20 or 32 bytes, under any prefix."""
    canonical = "0x" + octets.hex()
    shown = display_address(canonical, "cosmos", prefix)
    assert shown.startswith(prefix + "1")
    assert canonical_forms(shown) == canonical


@given(st.binary(min_size=20, max_size=20))
def test_erc55_round_trip(octets: bytes) -> None:
    """The checksum form differs from the canonical one only in case and is read back."""
    canonical = "0x" + octets.hex()
    shown = display_address(canonical, "evm", "0x")
    assert shown.lower() == canonical
    assert canonical_forms(shown) == canonical


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        (CHECKSUMMED.upper().replace("0X", "0x"), CHECKSUMMED.lower()),
        (CHECKSUMMED.upper(), CHECKSUMMED.lower()),
        (CHECKSUMMED.lower()[2:], CHECKSUMMED.lower()),
        (f"  {CHECKSUMMED}\n", CHECKSUMMED.lower()),
        (BYTES_32[:-2] + "aB", BYTES_32[:-2] + "ab"),
        ("UNION10C4YQDDV6W7SPHRUVHXS5V0ES8R9FCJ5MPRU7A", BYTES_20),
    ],
)
def test_other_spellings_are_read(text: str, canonical: str) -> None:
    """Any single case, no 0x and surrounding space are accepted; only 20 bytes have a checksum."""
    assert canonical_forms(text) == canonical


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (CHECKSUMMED[:-1] + "D", "ERC-55"),
        (CHECKSUMMED[2:-1] + "D", "ERC-55"),
        ("union10c4yqddv6w7sphruvhxs5v0es8r9fcj5mpru7q", "checksum"),
        ("Union10c4yqddv6w7sphruvhxs5v0es8r9fcj5mpru7a", "upper case"),
        ("a1pv7wwwr", "whole bytes"),
        ("a12uel5l", "whole bytes"),
    ],
)
def test_mistyped_addresses_are_refused(text: str, complaint: str) -> None:
    """A wrong checksum is named in a sentence, so a typing error never filters silently."""
    with pytest.raises(ValueError, match=complaint):
        canonical_forms(text)


@pytest.mark.parametrize(
    "text", ["", "0x", "0x123", "hello", "alice.eth", "union1", "1" * 300, "\ud800", "é1qqqqqq"]
)
def test_what_is_no_address(text: str) -> None:
    """Text that does not look like an address gives None."""
    assert canonical_forms(text) is None


def test_remembered_forms_are_bounded() -> None:
    """The store of display forms has a bound."""
    assert addresses._formed.cache_info().maxsize == addresses.REMEMBERED
