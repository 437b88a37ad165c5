from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.source.indexers import row
from unionws.errors import RowError, UpstreamGarbage
from unionws.model import Rpc
from unionws.source.decode import Decoder, is_text, timestamp

JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["\ud800", "\0", "0x", "0xZZ", "-1", "1e5", "٣", "0001-01-01T00:00:00Z", "x" * 5000]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


def decoded(**changes):
    return Decoder().transfer(row("k", **changes), "k")


def test_a_whole_row_is_decoded():
    """Every field of the model comes from its field of the row."""
    transfer = decoded(
        packet_hash="0x" + "AB" * 32,
        transfer_index=3,
        sender_display="union1abc",
        transfer_recv_timestamp="2025-06-15T12:35:00+00:00",
    )
    assert transfer.sort_order == "k"
    assert transfer.source_chain.universal_chain_id == "ethereum.1"
    assert transfer.source_chain.rpc_type == "evm"
    assert transfer.destination_chain.addr_prefix == "union"
    assert transfer.packet_hash == "0x" + "ab" * 32
    assert transfer.transfer_index == 3
    assert transfer.sender_canonical == "0x" + "11" * 20
    assert transfer.receiver_canonical == "0x" + "22" * 32
    assert transfer.sender_display == "union1abc"
    assert transfer.receiver_display is None
    assert transfer.transfer_send_timestamp == "2025-06-15T12:34:56.250Z"
    assert transfer.send_time == datetime(2025, 6, 15, 12, 34, 56, 250_000, timezone.utc).timestamp()
    assert transfer.recv_time == datetime(2025, 6, 15, 12, 35, tzinfo=timezone.utc).timestamp()
    assert transfer.transfer_send_transaction_hash == "0x" + "cd" * 32
    assert (transfer.base_token, transfer.base_amount) == ("0x6175", "1000000")
    assert (transfer.quote_token, transfer.quote_amount) == ("0x" + "33" * 20, "1000000")
    assert (transfer.base_token_symbol, transfer.base_token_name) == ("U", "Union")
    assert transfer.base_token_decimals == 18


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-06-15T12:34:56Z", datetime(2025, 6, 15, 12, 34, 56)),
        ("2025-06-15T12:34:56+00:00", datetime(2025, 6, 15, 12, 34, 56)),
        ("2025-06-15T12:34:56.123456+00:00", datetime(2025, 6, 15, 12, 34, 56, 123456)),
        ("2025-06-15t14:04:56.5+01:30", datetime(2025, 6, 15, 12, 34, 56, 500_000)),
        ("2025-06-15 04:34:56-08:00", datetime(2025, 6, 15, 12, 34, 56)),
        ("2024-02-29T23:59:60Z", datetime(2024, 3, 1)),
        ("2025-06-15T12:34:56.123456789Z", datetime(2025, 6, 15, 12, 34, 56, 123457)),
    ],
)
def test_rfc_3339_is_read_exactly(text, expected):
    """Z, offsets, fractions of any length and leap seconds."""
    seconds = timestamp(text)
    assert seconds == pytest.approx(expected.replace(tzinfo=timezone.utc).timestamp(), abs=1e-6)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "-2025-06-15T12:34:56Z",
        "2025-02-29T12:34:56Z",
        "2025-06-15T24:00:00Z",
        "2025-06-15T12:34:61Z",
        "2025-06-15T12:34:56",
        "2025-06-15T12:34:56.Z",
        "2025-06-15T12:34:56+25:00",
        "20250615T123456Z",
        "2025-06-15T12:34:56Z\n",
        "٢٠٢٥-06-15T12:34:56Z",
    ],
)
def test_what_is_not_rfc_3339_is_not_a_time(text):
    """Also absurd years, which mean "not known"."""
    assert timestamp(text) is None


@given(st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2099, 12, 31)))
def test_every_moment_survives_its_text(moment):
    """What isoformat writes is read back."""
    utc = moment.replace(tzinfo=timezone.utc)
    assert timestamp(utc.isoformat()) == pytest.approx(utc.timestamp(), abs=1e-6)


