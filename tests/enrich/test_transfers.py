from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from unionws.enrich import transfers as module
from unionws.enrich.transfers import Enricher, fragment
from unionws.model import Chain, EnrichedTransfer, Transfer

NOW = 1_750_000_000.5
UNION = Chain("union.union-1", "union-1", "Union", False, "cosmos", "union")
SEPOLIA = Chain("ethereum.11155111", "11155111", "Sepolia", True, "evm", "0x")
SENDER = "0x7e2a4035acd3bd00dc7c65cd0a31f981c654e254"
RECEIVER = "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"

FULL = Transfer(
    sort_order="20250615123456-0xab-union.union-1-000",
    source_chain=UNION,
    destination_chain=SEPOLIA,
    packet_hash="0x" + "ab" * 32,
    transfer_index=0,
    sender_canonical=SENDER,
    receiver_canonical=RECEIVER,
    send_time=1_749_990_896.123,
    recv_time=1_749_990_900.0,
    transfer_send_timestamp="2025-06-15T12:34:56.123+00:00",
    transfer_recv_timestamp="2025-06-15T12:35:00Z",
    transfer_send_transaction_hash="0x01",
    base_token="0x6175",
    base_amount="1500000",
    quote_token="0xEE",
    quote_amount="1400000",
    base_token_symbol="U",
    base_token_name="Union",
    base_token_decimals=6,
)


def enriched(transfer: Transfer, chains: tuple[Chain, ...] = (UNION, SEPOLIA)) -> EnrichedTransfer:
    enricher = Enricher()
    enricher.set_chains(chains)
    return enricher.enrich([transfer], NOW)[0]


def published(transfer: Transfer, chains: tuple[Chain, ...] = (UNION, SEPOLIA)) -> dict[str, Any]:
    data = json.loads(enriched(transfer, chains).json)
    assert isinstance(data, dict)
    return data


def test_a_full_transfer_has_every_field_in_order() -> None:
    """A row without nulls carries the whole Transfer table of the contract, in its order."""
    expected = {
        "source_chain": {
            "universal_chain_id": "union.union-1",
            "display_name": "Union",
            "chain_id": "union-1",
            "testnet": False,
            "rpc_type": "cosmos",
            "addr_prefix": "union",
        },
        "destination_chain": {
            "universal_chain_id": "ethereum.11155111",
            "display_name": "Sepolia",
            "chain_id": "11155111",
            "testnet": True,
            "rpc_type": "evm",
            "addr_prefix": "0x",
        },
        "packet_hash": "0x" + "ab" * 32,
        "sort_order": "20250615123456-0xab-union.union-1-000",
        "transfer_index": 0,
        "sender_canonical": SENDER,
        "receiver_canonical": RECEIVER,
        "transfer_send_timestamp": "2025-06-15T12:34:56.123+00:00",
        "transfer_recv_timestamp": "2025-06-15T12:35:00Z",
        "transfer_send_transaction_hash": "0x01",
        "base_token": "0x6175",
        "quote_token": "0xEE",
        "base_amount": "1500000",
        "quote_amount": "1400000",
        "base_token_symbol": "U",
        "base_token_name": "Union",
        "base_token_decimals": 6,
        "base_token_amount_display": "1.5",
        "isTestnetTransfer": True,
        "sourceDisplayName": "Union",
        "destinationDisplayName": "Sepolia",
        "formattedTimestamp": "2025-06-15T12:34:56Z",
        "routeKey": "union.union-1->ethereum.11155111",
        "senderDisplay": "union10c4yqddv6w7sphruvhxs5v0es8r9fcj5mpru7a",
        "receiverDisplay": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    }
    data = published(FULL)
    assert data == expected
    assert list(data) == list(expected)


def test_unknown_fields_are_left_out() -> None:
    """A row of which only the key and the chains are known has no nulls, empties or invented times."""
    data = published(Transfer("s", Chain("a.1"), Chain("b.2")), chains=())
    assert list(data) == [
        "source_chain",
        "destination_chain",
        "sort_order",
        "isTestnetTransfer",
        "sourceDisplayName",
        "destinationDisplayName",
        "routeKey",
    ]
    assert data["isTestnetTransfer"] is False
    assert data["sourceDisplayName"] == "a.1"


def test_the_attributes_agree_with_the_json() -> None:
    """Statistics see the same names, flag, addresses and amount as clients."""
    item = enriched(FULL)
    assert item.transfer is FULL
    assert (item.route_key, item.source_name, item.destination_name, item.testnet) == (
        "union.union-1->ethereum.11155111",
        "Union",
        "Sepolia",
        True,
    )
    assert item.sender_display == "union10c4yqddv6w7sphruvhxs5v0es8r9fcj5mpru7a"
    assert item.receiver_display == "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    assert item.amount == Decimal("1.5")
    assert item.event_time == 1_749_990_896.123


def test_a_row_without_send_time_happened_when_it_was_seen() -> None:
    """The event time of a row with a null send time is the moment it was first seen."""
    item = enriched(replace(FULL, send_time=None, transfer_send_timestamp=None))
    assert item.event_time == NOW
    assert "formattedTimestamp" not in json.loads(item.json)
    assert "transfer_send_timestamp" not in json.loads(item.json)


def test_the_apis_display_form_is_kept() -> None:
    """A display address given by the indexer is passed on, an empty one is not."""
    data = published(replace(FULL, sender_display="union1given", receiver_display=""))
    assert data["senderDisplay"] == "union1given"
    assert data["receiverDisplay"] == "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    alone = published(replace(FULL, sender_canonical=None, sender_display="union1given"))
    assert alone["senderDisplay"] == "union1given"
    assert "sender_canonical" not in alone


