"""JSON as the bytes that go on the wire, whatever text the indexer sent."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import ujson

from unionws.model import JSON

Row = TypeVar("Row")


def encode(value: JSON) -> bytes:
    """JSON text in UTF-8, without spaces, with non-ASCII characters as they are.

    Raises:
        UnicodeEncodeError: a text holds half a surrogate pair, which has no UTF-8 form; see ``whole``.
    """
    return ujson.dumps(value, ensure_ascii=False, escape_forward_slashes=False).encode()


def whole(text: str) -> str:
    """The text with surrogate pairs joined and lone halves replaced by U+FFFD.

    JSON may spell half a pair (``"\\ud800"``, RFC 8259 §8.2) and the parser hands it on.
    """
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def whole_texts(row: Row) -> Row:
    """A copy of a model object in which every text, nested ones too, can be encoded."""
    return _whole(row)  # type: ignore[no-any-return]


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, tuple):
        return tuple(_whole(item) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: _whole(getattr(value, field.name)) for field in fields(value)})
    return value
