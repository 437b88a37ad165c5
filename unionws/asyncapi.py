"""The stream as an AsyncAPI 3 document, from the messages and requests that are registered.

Those of plugins are in it with what they say of themselves: a sentence, and an example where they give
one. There is no ``servers``: it is the one that answers. ``send`` is what the server does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from unionws import __version__
from unionws.connections.query import FILTER_PARAMETERS, FORMS
from unionws.extensions import ClientRequest, ServerMessage
from unionws.model import JSON
from unionws.schemas import SCHEMAS, TEXT, Schema, client_request, filter_object, server_message

Document = Mapping[str, JSON]

ABOUT = (
    "Cross-chain transfers and statistics, live. Ignore message types and fields you do not know: new "
    "ones are added at any time. docs/protocol.md of the project says when each message is sent."
)
REQUEST = "request."
"""Before the names of requests: a plugin may give a request and a message the same name."""


def document(
    messages: Sequence[ServerMessage], requests: Sequence[ClientRequest], filters: Iterable[str]
) -> Document:
    """The whole document.

    Args:
        filters: names of the filter's fields.
    """
    wanted = filter_object(filters)
    told = {message.type: _told(message) for message in messages}
    asked = {REQUEST + request.type: _asked(request, wanted) for request in requests}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "unionws", "version": __version__, "description": ABOUT},
        "defaultContentType": "application/json",
        "channels": {
            "stream": _channel("/ws", "Everything, both ways.", [*told, *asked], "ws"),
            "events": _channel("/sse", "The same messages as Server-Sent Events.", told, "http"),
        },
        "operations": {
            "tell": _operation("send", "stream", "What the server says.", told),
            "tellEvents": _operation("send", "events", "What the server says.", told),
            **{
                name: _operation("receive", "stream", request.help, [name])
                for name, request in zip(asked, requests, strict=True)
            },
        },
        "components": {"messages": {**told, **asked}},
    }


def _told(message: ServerMessage) -> JSON:
    data = SCHEMAS.get(message.type)
    payload = server_message(message.type, None if data is None else data())
    channel = f" On the channel {message.channel}." if message.channel else ""
    return _message(message.type, message.help + channel, payload, message.example)


def _asked(request: ClientRequest, wanted: Schema) -> JSON:
    return _message(request.type, request.help, client_request(request.type, wanted), request.example)


def _message(name: str, summary: str, payload: Schema, example: Mapping[str, JSON] | None) -> JSON:
    shown = {} if example is None else {"examples": [{"payload": example}]}
    return {"name": name, "title": name, "summary": summary, "payload": payload, **shown}


def _channel(address: str, summary: str, names: Iterable[str], protocol: str) -> JSON:
    messages = {name: {"$ref": f"#/components/messages/{name}"} for name in names}
    query: dict[str, Any] = {"type": "object", "properties": _parameters()}
    bindings = {"ws": {"method": "GET", "query": query}} if protocol == "ws" else {}
    return {"address": address, "summary": summary, "messages": messages, "bindings": bindings}


def _parameters() -> Mapping[str, Schema]:
    """What the query of a connection's URL may have."""
    plain = ("channels", *FILTER_PARAMETERS, "resume", "cursor", "key")
    return {**dict.fromkeys(plain, TEXT), "form": {"enum": list(FORMS)}}


def _operation(action: str, channel: str, summary: str, names: Iterable[str]) -> JSON:
    messages = [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names]
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "messages": messages,
    }
