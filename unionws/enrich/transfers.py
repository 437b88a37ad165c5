"""From the indexer's row to the transfer that clients read: display fields, and JSON encoded once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from functools import lru_cache

from unionws.clock import milliseconds
from unionws.enrich.addresses import display_address
from unionws.enrich.amounts import display_amount, exact
from unionws.enrich.names import ChainFacts, chain_facts
from unionws.enrich.text import encode, whole_texts
from unionws.model import JSON, Chain, EnrichedTransfer, Fragment, Transfer

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
CHAINS_REMEMBERED = 1024
"""The indexer has about fifty; the bound is for one that makes ids up."""


class Enricher:
    """Adds to transfers what clients would otherwise each work out for themselves."""

    def __init__(self) -> None:
        self._listed: dict[str, Chain] = {}
        self._facts: dict[Chain, ChainFacts] = {}

    def set_chains(self, chains: Iterable[Chain]) -> None:
        """Use this chain list from now on."""
        self._listed = {chain.universal_chain_id: whole_texts(chain) for chain in chains}
        self._facts.clear()

    def enrich(self, transfers: Sequence[Transfer], now: float) -> list[EnrichedTransfer]:
        """The same transfers, in the same order, enriched. ``now``: Unix seconds."""
        return [self._enrich(transfer, now) for transfer in transfers]

    def _enrich(self, transfer: Transfer, now: float) -> EnrichedTransfer:
        try:
            return self._built(transfer, now)
        except UnicodeEncodeError:
            return self._built(whole_texts(transfer), now)

    def _built(self, transfer: Transfer, now: float) -> EnrichedTransfer:
        source = self._chain(transfer.source_chain)
        destination = self._chain(transfer.destination_chain)
        route_key = f"{source.universal_chain_id}->{destination.universal_chain_id}"
        sender = _shown(transfer.sender_display, transfer.sender_canonical, source)
        receiver = _shown(transfer.receiver_display, transfer.receiver_canonical, destination)
        amount = display_amount(transfer.base_amount, transfer.base_token_decimals)
        return EnrichedTransfer(
            transfer=transfer,
            event_time=now if transfer.send_time is None else transfer.send_time,
            route_key=route_key,
            source_name=source.name,
            destination_name=destination.name,
            testnet=source.testnet or destination.testnet,
            sender_display=sender,
            receiver_display=receiver,
            amount=exact(amount),
            json=_json(transfer, source, destination, route_key, sender, receiver, amount),
        )

    def _chain(self, embedded: Chain) -> ChainFacts:
        facts = self._facts.get(embedded)
        if facts is None:
            if len(self._facts) >= CHAINS_REMEMBERED:
                self._facts.clear()
            facts = chain_facts(embedded, self._listed.get(embedded.universal_chain_id))
            self._facts[embedded] = facts
        return facts


def with_fields(
    batch: Sequence[EnrichedTransfer], fields: Mapping[str, Sequence[bytes | None]]
) -> Sequence[EnrichedTransfer]:
    """The same transfers with more in their JSON, under ``ext``.

    Args:
        fields: by plugin, an encoded object for each transfer, or None.
    """
    if not fields:
        return batch
    names = [encode(name) for name in fields]
    return [
        _extended(item, [(name, more) for name, more in zip(names, row, strict=True) if more is not None])
        for item, row in zip(batch, zip(*fields.values(), strict=True), strict=True)
    ]


def _extended(item: EnrichedTransfer, added: Sequence[tuple[bytes, bytes]]) -> EnrichedTransfer:
    if not added:
        return item
    ext = b",".join([b"%s:%s" % pair for pair in added])
    return replace(item, json=b'%s,"ext":{%s}}' % (item.json[:-1], ext))


def fragment(enriched: EnrichedTransfer) -> Fragment:
    """What an edge needs of a transfer: its JSON and the keys that filters look at."""
    transfer = enriched.transfer
    return Fragment(
        sort_order=transfer.sort_order,
        source=transfer.source_chain.universal_chain_id,
        destination=transfer.destination_chain.universal_chain_id,
        sender=(transfer.sender_canonical or "").lower(),
        receiver=(transfer.receiver_canonical or "").lower(),
        symbol=(transfer.base_token_symbol or "").lower(),
        token=(transfer.base_token or "").lower(),
        amount="" if enriched.amount is None else f"{enriched.amount:f}",
        testnet=enriched.testnet,
        event_ms=milliseconds(enriched.event_time),
        json=enriched.json,
    )


def _shown(display: str | None, canonical: str | None, chain: ChainFacts) -> str:
    if display:
        return display
    return display_address(canonical, chain.rpc_type, chain.addr_prefix) if canonical else ""


def _json(
    transfer: Transfer,
    source: ChainFacts,
    destination: ChainFacts,
    route_key: str,
    sender: str,
    receiver: str,
    amount: str | None,
) -> bytes:
    """The object of the contract's Transfer table, in the table's order, unknown fields left out."""
    row: dict[str, JSON] = {
        "source_chain": source.json,
        "destination_chain": destination.json,
        "packet_hash": transfer.packet_hash,
        "sort_order": transfer.sort_order,
        "transfer_index": transfer.transfer_index,
        "sender_canonical": transfer.sender_canonical,
        "receiver_canonical": transfer.receiver_canonical,
        "transfer_send_timestamp": _rfc3339(transfer.transfer_send_timestamp, transfer.send_time),
        "transfer_recv_timestamp": _rfc3339(transfer.transfer_recv_timestamp, transfer.recv_time),
        "transfer_send_transaction_hash": transfer.transfer_send_transaction_hash,
        "base_token": transfer.base_token,
        "quote_token": transfer.quote_token,
        "base_amount": transfer.base_amount,
        "quote_amount": transfer.quote_amount,
        "base_token_symbol": transfer.base_token_symbol,
        "base_token_name": transfer.base_token_name,
        "base_token_decimals": transfer.base_token_decimals,
        "base_token_amount_display": amount,
        "isTestnetTransfer": source.testnet or destination.testnet,
        "sourceDisplayName": source.name,
        "destinationDisplayName": destination.name,
        "formattedTimestamp": _whole_second(transfer.send_time),
        "routeKey": route_key,
        "senderDisplay": sender,
        "receiverDisplay": receiver,
    }
    return encode({key: value for key, value in row.items() if value is not None and value != ""})


def _rfc3339(given: str | None, seconds: float | None) -> str | None:
    """The text as given where it is RFC 3339, else the time it was parsed to, if it was."""
    if given is not None and seconds is not None and RFC3339.fullmatch(given):
        return given
    return _whole_second(seconds)


def _whole_second(seconds: float | None) -> str | None:
    return None if seconds is None else _utc(seconds // 1)


@lru_cache(maxsize=1024)
def _utc(second: float) -> str | None:
    try:
        return datetime.fromtimestamp(second, timezone.utc).isoformat()[:-6] + "Z"
    except (OverflowError, ValueError, OSError):
        return None
