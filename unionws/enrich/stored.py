"""From what was published back to a transfer, for whoever counts it again."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import ujson

from unionws.model import Chain, EnrichedTransfer, Fragment, Transfer

_CHAIN = ("universal_chain_id", "chain_id", "display_name", "testnet", "rpc_type", "addr_prefix")
_PLAIN = (
    "packet_hash",
    "transfer_index",
    "sender_canonical",
    "receiver_canonical",
    "transfer_send_timestamp",
    "transfer_recv_timestamp",
    "transfer_send_transaction_hash",
    "base_token",
    "base_amount",
    "quote_token",
    "quote_amount",
    "base_token_symbol",
    "base_token_name",
    "base_token_decimals",
)


def recalled(item: Fragment) -> EnrichedTransfer:
    """The transfer a Fragment was made of, as far as statistics read it.

    The time of receipt is left out, and times are whole milliseconds.

    Raises:
        ValueError, KeyError, TypeError: its JSON is not that of a transfer.
    """
    row = ujson.loads(item.json)
    time = item.event_ms / 1000
    transfer = Transfer(
        item.sort_order,
        _chain(row["source_chain"]),
        _chain(row["destination_chain"]),
        sender_display=row.get("senderDisplay"),
        receiver_display=row.get("receiverDisplay"),
        send_time=time if "transfer_send_timestamp" in row else None,
        **{name: row.get(name) for name in _PLAIN},
    )
    return EnrichedTransfer(
        transfer=transfer,
        event_time=time,
        route_key=row["routeKey"],
        source_name=row["sourceDisplayName"],
        destination_name=row["destinationDisplayName"],
        testnet=item.testnet,
        sender_display=row.get("senderDisplay", ""),
        receiver_display=row.get("receiverDisplay", ""),
        amount=Decimal(item.amount) if item.amount else None,
        json=item.json,
    )


def _chain(row: dict[str, Any]) -> Chain:
    return Chain(**{name: row[name] for name in _CHAIN if name in row})
