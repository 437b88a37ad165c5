"""What clients ask: messages checked, dispatched to their handlers, refused with a reason."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, NoReturn

from unionws.errors import RequestError
from unionws.extensions import ClientRequest, RequestContext
from unionws.model import JSON

MAX_DEPTH = 32
MAX_ID_LENGTH = 36

TOKENS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[{\]}]', re.DOTALL)
"""Strings and brackets; by the optional quote an unfinished string matches too, and none is read twice."""


def parse(text: str) -> Mapping[str, JSON]:
    """A client's text as a message.

    Raises:
        RequestError: ``empty_message``, ``invalid_json`` or ``invalid_message``.
    """
    if not text.strip():
        raise RequestError("empty_message", "the message is empty")
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        raise RequestError("invalid_json", f"the message is nested deeper than {MAX_DEPTH} levels")
    try:
        message = DECODER.decode(text)
    except ValueError as error:
        raise RequestError("invalid_json", f"the message is not JSON: {error}") from None
    if not isinstance(message, dict):
        raise RequestError("invalid_message", "a message must be an object with a string 'type'")
    return message


def _depth(text: str) -> int:
    """Deepest nesting of brackets outside strings."""
    depth = deepest = 0
    for token in TOKENS.findall(text):
        if token in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif token in "]}":
            depth -= 1
    return deepest


def _no_number(name: str) -> NoReturn:
    """RFC 8259 §6: NaN and Infinity are not permitted, though many programs write them."""
    raise ValueError(f"{name} is no JSON value")


def _number(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError("a number is too large")
    return number


DECODER = json.JSONDecoder(parse_constant=_no_number, parse_float=_number)
"""Strict where ujson is not."""


def request_id(message: Mapping[str, JSON]) -> int | str | None:
    """The optional ``id`` of a request.

    Raises:
        RequestError: ``invalid_message`` when it is not an integer or a string of up to 36 characters.
    """
    given: Any = message.get("id")
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, (int, str)):
        raise RequestError("invalid_message", "id must be an integer or a string")
    if isinstance(given, str) and len(given) > MAX_ID_LENGTH:
        raise RequestError("invalid_message", f"id is longer than {MAX_ID_LENGTH} characters")
    return given


class Dispatcher:
    """Hands messages to the handlers of their types."""

    def __init__(self, requests: Sequence[ClientRequest]) -> None:
        self._requests = {request.type: request for request in requests}

    def dispatch(self, context: RequestContext, message: Mapping[str, JSON]) -> None:
        """Call the handler of a message.

        Raises:
            RequestError: from the handler, or ``invalid_message``, ``unknown_message_type``.
        """
        kind = message.get("type")
        if not isinstance(kind, str):
            raise RequestError("invalid_message", "a message must be an object with a string 'type'")
        request = self._requests.get(kind)
        if request is None:
            known = ", ".join(sorted(self._requests))
            raise RequestError("unknown_message_type", f"unknown type {kind[:60]!r}; known: {known}")
        request.handle(context, message)
