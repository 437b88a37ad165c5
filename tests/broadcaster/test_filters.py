"""Canonical filters, and the index against trying every filter."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.broadcaster.factory import fragment
from unionws.broadcaster.filters import MATCH_ALL, Filter, FilterFields, FilterIndex
from unionws.builtin.filters import FIELDS
from unionws.errors import RequestError
from unionws.extensions import FilterField
from unionws.model import JSON, Fragment

FILTERS = FilterFields(FIELDS)


@dataclass(frozen=True)
class Holder:
    name: int
    filter: Filter


def refusal(value: object) -> RequestError:
    with pytest.raises(RequestError) as caught:
        FILTERS.parse(value)
    return caught.value


def test_equal_meaning_gives_equal_filters() -> None:
    """Order, doubles, case and empty fields do not make another filter."""
    one = FILTERS.parse({"assets": ["U", "usdc", "U"], "fromChains": ["b.2", "a.1"], "toChains": []})
    other = FILTERS.parse({"fromChains": ["a.1", "b.2"], "assets": ["USDC", "u"], "network": ""})
    assert one == other
    assert hash(one) == hash(other)
    assert FILTERS.parse({"wallets": [], "network": None}) == MATCH_ALL


def test_fields_not_named_keep_their_value() -> None:
    """setChainFilter changes two fields of a filter, null takes one away."""
    base = FILTERS.parse({"fromChains": ["a.1"], "assets": ["u"]})
    changed = FILTERS.parse({"fromChains": ["c.3"], "toChains": ["b.2"]}, base)
    assert FILTERS.dump(changed) == {"assets": ["u"], "fromChains": ["c.3"], "toChains": ["b.2"]}
    assert FILTERS.dump(FILTERS.parse({"assets": None}, changed)) == {
        "fromChains": ["c.3"],
        "toChains": ["b.2"],
    }


def test_canonical_form_is_a_fixed_point() -> None:
    """What a reply shows can be sent again."""
    value = {
        "minAmount": {"U": "01.50"},
        "network": "mainnet",
        "chains": "a.1",
        "wallets": ["0x" + "AB" * 20],
    }
    made = FILTERS.parse(value)
    assert FILTERS.parse(FILTERS.dump(made)) == made


@pytest.mark.parametrize("value", [None, [], "fromChains", 5])
def test_filter_must_be_an_object(value: object) -> None:
    """Anything else is invalid_filter."""
    assert refusal(value).code == "invalid_filter"


def test_unknown_field_is_refused() -> None:
    """Never ignored: the refusal names it and all there are."""
    error = refusal({"fromChain": "a.1"})
    assert error.code == "invalid_filter"
    assert "'fromChain'" in error.message
    assert "fromChains" in error.message


def test_wrong_value_is_refused_by_field() -> None:
    """The refusal says which field and why."""
    error = refusal({"network": "moon"})
    assert (error.code, error.message.split(":")[0]) == ("invalid_filter", "network")


# -- the index ----------------------------------------------------------------------------------

CHAINS = st.sampled_from(["a.1", "b.2", "c.3"])
WALLETS = st.sampled_from(["0xaa", "0xbb", "0xcc"])
ITEMS = st.builds(
    fragment,
    source=CHAINS,
    destination=CHAINS,
    sender=WALLETS,
    receiver=WALLETS,
    symbol=st.sampled_from(["u", "usdc", ""]),
    amount=st.sampled_from(["", "1", "2.5", "100"]),
    testnet=st.booleans(),
)
VALUES: Mapping[str, st.SearchStrategy[JSON]] = {
    "fromChains": st.lists(CHAINS, max_size=2),
    "toChains": st.lists(CHAINS, max_size=2),
    "chains": st.lists(CHAINS, max_size=2),
    "wallets": st.lists(st.sampled_from(["0x" + pair * 20 for pair in ("aa", "bb", "cc")]), max_size=2),
    "assets": st.lists(st.sampled_from(["U", "usdc", "0x75"]), max_size=2),
    "minAmount": st.sampled_from(["0", "2", {"u": "2.5"}]),
    "network": st.sampled_from(["mainnet", "testnet"]),
}
GIVEN = st.fixed_dictionaries({}, optional=VALUES)  # type: ignore[arg-type]


@given(st.lists(GIVEN, max_size=8), st.lists(ITEMS, max_size=5), st.data())
def test_index_finds_what_trying_all_finds(
    values: list[dict[str, JSON]], items: list[Fragment], data: st.DataObject
) -> None:
    """Also after some have left."""
    holders = [Holder(number, FILTERS.parse(value)) for number, value in enumerate(values)]
    index: FilterIndex[Holder] = FilterIndex(FILTERS)
    for holder in holders:
        index.add(holder)
    if holders:
        for holder in data.draw(st.lists(st.sampled_from(holders), unique=True)):
            index.discard(holder)
            holders.remove(holder)
    found = index.match(items)
    for holder in holders:
        wanted = [number for number, item in enumerate(items) if FILTERS.matches(holder.filter, item)]
        assert found.pop(holder, []) == wanted
    assert found == {}


@given(st.lists(GIVEN, max_size=8))
def test_index_is_empty_when_all_have_left(values: list[dict[str, JSON]]) -> None:
    """A million filters that came and went leave nothing."""
    index: FilterIndex[Holder] = FilterIndex(FILTERS)
    holders = [Holder(number, FILTERS.parse(value)) for number, value in enumerate(values)]
    for holder in holders:
        index.add(holder)
    for holder in holders:
        index.discard(holder)
    assert (index._all, index._unindexed, index._by_field) == ({}, {}, {})


def test_only_candidates_are_tried() -> None:
    """100,000 other wallets cost a transfer nothing: their filters are not even looked at."""
    tried = []

    def matches(wanted: tuple[str, ...], item: Fragment) -> bool:
        tried.append(wanted)
        return item.sender in wanted

    field = FilterField("w", tuple, matches, list, keys=iter, item_keys=lambda item: (item.sender,))
    index: FilterIndex[Holder] = FilterIndex(FilterFields([field]))
    for number in range(1000):
        index.add(Holder(number, Filter((("w", (f"0x{number:02x}",)),))))
    assert [holder.name for holder in index.match([fragment(sender="0xaa")])] == [0xAA]
    assert tried == [("0xaa",)]


def test_narrowest_field_is_indexed() -> None:
    """A filter for three chains and one wallet is found by its wallet."""
    wanted = FILTERS.parse({"fromChains": ["a.1", "b.2", "c.3"], "wallets": ["0x" + "ab" * 20]})
    assert FILTERS.index_keys(wanted) == [("wallets", "0x" + "ab" * 20)]
    assert FILTERS.index_keys(FILTERS.parse({"network": "mainnet"})) is None


def broken(*_: object) -> bool:
    raise RuntimeError("a plugin's mistake")


def test_field_that_raises_matches_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The other filters go on; the log names the field once, the counter counts."""
    fields = FilterFields([*FIELDS, FilterField("acme.bad", str, broken, str)])
    index: FilterIndex[Holder] = FilterIndex(fields)
    good, bad = Holder(1, MATCH_ALL), Holder(2, fields.parse({"acme.bad": "x"}))
    index.add(good)
    index.add(bad)
    with caplog.at_level(logging.ERROR):
        assert index.match([fragment(), fragment()]) == {good: [0, 1]}
    assert fields.failures == {"acme.bad": 2}
    assert [entry.fields for entry in caplog.records] == [{"filter": "acme.bad"}]  # type: ignore[attr-defined]


def test_field_whose_keys_raise_is_skipped(caplog: pytest.LogCaptureFixture) -> None:
    """An index key that cannot be had finds nothing, and hurts nobody else."""
    bad = FilterField("acme.bad", str, lambda *_: True, str, keys=iter, item_keys=broken)  # type: ignore[arg-type]
    fields = FilterFields([*FIELDS, bad])
    index: FilterIndex[Holder] = FilterIndex(fields)
    other = Holder(1, fields.parse({"fromChains": ["a.1"]}))
    index.add(other)
    index.add(Holder(2, fields.parse({"acme.bad": "x"})))
    assert index.match([fragment()]) == {other: [0]}
    assert fields.failures["acme.bad"] == 1
