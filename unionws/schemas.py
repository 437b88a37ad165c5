"""JSON Schemas (draft 2020-12) of what goes over the wire, built from the tables the code itself uses.

Published as ``docs/schema/<name>.json`` by ``tools/reference.py``. Objects say all their keys, but for
``ext``, where plugins add theirs; what is not in ``required`` is left out when it is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from unionws.builtin.messages import MAX_CHAIN_ID
from unionws.model import JSON
from unionws.probes.latency import MOST as MOST_LATENCIES
from unionws.probes.latency import PARTS, POINTS
from unionws.resuming import MAX_SNAPSHOT
from unionws.stats.assets import TOP_ROUTES
from unionws.stats.chainflow import TOP_ASSETS
from unionws.stats.coverage import FLAGS
from unionws.stats.figures import TOP
from unionws.stats.flow import COMPARED
from unionws.stats.rates import FIELDS
from unionws.stats.wallets import SUFFIXES
from unionws.stats.windows import SCALES, WINDOWS

Schema = Mapping[str, JSON]

LOSSES = (
    *("senders", "receivers", "assetRoutes", "chainAssets"),
    *COMPARED,
    *(f"{kind}Before" for kind in COMPARED),
    "largestTransfers",
)
"""Kinds of figures that can be too low where there is too much to be kept whole."""

TEXT: Schema = {"type": "string"}
NAME: Schema = {"type": "string", "minLength": 1}
FLAG: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
NET: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
AMOUNT: Schema = {"type": "number", "minimum": 0}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 100}
HEX: Schema = {"type": "string", "pattern": "^0x[0-9a-f]*$"}
HASH: Schema = {"type": "string", "pattern": "^0x[0-9a-f]{64}$"}
DIGITS: Schema = {"type": "string", "pattern": "^[0-9]+$"}
DECIMAL: Schema = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$"}
TIME: Schema = {"type": "string", "format": "date-time"}
ANYTHING: Schema = {"type": "object"}


def _object(fields: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    more = optional or {}
    return {
        "type": "object",
        "properties": {**fields, **more},
        "required": list(fields),
        "additionalProperties": False,
    }


def _growing(whole: Schema) -> Schema:
    """What is added to it later is no mistake."""
    return {**whole, "additionalProperties": True}


def _list(item: Schema, most: int | None = None) -> Schema:
    whole: Schema = {"type": "array", "items": item}
    return whole if most is None else {**whole, "maxItems": most}


def _map(item: Schema) -> Schema:
    return {"type": "object", "additionalProperties": item}


def _all(names: Iterable[str], kind: Schema) -> dict[str, Schema]:
    return dict.fromkeys(names, kind)


def _scale(item: Schema) -> Schema:
    """The same list for every window."""
    return _object({window.key: _list(item, TOP) for window in SCALES})


# ----------------------------------------------------------------------------------- chartData

_AVAILABILITY = _object(_all(FLAGS.values(), FLAG))
_RATES = _object(
    {
        **_all(FIELDS.values(), COUNT),
        "totalTracked": COUNT,
        "serverUptimeSeconds": COUNT,
        "dataAvailability": _AVAILABILITY,
    },
    _all([f"{name}Change" for name in FIELDS.values()], NUMBER),
)
_WHO = ("senders", "receivers", "total")
_WALLET_RATES = _object(
    {
        **_all([f"{who}{suffix}" for who in _WHO for suffix in SUFFIXES.values()], COUNT),
        **_all(("uniqueSendersTotal", "uniqueReceiversTotal", "uniqueTotalWallets"), COUNT),
        "serverUptimeSeconds": COUNT,
        "dataAvailability": _AVAILABILITY,
    },
    _all([f"{who}{suffix}Change" for who in _WHO for suffix in SUFFIXES.values()], NUMBER),
)
_ENDS = _all(("fromChain", "toChain", "fromName", "toName", "route"), NAME)
_LAST = {"lastActivity": TIME}
_ROUTE = _object({"count": COUNT, **_ENDS}, {"countChange": NUMBER, **_LAST})
_WALLET = _object({"count": COUNT, "address": HEX, "displayAddress": NAME}, _LAST)
_CHAIN_ASSET = _object(
    {
        **_all(("assetSymbol", "assetName"), NAME),
        **_all(("outgoingCount", "incomingCount"), COUNT),
        "netFlow": NET,
        **_all(("totalVolume", "averageAmount"), AMOUNT),
        "percentage": SHARE,
    },
    _LAST,
)
_CHAIN = _object(
    {
        **_all(("universal_chain_id", "chainName"), NAME),
        **_all(("outgoingCount", "incomingCount"), COUNT),
        "netFlow": NET,
        "topAssets": _list(_CHAIN_ASSET, TOP_ASSETS),
    },
    {**_all(("outgoingChange", "incomingChange", "netFlowChange"), NUMBER), **_LAST},
)
_ASSET_ROUTE = _object({**_ENDS, "count": COUNT, "volume": AMOUNT, "percentage": SHARE}, _LAST)
_ASSET = _object(
    {
        **_all(("assetSymbol", "assetName"), NAME),
        "transferCount": COUNT,
        **_all(("totalVolume", "averageAmount", "largestTransfer"), AMOUNT),
        "topRoutes": _list(_ASSET_ROUTE, TOP_ROUTES),
    },
    {**_all(("volumeChange", "countChange"), NUMBER), **_LAST},
)
_LATENCY = _object(
    {
        **_all(("sourceName", "destinationName", "sourceChain", "destinationChain"), NAME),
        **_all(PARTS, _object(_all(POINTS, AMOUNT))),
    }
)
_NODE = _object(
    {
        **_all(("chainId", "chainName", "rpcUrl", "rpcType"), NAME),
        "status": {"enum": ["healthy", "degraded", "unhealthy"]},
        **_all(("responseTimeMs", "lastCheckTime"), COUNT),
        "uptime": SHARE,
    },
    {"latestBlockHeight": COUNT, "errorMessage": NAME},
)
_CHAIN_HEALTH = _object(
    {
        "chainName": NAME,
        **_all(("healthyNodes", "totalNodes", "avgResponseTime"), COUNT),
        "uptime": SHARE,
    }
)
_NODES = _object(
    {
        **_all(("totalNodes", "healthyNodes", "degradedNodes", "unhealthyNodes", "avgResponseTime"), COUNT),
        "nodesWithRpcs": _list(_NODE),
        "chainHealthStats": _map(_CHAIN_HEALTH),
    }
)
_LOSS = _object({}, {"count": COUNT, "volume": AMOUNT})
_COVERAGE = _object(
    {
        "since": NET,
        "complete": _object(_all([window.key for window in WINDOWS], FLAG)),
        "distinctWallets": _object({"exactUpTo": COUNT, "percent95": AMOUNT}),
        "tooLowBy": _object({}, _all([window.key for window in SCALES], _object({}, _all(LOSSES, _LOSS)))),
    }
)


def chart_data() -> Schema:
    """``data`` of ``chartData``."""
    flow = {"chains": _list(_CHAIN, TOP), "chainFlowTimeScale": _scale(_CHAIN)}
    volume = {"assets": _list(_ASSET, TOP), "assetVolumeTimeScale": _scale(_ASSET)}
    return _object(
        {
            "currentRates": _RATES,
            "activeWalletRates": _WALLET_RATES,
            **_both("popularRoutes", _ROUTE),
            **_both("activeSenders", _WALLET),
            **_both("activeReceivers", _WALLET),
            "chainFlowData": _object(
                {**flow, **_all(("totalOutgoing", "totalIncoming", "serverUptimeSeconds"), COUNT)}
            ),
            "assetVolumeData": _object(
                {
                    **volume,
                    **_all(("totalAssets", "totalTransfers", "serverUptimeSeconds"), COUNT),
                    "totalVolume": AMOUNT,
                }
            ),
            "latencyData": _list(_LATENCY, MOST_LATENCIES),
            "dataAvailability": _AVAILABILITY,
            "coverage": _COVERAGE,
            "rev": COUNT,
            "ext": _map(ANYTHING),
        },
        {"nodeHealthData": _NODES},
    )


def _both(name: str, item: Schema) -> dict[str, Schema]:
    return {name: _list(item, TOP), f"{name}TimeScale": _scale(item)}


# ----------------------------------------------------------------------------------- transfers

_TRANSFER_CHAIN = _object(
    {
        "universal_chain_id": NAME,
        **_all(("display_name", "chain_id"), TEXT),
        "testnet": FLAG,
        **_all(("rpc_type", "addr_prefix"), TEXT),
    }
)


def transfer() -> Schema:
    """One transfer: an item of ``transfers``, or ``data`` of ``transfer``."""
    return _object(
        {
            **_all(("source_chain", "destination_chain"), _TRANSFER_CHAIN),
            "sort_order": NAME,
            "isTestnetTransfer": FLAG,
            **_all(("sourceDisplayName", "destinationDisplayName", "routeKey"), NAME),
        },
        {
            "packet_hash": HASH,
            "transfer_index": COUNT,
            **_all(("sender_canonical", "receiver_canonical", "base_token", "quote_token"), HEX),
            **_all(("transfer_send_timestamp", "transfer_recv_timestamp", "formattedTimestamp"), TIME),
            "transfer_send_transaction_hash": NAME,
            **_all(("base_amount", "quote_amount"), DIGITS),
            **_all(("base_token_symbol", "base_token_name"), NAME),
            "base_token_decimals": COUNT,
            "base_token_amount_display": DECIMAL,
            **_all(("senderDisplay", "receiverDisplay"), NAME),
            "ext": _map(ANYTHING),
        },
    )


def transfers() -> Schema:
    """``data`` of ``transfers``."""
    return {"type": "array", "items": transfer(), "minItems": 1}


# ------------------------------------------------------------------------------ other messages

_CHANNEL = {"channel": NAME}
_POSITION = {"epoch": NAME, "seq": COUNT}
_UPSTREAM: Schema = {"enum": ["ok", "stale", "down"]}
_LISTED_CHAIN = _object(
    {**_all(("universal_chain_id", "display_name"), NAME), "chain_id": TEXT, "testnet": FLAG}
    | _all(("rpc_type", "addr_prefix"), TEXT),
    {"logo_uri": NAME, "rpcs": _list(_object(_all(("url", "type"), TEXT)))},
)
_CONNECTED = _object(
    {
        "protocol": COUNT,
        **_all(("server", "clientId"), NAME),
        "pingIntervalMs": COUNT,
        **_all(("channels", "features"), _list(NAME)),
        "limits": _map(COUNT),
    },
    {**_POSITION, "cursor": TEXT},
)
_SERVER_INFO = _object(
    {
        **_all(("serverPrecomputation", "architecture"), NAME),
        "features": _list(NAME),
        "maxConnections": COUNT,
        "shortWindow": {"enum": ["1m", "5m"]},
    }
)
_STATUS = _object(
    {"system": {"enum": ["online", "warming", "degraded", "draining"]}, "upstream": _UPSTREAM},
    {"lagMs": COUNT, "notice": NAME},
)
_SUBSCRIBED = _object(
    {**_CHANNEL, **_POSITION, "cursor": TEXT, "recovered": FLAG, "replaying": FLAG}, {"filter": ANYTHING}
)
_GAP = _object(
    {
        **_CHANNEL,
        **_all(("fromSeq", "toSeq"), COUNT),
        "reason": {"enum": ["slow_consumer", "history_expired", "epoch_changed"]},
    },
    {"epoch": NAME},
)
_UPDATE = _object(
    {"sort_order": NAME},
    {
        "packet_hash": HASH,
        **_all(("transfer_recv_timestamp", "transfer_timeout_timestamp"), TIME),
        **_all(("transfer_recv_transaction_hash", "transfer_timeout_transaction_hash"), NAME),
        "success": FLAG,
    },
)
_WINDOW = _object(_all(("minMs", "maxMs"), COUNT))

SCHEMAS: Mapping[str, Callable[[], Schema]] = {
    "caughtUp": lambda: _object({**_CHANNEL, **_POSITION, "count": COUNT}),
    "chains": lambda: _list(_LISTED_CHAIN),
    "chartData": chart_data,
    "connected": lambda: _CONNECTED,
    "filterSet": lambda: _object({**_all(("fromChain", "toChain"), TEXT), "filter": ANYTHING, **_POSITION}),
    "gap": lambda: _GAP,
    "heartbeat": lambda: _object({"seq": COUNT, "upstream": _UPSTREAM}, {"lagMs": COUNT}),
    "rates": lambda: _RATES,
    "serverInfo": lambda: _SERVER_INFO,
    "serverShutdown": lambda: _object({"reason": NAME, "reconnect": _WINDOW}),
    "status": lambda: _STATUS,
    "subscribed": lambda: _SUBSCRIBED,
    "subscriptions": lambda: _object({"subscriptions": _list(_object(_CHANNEL, {"filter": ANYTHING}))}),
    "transfer": transfer,
    "transfers": transfers,
    "transferUpdates": lambda: {**_list(_UPDATE), "minItems": 1},
    "unsubscribed": lambda: _object({**_CHANNEL, **_POSITION}),
}
"""Message type → the schema of its ``data``."""


# ------------------------------------------------------------------------------------- envelopes

ID: Schema = {"type": ["integer", "string"]}
_FRAME: Mapping[str, Schema] = {**_POSITION, "prev": COUNT, "cursor": TEXT}
_MARKS = _all(("replay", "late"), FLAG)
_BESIDE: Mapping[str, tuple[Mapping[str, Schema], Mapping[str, Schema]]] = {
    "connected": ({"message": NAME}, {}),
    "error": ({"code": NAME, "message": NAME}, {}),
    "transfers": (_FRAME, _MARKS),
    "transfer": (_FRAME, _MARKS),
    "gap": (_POSITION, {}),
    "caughtUp": (_POSITION, {}),
    "heartbeat": ({"epoch": NAME}, {}),
}
"""What stands beside ``data``: always, and sometimes."""


def server_message(type: str, data: Schema | None) -> Schema:
    """A whole message of the server; None: it has no ``data``, or one that only its plugin knows."""
    always, sometimes = _BESIDE.get(type, ({}, {}))
    body = {} if data is None else {"data": data}
    whole = _object({"type": {"enum": [type]}, **body, **always, "timestamp": COUNT}, {"id": ID, **sometimes})
    return _growing(whole)


_CHAIN_OR_ANY: Schema = {"type": ["string", "null"], "maxLength": MAX_CHAIN_ID}
_NAMES: Schema = {"type": ["array", "string", "null"], "items": NAME}
_FILTER_FIELDS: Mapping[str, Schema] = {
    **_all(("fromChains", "toChains", "chains", "wallets", "assets"), _NAMES),
    "minAmount": {"type": ["string", "object", "null"], "additionalProperties": TEXT},
    "network": {"enum": ["mainnet", "testnet", "", None]},
}


def filter_object(fields: Iterable[str]) -> Schema:
    """A filter with these fields; of plugins' fields only the names are known."""
    known: Mapping[str, Schema] = {name: _FILTER_FIELDS.get(name, {}) for name in fields}
    return _object({}, known)


