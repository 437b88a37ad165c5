"""The GraphQL documents we send.

``p_comparison`` is an enum in the published schema, yet every deployed client sends it as a
quoted string inside the document, and older deployments knew it only as a string. Hence three
documents for transfers rather than one with a variable. Every query asks for a cache of 1 s.
"""

from __future__ import annotations

from dataclasses import dataclass

_TRANSFER = """
    sort_order
    packet_hash
    transfer_index
    source_universal_chain_id
    destination_universal_chain_id
    source_chain { universal_chain_id chain_id display_name testnet rpc_type addr_prefix }
    destination_chain { universal_chain_id chain_id display_name testnet rpc_type addr_prefix }
    sender_canonical
    sender_display
    receiver_canonical
    receiver_display
    transfer_send_timestamp
    transfer_send_transaction_hash
    transfer_recv_timestamp
    base_token
    base_amount
    base_token_symbol
    base_token_name
    base_token_decimals
    quote_token
    quote_amount
"""

_OUTCOME = """
    sort_order
    packet_hash
    success
    transfer_recv_timestamp
    transfer_recv_transaction_hash
    transfer_timeout_timestamp
    transfer_timeout_transaction_hash
"""


@dataclass(frozen=True, slots=True)
class Query:
    """One operation: ``name`` is its operation name, ``field`` the field of ``data`` it asks for."""

    name: str
    field: str
    document: str


def _transfers(name: str, variables: str, arguments: str, fields: str = _TRANSFER) -> Query:
    document = f"""query {name}($limit: Int, $network: String{variables}) @cached(ttl: 1) {{
  v2_transfers(args: {{p_limit: $limit, p_network: $network{arguments}}}) {{{fields}  }}
}}"""
    return Query(name, "v2_transfers", document)


NEWEST = _transfers("UnionwsTransfersNewest", "", "")
"""Newest rows, newest first. Variables: limit, network (left out for all)."""

_CURSOR = ", $cursor: String!"
_AFTER = ', p_sort_order: $cursor, p_comparison: "gt"'

AFTER = _transfers("UnionwsTransfersAfter", _CURSOR, _AFTER)
"""Rows after ``cursor``, ascending."""

OUTCOMES = _transfers("UnionwsOutcomesAfter", _CURSOR, _AFTER, _OUTCOME)
"""The same rows, only what became of them."""

BEFORE = _transfers("UnionwsTransfersBefore", _CURSOR, ', p_sort_order: $cursor, p_comparison: "lt"')
"""Rows before ``cursor``, descending."""

CHAINS = Query(
    "UnionwsChains",
    "v2_chains",
    """query UnionwsChains @cached(ttl: 1) {
  v2_chains {
    universal_chain_id
    chain_id
    display_name
    testnet
    rpc_type
    addr_prefix
    logo_uri
    rpcs { type url }
  }
}""",
)
"""All chains. The field has no cursor of its own, so it is asked without a limit."""

LATENCY = Query(
    "UnionwsLatency",
    "v2_stats_latency",
    """query UnionwsLatency($source: String!, $destination: String!) @cached(ttl: 60) {
  v2_stats_latency(
    args: {p_source_universal_chain_id: $source, p_destination_universal_chain_id: $destination}
  ) {
    secs_until_packet_recv { p5 median p95 }
    secs_until_write_ack { p5 median p95 }
    secs_until_packet_ack { p5 median p95 }
  }
}""",
)
"""Latencies of one route, at most one entry. Variables: source, destination (universal chain ids)."""

ALL = (NEWEST, AFTER, OUTCOMES, BEFORE, CHAINS, LATENCY)
