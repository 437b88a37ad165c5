"""The built-in requests, against a context that writes down what they do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from unionws.builtin.messages import MAX_CHAIN_ID, MESSAGES, REQUESTS
from unionws.errors import RequestError
from unionws.model import JSON

HANDLERS = {request.type: request.handle for request in REQUESTS}


class Context:
    """What a client's connection would do."""

    channels = ("status", "transfers")

    def __init__(self) -> None:
        self.filter: dict[str, JSON] = {"assets": ["u"]}
        self.did: list[Any] = []

    def position(self) -> dict[str, JSON]:
        return {"epoch": "epoch001", "seq": 7, "cursor": "c"}

    def set_filter(self, fields: Mapping[str, JSON], *, replace: bool) -> None:
        if replace:
            self.filter.clear()
        self.filter.update({name: value for name, value in fields.items() if value})
        self.did.append(("filter", dict(fields)))

    def subscribe(self, channel: str, **wishes: JSON) -> None:
        self.did.append((channel, wishes))

    def unsubscribe(self, channel: str) -> None:
        self.did.append(("unsubscribe", channel))

    def resend(self, what: str) -> None:
        self.did.append(("resend", what))

    def reply(self, type: str, data: JSON = None, **_: JSON) -> None:
        self.did.append((type, data))


def ask(type: str, data: JSON = None) -> list[Any]:
    context: Any = Context()
    HANDLERS[type](context, {"type": type} if data is None else {"type": type, "data": data})
    done: list[Any] = context.did
    return done


def code_of(type: str, data: JSON) -> str:
    with pytest.raises(RequestError) as caught:
        ask(type, data)
    return caught.value.code


def test_ping_is_answered() -> None:
    """A pong, nothing else."""
    assert ask("ping") == [("pong", None)]


@pytest.mark.parametrize(
    ("data", "source", "destination"),
    [
        ({"fromChain": "a.1", "toChain": "b.2"}, "a.1", "b.2"),
        ({"fromChain": "a.1"}, "a.1", ""),
        ({"fromChain": None, "toChain": "b.2"}, "", "b.2"),
        ({"fromChain": "", "toChain": ""}, "", ""),
        ({}, "", ""),
    ],
)
def test_chain_filter_is_set_then_answered(data: JSON, source: str, destination: str) -> None:
    """Two fields change, the others stay; the answer has strings, the whole filter and the position."""
    first, second = ask("setChainFilter", data)
    given = {"fromChains": [source] if source else None, "toChains": [destination] if destination else None}
    assert first == ("filter", given)
    kept = {name: chains for name, chains in given.items() if chains}
    assert second == (
        "filterSet",
        {"fromChain": source, "toChain": destination, "filter": {"assets": ["u"], **kept}}
        | {"epoch": "epoch001", "seq": 7},
    )


@pytest.mark.parametrize("data", [None, [], "a.1", {"fromChain": 5}, {"toChain": ["a.1"]}])
def test_wrong_data_of_a_chain_filter(data: JSON) -> None:
    """Not an object, or not strings: invalid_message."""
    assert code_of("setChainFilter", data) == "invalid_message"


def test_longest_chain_id() -> None:
    """A hundred characters pass, one more does not."""
    assert len(ask("setChainFilter", {"fromChain": "x" * MAX_CHAIN_ID})) == 2
    assert code_of("setChainFilter", {"toChain": "x" * (MAX_CHAIN_ID + 1)}) == "chain_id_too_long"


@pytest.mark.parametrize(("chains", "shown"), [(["a.1"], "a.1"), (["a.1", "b.2"], ""), ([], ""), (None, "")])
def test_filter_is_replaced(chains: JSON, shown: str) -> None:
    """The answer names the one chain of a side when there is exactly one."""
    first, (kind, data) = ask("setFilter", {"filter": {"fromChains": chains}})
    assert first == ("filter", {"fromChains": chains})
    assert (kind, data["fromChain"], data["toChain"]) == ("filterSet", shown, "")
    assert "assets" not in data["filter"]


def test_only_transfers_have_a_filter() -> None:
    """Another channel is invalid_filter, a missing filter invalid_message."""
    assert code_of("setFilter", {"channel": "chartData", "filter": {}}) == "invalid_filter"
    assert code_of("setFilter", {"channel": "transfers"}) == "invalid_message"


def test_subscriptions_are_passed_on() -> None:
    """With everything they ask for."""
    assert ask("subscribe", {"channel": "transfers", "filter": {}, "snapshot": 3}) == [
        ("transfers", {"filter": {}, "resume": None, "snapshot": 3})
    ]
    assert ask("unsubscribe", {"channel": "status"}) == [
        ("unsubscribe", "status"),
        ("unsubscribed", {"channel": "status", "epoch": "epoch001", "seq": 7}),
    ]
    assert ask("get", {"what": "chains"}) == [("resend", "chains")]


@pytest.mark.parametrize("type", ["subscribe", "unsubscribe", "get"])
@pytest.mark.parametrize("data", [None, {}, {"channel": 5, "what": 5}])
def test_wrong_data_of_the_others(type: str, data: JSON) -> None:
    """A missing name, or one that is no string, is invalid_message."""
    assert code_of(type, data) == "invalid_message"


def test_all_subscriptions_are_listed() -> None:
    """The one with a filter shows it."""
    assert ask("listSubscriptions") == [
        (
            "subscriptions",
            {"subscriptions": [{"channel": "status"}, {"channel": "transfers", "filter": {"assets": ["u"]}}]},
        )
    ]


def test_connection_starts_with_four_channels() -> None:
    """As the protocol says; others are on request."""
    default = {message.channel for message in MESSAGES if message.default}
    assert default == {"transfers", "chartData", "chains", "status"}


def test_every_request_has_an_example_that_works() -> None:
    """The reference shows nothing that is refused."""
    for request in REQUESTS:
        assert request.example is not None
        assert request.example["type"] == request.type
        assert ask(request.type, request.example.get("data"))