def request_data(type: str, wanted: Schema) -> Schema | None:
    """The ``data`` that a request of ours needs; None: it needs none, or only its plugin knows.

    Args:
        wanted: the schema of a filter.
    """
    resume = _object({}, {"epoch": NAME, "seq": COUNT, "cursor": NAME})
    transfers_only = {"filter": wanted, "resume": resume, "snapshot": {**COUNT, "maximum": MAX_SNAPSHOT}}
    known = {
        "setChainFilter": _object({}, _all(("fromChain", "toChain"), _CHAIN_OR_ANY)),
        "setFilter": _object({"filter": wanted}, _CHANNEL),
        "subscribe": _object(_CHANNEL, transfers_only),
        "unsubscribe": _object(_CHANNEL),
        "get": _object({"what": {"enum": ["chartData", "chains", "serverInfo"]}}),
    }
    return _growing(known[type]) if type in known else None


def client_request(type: str, wanted: Schema) -> Schema:
    """A whole request; ``wanted``: the schema of a filter."""
    data = request_data(type, wanted)
    body = {} if data is None else {"data": data}
    whole = _object({"type": {"enum": [type]}, **body}, {"id": ID})
    return _growing(whole)


def published(name: str) -> Schema:
    """The schema of a message type's ``data`` as a document of its own."""
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"data of unionws {name} messages",
    }
    return {**head, **SCHEMAS[name]()}
