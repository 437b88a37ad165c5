"""How one setting's value is read and checked: pure functions of a table row and what was given.

Every function that refuses a value raises ValueError with the rest of the sentence
"NAME is VALUE, but …", so that the reader learns what is allowed.
"""

from __future__ import annotations

import ast
import logging
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from unionws.wording import did_you_mean

TRUE = frozenset({"true", "1", "yes"})
FALSE = frozenset({"false", "0", "no"})
SHORTEST_KEY, SHORTEST_SECRET = 8, 32
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
COMPONENTS = (
    *(
        "app",
        "edge",
        "ingest",
        "source",
        "enrich",
        "scheduler",
        "stats",
        "history",
        "bus",
        "broadcaster",
        "connections",
        "supervisor",
        "takeover",
    ),
    *("client", "web", "builtin", "pluginhost", "plugins", "settings", "cli", "simulator"),
    *("tornado", "asyncio", "urllib3"),
)
"""First words of the names that log lines carry as their component."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table of settings.

    Attributes:
        kind: ``text``, ``int``, ``float``, ``bool``, ``list`` (of texts) or ``count`` (a number or a choice).
        group: heading the setting stands under.
        low, high: inclusive bounds of a number.
        choices: the only texts allowed, or empty.
        check: raises ValueError for a value of the right kind that still cannot be used.
        secret: never shown.
    """

    name: str
    kind: str
    default: Any
    unit: str
    help: str
    group: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    check: Callable[[Any], object] | None
    secret: bool


def read_text(row: Row, text: str) -> Any:
    """Value of a setting given as text (``--set``, environment), read by the setting's kind."""
    text = unquoted(text)
    if not text.isprintable():
        raise ValueError("must not contain control characters or broken text")
    return checked(row, _converted(row, _FROM_TEXT[row.kind], text))


def read_literal(row: Row, value: Any) -> Any:
    """Value of a setting given as a Python literal in the settings file."""
    if isinstance(value, str):
        return read_text(row, value)
    return checked(row, _converted(row, _FROM_LITERAL[row.kind], value))


def _converted(row: Row, convert: Callable[[Any], Any], value: Any) -> Any:
    try:
        return convert(value)
    except (ValueError, TypeError, SyntaxError, OverflowError, MemoryError, RecursionError):
        raise ValueError(f"must be {allowed(row)}") from None


def checked(row: Row, value: Any) -> Any:
    """``value`` when it lies within the row's bounds, choices and check."""
    if value not in row.choices and not _within(row, value):
        raise ValueError(f"must be {allowed(row)}")
    if row.check is not None:
        row.check(value)
    return value


def _within(row: Row, value: Any) -> bool:
    """Whether a value that is none of the choices may stand beside them, and within the bounds."""
    if isinstance(value, (str, tuple)):
        return not row.choices
    return (row.low is None or value >= row.low) and (row.high is None or value <= row.high)


def allowed(row: Row) -> str:
    """What the setting may be, in words."""
    if row.choices and row.kind != "count":
        return "one of " + ", ".join(row.choices)
    words = _KINDS[row.kind]
    if row.low is not None and row.high is not None:
        words += f" from {row.low:.12g} to {row.high:.12g}"
    elif row.low is not None:
        words += f", at least {row.low:.12g}"
    if row.kind == "count":
        words += ", or " + ", ".join(row.choices)
    return f"{words} ({row.unit})" if row.unit else words


def unquoted(text: str) -> str:
    """``text`` without the quotes that surround it, if there are any."""
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return text


def _bool_from_text(text: str) -> bool:
    word = text.strip().lower()
    if word not in TRUE | FALSE:
        raise ValueError(word)
    return word in TRUE


def _list_from_text(text: str) -> tuple[str, ...]:
    text = text.strip()
    if text.startswith(("[", "(")):
        return _list_from_literal(ast.literal_eval(text))
    return tuple(unquoted(item.strip()) for item in text.split(",") if item.strip())


def _int_from_literal(value: Any) -> int:
    if isinstance(value, bool) or int(value) != value:
        raise ValueError(value)
    return int(value)


