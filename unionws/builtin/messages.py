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
    ServerMessage("status", "State of the service and its upstream, on change.", "status", default=True),
    ServerMessage("gap", "Transfers this client was skipped over, by position.", "transfers"),
    ServerMessage("filterSet", "Answer to setChainFilter."),
    ServerMessage("pong", "Answer to ping."),
    ServerMessage("error", "A message of the client was refused; it says why."),
    ServerMessage("serverShutdown", "The server is about to close; when to come back."),
)


@hookimpl
def register_messages() -> Sequence[ServerMessage]:
    return MESSAGES


@hookimpl
def register_requests() -> Sequence[ClientRequest]:
    return [
        ClientRequest("ping", "Ask for a pong.", ping, {"type": "ping"}),
        ClientRequest(
            "setChainFilter",
            "Only transfers from and to these chains from now on; empty: any.",
            set_chain_filter,
            {"type": "setChainFilter", "data": {"fromChain": "union.union-1", "toChain": ""}},
        ),
    ]


def ping(context: RequestContext, _message: Mapping[str, JSON]) -> None:
    """Answer at once."""
    context.reply("pong")


def set_chain_filter(context: RequestContext, message: Mapping[str, JSON]) -> None:
    """Replace the two chain terms of the filter; both set: both must match."""
    data = message.get("data")
    if not isinstance(data, Mapping):
        raise RequestError("invalid_message", "setChainFilter needs an object 'data'")
    source = _chain_id(data, "fromChain")
    destination = _chain_id(data, "toChain")
    fields = {
        "fromChains": [source] if source else None,
        "toChains": [destination] if destination else None,
    }
    context.set_filter(fields, replace=False)
    context.reply("filterSet", {"fromChain": source, "toChain": destination})


def _chain_id(data: Mapping[str, JSON], name: str) -> str:
    value = data.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RequestError("invalid_message", f"{name} must be a string")
    if len(value) > MAX_CHAIN_ID:
        raise RequestError("chain_id_too_long", f"{name} is longer than {MAX_CHAIN_ID} characters")
    return value
