"""The part of JSON Schema that the project's schemas use; anything else in one is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

TYPES: dict[str, Any] = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
TYPES |= {"integer": int, "number": (int, float)}
KNOWN = {"$schema", "title", "type", "properties", "required", "additionalProperties", "items", "enum"}
KNOWN |= {"maxItems", "minItems", "minimum", "maximum", "minLength", "maxLength", "pattern", "format"}


def validate(value: Any, schema: Mapping[str, Any], path: str = "data") -> None:
    """Fails where a value is not as its schema says."""
    assert schema.keys() <= KNOWN, path
    if "enum" in schema:
        assert value in schema["enum"], path
        return
    if "type" not in schema:
        assert not schema, path  # anything
        return
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    kind = next((kind for kind in kinds if _is(value, kind)), "")
    assert kind, (path, value)
    if kind == "object":
        _object(value, schema, path)
    elif kind == "array":
        assert schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)), path
        for number, item in enumerate(value):
            validate(item, schema["items"], f"{path}[{number}]")
    elif kind == "string":
        assert schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)), path
        assert re.search(schema.get("pattern", ""), value), (path, value)
        if schema.get("format") == "date-time":
            assert datetime.fromisoformat(re.sub(r"\.\d+", "", value).replace("Z", "+00:00")).tzinfo, path
    elif kind in ("integer", "number"):
        assert schema.get("minimum", value) <= value <= schema.get("maximum", value), (path, value)


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _object(value: dict[str, Any], schema: Mapping[str, Any], path: str) -> None:
    known, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    assert set(schema.get("required", ())) <= value.keys(), path
    for name, item in value.items():
        if name in known:
            validate(item, known[name], f"{path}.{name}")
        else:
            assert others is not False, f"{path}.{name}"
            if isinstance(others, dict) and others:
                validate(item, others, f"{path}.{name}")