def _float_from_literal(value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError(value)
    return _finite(value)


def _bool_from_literal(value: Any) -> bool:
    if value not in (0, 1):
        raise ValueError(value)
    return bool(value)


def _list_from_literal(value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise ValueError(value)
    return tuple(value)


def _count_from_text(text: str) -> int | str:
    return int(text) if text.strip().lstrip("+-").isdigit() else text.strip().lower()


def _text_from_literal(value: Any) -> str:
    raise ValueError(value)


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    return number


_KINDS = {
    "text": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false (also yes, no, 1, 0)",
    "count": "a whole number",
    "list": "a list: a,b or ['a', 'b']",
}
_FROM_TEXT: dict[str, Callable[[str], Any]] = {
    "text": str,
    "int": int,
    "float": _finite,
    "bool": _bool_from_text,
    "list": _list_from_text,
    "count": _count_from_text,
}
_FROM_LITERAL: dict[str, Callable[[Any], Any]] = {
    "text": _text_from_literal,
    "int": _int_from_literal,
    "float": _float_from_literal,
    "bool": _bool_from_literal,
    "list": _list_from_literal,
    "count": _int_from_literal,
}


def check_http_url(text: str) -> None:
    """Refuse what is not an absolute http or https URL."""
    problem = "must be an http:// or https:// URL, such as https://indexer.example/v1/graphql"
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ValueError(problem) from None
    if not usable or any(character.isspace() for character in text):
        raise ValueError(problem)


def check_folder(text: str) -> None:
    """Refuse an empty name: it would mean the current folder itself."""
    if not text.strip():
        raise ValueError("must name a folder, such as state")


def check_networks(texts: tuple[str, ...]) -> None:
    """Refuse what is no address or network."""
    for text in texts:
        try:
            ip_network(text, strict=False)
        except ValueError:
            raise ValueError(
                f"names {text!r}, which is no address or network such as 10.0.0.0/8 or ::1"
            ) from None


def check_keys(keys: tuple[str, ...]) -> None:
    """Refuse keys that could be guessed, or could not be sent."""
    for key in keys:
        if len(key) < SHORTEST_KEY or not key.isascii() or " " in key:
            raise ValueError(f"each key needs at least {SHORTEST_KEY} ASCII characters without spaces")


def check_secret(text: str) -> None:
    """Refuse a secret shorter than what it signs with (RFC 7518 §3.2)."""
    if text and len(text.encode()) < SHORTEST_SECRET:
        raise ValueError(f"needs at least {SHORTEST_SECRET} bytes")


def check_public_key(path: str) -> None:
    """Refuse a file that cannot be read as a public key, or a machine that cannot use it."""
    if not path:
        return
    try:
        text = Path(path).read_text("ascii")
    except (OSError, ValueError) as error:
        raise ValueError(f"the file cannot be read: {error}") from None
    if "BEGIN PUBLIC KEY" not in text and "BEGIN RSA PUBLIC KEY" not in text:
        raise ValueError("the file is no public key in PEM (-----BEGIN PUBLIC KEY-----)")
    if find_spec("cryptography") is None:
        raise ValueError("verifying by public keys needs the package cryptography: pip install unionws[jwt]")


def log_levels(text: str) -> dict[str, str]:
    """``INFO,source=DEBUG`` as component → level; the general level is under ``""`` (INFO if absent)."""
    levels = {"": "INFO"}
    for part in filter(None, (part.strip() for part in text.split(","))):
        component, _, level = part.rpartition("=")
        levels[_component(component.strip()) if "=" in part else ""] = _level(level.strip())
    return levels


def _component(name: str) -> str:
    first = name.partition(".")[0]
    if first not in COMPONENTS:
        raise ValueError(f"names no component {name!r}{did_you_mean(first, COMPONENTS)}")
    return name


def _level(name: str) -> str:
    if name.upper() not in LEVELS or not isinstance(logging.getLevelName(name.upper()), int):
        hint = did_you_mean(name, LEVELS)
        raise ValueError(f"has no level {name!r}{hint or '; levels are ' + ', '.join(LEVELS)}")
    return name.upper()


def mask_url(text: str) -> str:
    """``text`` with the user and password of any URL in it replaced by ``***``."""
    return re.sub(r"(?<=://)[^/?#\s]*@", "***@", text)


def shown(row: Row, value: Any) -> Any:
    """``value`` as it may be shown to anybody: JSON-able, secrets masked."""
    if row.secret:
        return "***" if value else value if isinstance(value, str) else []
    if isinstance(value, str):
        return mask_url(value)
    return [mask_url(item) for item in value] if isinstance(value, tuple) else value