def test_an_address_without_a_form_is_shown_canonical() -> None:
    """Where the chain's family is unknown the display form is the canonical one."""
    data = published(replace(FULL, source_chain=Chain("x.9")), chains=())
    assert data["senderDisplay"] == SENDER


def test_the_chain_list_fills_gaps_and_can_change() -> None:
    """A bare embedded chain is completed from the chain list, and a newer list takes effect."""
    bare = replace(FULL, source_chain=Chain("union.union-1"))
    enricher = Enricher()
    assert enricher.enrich([bare], NOW)[0].sender_display == SENDER
    enricher.set_chains([UNION])
    assert enricher.enrich([bare], NOW)[0].sender_display.startswith("union1")
    enricher.set_chains([replace(UNION, display_name="Renamed", testnet=True)])
    item = enricher.enrich([bare], NOW)[0]
    assert item.source_name == "Renamed"
    assert item.testnet is True


def test_chains_are_told_apart_by_universal_id() -> None:
    """Chains that share a chain id or a name keep their own facts and routes."""
    one, two = Chain("a.1", "1", "Same", False, "evm"), Chain("b.1", "1", "Same", True, "evm")
    data = published(replace(FULL, source_chain=one, destination_chain=two), chains=(one, two))
    assert data["routeKey"] == "a.1->b.1"
    assert (data["source_chain"]["testnet"], data["destination_chain"]["testnet"]) == (False, True)


@pytest.mark.parametrize("given", ["2025-06-15 12:34:56+00", "1749990896", "2025-06-15T12:34:56"])
def test_times_are_always_rfc3339(given: str) -> None:
    """A send time spelt otherwise, yet understood, is published in RFC 3339."""
    data = published(replace(FULL, transfer_send_timestamp=given, send_time=1_749_990_896.9))
    assert data["transfer_send_timestamp"] == "2025-06-15T12:34:56Z"


def test_times_that_were_not_understood_are_left_out() -> None:
    """A time text without a parsed time, or a time past the calendar, is not published."""
    data = published(replace(FULL, recv_time=None, send_time=1e18, transfer_send_timestamp="soon"))
    assert "transfer_recv_timestamp" not in data
    assert "transfer_send_timestamp" not in data
    assert "formattedTimestamp" not in data


def test_half_a_surrogate_pair_does_not_stop_a_row() -> None:
    """Text that UTF-8 cannot carry is mended in the JSON and for everybody behind."""
    item = enriched(replace(FULL, base_token_symbol="U\ud800", base_token_name="</script>é"))
    data = json.loads(item.json.decode("utf-8"))
    assert data["base_token_symbol"] == "U\ufffd"
    assert data["base_token_name"] == "</script>é"
    assert item.transfer.base_token_symbol == "U\ufffd"
    assert fragment(item).symbol == "u\ufffd"


def test_half_a_pair_in_a_chain_name_is_mended() -> None:
    """Chain names are mended whether embedded or listed."""
    bad = Chain("a.1", display_name="A\udc00")
    assert published(replace(FULL, source_chain=bad), chains=())["sourceDisplayName"] == "A\ufffd"
    assert (
        published(replace(FULL, source_chain=Chain("a.1")), chains=(bad,))["sourceDisplayName"] == "A\ufffd"
    )


def test_a_fragment_has_the_keys_of_filters() -> None:
    """Filter keys are lower case, amounts decimal text, times whole milliseconds."""
    item = enriched(replace(FULL, sender_canonical=SENDER.upper(), base_token_symbol="muON"))
    piece = fragment(item)
    assert piece.sort_order == FULL.sort_order
    assert (piece.source, piece.destination) == ("union.union-1", "ethereum.11155111")
    assert (piece.sender, piece.receiver) == (SENDER, RECEIVER)
    assert (piece.symbol, piece.token, piece.amount) == ("muon", "0x6175", "1.5")
    assert piece.testnet is True
    assert abs(piece.event_ms - 1_749_990_896_123) <= 1
    assert piece.json is item.json


def test_a_fragment_of_a_bare_row_has_empty_keys() -> None:
    """Unknown keys are empty texts."""
    piece = fragment(enriched(Transfer("s", Chain("a.1"), Chain("b.2"))))
    assert (piece.sender, piece.receiver, piece.symbol, piece.token, piece.amount) == ("", "", "", "", "")


def test_tiny_amounts_have_no_exponent() -> None:
    """An amount of one base unit is spelt out for filters and clients."""
    item = enriched(replace(FULL, base_amount="1", base_token_decimals=18))
    assert fragment(item).amount == "0.000000000000000001"
    assert json.loads(item.json)["base_token_amount_display"] == "0.000000000000000001"


def test_order_is_kept() -> None:
    """A batch comes back in the order it went in."""
    rows = [replace(FULL, sort_order=str(n)) for n in range(20)]
    assert [item.transfer.sort_order for item in Enricher().enrich(rows, NOW)] == [str(n) for n in range(20)]


def test_invented_chains_do_not_pile_up() -> None:
    """An indexer that makes chain ids up does not grow the memory without bound."""
    enricher = Enricher()
    for n in range(module.CHAINS_REMEMBERED * 2):
        enricher.enrich([Transfer("s", Chain(f"a.{n}"), Chain("b.2"))], NOW)
    assert len(enricher._facts) <= module.CHAINS_REMEMBERED