@pytest.mark.parametrize("name", [name for name in row("k") if name != "sort_order"])
def test_any_field_may_be_null(name):
    """Null is not worth counting; only both ids of a side together make a row unusable."""
    decoder = Decoder()
    decoder.transfer(row("k", **{name: None}), "k")
    assert not decoder.unusable


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("packet_hash", 7),
        ("packet_hash", "no hex"),
        ("transfer_index", "0"),
        ("transfer_index", True),
        ("transfer_index", -1),
        ("sender_canonical", ["0x"]),
        ("transfer_send_timestamp", 1750000000),
        ("transfer_send_timestamp", "0001-01-01T00:00:00Z"),
        ("base_amount", "12.5"),
        ("base_amount", "-1"),
        ("base_amount", "٣"),
        ("base_amount", 12),
        ("base_amount", "9" * 79),
        ("base_token_decimals", 78),
        ("base_token_decimals", 6.0),
        ("base_token_decimals", False),
        ("base_token_symbol", "\ud800"),
        ("base_token_name", "x" * 5000),
        ("sender_display", "a\0b"),
    ],
)
def test_a_wrong_optional_field_becomes_none_and_is_counted(name, value):
    """The rest of the row is used."""
    decoder = Decoder()
    transfer = decoder.transfer(row("k", **{name: value}), "k")
    assert getattr(transfer, name) is None
    assert decoder.unusable == {f"field:{name}": 1}
    assert transfer.base_token == "0x6175"


def test_an_empty_text_is_unknown():
    """An empty symbol is left out like a null one."""
    decoder = Decoder()
    assert decoder.transfer(row("k", base_token_symbol=""), "k").base_token_symbol is None
    assert not decoder.unusable


@pytest.mark.parametrize("embedded", [None, {}, {"universal_chain_id": None}, [], "ethereum.1"])
def test_a_side_without_an_embedded_id_takes_the_rows(embedded):
    """The row's own universal id stands in."""
    assert decoded(source_chain=embedded).source_chain.universal_chain_id == "ethereum.1"


@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize("value", [None, "", 7, [], "x" * 101, "\ud800"])
def test_a_side_without_any_id_is_a_row_error(side, value):
    """The kind names the side."""
    changes = {f"{side}_chain": {"universal_chain_id": value}, f"{side}_universal_chain_id": value}
    with pytest.raises(RowError) as error:
        decoded(**changes)
    assert error.value.kind == f"no_{side}_chain"


def test_equal_chains_are_one_object():
    """A page of a hundred rows holds a handful of chains."""
    decoder = Decoder()
    first, second = (decoder.transfer(row(key), key) for key in "ab")
    assert first.source_chain is second.source_chain
    assert first.source_chain is not first.destination_chain


def test_a_chain_that_changes_is_seen():
    """Sharing goes by content, not by id; a wrong type never takes a right one's place."""
    decoder = Decoder()
    base = row("k")["source_chain"]
    names = [
        decoder.transfer(row("k", source_chain={**base, **changes}), "k").source_chain
        for changes in ({}, {"display_name": "New"}, {"testnet": True}, {"testnet": 1}, {"display_name": []})
    ]
    assert [chain.display_name for chain in names] == ["Ethereum", "New", "Ethereum", "Ethereum", ""]
    assert [chain.testnet for chain in names] == [False, False, True, False, False]


def test_shared_chains_are_bounded():
    """An indexer that invents chains does not fill the memory."""
    decoder = Decoder()
    for number in range(5000):
        decoder.transfer(row("k", source_chain={"universal_chain_id": f"c.{number}"}), "k")
    assert len(decoder._chains) <= 1024


def test_a_page_knows_its_extent_and_leaves_known_rows_undecoded():
    """Unusable and known rows still move the cursor."""
    decoder = Decoder()
    broken = row("d", source_chain=None, source_universal_chain_id=None)
    rows = [row("a"), row("b"), row("b"), row("c", sort_order=None), broken, "text", row("e")]
    page = decoder.page({"rows": rows}, "rows", {"a"})
    assert page.size == 7
    assert page.keys == ("a", "b", "d", "e")
    assert [transfer.sort_order for transfer in page.transfers] == ["b", "e"]
    assert page.duplicates == 2
    assert decoder.unusable == {"no_sort_order": 1, "no_source_chain": 1, "not_an_object": 1}


def test_an_unusable_row_is_counted_once_and_taken_once_it_is_usable():
    """Re-scans bring it again; the indexer may have completed it by then."""
    decoder = Decoder()
    broken = row("d", source_chain=None, source_universal_chain_id=None)
    for _ in range(3):
        assert decoder.page({"rows": [broken]}, "rows", set()).transfers == ()
    assert decoder.unusable["no_source_chain"] == 1
    assert len(decoder.page({"rows": [row("d")]}, "rows", set()).transfers) == 1


