"""What the API shows of a transfer: one function per field, worked out only when it is asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from unionws.source.simulator.addresses import display_address, zkgm_address
from unionws.source.simulator.identifiers import Identifiers
from unionws.source.simulator.traffic import Row
from unionws.source.simulator.world import ChainFacts, Token, load_world

GENESIS = 1_600_000_000.0
"""Unix seconds of block 0 of every chain."""

LIFE_OF_LATENCY = 1.1
"""A packet's life is shorter than this many times its two latencies (the way there and back)."""

TIMEOUT = 6
"""Number of the transaction that ends a packet nobody relayed."""

_TIMEOUT_AFTER = 4.0
ACK_SHARE = 0.02
"""Acknowledgements are written this share of the latency after the receipt."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What an answer depends on besides the row: the time (Unix seconds) and the node addresses."""

    now: float
    ids: Identifiers
    rpc_base: str | None = None


class Step(NamedTuple):
    """A step of a packet's life: where and when (Unix seconds) it happens, and its number."""

    number: int
    type: str
    chain: ChainFacts
    at: float


def steps(row: Row) -> Iterator[Step]:
    """All steps of a packet, also those to come; a packet that times out has only the first."""
    there, here = row.route.destination, row.route.source
    received = row.sent + row.recv_after
    written = received + row.recv_after * ACK_SHARE
    never = float("inf") if row.outcome == "timeout" else 0.0
    yield Step(0, "SEND_PACKET", here, row.sent)
    yield Step(1, "PACKET_SEND_LC_UPDATE_L0", there, row.sent + 0.9 * row.recv_after + never)
    yield Step(2, "PACKET_RECV", there, received + never)
    yield Step(3, "WRITE_ACK", there, written + never)
    yield Step(4, "WRITE_ACK_LC_UPDATE_L0", here, written + 0.9 * row.ack_after + never)
    yield Step(5, "PACKET_ACK", here, written + row.ack_after + never)


def transaction_at(row: Row, number: int) -> float:
    """When transaction ``number`` of a packet happens: a step, or 6, the time-out; infinite: never."""
    if number == TIMEOUT:
        return _timeout_at(row) if row.outcome == "timeout" else float("inf")
    return next((step.at for step in steps(row) if step.number == number), float("inf"))


def height_at(chain: ChainFacts, at: float) -> int:
    """Height of a chain at a time (Unix seconds)."""
    return int((at - GENESIS) / chain.block_seconds)


def timestamp(at: float, style: int = 0) -> str:
    """RFC 3339 in UTC with microseconds; ``style`` (0 to 99) decides between ``+00:00`` and ``Z``."""
    second = int(at)
    micros = min(999_999, round((at - second) * 1e6))
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
    return f"{text}.{micros:06d}{'Z' if style % 5 == 4 else '+00:00'}"


def _received_at(row: Row, moment: Moment) -> float | None:
    at = row.sent + row.recv_after
    return at if row.outcome != "timeout" and at <= moment.now else None


def _timeout_at(row: Row) -> float:
    return row.sent + _TIMEOUT_AFTER * row.route.latency


def _timed_out_at(row: Row, moment: Moment) -> float | None:
    at = _timeout_at(row)
    return at if row.outcome == "timeout" and at <= moment.now else None


def _when(at: float | None, row: Row) -> str | None:
    return None if at is None else timestamp(at, row.style)


def _success(row: Row, moment: Moment) -> bool | None:
    received = _received_at(row, moment)
    return None if received is None else row.outcome == "received"


def _sender(row: Row, moment: Moment) -> str:
    return moment.ids.wallet(row.route.source.rpc_type, row.sender)


def _receiver(row: Row, moment: Moment) -> str:
    return moment.ids.wallet(row.route.destination.rpc_type, row.receiver)


def _sender_display(row: Row, moment: Moment) -> str | None:
    return None if row.style < 10 else display_address(row.route.source, _sender(row, moment))


def _receiver_display(row: Row, moment: Moment) -> str | None:
    return None if row.style < 12 else display_address(row.route.destination, _receiver(row, moment))


def _shape(row: Row, _moment: Moment) -> str:
    version = "v2" if row.style < 70 else "v1"
    if row.batch:
        return f"batch_v0_transfer_{version}"
    return f"batch_v0_transfer_{version}_fee" if row.fee else f"transfer_{version}"


def _fee_token(row: Row) -> Token | None:
    return row.offer.token if row.fee else None


def _transaction(row: Row, moment: Moment, step: int) -> str:
    return moment.ids.transaction(row.packet, step)


def _traces(row: Row, moment: Moment) -> list[Mapping[str, Any]]:
    return [_trace(row, step, moment) for step in steps(row)]


def _trace(row: Row, step: Step, moment: Moment) -> Mapping[str, Any]:
    """One trace; a step still to come has no block, transaction or time yet."""
    happened = step.at <= moment.now
    height = height_at(step.chain, step.at) if happened else 0
    return {
        "type": step.type,
        "block_hash": moment.ids.block(step.chain.number, height) if happened else None,
        "height": str(height) if happened else None,
        "event_index": str(row.packet % 97) if happened else None,
        "timestamp": timestamp(step.at, row.style) if happened else None,
        "transaction_hash": _transaction(row, moment, step.number) if happened else None,
        "universal_chain_id": step.chain.universal_chain_id,
        "chain": step.chain,
    }


