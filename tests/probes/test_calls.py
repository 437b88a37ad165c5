"""What nodes are asked, and what their answers mean."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest

from unionws.model import Chain, Rpc
from unionws.probes.calls import OLD_BLOCK, Found, Target, Unusable, targets

NOW = 1_760_000_000.0
URL = "https://rpc.example"


def chain(family: str, *types: str, universal: str = "a.1") -> Chain:
    rpcs = tuple(Rpc(entry, f"{URL}/{entry}/") for entry in types)
    return Chain(universal, display_name="A", rpc_type=family, rpcs=rpcs)


def target(family: str, entry: str = "rpc") -> Target:
    return targets([chain(family, entry)], 10)[0]


def stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.123456789Z")


def result(value: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "result": value}


def cosmos(height: Any = "77", behind: float = 5.0, catching_up: Any = False) -> dict[str, Any]:
    sync = {
        "latest_block_height": height,
        "latest_block_time": stamp(NOW - behind),
        "catching_up": catching_up,
    }
    return result({"sync_info": sync})


@pytest.mark.parametrize(
    ("family", "entry", "asked"),
    [
        ("cosmos", "rpc", [("/rpc/status", None)]),
        ("cosmos", "rest", [("/rest/cosmos/base/tendermint/v1beta1/blocks/latest", None)]),
        ("evm", "rpc", [("/rpc", "eth_blockNumber"), ("/rpc", "eth_syncing")]),
        ("aptos", "rest", [("/rest", None)]),
        ("sui", "rpc", [("/rpc", "sui_getLatestCheckpointSequenceNumber")]),
    ],
)
def test_each_family_is_asked_in_its_own_way(
    family: str, entry: str, asked: list[tuple[str, str | None]]
) -> None:
    """No chain is sent another family's call."""
    calls = target(family, entry).calls
    found = [(call.url.removeprefix(URL), call.body and json.loads(call.body)["method"]) for call in calls]
    assert found == asked


def test_entries_that_speak_nothing_we_know_are_not_probed() -> None:
    """gRPC, GraphQL, unknown families and other schemes are left alone; a node listed twice is one."""
    odd = Chain(
        "b.1", rpc_type="evm", rpcs=(Rpc("rpc", "ftp://x"), Rpc("rpc", "file:///etc/passwd"), Rpc("", URL))
    )
    twice = Chain("c.1", rpc_type="evm", rpcs=(Rpc("rpc", URL), Rpc("rpc", URL)))
    listed = [chain("cosmos", "grpc", "graphql"), chain("move", "rpc"), odd, twice]
    assert [(item.chain, item.chain_name) for item in targets(listed, 10)] == [("c.1", "c.1")]


def test_the_number_of_nodes_is_bounded() -> None:
    """A list with a thousand addresses is cut."""
    assert len(targets([chain("evm", "rpc", universal=f"a.{number}") for number in range(50)], 7)) == 7


@pytest.mark.parametrize(
    ("family", "entry", "answers", "found"),
    [
        ("cosmos", "rpc", [cosmos()], Found(77)),
        ("cosmos", "rpc", [cosmos(catching_up=True)], Found(77, "catching up")),
        ("cosmos", "rpc", [cosmos(behind=OLD_BLOCK + 100)], Found(77, "newest block is 400 s old")),
        ("cosmos", "rest", [{"block": {"header": {"height": "5", "time": stamp(NOW)}}}], Found(5)),
        ("cosmos", "rest", [{"block": {"header": {"height": "5"}}}], Found(5)),
        ("evm", "rpc", [result("0x10"), result(False)], Found(16)),
        ("evm", "rpc", [result("0x10"), result({"currentBlock": "0x1"})], Found(16, "syncing")),
        ("aptos", "rest", [{"block_height": "9", "ledger_timestamp": str(int(NOW * 1e6))}], Found(9)),
        ("sui", "rpc", [result("123")], Found(123)),
    ],
)
def test_right_answers_tell_the_height_and_whether_the_node_is_behind(
    family: str, entry: str, answers: list[Any], found: Found
) -> None:
    """Heights are numbers whatever their notation."""
    read = target(family, entry).read(answers, NOW)
    assert (read.height, read.lag[:12]) == (found.height, found.lag[:12])


@pytest.mark.parametrize("family", ["cosmos", "evm", "aptos", "sui"])
@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        "x",
        7,
        {},
        {"error": {"message": "nope"}},
        {"error": "nope", "result": 1},
        result(None),
        result([]),
        result("0xzz"),
        result("-5"),
        result(True),
        result(1e9),
        result({"sync_info": None}),
        cosmos("many"),
        cosmos(2**70),
        {"block_height": None, "ledger_timestamp": "1" * 400},
    ],
)
def test_anything_else_is_unusable_and_never_an_error_of_ours(family: str, answer: Any) -> None:
    """Whatever a stranger's server says is refused in words."""
    with pytest.raises(Unusable) as refused:
        target(family).read([answer, answer], NOW)
    assert str(refused.value)
