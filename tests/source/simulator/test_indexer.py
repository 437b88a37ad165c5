"""Requests to answers: what clients of the real indexer ask, answered in the promised types."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from tests.source.simulator.test_execution import check, everything_query
from unionws.source.simulator.execution import load_schema
from unionws.source.simulator.faults import Faults
from unionws.source.simulator.indexer import Indexer
from unionws.source.simulator.traffic import Bursts, Traffic
from unionws.source.simulator.world import load_world

NOW = 1_760_011_200.5


def indexer(faults: Faults = Faults()) -> Indexer:  # noqa: B008 - frozen
    return Indexer(Traffic(rate=5.0, seed=1, bursts=Bursts(), people=1_000), seed=1, faults=faults)


def ask(query: str, source: Indexer | None = None, **variables: Any) -> Any:
    answer = (source or indexer()).answer({"query": query, "variables": variables}, NOW)
    assert "errors" not in answer, answer
    return answer["data"]


def test_every_field_has_the_promised_type() -> None:
    """All fields of all types, nested, answer values of the SDL's types."""
    schema = load_schema()
    data = ask(everything_query(schema).replace("v2_transfers", "v2_transfers(args: {p_limit: 5})"))
    assert schema.query_type is not None
    assert all(len(data[name]) >= 5 for name in ("v2_transfers", "v2_chains", "v2_stats_latency"))
    check(schema, schema.query_type, data)


WEB_TRANSFER = """query TransferByPacketHash($packet_hash: String!) @cached(ttl: 30) {
  v2_transfers(args: { p_packet_hash: $packet_hash }) {
    sender_canonical source_chain { chain_id universal_chain_id } transfer_send_transaction_hash
    receiver_canonical destination_chain { chain_id universal_chain_id } sort_order
    transfer_send_timestamp transfer_recv_timestamp base_token base_amount quote_amount quote_token
    traces { type height block_hash timestamp transaction_hash chain { universal_chain_id } }
  } }"""
WEB_WALLETS = """query TransferListPageGtAddress($page: String!, $addresses: jsonb, $limit: Int!)
  @cached(ttl: 30) {
    v2_transfers(args: {
      p_limit: $limit, p_sort_order: $page, p_comparison: "gt", p_addresses_canonical: $addresses
    }) { ...Item } }
  fragment Item on v2_transfer_type {
    source_chain { universal_chain_id } sort_order sender_canonical receiver_canonical }"""
WEB_CHAINS = """query Chains($environment: String!) @cached(ttl: 60) {
  v2_chains { chain_id universal_chain_id display_name addr_prefix rpc_type testnet minter_address_display
    features(where: {environment: {_eq: $environment}}) { channel_list transfer_submission }
    editions { name environment } rpcs { type url } explorers { tx_url address_url block_url name }
    status { status height } } }"""


def test_the_web_apps_transfer_page_is_answered() -> None:
    """A transfer is found by its hash, with six traces, the first of them its own transaction."""
    packet = ask("{ v2_transfers(args: {p_limit: 1}) { packet_hash } }")["v2_transfers"][0]["packet_hash"]
    [transfer, *_] = ask(WEB_TRANSFER, packet_hash=packet)["v2_transfers"]
    assert [trace["type"] for trace in transfer["traces"]] == [
        "SEND_PACKET",
        "PACKET_SEND_LC_UPDATE_L0",
        "PACKET_RECV",
        "WRITE_ACK",
        "WRITE_ACK_LC_UPDATE_L0",
        "PACKET_ACK",
    ]
    assert transfer["traces"][0]["transaction_hash"] == transfer["transfer_send_transaction_hash"]


def test_the_web_apps_wallet_page_is_answered() -> None:
    """A list of wallets is taken as a JSON variable."""
    wallet = ask("{ v2_transfers(args: {p_limit: 1}) { sender_canonical } }")["v2_transfers"][0][
        "sender_canonical"
    ]
    found = ask(WEB_WALLETS, page="20251009", addresses=[wallet], limit=10)["v2_transfers"]
    assert found
    assert all(wallet in (row["sender_canonical"], row["receiver_canonical"]) for row in found)


def test_the_web_apps_chain_list_is_answered() -> None:
    """Chains come with the features of one environment only."""
    chains = {
        chain["universal_chain_id"]: chain for chain in ask(WEB_CHAINS, environment="PRODUCTION")["v2_chains"]
    }
    assert len(chains) == len(load_world().chains)
    assert chains["union.union-1"]["features"] == [{"channel_list": True, "transfer_submission": True}]
    assert chains["arbitrum.42161"]["features"] == []
    assert chains["union.union-1"]["minter_address_display"].startswith("union1")
    assert chains["ethereum.1"]["explorers"][0]["tx_url"] == "https://etherscan.io/tx/"


def test_chains_can_be_narrowed_and_paged() -> None:
    """Every argument of v2_chains_args counts."""

    def ids(args: str) -> list[str]:
        return [
            chain["universal_chain_id"]
            for chain in ask(f"{{ v2_chains{args} {{ universal_chain_id }} }}")["v2_chains"]
        ]

    everything = ids("")
    assert everything == sorted(everything)
    assert ids('(args: {p_universal_chain_id: "sui.4c78adac"})') == ["sui.4c78adac"]
    assert ids("(args: {p_limit: 3})") == everything[:3]
    assert ids(f'(args: {{p_sort_order: "{everything[3]}", p_comparison: gt}})') == everything[4:]
    assert ids(f'(args: {{p_sort_order: "{everything[3]}"}})') == everything[:3][::-1]


