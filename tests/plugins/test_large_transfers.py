from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from unionws import Chain, EnrichedTransfer, Statistic, Transfer
from unionws.pluginhost import PluginHost
from unionws.settings import Settings

PLUGINS = Path(__file__).parents[2] / "plugins"
NOW = 1_760_000_000.0


def statistic() -> Statistic:
    """The sample's statistic, loaded the way the service does."""
    host = PluginHost(Settings(PLUGINS_DIR=str(PLUGINS)))
    host.load([])
    (found,) = host.collect("register_statistics", Statistic)
    return found


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
    assert len(found.observer._assets) == 50  # type: ignore[attr-defined]
