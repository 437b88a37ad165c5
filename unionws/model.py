"""What flows between the stages: frozen, slotted, without behaviour of any stage.

::

    Transfer            one row of the indexer, decoded           source    → enrich
    EnrichedTransfer    the same with display fields and JSON     enrich    → scheduler, stats
    Record              what the bus carries                      ingest    → edge

Timestamps are Unix seconds (float) inside the process and Unix milliseconds (int) on the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

JSON: TypeAlias = Any
"""A value that the JSON encoder takes."""


@dataclass(frozen=True, slots=True)
class Rpc:
    """One RPC address of a chain; ``type`` is ``rpc``, ``rest``, ``grpc`` or ``graphql``."""

    type: str
    url: str


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain as the indexer lists it; unknown texts are empty.

    Two chains may share ``chain_id`` or ``display_name``: the key is ``universal_chain_id``.
    """

    universal_chain_id: str
    chain_id: str = ""
    display_name: str = ""
    testnet: bool = False
    rpc_type: str = ""
    addr_prefix: str = ""
    logo_uri: str | None = None
    rpcs: tuple[Rpc, ...] = ()


@dataclass(frozen=True, slots=True)
class Transfer:
    """One transfer as decoded from the indexer. ``sort_order`` is its key and an opaque cursor.

    Everything the indexer may leave null is None here, but the two chains, whose
    ``universal_chain_id`` is always known (a row without it is not a Transfer).

    Attributes:
        send_time, recv_time: Unix seconds parsed from the RFC 3339 texts beside them.
        base_amount, quote_amount: decimal digits in base units.
    """

    sort_order: str
    source_chain: Chain
    destination_chain: Chain
    packet_hash: str | None = None
    transfer_index: int | None = None
    sender_canonical: str | None = None
    receiver_canonical: str | None = None
    sender_display: str | None = None
    receiver_display: str | None = None
    send_time: float | None = None
    recv_time: float | None = None
    transfer_send_timestamp: str | None = None
    transfer_recv_timestamp: str | None = None
    transfer_send_transaction_hash: str | None = None
    base_token: str | None = None
    base_amount: str | None = None
    quote_token: str | None = None
    quote_amount: str | None = None
    base_token_symbol: str | None = None
    base_token_name: str | None = None
    base_token_decimals: int | None = None


@dataclass(frozen=True, slots=True)
class EnrichedTransfer:
    """A transfer with everything a client or a statistic reads.

    Attributes:
        transfer: the row it came from.
        event_time: Unix seconds; the send time, or the time it was first seen when that is null.
        route_key: ``<source universal id>-><destination universal id>``.
        amount: exact amount in display units of the base token; None when decimals are unknown.
        json: the contract's transfer object, encoded once (UTF-8, no newline).
    """

    transfer: Transfer
    event_time: float
    route_key: str
    source_name: str
    destination_name: str
    testnet: bool
    sender_display: str
    receiver_display: str
    amount: Decimal | None
    json: bytes


@dataclass(frozen=True, slots=True)
class Fragment:
    """One published transfer as an edge needs it: its JSON and the keys filters look at.

    Attributes:
        source, destination: universal chain ids.
        sender, receiver: canonical addresses, lower case, or "".
        symbol: base token symbol, lower case, or "".
        token: base token as ``0x`` hex, lower case, or "".
        amount: display units as decimal text, or "" when unknown.
        event_ms: event time in Unix milliseconds.
    """

    sort_order: str
    source: str
    destination: str
    sender: str
    receiver: str
    symbol: str
    token: str
    amount: str
    testnet: bool
    event_ms: int
    json: bytes


@dataclass(frozen=True, slots=True)
class TransferUpdate:
    """What became known of a published transfer later.

    Attributes:
        about: the transfer, without its JSON.
        facts: the fields that are new or have changed, under the indexer's names.
    """

    about: Fragment
    packet_hash: str | None
    facts: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class TransfersRecord:
    """At most five transfers (100 when late) that fell due together, in publishing order.

    Attributes:
        epoch: the numbering these positions belong to.
        seq: number of the last transfer in ``items``; the first has ``seq - len(items) + 1``.
        cursor: greatest ``sort_order`` published so far.
        late: delivered unsmoothed because they were older than TRANSFER_AGE_THRESHOLD.
        timestamp: Unix milliseconds when ingest published.
    """

    epoch: str
    seq: int
    cursor: str
    late: bool
    timestamp: int
    items: tuple[Fragment, ...]


@dataclass(frozen=True, slots=True)
class ChartRecord:
    """One statistics snapshot: ``chart`` and ``rates`` are encoded ``data`` objects."""

    timestamp: int
    rev: int
    chart: bytes
    rates: bytes


@dataclass(frozen=True, slots=True)
class ChainsRecord:
    """The chain list: ``data`` is the encoded JSON array."""

    timestamp: int
    data: bytes


@dataclass(frozen=True, slots=True)
class StatusRecord:
    """State of the service for clients: ``data`` is the encoded ``status`` object."""

    timestamp: int
    data: bytes


@dataclass(frozen=True, slots=True)
class StateRecord:
    """Once a second: what every HTTP view needs of ingest. Keys are view names.

    ``epoch``, ``seq`` and ``cursor`` are the current position, so that an edge knows it before
    the first transfer.
    """

    timestamp: int
    epoch: str
    seq: int
    cursor: str
    views: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """A message of a plugin's own type for the subscribers of ``channel``.

    Attributes:
        about: when given, only subscribers whose filter passes this transfer get the message.
    """

    timestamp: int
    channel: str
    type: str
    data: bytes
    about: Fragment | None = None


Record: TypeAlias = TransfersRecord | ChartRecord | ChainsRecord | StatusRecord | StateRecord | MessageRecord
"""What the bus carries from ingest to the edges."""
