"""Identifiers: they look like hashes and lead back to what they name."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from unionws.source.simulator.identifiers import Identifiers, Sealer

IDS = Identifiers(1)


@settings(max_examples=50, deadline=None)
@given(number=st.integers(0, 2**64 - 1), size=st.integers(16, 32))
def test_a_sealed_number_opens_again(number: int, size: int) -> None:
    """Every number survives, at every size."""
    sealer = Sealer(1, "packet")
    text = sealer.seal(number, size)
    assert re.fullmatch(rf"0x[0-9a-f]{{{2 * size}}}", text)
    assert sealer.open(text) == number
    assert sealer.open(text.upper().replace("0X", "0x")) == number


def test_foreign_texts_do_not_open() -> None:
    """Another seed's, another kind's, damaged and absurd texts give None."""
    text = IDS.packet_hash(7)
    assert Identifiers(2).open_packet(text) is None
    assert IDS.open_transaction(text) is None
    assert IDS.open_packet(text[:-1] + ("0" if text[-1] != "0" else "1")) is None
    for absurd in ("", "0x", "0xzz", "hello", "0x" + "00" * 32, "0x" + "11" * 200):
        assert IDS.open_packet(absurd) is None


def test_each_kind_leads_back() -> None:
    """Transactions, blocks and wallets give what they were made of."""
    assert IDS.open_transaction(IDS.transaction(123 << 24 | 5, 6)) == (123 << 24 | 5, 6)
    assert IDS.open_block(IDS.block(25, 123_456_789)) == (25, 123_456_789)
    for family in ("evm", "cosmos", "aptos", "sui"):
        for rank in (1, 7, 23, 200_000):
            assert IDS.open_wallet(IDS.wallet(family, rank)) == (family, rank)


def test_addresses_have_the_length_of_their_family() -> None:
    """evm has 20 bytes, sui and aptos 32, cosmos 20 and, for contracts, 32."""
    lengths = {
        family: {len(IDS.wallet(family, rank)) // 2 - 1 for rank in range(1, 40)}
        for family in ("evm", "cosmos", "aptos", "sui")
    }
    assert lengths == {"evm": {20}, "cosmos": {20, 32}, "aptos": {32}, "sui": {32}}