def test_node_addresses_can_lead_to_the_simulator() -> None:
    """With an rpc_base every chain has a node below it and no other."""
    source = indexer()
    before = ask("{ v2_chains { rpcs { url } } }", source)["v2_chains"]
    assert not any(rpc["url"].startswith("http://127.0.0.1:1/") for chain in before for rpc in chain["rpcs"])
    source.rpc_base = "http://127.0.0.1:1"
    for chain in ask("{ v2_chains { universal_chain_id rpcs { url type } } }", source)["v2_chains"]:
        assert chain["rpcs"]
        base = f"http://127.0.0.1:1/rpc/{chain['universal_chain_id']}"
        assert all(rpc["url"].startswith(base) for rpc in chain["rpcs"])


def test_latency_is_plausible_and_empty_for_unknown_routes() -> None:
    """p5 <= median <= p95, received before acknowledged, nothing for routes that do not exist."""
    query = """query L($a: String, $b: String) { v2_stats_latency(args: {
      p_source_universal_chain_id: $a, p_destination_universal_chain_id: $b }) {
      secs_until_packet_recv { p5 median p95 } secs_until_write_ack { p5 median p95 }
      secs_until_packet_ack { p5 median p95 } } }"""
    [known] = ask(query, a="ethereum.1", b="union.union-1")["v2_stats_latency"]
    steps = [known[f"secs_until_{event}"] for event in ("packet_recv", "write_ack", "packet_ack")]
    assert all(0 < step["p5"] <= step["median"] <= step["p95"] for step in steps)
    for part in ("p5", "median", "p95"):
        assert [step[part] for step in steps] == sorted(step[part] for step in steps)
    assert ask(query, a="ethereum.1", b="sui.4c78adac")["v2_stats_latency"] == []
    assert len(ask(query)["v2_stats_latency"]) == len(load_world().routes)


@pytest.mark.parametrize(
    ("request_body", "message"),
    [
        ([], "JSON object"),
        ({}, "query"),
        ({"query": 5}, "query"),
        ({"query": "{ v2_chains { chain_id } }", "variables": []}, None),
        ({"query": "{ v2_chains { chain_id } }", "variables": [1]}, "variables"),
        ({"query": "{ v2_chains { chain_id } }", "operationName": 5}, "operationName"),
        ({"query": "{ v2_chains { chain_id } }", "operation": "Q"}, "operation"),
        ({"query": '{ v2_transfers(args: {p_network: "moonnet"}) { sort_order } }'}, "moonnet"),
        ({"query": "{ v2_transfers(args: {p_addresses_canonical: {a: 1}}) { sort_order } }"}, "p_addresses"),
    ],
)
def test_malformed_requests_get_errors(request_body: Any, message: str | None) -> None:
    """What is not a request, and values the service does not know, are errors and no data."""
    answer = indexer().answer(request_body, NOW)
    if message is None:
        assert answer["data"]
    else:
        assert set(answer) == {"errors"}
        assert message in answer["errors"][0]["message"]


def test_duplicates_keep_the_limit() -> None:
    """A page with duplicates is not longer than asked for."""
    rows = ask("{ v2_transfers { sort_order } }", indexer(Faults(duplicates=0.3)))["v2_transfers"]
    assert len(rows) == 100
    assert max(Counter(row["sort_order"] for row in rows).values()) == 2


def test_row_faults_reach_the_answer() -> None:
    """Nulls and bad rows show in transfers, and only there."""
    query = "{ v2_transfers { sort_order base_amount sender_canonical } v2_chains { chain_id } }"
    nulled = ask(query, indexer(Faults(nulls=0.5)))
    assert any(row["base_amount"] is None for row in nulled["v2_transfers"])
    assert all(row["sort_order"] for row in nulled["v2_transfers"])
    spoilt = ask(query, indexer(Faults(mode="rows")))
    sound = ask(query)
    assert all(row not in sound["v2_transfers"] for row in spoilt["v2_transfers"])
    assert spoilt["v2_chains"] == nulled["v2_chains"] == sound["v2_chains"]


def test_the_truth_is_what_pages_show_in_the_end() -> None:
    """between() lists late rows from the start; pages show each from its visible_at on."""
    source = indexer(Faults(late=0.2))
    truth = source.between(NOW - 10.5, NOW)
    query = '{ v2_transfers(args: {p_sort_order: "%s", p_comparison: "gt"}) { sort_order base_amount } }'
    first = truth[0]["sort_order"]
    shown = {row["sort_order"]: row for row in ask(query % first, source)["v2_transfers"]}
    hidden = [row for row in truth[1:] if row["sort_order"] not in shown]
    assert hidden
    assert all(row["visible_at"] > NOW for row in hidden)
    assert all(row["visible_at"] <= NOW for row in truth[1:] if row["sort_order"] in shown)
    later = source.answer({"query": query % first}, NOW + 20)["data"]["v2_transfers"]
    amounts = {row["sort_order"]: row["base_amount"] for row in later}
    assert all(amounts.get(row["sort_order"], row["base_amount"]) == row["base_amount"] for row in truth)
    source.faults = replace(source.faults, late=0.0)
    assert all(row["visible_at"] < NOW + 4 for row in source.between(NOW - 10.5, NOW))
