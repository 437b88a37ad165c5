"""What hooks that answer something must answer; anything else is the plugin's failure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from unionws.doors import Denied, HttpAnswer, Identity
from unionws.pluginservice import encoded

MAX_FIELDS = 1_024
"""Bytes one plugin may add to one transfer."""


def checked_fields(answer: object, count: int) -> list[bytes | None]:
    """What ``extend_transfers`` adds to each of ``count`` transfers, encoded; None: nothing.

    Raises:
        TypeError, ValueError: it is not one mapping or None for each.
    """
    if not isinstance(answer, Sequence) or len(answer) != count:
        raise TypeError(f"must answer a list of {count} mappings or None, one for each transfer")
    return [_encoded_fields(fields) if fields else None for fields in answer]


def _encoded_fields(fields: object) -> bytes:
    if not isinstance(fields, Mapping):
        raise TypeError(f"answered a {type(fields).__name__} where a mapping or None belongs")
    data = encoded(fields)
    if len(data) > MAX_FIELDS:
        raise ValueError(f"adds {len(data)} bytes to a transfer; at most {MAX_FIELDS} are allowed")
    return data


def checked_keys(answer: object) -> frozenset[str]:
    """The keys ``urgent`` chose.

    Raises:
        TypeError: it is no collection of texts.
    """
    if not isinstance(answer, (Sequence, set, frozenset)) or isinstance(answer, (str, bytes)):
        raise TypeError(f"answered a {type(answer).__name__} where a collection of sort_order belongs")
    if not all(isinstance(key, str) for key in answer):
        raise TypeError("answered something that is no sort_order")
    return frozenset(answer)


def checked_verdict(answer: object) -> Identity | Denied | None:
    """What ``authenticate`` says.

    Raises:
        TypeError: it is none of the three.
    """
    if answer is None or isinstance(answer, (Identity, Denied)):
        return answer
    raise TypeError(f"answered a {type(answer).__name__} where Identity, Denied or None belongs")


def checked_answer(answer: object) -> HttpAnswer:
    """What a route answers, as it goes out.

    Raises:
        TypeError, ValueError: it is neither JSON nor an HttpAnswer that can be sent.
    """
    if not isinstance(answer, HttpAnswer):
        return HttpAnswer(encoded(answer))
    sound = isinstance(answer.body, bytes) and isinstance(answer.content_type, str)
    if not sound or not answer.content_type.isprintable() or answer.status not in range(200, 600):
        raise ValueError(
            "answered an HttpAnswer that cannot be sent: bytes, a content type, a status from 200"
        )
    return answer
