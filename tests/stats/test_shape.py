"""The whole chartData message, key by key, as the contract has it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import ujson

from tests.stats.traffic import NOW, Traffic
from unionws.builtin.statistics import register_statistics
from unionws.settings import Settings
from unionws.stats.collector import Collector
from unionws.stats.shape import empty_chart

DAY = 86_400
SCALES = ["1m", "5m", "1h", "1d", "7d", "14d", "30d"]
Check = Callable[[Any], bool]


def integer(value: Any) -> bool:
    return type(value) is int


def number(value: Any) -> bool:
    return type(value) in (int, float)


def percentage(value: Any) -> bool:
    return number(value) and 0 <= value <= 100


def text(value: Any) -> bool:
    return type(value) is str and value != ""


def flag(value: Any) -> bool:
    return type(value) is bool


def moment(value: Any) -> bool:
    return text(value) and re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", value) is not None


def listed(fields: Mapping[str, Any], most: int) -> Check:
    def check(value: Any) -> bool:
        assert type(value) is list
        assert len(value) <= most
        for item in value:
            walk(item, fields)
        return True

    return check


def scaled(fields: Mapping[str, Any]) -> dict[str, Check]:
    return {scale: listed(fields, 10) for scale in SCALES}


def walk(value: Any, shape: Mapping[str, Any]) -> None:
    """Compare a value with a shape: the same keys (``?``: may be missing), each passing its check."""
    assert type(value) is dict
    needed = {key for key in shape if not key.endswith("?")}
    assert needed <= value.keys() <= {key.rstrip("?") for key in shape}
    for key, found in value.items():
        check = shape.get(key, shape.get(f"{key}?"))
        if isinstance(check, Mapping):
            walk(found, check)
        else:
            assert check is not None
            assert check(found), (key, found)


RATES = ("30Seconds", "Minute", "5Minutes", "Hour", "Day", "7Days", "14Days", "30Days")
LASTS = ("30s", "Min", "5m", "Hour", "Day", "7d", "14d", "30d")
HAS = dict.fromkeys(("has" + name for name in RATES), flag)
ROUTE = {
    **dict.fromkeys(("fromChain", "toChain", "fromName", "toName", "route"), text),
    "count": integer,
    "countChange?": number,
    "lastActivity": moment,
}
WALLET = {"count": integer, "address": text, "displayAddress": text, "lastActivity": moment}
CHAIN_ASSET = {
    **dict.fromkeys(("assetSymbol", "assetName"), text),
    **dict.fromkeys(("outgoingCount", "incomingCount", "netFlow"), integer),
    **dict.fromkeys(("totalVolume", "averageAmount"), number),
    "percentage": percentage,
    "lastActivity": moment,
}
CHAIN = {
    **dict.fromkeys(("universal_chain_id", "chainName"), text),
    **dict.fromkeys(("outgoingCount", "incomingCount", "netFlow"), integer),
    **dict.fromkeys(("outgoingChange?", "incomingChange?", "netFlowChange?"), number),
    "lastActivity": moment,
    "topAssets": listed(CHAIN_ASSET, 3),
}
ASSET_ROUTE = {
    **dict.fromkeys(("fromChain", "toChain", "fromName", "toName", "route"), text),
    "count": integer,
    "volume": number,
    "percentage": percentage,
    "lastActivity": moment,
}
ASSET = {
    **dict.fromkeys(("assetSymbol", "assetName"), text),
    "transferCount": integer,
    **dict.fromkeys(("totalVolume", "averageAmount", "largestTransfer"), number),
    **dict.fromkeys(("volumeChange?", "countChange?"), number),
    "lastActivity": moment,
    "topRoutes": listed(ASSET_ROUTE, 5),
}
LOST = {f"{role}?": {"count": integer} for role in ("senders", "receivers")}
LOST |= {
    f"{kind}?": {"count": integer, "volume": number}
    for kind in ("assetRoutes", "chainAssets", "assets", "routes", "chains")
}
LOST |= {f"{kind}Before?": LOST[f"{kind}?"] for kind in ("assets", "routes", "chains")}
LOST["largestTransfers?"] = {"volume": number}
CHART = {
    "currentRates": {
        **{f"txPer{name}": integer for name in RATES},
        **{f"txPer{name}Change?": number for name in RATES},
        "totalTracked": integer,
        "serverUptimeSeconds": integer,
        "dataAvailability": HAS,
    },
    "activeWalletRates": {
        **{f"{who}Last{name}": integer for who in ("senders", "receivers", "total") for name in LASTS},
        **{f"{who}Last{name}Change?": number for who in ("senders", "receivers", "total") for name in LASTS},
        **dict.fromkeys(("uniqueSendersTotal", "uniqueReceiversTotal", "uniqueTotalWallets"), integer),
        "serverUptimeSeconds": integer,
        "dataAvailability": HAS,
    },
    "popularRoutes": listed(ROUTE, 10),
    "popularRoutesTimeScale": scaled(ROUTE),
    "activeSenders": listed(WALLET, 10),
    "activeSendersTimeScale": scaled(WALLET),
    "activeReceivers": listed(WALLET, 10),
    "activeReceiversTimeScale": scaled(WALLET),
    "chainFlowData": {
        "chains": listed(CHAIN, 10),
        "chainFlowTimeScale": scaled(CHAIN),
        **dict.fromkeys(("totalOutgoing", "totalIncoming", "serverUptimeSeconds"), integer),
    },
    "assetVolumeData": {
        "assets": listed(ASSET, 10),
        "assetVolumeTimeScale": scaled(ASSET),
        **dict.fromkeys(("totalAssets", "totalTransfers", "serverUptimeSeconds"), integer),
        "totalVolume": number,
    },
    "latencyData": lambda value: value == [],
    "dataAvailability": HAS,
    "coverage": {
        "since": integer,
        "complete": dict.fromkeys(["30s", *SCALES], flag),
        "distinctWallets": {"exactUpTo": integer, "percent95": number},
        "tooLowBy": {f"{scale}?": LOST for scale in SCALES},
    },
    "rev": integer,
    "ext": lambda value: type(value) is dict,
}


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
    walk(data, CHART)


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
