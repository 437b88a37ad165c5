"""What the examples of docs/protocol.md are about: two real transfers, their chains and statistics."""

from __future__ import annotations

from collections.abc import Sequence

from unionws.builtin import statistics
from unionws.enrich.names import chains_json
from unionws.enrich.transfers import Enricher, fragment
from unionws.model import Chain, ChartRecord, EnrichedTransfer, Fragment, Rpc, Transfer
from unionws.settings import Settings
from unionws.stats.collector import Collector

EPOCH = "k3v9x2m7q1ab"
NOW = 1_760_011_202.0
NOW_MS = int(NOW * 1000)

UNION = Chain(
    "union.union-1",
    "union-1",
    "Union",
    rpc_type="cosmos",
    addr_prefix="union",
    rpcs=(Rpc("rpc", "https://rpc.union-1.example"),),
)
ETHEREUM = Chain("ethereum.1", "1", "Ethereum", rpc_type="evm", addr_prefix="0x")
CHAINS = (ETHEREUM, UNION)

FIRST = Transfer(
    sort_order="20251009120000-0x5d3c9c30c1d4b7f3f1d3b9f7a2b0e6c4d8a1f5e3b7c9d2a6e4f8b1c3d5e7f901-union.union-1-000",
    source_chain=UNION,
    destination_chain=ETHEREUM,
    packet_hash="0x5d3c9c30c1d4b7f3f1d3b9f7a2b0e6c4d8a1f5e3b7c9d2a6e4f8b1c3d5e7f901",
    transfer_index=0,
    sender_canonical="0x832f08179bc4837a97c7d4e8163d2bb05d3b67b3",
    receiver_canonical="0x76c27fff95ca0da08036a8fe0a6857d232e9a0af",
    send_time=NOW - 2,
    transfer_send_timestamp="2025-10-09T12:00:00.284349Z",
    transfer_send_transaction_hash="0xc79eb2c14b7bd7d13dc0e90e9ee3d83a66c2ebe93894f21748052450bfdce6a5",
    base_token="0x6175",
    quote_token="0xba5ed44733953d79717f6269357c77718c8ba5ed",
    base_amount="12500000000000000000",
    quote_amount="12500000000000000000",
    base_token_symbol="U",
    base_token_name="Union",
    base_token_decimals=18,
)
SECOND = Transfer(
    sort_order="20251009120001-0x91ab40f7d2c8e6b5a3f1c9d7e5b3a1f8d6c4b2a0e8f6d4c2b0a9e7f5d3c1b802-ethereum.1-000",
    source_chain=ETHEREUM,
    destination_chain=UNION,
    packet_hash="0x91ab40f7d2c8e6b5a3f1c9d7e5b3a1f8d6c4b2a0e8f6d4c2b0a9e7f5d3c1b802",
    transfer_index=0,
    sender_canonical="0x8473eafa127c946647dba0e2204c59c31bd96cd3",
    receiver_canonical="0x832f08179bc4837a97c7d4e8163d2bb05d3b67b3",
    send_time=NOW - 1,
    transfer_send_timestamp="2025-10-09T12:00:01.370765Z",
    transfer_send_transaction_hash="0x7d9909b0bd943d929debb6a81542b768960d75084146e7f53a50ab5c30b228ea",
    base_token="0xeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee",
    base_amount="57000000000000000",
    base_token_symbol="ETH",
    base_token_name="Ether",
    base_token_decimals=18,
)


def enriched() -> list[EnrichedTransfer]:
    """The two transfers with everything clients read."""
    enricher = Enricher()
    enricher.set_chains(CHAINS)
    return enricher.enrich((FIRST, SECOND), NOW)


def fragments() -> Sequence[Fragment]:
    """The same as an edge has them."""
    return [fragment(item) for item in enriched()]


def chains() -> bytes:
    """The chain list, encoded."""
    return chains_json(CHAINS)


def chart() -> ChartRecord:
    """Statistics that have counted both."""
    settings = Settings()
    collector = Collector(settings, statistics.register_statistics(settings), now=NOW - 60)
    collector.observe(enriched(), NOW)
    snapshot = collector.snapshot(NOW)
    return ChartRecord(NOW_MS, snapshot.rev, snapshot.chart, snapshot.rates)
