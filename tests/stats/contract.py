"""The contract with the deployed explorer page and other clients, field by field, written down by hand.

Nothing here is taken from the code that makes the messages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

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


def mapped(fields: Mapping[str, Any]) -> Check:
    def check(value: Any) -> bool:
        assert type(value) is dict
        for item in value.values():
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
LATENCY = {
    **dict.fromkeys(("sourceName", "destinationName", "sourceChain", "destinationChain"), text),
    **dict.fromkeys(("packetRecv", "writeAck", "packetAck"), dict.fromkeys(("p5", "median", "p95"), number)),
}
NODE = {
    **dict.fromkeys(("chainId", "chainName", "rpcUrl", "rpcType"), text),
    "status": lambda value: value in ("healthy", "degraded", "unhealthy"),
    **dict.fromkeys(("responseTimeMs", "lastCheckTime", "latestBlockHeight?"), integer),
    "errorMessage?": text,
    "uptime": percentage,
}
CHAIN_HEALTH = {
    "chainName": text,
    **dict.fromkeys(("healthyNodes", "totalNodes", "avgResponseTime"), integer),
    "uptime": percentage,
}
NODES = {
    **dict.fromkeys(("totalNodes", "healthyNodes", "degradedNodes", "unhealthyNodes"), integer),
    "avgResponseTime": integer,
    "nodesWithRpcs": listed(NODE, 200),
    "chainHealthStats": mapped(CHAIN_HEALTH),
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
    "latencyData": listed(LATENCY, 20),
    "nodeHealthData?": NODES,
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


def any_text(value: Any) -> bool:
    return type(value) is str


def digits(value: Any) -> bool:
    return text(value) and re.fullmatch("[0-9]+", value) is not None


TRANSFER_CHAIN = {
    "universal_chain_id": text,
    **dict.fromkeys(("display_name", "chain_id", "rpc_type", "addr_prefix"), any_text),
    "testnet": flag,
}
HEX = dict.fromkeys(("sender_canonical?", "receiver_canonical?", "base_token?", "quote_token?"), text)
TRANSFER = {
    **dict.fromkeys(("source_chain", "destination_chain"), TRANSFER_CHAIN),
    "packet_hash?": lambda value: re.fullmatch("0x[0-9a-f]{64}", value) is not None,
    "sort_order": text,
    "transfer_index?": integer,
    **HEX,
    **dict.fromkeys(("transfer_send_timestamp?", "transfer_recv_timestamp?"), text),
    "transfer_send_transaction_hash?": text,
    **dict.fromkeys(("base_amount?", "quote_amount?"), digits),
    **dict.fromkeys(("base_token_symbol?", "base_token_name?"), text),
    "base_token_decimals?": integer,
    "base_token_amount_display?": lambda value: re.fullmatch(r"[0-9]+(\.[0-9]+)?", value) is not None,
    "isTestnetTransfer": flag,
    **dict.fromkeys(("sourceDisplayName", "destinationDisplayName", "routeKey"), text),
    "formattedTimestamp?": moment,
    **dict.fromkeys(("senderDisplay?", "receiverDisplay?"), text),
    "ext?": lambda value: type(value) is dict,
}

RANKS: Mapping[str, Check | Callable[[Any], Any]] = {
    "popularRoutes": lambda item: (-item["count"], item["fromChain"], item["toChain"]),
    "activeSenders": lambda item: (-item["count"], item["address"]),
    "activeReceivers": lambda item: (-item["count"], item["address"]),
    "chains": lambda item: (-item["outgoingCount"] - item["incomingCount"], item["universal_chain_id"]),
    "assets": lambda item: (-item["transferCount"], item["assetSymbol"]),
    "topAssets": lambda item: (-item["outgoingCount"] - item["incomingCount"], item["assetSymbol"]),
    "topRoutes": lambda item: (-item["count"], item["fromChain"], item["toChain"]),
}
TWINS = {
    "popularRoutes": "popularRoutesTimeScale",
    "activeSenders": "activeSendersTimeScale",
    "activeReceivers": "activeReceiversTimeScale",
    "chains": "chainFlowTimeScale",
    "assets": "assetVolumeTimeScale",
}
INNER = {"chains": "topAssets", "assets": "topRoutes"}


def lists_of(data: Any) -> Mapping[str, tuple[list[Any], Mapping[str, list[Any]]]]:
    """Each un-scaled list and its time-scale map."""
    places = {**data, **data["chainFlowData"], **data["assetVolumeData"]}
    return {name: (places[name], places[twin]) for name, twin in TWINS.items()}


def check_order(data: Any) -> None:
    """Lists are sorted by count descending, ties by key; no key is there twice."""
    for name, (_, scale) in lists_of(data).items():
        for items in scale.values():
            _check_sorted(items, name)
            for item in items:
                if name in INNER:
                    _check_sorted(item[INNER[name]], INNER[name])


def _check_sorted(items: list[Any], name: str) -> None:
    ranks = [RANKS[name](item) for item in items]
    assert ranks == sorted(set(ranks)), name
    assert len({rank[1:] for rank in ranks}) == len(ranks), name


def check_sums(data: Any) -> None:
    """What figures say of each other."""
    for _, scale in lists_of(data).values():
        assert list(scale) == SCALES
    for chain in data["chainFlowData"]["chains"]:
        assert chain["netFlow"] == chain["incomingCount"] - chain["outgoingCount"]
    rates = data["currentRates"]
    counts = [rates[f"txPer{name}"] for name in RATES if name != "Minute"]  # that one may carry another
    assert counts == sorted(counts)
    nodes = data.get("nodeHealthData")
    if nodes:
        states = (nodes["healthyNodes"], nodes["degradedNodes"], nodes["unhealthyNodes"])
        assert sum(states) == nodes["totalNodes"]


def check_chart(data: Any) -> None:
    """The whole ``data`` of a chartData message."""
    walk(data, CHART)
    check_order(data)
    check_sums(data)
