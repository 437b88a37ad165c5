"""The fixed contract's messages and requests, through the public door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from unionws.errors import RequestError
from unionws.extensions import ClientRequest, RequestContext, ServerMessage
from unionws.hookspecs import hookimpl
from unionws.model import JSON

MAX_CHAIN_ID = 100

MESSAGES = (
    ServerMessage("connected", "Greeting; the first message on every connection."),
    ServerMessage("chains", "The chain list; sent on open and when it changes.", "chains", default=True),
    ServerMessage("serverInfo", "What this server is and can do; sent on open."),
    ServerMessage("transfers", "New transfers, at most five.", "transfers", default=True),
    ServerMessage("transfer", "One new transfer, for clients that chose form=single.", "transfers"),
    ServerMessage("chartData", "All statistics, when they changed.", "chartData", default=True),
    ServerMessage("rates", "Transfer rates alone, for who asks.", "rates"),
    ServerMessage(
        "transferUpdates",
        "What became of transfers sent before: received, timed out, succeeded; for who asks.",
        "transferUpdates",
        example={
            "type": "transferUpdates",
            "data": [
                {
                    "sort_order": "20251009120000-0x5d3c…",
                    "packet_hash": "0x5d3c…",
                    "transfer_recv_timestamp": "2025-10-09T12:03:21.118Z",
                    "success": True,
                }
            ],
            "timestamp": 1760011402000,
        },
    ),
    ServerMessage("status", "State of the service and its upstream, on change.", "status", default=True),
    ServerMessage("gap", "Transfers this client was skipped over, by position.", "transfers"),
    ServerMessage("caughtUp", "A replay is over; what follows is live.", "transfers"),
    ServerMessage("heartbeat", "Sent after 15 s without another message, with the position."),
    ServerMessage("filterSet", "Answer to setChainFilter and setFilter."),
    ServerMessage("subscribed", "Answer to subscribe."),
    ServerMessage("unsubscribed", "Answer to unsubscribe."),
    ServerMessage("subscriptions", "Answer to listSubscriptions."),
    ServerMessage("pong", "Answer to ping."),
    ServerMessage("error", "A message of the client was refused; it says why."),
    ServerMessage("serverShutdown", "The server is about to close; when to come back."),
)


@hookimpl
def register_messages() -> Sequence[ServerMessage]:
    return MESSAGES


@hookimpl
def register_requests() -> Sequence[ClientRequest]:
    return REQUESTS


def ping(context: RequestContext, _message: Mapping[str, JSON]) -> None:
    """Answer at once."""
    context.reply("pong")


def set_chain_filter(context: RequestContext, message: Mapping[str, JSON]) -> None:
    """Replace the two chain terms of the filter; both set: both must match."""
    data = _data(message)
    source = _chain_id(data, "fromChain")
    destination = _chain_id(data, "toChain")
    fields = {
        "fromChains": [source] if source else None,
        "toChains": [destination] if destination else None,
    }
    context.set_filter(fields, replace=False)
    context.reply("filterSet", _filter_set(context, source, destination))


def set_filter(context: RequestContext, message: Mapping[str, JSON]) -> None:
    """Replace the whole filter of the channel."""
    data = _data(message)
    if _text(data, "channel", "transfers") != "transfers":
        raise RequestError("invalid_filter", "only the channel 'transfers' has a filter")
    fields = data.get("filter")
    if not isinstance(fields, Mapping):
        raise RequestError("invalid_message", "setFilter needs an object 'data.filter'")
    context.set_filter(fields, replace=True)
    only = {side: context.filter.get(side) or [] for side in ("fromChains", "toChains")}
    source, destination = (chains[0] if len(chains) == 1 else "" for chains in only.values())
    context.reply("filterSet", _filter_set(context, source, destination))


def _filter_set(context: RequestContext, source: str, destination: str) -> dict[str, JSON]:
    position = context.position()
    return {
        "fromChain": source,
        "toChain": destination,
        "filter": context.filter,
        "epoch": position["epoch"],
        "seq": position["seq"],
    }


def subscribe(context: RequestContext, message: Mapping[str, JSON]) -> None:
    """Subscribe to a channel, replacing what there was."""
    data = _data(message)
    context.subscribe(
        _text(data, "channel"),
        filter=data.get("filter"),
        resume=data.get("resume"),
        snapshot=data.get("snapshot"),
    )


def unsubscribe(context: RequestContext, message: Mapping[str, JSON]) -> None:
    """Leave a channel."""
    channel = _text(_data(message), "channel")
    context.unsubscribe(channel)
    position = context.position()
    at = {"epoch": position["epoch"], "seq": position["seq"]}  # the next frame follows on this
    context.reply("unsubscribed", {"channel": channel, **at})


def list_subscriptions(context: RequestContext, _message: Mapping[str, JSON]) -> None:
    """Tell all channels, and the filter of those that have one."""
    current = [
        {"channel": channel, **({"filter": context.filter} if channel == "transfers" else {})}
        for channel in context.channels
    ]
    context.reply("subscriptions", {"subscriptions": current})


def get(context: RequestContext, message: Mapping[str, JSON]) -> None:
    """Send one of the lasting messages again."""
    context.resend(_text(_data(message), "what"))


def _data(message: Mapping[str, JSON]) -> Mapping[str, JSON]:
    data = message.get("data")
    if not isinstance(data, Mapping):
        raise RequestError("invalid_message", f"{message['type']} needs an object 'data'")
    return data


def _text(data: Mapping[str, JSON], name: str, default: str | None = None) -> str:
    value = data.get(name, default)
    if not isinstance(value, str):
        raise RequestError("invalid_message", f"{name} must be a string")
    return value


def _chain_id(data: Mapping[str, JSON], name: str) -> str:
    value = data.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RequestError("invalid_message", f"{name} must be a string")
    if len(value) > MAX_CHAIN_ID:
        raise RequestError("chain_id_too_long", f"{name} is longer than {MAX_CHAIN_ID} characters")
    return value


REQUESTS = (
    ClientRequest("ping", "Ask for a pong.", ping, {"type": "ping"}),
    ClientRequest(
        "setChainFilter",
        "Only transfers from and to these chains from now on; empty: any.",
        set_chain_filter,
        {"type": "setChainFilter", "data": {"fromChain": "union.union-1", "toChain": ""}},
    ),
    ClientRequest(
        "setFilter",
        "Replace the filter of the transfers channel.",
        set_filter,
        {"type": "setFilter", "id": 1, "data": {"channel": "transfers", "filter": {"assets": ["U"]}}},
    ),
    ClientRequest(
        "subscribe",
        "Subscribe to a channel, with a filter, from a position or with a snapshot.",
        subscribe,
        {"type": "subscribe", "id": 2, "data": {"channel": "transfers", "snapshot": 10}},
    ),
    ClientRequest(
        "unsubscribe", "Leave a channel.", unsubscribe, {"type": "unsubscribe", "data": {"channel": "status"}}
    ),
    ClientRequest(
        "listSubscriptions", "Ask for all subscriptions.", list_subscriptions, {"type": "listSubscriptions"}
    ),
    ClientRequest(
        "get",
        "Ask for chartData, chains or serverInfo again.",
        get,
        {"type": "get", "id": "c", "data": {"what": "chains"}},
    ),
)
