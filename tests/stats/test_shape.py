"""The whole chartData message, key by key, as the contract has it."""

from __future__ import annotations

import pytest
import ujson

from tests.stats.contract import CHART, SCALES, check_chart, walk
from tests.stats.traffic import NOW, Traffic
from unionws.builtin.statistics import register_statistics
from unionws.settings import Settings
from unionws.stats.collector import Collector
from unionws.stats.shape import empty_chart

DAY = 86_400


def counted(since: float, transfers: int, short: str = "1m") -> Collector:
    settings = Settings(SHORT_WINDOW=short)
    collector = Collector(settings, register_statistics(settings), now=since)
    traffic = Traffic(chains=14, routes=40, assets=15)
    for age in (60 * DAY, DAY, 600, 20):
        collector.observe(list(traffic.over(NOW - age, NOW, transfers)), NOW)
    return collector


@pytest.mark.parametrize("transfers", [0, 1, 400])
def test_the_whole_message_has_the_contracts_keys_and_types(transfers: int) -> None:
    """Counts are ints, never bools or floats; lists are never null; nothing else is there."""
    data = ujson.loads(counted(NOW - 61 * DAY, transfers).snapshot(NOW).chart)
    check_chart(data)


def test_changes_are_there_exactly_when_the_window_before_is_covered() -> None:
    """After three minutes of uptime there is a change per minute, none per five minutes."""
    rates = counted(NOW - 180, 3).snapshot(NOW).data["currentRates"]
    wallets = counted(NOW - 180, 3).snapshot(NOW).data["activeWalletRates"]
    assert "txPerMinuteChange" in rates
    assert "txPer5MinutesChange" not in rates
    assert "totalLastMinChange" in wallets
    assert "totalLast5mChange" not in wallets


def test_an_empty_server_has_every_key() -> None:
    """Without any statistic the message still has the shape."""
    data = Collector(Settings(), [], now=NOW).snapshot(NOW).data
    walk(data, CHART)
    assert data["popularRoutesTimeScale"] == {scale: [] for scale in SCALES}


def test_each_empty_chart_is_a_fresh_one() -> None:
    """Filling one in changes no other."""
    empty_chart()["popularRoutesTimeScale"]["1m"].append("x")
    assert empty_chart()["popularRoutesTimeScale"]["1m"] == []


@pytest.mark.parametrize("short", ["1m", "5m"])
def test_unscaled_lists_are_those_of_the_short_window(short: str) -> None:
    """SHORT_WINDOW says which window the un-scaled lists and the minute's fields carry."""
    data = counted(NOW - 61 * DAY, 300, short).snapshot(NOW).data
    assert data["popularRoutes"] == data["popularRoutesTimeScale"][short]
    assert data["activeSenders"] == data["activeSendersTimeScale"][short]
    assert data["activeReceivers"] == data["activeReceiversTimeScale"][short]
    assert data["chainFlowData"]["chains"] == data["chainFlowData"]["chainFlowTimeScale"][short]
    assert data["assetVolumeData"]["assets"] == data["assetVolumeData"]["assetVolumeTimeScale"][short]
    rates, wallets = data["currentRates"], data["activeWalletRates"]
    five = short == "5m"
    assert (rates["txPerMinute"] == rates["txPer5Minutes"]) is five
    assert (rates["txPerMinuteChange"] == rates["txPer5MinutesChange"]) is five
    assert (wallets["totalLastMin"] == wallets["totalLast5m"]) is five
