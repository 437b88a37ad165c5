"""The protocol's filter fields: what they take, what they match."""

from __future__ import annotations

import pytest

from tests.broadcaster.factory import fragment
from unionws.broadcaster.filters import FilterFields
from unionws.builtin.filters import FIELDS, MAX_KEYS
from unionws.errors import RequestError
from unionws.model import JSON, Fragment

FILTERS = FilterFields(FIELDS)
ITEM = fragment(
    source="union.union-1",
    destination="ethereum.1",
    sender="0x" + "aa" * 20,
    receiver="0x" + "bb" * 32,
    symbol="u",
    token="0x6175",
    amount="12.50",
)


def passes(item: Fragment = ITEM, **fields: JSON) -> bool:
    return FILTERS.matches(FILTERS.parse(fields), item)


def refused(**fields: JSON) -> bool:
    with pytest.raises(RequestError) as caught:
        FILTERS.parse(fields)
    return caught.value.code == "invalid_filter"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, True),
        ({"fromChains": ["union.union-1"]}, True),
        ({"fromChains": ["ethereum.1"]}, False),
        ({"fromChains": ["ethereum.1", "union.union-1"]}, True),
        ({"toChains": ["ethereum.1"]}, True),
        ({"toChains": ["union.union-1"]}, False),
        ({"chains": ["ethereum.1"]}, True),
        ({"chains": ["union.union-1"]}, True),
        ({"chains": ["bob.60808"]}, False),
        ({"fromChains": ["union.union-1"], "toChains": ["bob.60808"]}, False),
        ({"wallets": ["0x" + "aa" * 20]}, True),
        ({"wallets": ["0x" + "BB" * 32]}, True),
        ({"wallets": ["0x" + "cc" * 20]}, False),
        ({"assets": ["U"]}, True),
        ({"assets": ["0x6175"]}, True),
        ({"assets": ["usdc"]}, False),
        ({"network": "mainnet"}, True),
        ({"network": "testnet"}, False),
        ({"minAmount": "12.5"}, True),
        ({"minAmount": "12.500000000000000001"}, False),
        ({"minAmount": {"U": "12"}}, True),
        ({"minAmount": {"0x6175": "13"}}, False),
        ({"minAmount": {"USDC": "1"}}, False),
        ({"assets": ["u"], "minAmount": "100"}, False),
    ],
)
def test_what_a_transfer_passes(fields: dict[str, JSON], expected: bool) -> None:
    """AND across fields, OR inside lists."""
    assert passes(**fields) is expected


def test_single_value_is_a_list_of_one() -> None:
    """Also in JSON."""
    assert FILTERS.parse({"chains": " a.1 "}) == FILTERS.parse({"chains": ["a.1"]})


def test_display_addresses_are_canonical() -> None:
    """A bech32 address and its bytes are the same wallet."""
    one = FILTERS.parse({"wallets": ["0x5AAEB6053F3E94C9B9A09F33669435E7EF1BEAED"]})
    assert one == FILTERS.parse({"wallets": ["0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"]})


def test_unknown_amount_never_passes_a_minimum() -> None:
    """Not even zero: nobody knows."""
    assert not passes(fragment(amount=""), minAmount="0")
    assert passes(fragment(amount="0"), minAmount="0")


def test_amounts_are_compared_exactly() -> None:
    """More digits than a float has."""
    item = fragment(amount="1000000000000000000000.000000000000000001")
    assert passes(item, minAmount="1000000000000000000000.000000000000000001")
    assert not passes(item, minAmount="1000000000000000000000.000000000000000002")


@pytest.mark.parametrize(
    ("given", "shown"),
    [("1.50", "1.5"), ("1e3", "1000"), ("0.0", "0"), ({"U": "02", "a": "1"}, {"a": "1", "u": "2"})],
)
def test_minimum_is_shown_in_canonical_form(given: JSON, shown: JSON) -> None:
    """As text, without an exponent."""
    assert FILTERS.dump(FILTERS.parse({"minAmount": given})) == {"minAmount": shown}


@pytest.mark.parametrize("empty", [[], {}, None])
def test_empty_is_any(empty: JSON) -> None:
    """An empty list or object filters nothing."""
    field = "minAmount" if empty == {} else "wallets"
    assert FILTERS.parse({field: empty}).terms == ()


@pytest.mark.parametrize(
    "minimum", ["", "abc", "NaN", "Infinity", "-1", "1e99", 5, 1.5, True, ["1"], {"": "1"}]
)
def test_wrong_minimums(minimum: JSON) -> None:
    """Only decimal strings, not negative, not absurd."""
    assert refused(minAmount=minimum)


@pytest.mark.parametrize("chains", [5, [5], [""], ["  "], ["a b"], ["x" * 101], {"a.1": 1}, True])
def test_wrong_chains(chains: JSON) -> None:
    """Universal chain ids and nothing else; unknown ones are fine."""
    assert refused(fromChains=chains)


@pytest.mark.parametrize("wallet", ["hello world", "0xzz", "", "union1wrongchecksum", 7])
def test_wrong_wallets(wallet: JSON) -> None:
    """What cannot be an address is a mistake, not a filter that matches nothing."""
    assert refused(wallets=[wallet])


@pytest.mark.parametrize("network", ["Mainnet", "devnet", 1, ["mainnet"]])
def test_wrong_networks(network: JSON) -> None:
    """One of two words."""
    assert refused(network=network)


@pytest.mark.parametrize("field", ["fromChains", "assets", "minAmount"])
def test_too_long_lists(field: str) -> None:
    """A filter has its bounds."""
    keys = [f"k{number}" for number in range(MAX_KEYS + 1)]
    assert refused(**{field: dict.fromkeys(keys, "1") if field == "minAmount" else keys})
    assert FILTERS.parse({field: dict.fromkeys(keys[1:], "1") if field == "minAmount" else keys[1:]}).terms
