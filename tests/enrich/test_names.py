from __future__ import annotations

import json

from unionws.enrich.names import chain_facts, chains_json, display_name
from unionws.model import Chain, Rpc


def test_the_listed_name_comes_first() -> None:
    """The chain list's name wins over the embedded one."""
    embedded = Chain("union.union-1", "union-1", "embedded")
    assert display_name(embedded, Chain("union.union-1", display_name="Union")) == "Union"


def test_names_fall_back_one_by_one() -> None:
    """Without a listed name it is the embedded name, then the chain id, then the universal id."""
    listed = Chain("union.union-1")
    assert display_name(Chain("union.union-1", "union-1", "Embedded"), listed) == "Embedded"
    assert display_name(Chain("union.union-1", "union-1"), listed) == "union-1"
    assert display_name(Chain("union.union-1"), Chain("union.union-1", "union-1")) == "union-1"
    assert display_name(Chain("union.union-1")) == "union.union-1"


def test_either_telling_marks_a_testnet() -> None:
    """A testnet flag that is null in the row, decoded as False, is taken from the chain list."""
    assert chain_facts(Chain("a.1"), Chain("a.1", testnet=True)).json["testnet"] is True
    assert chain_facts(Chain("a.1", testnet=True), Chain("a.1")).testnet is True
    assert chain_facts(Chain("a.1"), None).testnet is False


def test_the_chain_object_is_filled_from_the_list() -> None:
    """Empty fields of the embedded chain come from the chain list, known ones stay."""
    listed = Chain("osmosis.osmosis-1", "osmosis-1", "Osmosis", False, "cosmos", "osmo")
    assert chain_facts(Chain("osmosis.osmosis-1", display_name="OSMO"), listed).json == {
        "universal_chain_id": "osmosis.osmosis-1",
        "display_name": "OSMO",
        "chain_id": "osmosis-1",
        "testnet": False,
        "rpc_type": "cosmos",
        "addr_prefix": "osmo",
    }


def test_the_chain_object_has_no_nulls() -> None:
    """A chain of which only the id is known still has every field, and a name to show."""
    assert chain_facts(Chain("x.y")).json == {
        "universal_chain_id": "x.y",
        "display_name": "x.y",
        "chain_id": "",
        "testnet": False,
        "rpc_type": "",
        "addr_prefix": "",
    }


def test_chains_json_lists_what_is_known() -> None:
    """The chain list carries logo and RPC addresses where known, and leaves them out elsewhere."""
    full = Chain(
        "a.1", "1", "A", True, "evm", "0x", "https://a/logo.svg", (Rpc("rpc", "https://a"), Rpc("rest", "b"))
    )
    first, second = json.loads(chains_json([full, Chain("b.2")]))
    assert first == {
        "universal_chain_id": "a.1",
        "display_name": "A",
        "chain_id": "1",
        "testnet": True,
        "rpc_type": "evm",
        "addr_prefix": "0x",
        "logo_uri": "https://a/logo.svg",
        "rpcs": [{"url": "https://a", "type": "rpc"}, {"url": "b", "type": "rest"}],
    }
    assert "logo_uri" not in second
    assert "rpcs" not in second


def test_chains_json_survives_any_text() -> None:
    """A chain name with half a surrogate pair does not take the list down."""
    assert json.loads(chains_json([Chain("a.1", display_name="A\ud800")]))[0]["display_name"] == "A\ufffd"


def test_no_chains_is_an_empty_list() -> None:
    """Without chains the data is an empty array."""
    assert chains_json([]) == b"[]"
