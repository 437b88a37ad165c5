"""Clients' messages: checked, dispatched, refused with the contract's codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from unionws.connections.requests import MAX_DEPTH, Dispatcher, parse, request_id
from unionws.errors import RequestError
from unionws.extensions import ClientRequest, RequestContext
from unionws.model import JSON


def code_of(text: str) -> str:
    with pytest.raises(RequestError) as caught:
        parse(text)
    return caught.value.code


@pytest.mark.parametrize("text", ["", " ", "\n\t "])
def test_blank_messages(text: str) -> None:
    """Nothing but white space is empty_message."""
    assert code_of(text) == "empty_message"


@pytest.mark.parametrize(
    "text", ["{", "nonsense", '{"type":"ping"}{}', "{'type':'ping'}", "[1,]", "\ufeff{}"]
)
def test_what_is_not_json(text: str) -> None:
    """Broken JSON and several documents are invalid_json."""
    assert code_of(text) == "invalid_json"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "01", ".5", "1."])
def test_what_is_no_number_of_json(number: str) -> None:
    """RFC 8259 §6, and what no double can hold; also deep inside."""
    assert code_of(f'{{"type":"x","data":[{{"a":{number}}}]}}') == "invalid_json"


@pytest.mark.parametrize("text", ["[]", "1", '"ping"', "null", "true"])
def test_what_is_not_an_object(text: str) -> None:
    """JSON of another kind is invalid_message."""
    assert code_of(text) == "invalid_message"


def test_deep_nesting_is_refused() -> None:
    """Nobody makes the server recurse."""
    deep = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert code_of(f'{{"type":{deep}}}') == "invalid_json"
    wide = ",".join(["[]"] * 1000)
    assert parse(f'{{"type":"x","data":[{wide}]}}')["type"] == "x"


@pytest.mark.parametrize("text", ["[" * 50, "{" * 50, "]" * 50, '\\"' + "[" * 50, "\\\\" + "[" * 50])
def test_brackets_in_strings_are_no_nesting(text: str) -> None:
    """A search for "[[[[" is a text like any other, also behind escaped quotes."""
    nested = "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    message = parse(f'{{"type":"x","id":"{text}","data":{nested}}}')
    assert message["id"] == text.replace('\\"', '"').replace("\\\\", "\\")


def test_unfinished_strings_are_refused_in_no_time() -> None:
    """However many quotes and brackets there are, each character is looked at once."""
    assert code_of('{"type":"' + '\\"[' * 500_000) == "invalid_json"


def test_message_is_read() -> None:
    """An object comes back as it is."""
    assert parse('{"type":"ping","id":7}') == {"type": "ping", "id": 7}


@pytest.mark.parametrize("given", [0, -1, 2**70, "", "x" * 36])
def test_ids_are_integers_or_short_strings(given: int | str) -> None:
    """A valid id is given back unchanged."""
    assert request_id({"id": given}) == given


@pytest.mark.parametrize("given", [True, 1.5, [], {}, "x" * 37])
def test_other_ids_are_refused(given: JSON) -> None:
    """An id we could not echo is invalid_message."""
    with pytest.raises(RequestError) as caught:
        request_id({"id": given})
    assert caught.value.code == "invalid_message"


def test_id_is_optional() -> None:
    """No id, and null, are none."""
    assert request_id({}) is None
    assert request_id({"id": None}) is None


def dispatch(message: Mapping[str, JSON]) -> list[Any]:
    seen: list[Any] = []
    requests = [
        ClientRequest(name, "Help.", lambda context, message, name=name: seen.append((name, message)))
        for name in ("ping", "acme.wave")
    ]
    Dispatcher(requests).dispatch(cast("RequestContext", None), message)
    return seen


def test_message_reaches_the_handler_of_its_type() -> None:
    """The handler gets the whole message."""
    assert dispatch({"type": "acme.wave", "data": 1}) == [("acme.wave", {"type": "acme.wave", "data": 1})]


@pytest.mark.parametrize("message", [{}, {"type": None}, {"type": 5}, {"type": ["ping"]}])
def test_type_must_be_a_string(message: Mapping[str, JSON]) -> None:
    """A message without a type is invalid_message."""
    with pytest.raises(RequestError) as caught:
        dispatch(message)
    assert caught.value.code == "invalid_message"


def test_unknown_type_is_refused_with_the_known_ones() -> None:
    """The refusal helps, and does not echo without end."""
    with pytest.raises(RequestError) as caught:
        dispatch({"type": "Ping" + "x" * 1000})
    assert caught.value.code == "unknown_message_type"
    assert "acme.wave, ping" in caught.value.message
    assert len(caught.value.message) < 150


def test_refusal_of_a_handler_goes_through() -> None:
    """What a handler raises is what the client is told."""

    def refuse(_context: RequestContext, _message: Mapping[str, JSON]) -> None:
        raise RequestError("acme.no", "not today")

    with pytest.raises(RequestError) as caught:
        Dispatcher([ClientRequest("wave", "Help.", refuse)]).dispatch(
            cast("RequestContext", None), {"type": "wave"}
        )
    assert caught.value.code == "acme.no"
