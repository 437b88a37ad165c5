"""The AsyncAPI document: all that is registered is in it, and it holds together."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.schema import validate
from unionws.asyncapi import REQUEST, document
from unionws.builtin.filters import FIELDS
from unionws.builtin.messages import MESSAGES, REQUESTS
from unionws.extensions import ClientRequest, RequestContext, ServerMessage
from unionws.model import JSON


def handle(_context: RequestContext, _message: Mapping[str, JSON]) -> None: ...


THEIRS = ServerMessage("acme.alert", "Something was seen.", "acme.alerts", example={"type": "acme.alert"})
ASKED = ClientRequest("acme.alert", "Asks for the last.", handle, {"type": "acme.alert", "data": 1})


@pytest.fixture(name="made", scope="module")
def fixture_made() -> dict[str, Any]:
    """With a plugin that has a message and a request of one name, and a filter field."""
    made = document([*MESSAGES, THEIRS], [*REQUESTS, ASKED], [*(field.name for field in FIELDS), "acme.own"])
    plain: dict[str, Any] = json.loads(json.dumps(made))
    return plain


def references(value: Any) -> Iterator[str]:
    """Every ``$ref`` in it."""
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_every_reference_leads_somewhere(made: dict[str, Any]) -> None:
    """To a channel or a message of this document."""
    found = list(references(made))
    assert len(found) > 50
    for reference in found:
        target = made
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]
        assert isinstance(target, dict)


def test_all_that_is_registered_is_in_it(made: dict[str, Any]) -> None:
    """What is said is sent, what is asked is received; those of a plugin with their example."""
    messages, operations = made["components"]["messages"], made["operations"]
    said = [message.type for message in (*MESSAGES, THEIRS)]
    asked = [REQUEST + request.type for request in (*REQUESTS, ASKED)]
    assert list(messages) == said + asked
    assert made["asyncapi"] == "3.0.0"
    for name in ("tell", "tellEvents"):
        sent = [reference["$ref"].rpartition("/")[2] for reference in operations[name]["messages"]]
        assert (operations[name]["action"], sent) == ("send", said)
    assert [name for name, each in operations.items() if each["action"] == "receive"] == asked
    assert messages["acme.alert"]["examples"] == [{"payload": {"type": "acme.alert"}}]
    assert "acme.alerts" in messages["acme.alert"]["summary"]
    assert messages["request.acme.alert"]["examples"] == [{"payload": {"type": "acme.alert", "data": 1}}]


def test_examples_of_requests_are_as_their_schema_says(made: dict[str, Any]) -> None:
    """All of ours have one."""
    for request in (*REQUESTS, ASKED):
        validate(request.example, made["components"]["messages"][REQUEST + request.type]["payload"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ping", {"type": "ping", "id": True}),
        ("setFilter", {"type": "setFilter", "data": {"filter": {"wallet": ["0x1"]}}}),
        ("setFilter", {"type": "setFilter", "data": {}}),
        ("subscribe", {"type": "subscribe", "data": {"channel": "transfers", "snapshot": 101}}),
        ("get", {"type": "get", "data": {"what": "everything"}}),
        ("setChainFilter", {"type": "setChainFilter", "data": {"fromChain": "x" * 101}}),
    ],
)
def test_what_the_server_refuses_is_against_the_schema(
    made: dict[str, Any], name: str, message: dict[str, Any]
) -> None:
    """So a client can find it out before it sends it."""
    with pytest.raises(AssertionError):
        validate(message, made["components"]["messages"][REQUEST + name]["payload"])


def test_a_filter_may_have_what_plugins_add(made: dict[str, Any]) -> None:
    """Of whatever shape: only the plugin knows."""
    message = {"type": "setFilter", "data": {"filter": {"acme.own": {"any": 1}, "chains": ["a.1"]}}}
    validate(message, made["components"]["messages"]["request.setFilter"]["payload"])
