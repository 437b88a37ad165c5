"""Sample plugin: a filter for transfers that people send to themselves, or to others.

A client switches it with ``{"type": "samples.ownWallet", "data": true}`` (only transfers whose
sender and receiver are the same address), ``false`` (only all others) or ``null`` (any).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unionws import ClientRequest, FilterField, Fragment, RequestContext, hookimpl

FIELD = "samples.ownWallet"


def parse(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true, false or null")
    return value


def is_own(item: Fragment) -> bool:
    return bool(item.sender) and item.sender == item.receiver


def choose(context: RequestContext, message: Mapping[str, Any]) -> None:
    context.set_filter({FIELD: message.get("data")}, replace=False)
    context.reply("filterSet", {"filter": dict(context.filter)})


@hookimpl
def register_filters() -> list[FilterField]:
    return [FilterField(FIELD, parse, lambda wanted, item: is_own(item) is wanted, bool)]


@hookimpl
def register_requests() -> list[ClientRequest]:
    example = {"type": FIELD, "data": True}
    return [
        ClientRequest(FIELD, "Only transfers to the sender's own address, or only others.", choose, example)
    ]
