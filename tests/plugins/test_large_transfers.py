from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.plugins.samples import Heard, fragment, record, sample_host, started
from unionws import Chain, EnrichedTransfer, FilterField, Statistic, Transfer

NOW = 1_760_000_000.0


def statistic() -> Statistic:
    """The sample's statistic, loaded the way the service does."""
    host = sample_host()
    found = {statistic.name: statistic for statistic in host.collect("register_statistics", Statistic)}
    return found["samples.largest"]


def transfer(symbol: str | None, amount: str | None, at: float = NOW, key: str = "k") -> EnrichedTransfer:
    row = Transfer(key, Chain("a.1"), Chain("b.2"), base_token_symbol=symbol)
    value = None if amount is None else Decimal(amount)
    return EnrichedTransfer(row, at, "a.1->b.2", "A", "B", False, "", "", value, b"{}")


def tops(found: Statistic, now: float = NOW) -> dict[str, str]:
    return {entry["assetSymbol"]: entry["amount"] for entry in found.observer.snapshot(now)["assets"]}


def test_the_largest_transfer_of_each_asset_is_kept() -> None:
    """Amounts are compared as exact decimals; the entry tells route and key."""
    found = statistic()
    batch = [
        transfer("U", "9", key="small"),
        transfer("U", "10.000000000000000001", key="big"),
        transfer("U", "10"),
        transfer("ETH", "0.5"),
    ]
    found.observer.observe(batch, NOW)
    assert found.name == "samples.largest"
    assert tops(found) == {"U": "10.000000000000000001", "ETH": "0.5"}
    entry = found.observer.snapshot(NOW)["assets"][0]
    assert (entry["route"], entry["sort_order"]) == ("a.1->b.2", "big")


def test_the_largest_is_forgotten_after_a_day() -> None:
    """When the record leaves the window the next largest takes its place, then nothing."""
    found = statistic()
    found.observer.observe([transfer("U", "100"), transfer("U", "1", NOW + 7200)], NOW + 7200)
    assert tops(found, NOW + 7200) == {"U": "100"}
    assert tops(found, NOW + 25 * 3600) == {"U": "1"}
    assert tops(found, NOW + 48 * 3600) == {}


def test_what_cannot_be_compared_is_left_out() -> None:
    """Unknown symbols and amounts, and times outside the last day, do not count."""
    found = statistic()
    odd = [transfer(None, "1"), transfer("U", None), transfer("U", "1", 0.0), transfer("U", "1", 9e9)]
    found.observer.observe(odd, NOW)
    assert tops(found) == {}


def test_memory_is_bounded_however_many_assets_appear() -> None:
    """Ten assets are shown and fifty remembered: those seen last."""
    found = statistic()
    for number in range(1000):
        found.observer.observe([transfer(f"T{number}", "1", NOW + number / 1000)], NOW + 1)
    assert list(tops(found, NOW + 1)) == [f"T{number}" for number in range(999, 989, -1)]
    assert len(found.observer._observer._assets) == 50  # type: ignore[attr-defined]


def test_a_large_transfer_is_told_to_those_it_concerns() -> None:
    """The message is about the transfer, has its amount and route, and smaller ones send none."""

    async def scenario(heard: Heard) -> None:
        batch = [fragment("small", amount="999.99"), fragment("big", amount="1000"), fragment("?", amount="")]
        heard.host.fire("published", record=record(*batch))

    (message,) = started(scenario).messages
    assert (message.channel, message.type, message.about) == (
        "samples.large",
        "samples.largeTransfer",
        fragment("big", amount="1000"),
    )
    assert json.loads(message.data) == {
        "amount": "1000",
        "asset": "u",
        "route": "a.1->b.2",
        "sort_order": "big",
    }


def test_a_large_transfer_does_not_wait() -> None:
    """From the amount that the setting says."""

    async def scenario(heard: Heard) -> None:
        batch = [transfer("U", "5", key="5"), transfer("U", "4.9", key="4.9"), transfer("U", None, key="?")]
        assert heard.host.urgent(batch) == {"5"}

    started(scenario, "SAMPLES_LARGE_AMOUNT=5")


def test_the_filter_divides_large_from_small() -> None:
    """true and false are each other's opposite; the index and the test agree; nothing else is taken."""
    fields = {field.name: field for field in sample_host().collect("register_filters", FilterField)}
    field: Any = fields["samples.large"]
    batch = [fragment("a", amount="2000"), fragment("b", amount="1"), fragment("c", amount="")]
    for wanted, keys in [(True, ["a"]), (False, ["b", "c"])]:
        value = field.parse(wanted)
        assert [item.sort_order for item in batch if field.matches(value, item)] == keys
        indexed = [item.sort_order for item in batch if set(field.keys(value)) & set(field.item_keys(item))]
        assert indexed == keys
        assert field.dump(value) is wanted
    with pytest.raises(ValueError, match="must be true, false or null"):
        field.parse(1)