@pytest.mark.parametrize("value", [None, {}, "rows", 7])
def test_rows_that_are_not_a_list_are_garbage(value):
    """The whole answer is refused, so that the cursor stays."""
    with pytest.raises(UpstreamGarbage):
        Decoder().page({"rows": value}, "rows", set())


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(row("k"))), JUNK, max_size=24))
def test_no_row_breaks_a_page(changes):
    """Whatever the fields hold, the good row beside it is decoded and the result can be encoded."""
    decoder = Decoder()
    page = decoder.page({"rows": [row("k", **changes), row("good")]}, "rows", set())
    assert page.transfers[-1].sort_order == "good"
    for transfer in page.transfers:
        texts = [getattr(transfer, name) for name in transfer.__slots__]
        assert all(is_text(text) for text in texts if isinstance(text, str))


def test_chains_are_listed_by_id_without_the_unusable():
    """One per universal id, with its RPC addresses."""
    decoder = Decoder()
    rows = [
        {
            "universal_chain_id": "b.1",
            "rpcs": [{"type": "rpc", "url": "https://b"}, {"type": "rest", "url": None}],
        },
        {
            "universal_chain_id": "a.1",
            "display_name": "A",
            "testnet": True,
            "logo_uri": "https://a",
            "rpcs": None,
        },
        {"universal_chain_id": "a.1", "display_name": "Second"},
        {"universal_chain_id": None},
        None,
    ]
    first, second = decoder.chains({"v2_chains": rows}, "v2_chains")
    assert (first.universal_chain_id, first.display_name, first.testnet) == ("a.1", "A", True)
    assert (first.logo_uri, first.rpcs) == ("https://a", ())
    assert second.rpcs == (Rpc("rpc", "https://b"),)
    assert decoder.unusable == {"field:rpcs": 1, "chain_without_id": 1, "chain_not_an_object": 1}


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(
            JUNK,
            st.dictionaries(
                st.sampled_from(["universal_chain_id", "chain_id", "testnet", "rpcs", "logo_uri"]),
                st.one_of(JUNK, st.just("ethereum.1"), st.lists(JUNK, max_size=3)),
            ),
        ),
        max_size=5,
    )
)
def test_no_chain_breaks_the_list(rows):
    """Whatever the entries hold, the good one is listed."""
    chains = Decoder().chains({"v2_chains": [*rows, {"universal_chain_id": "union.union-1"}]}, "v2_chains")
    assert "union.union-1" in [chain.universal_chain_id for chain in chains]


RECV = ("transfer_recv_timestamp", "transfer_recv_transaction_hash", "transfer_timeout_timestamp")


@pytest.mark.parametrize(
    ("changes", "facts", "final"),
    [
        ({}, {}, False),
        (
            {"transfer_recv_timestamp": "2025-06-15T12:40:00Z", "transfer_recv_transaction_hash": "0xEF"},
            {"transfer_recv_timestamp": "2025-06-15T12:40:00Z", "transfer_recv_transaction_hash": "0xEF"},
            False,
        ),
        (
            {"transfer_recv_timestamp": "2025-06-15T12:40:00Z", "success": False},
            {"transfer_recv_timestamp": "2025-06-15T12:40:00Z", "success": False},
            True,
        ),
        (
            {"transfer_timeout_timestamp": "2025-06-15T14:00:00Z"},
            {"transfer_timeout_timestamp": "2025-06-15T14:00:00Z"},
            True,
        ),
        ({"success": "yes", "transfer_timeout_timestamp": "0001-01-01T00:00:00Z"}, {}, False),
    ],
)
def test_an_outcome_is_what_is_known_of_it(changes, facts, final):
    """Only known fields are told; nothing follows a time-out, or a receipt whose success is known."""
    outcomes = Decoder().outcomes({"rows": [row("1", **changes), {"sort_order": None}]}, "rows")
    assert [(each.sort_order, each.packet_hash) for each in outcomes] == [("1", "0x" + "ab" * 32)]
    assert (outcomes[0].facts, outcomes[0].final) == (facts, final)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(["packet_hash", "success", *RECV]), JUNK))
def test_no_row_breaks_its_outcome(changes):
    """Whatever a field holds, what is told can be encoded."""
    outcomes = Decoder().outcomes({"rows": [row("1", **changes)]}, "rows")
    assert [each.sort_order for each in outcomes] == ["1"]
    assert all(type(value) is bool or is_text(value) for value in outcomes[0].facts.values())