def token_meta(token: Token | None) -> Mapping[str, Any] | None:
    """The description of a token; None for no token."""
    if token is None:
        return None
    about = {"denom": token.denom, "symbol": token.symbol, "name": token.name, "decimals": token.decimals}
    origin = {"source_uri": "https://tokens.example.org/list.json", "name": "token list", "logo_uri": None}
    source = {**about, "update_timestamp": None, "chain": token.chain, "source": origin}
    return {
        "denom": token.denom,
        "rank": 1 if token.symbol == "U" else None,
        "universal_chain_id": token.chain.universal_chain_id,
        "chain": token.chain,
        "bucket": _bucket(token),
        "representations": [{**about, "logo_uri": None, "sources": [source], "chain": token.chain}],
        "wrapping": _wrappings(token),
    }


def _bucket(token: Token) -> Mapping[str, Any]:
    capacity = 10 ** ((token.decimals or 8) + 6)
    refill = {"capacity": str(capacity), "refill_rate": str(capacity // 86_400)}
    return {"denom": token.denom, **refill, "chain": token.chain}


def _wrappings(token: Token) -> list[Mapping[str, Any]]:
    """Where a wrapped token comes from: the chains with a route here that have it under its symbol."""
    world = load_world()
    if any(token.denom == known.denom for known in world.tokens_of(token.chain)):
        return []
    return [
        {
            "wrapped_denom": token.denom,
            "index": 0,
            "unwrapped_denom": known.denom,
            "destination_channel_id": route.destination_channel,
            "wrapper": None,
            "wrapped_chain": token.chain,
            "unwrapped_chain": route.source,
        }
        for route in world.routes
        if route.destination is token.chain
        for known in world.tokens_of(route.source)
        if known.symbol == token.symbol
    ]


TRANSFER_FIELDS: Mapping[str, Callable[[Row, Moment], Any]] = {
    "packet_hash": lambda row, _: row.packet_hash,
    "success": _success,
    "packet_shape": _shape,
    "transfer_index": lambda row, _: row.transfer_index,
    "source_universal_chain_id": lambda row, _: row.route.source.universal_chain_id,
    "destination_universal_chain_id": lambda row, _: row.route.destination.universal_chain_id,
    "sender_canonical": _sender,
    "sender_display": _sender_display,
    "sender_zkgm": lambda row, moment: zkgm_address(row.route.source, _sender(row, moment)),
    "receiver_canonical": _receiver,
    "receiver_display": _receiver_display,
    "receiver_zkgm": lambda row, moment: zkgm_address(row.route.destination, _receiver(row, moment)),
    "wrap_direction": lambda row, _: row.offer.wrap_direction,
    "base_token": lambda row, _: row.offer.token.denom,
    "base_amount": lambda row, _: str(row.amount),
    "base_token_name": lambda row, _: row.offer.token.name,
    "base_token_path": lambda row, _: (
        str(row.route.source_channel) if row.offer.wrap_direction == "unwrapping" else "0"
    ),
    "base_token_symbol": lambda row, _: row.offer.token.symbol,
    "base_token_decimals": lambda row, _: row.offer.token.decimals,
    "quote_token": lambda row, _: row.offer.quote.denom,
    "quote_amount": lambda row, _: str(row.amount - row.fee),
    "fee_type": lambda row, _: "quote_delta" if row.fee else "none",
    "fee_token": lambda row, _: row.offer.token.denom if row.fee else None,
    "fee_amount": lambda row, _: str(row.fee) if row.fee else None,
    "transfer_send_timestamp": lambda row, _: timestamp(row.sent, row.style),
    "transfer_send_transaction_hash": lambda row, moment: _transaction(row, moment, 0),
    "transfer_recv_timestamp": lambda row, moment: _when(_received_at(row, moment), row),
    "transfer_recv_transaction_hash": lambda row, moment: (
        None if _received_at(row, moment) is None else _transaction(row, moment, 2)
    ),
    "transfer_timeout_timestamp": lambda row, moment: _when(_timed_out_at(row, moment), row),
    "transfer_timeout_transaction_hash": lambda row, moment: (
        None if _timed_out_at(row, moment) is None else _transaction(row, moment, TIMEOUT)
    ),
    "sort_order": lambda row, _: row.sort_order,
    "source_chain": lambda row, _: row.route.source,
    "destination_chain": lambda row, _: row.route.destination,
    "traces": _traces,
    "base_token_meta": lambda row, _: token_meta(row.offer.token),
    "fee_token_meta": lambda row, _: token_meta(_fee_token(row)),
    "quote_token_meta": lambda row, _: token_meta(row.offer.quote),
}
"""Every field of ``v2_transfer_type``: (row, moment) to its value."""
