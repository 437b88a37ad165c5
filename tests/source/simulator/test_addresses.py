"""Display forms of addresses, against published vectors."""

from __future__ import annotations

import pytest

from unionws.source.simulator.addresses import display_address, zkgm_address
from unionws.source.simulator.world import load_world

VECTORS = [
    (
        "union.union-1",
        "0x7e2a4035acd3bd00dc7c65cd0a31f981c654e254",
        "union10c4yqddv6w7sphruvhxs5v0es8r9fcj5mpru7a",
    ),
    (
        "union.union-1",
        "0x8c75291f235fcf7f0dac98aadbd060eddaf2e08f35628e5e06368c4189665154",
        "union1336jj8ertl8h7rdvnz4dh5rqahd09cy0x43guhsxx6xyrztx292qpe64fh",
    ),
    (
        "ethereum.1",
        "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    ),
    (
        "ethereum.1",
        "0x27b1fdb04752bbc536007a920d24acb045561c26",
        "0x27b1fdb04752bbc536007a920d24acb045561c26",
    ),
    (
        "sui.4c78adac",
        "0x8c7414ef89a6cb00a43c60027316ae450b642eca67a5a9d14fe34135e2edea05",
        "0x8c7414ef89a6cb00a43c60027316ae450b642eca67a5a9d14fe34135e2edea05",
    ),
]


@pytest.mark.parametrize(("chain", "canonical", "display"), VECTORS)
def test_display_forms(chain: str, canonical: str, display: str) -> None:
    """ERC-55 on evm, bech32 of all bytes on cosmos, hex on sui."""
    assert display_address(load_world().chain(chain), canonical) == display


def test_zkgm_form_is_the_text_on_cosmos_and_the_bytes_elsewhere() -> None:
    """A packet carries the bech32 text of a cosmos address."""
    _, canonical, display = VECTORS[0]
    assert zkgm_address(load_world().chain("union.union-1"), canonical) == "0x" + display.encode().hex()
    assert zkgm_address(load_world().chain("ethereum.1"), canonical) == canonical
