"""What can go wrong on request: with rows, and with whole answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from random import Random
from typing import Any, TypeVar

from unionws.errors import SettingsError

MODES = {
    "500": "HTTP status 500",
    "429": "HTTP status 429 with Retry-After",
    "garbage": "a body that is not JSON",
    "errors": "GraphQL errors instead of data",
    "null": "data: null",
    "hang": "no answer, the connection stays open",
    "trickle": "the right answer, one byte a second",
    "cut": "half an answer, then the connection is cut",
    "rows": "every row of v2_transfers has wrong types",
}
"""Ways a whole answer goes wrong, with what the client sees."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong. Fractions are from 0 to 1.

    Attributes:
        late: fraction of rows that become visible 2 to 8 s late, behind the cursor.
        duplicates: fraction of rows that stand twice in a page (a page keeps its limit).
        nulls: fraction of rows in which some nullable fields are null, always the same rows and
            fields. Never ``sort_order`` and the two universal chain ids, without which there is
            no transfer: ``bad_rows`` has those.
        bad_rows: fraction of rows, drawn anew for each answer, that are not rows or have wrong types.
        mode: one of MODES, or "" for sound answers.
        chance: fraction of answers that ``mode`` spoils.
        retry_after: whole seconds in the Retry-After of a 429.
    """

    late: float = 0.0
    duplicates: float = 0.0
    nulls: float = 0.0
    bad_rows: float = 0.0
    mode: str = ""
    chance: float = 1.0
    retry_after: int = 2

    def __post_init__(self) -> None:
        problems = [
            f"fault {name}={getattr(self, name)!r}: allowed are numbers from 0 to 1"
            for name in ("late", "duplicates", "nulls", "bad_rows", "chance")
            if not 0 <= getattr(self, name) <= 1
        ]
        if self.mode and self.mode not in MODES:
            problems.append(f"fault mode={self.mode!r}: allowed are {', '.join(MODES)}")
        if self.retry_after < 0:
            problems.append(f"fault retry_after={self.retry_after!r}: allowed are whole seconds from 0")
        if problems:
            raise SettingsError(problems)


def parse_faults(text: str) -> Faults:
    """Faults from a command line, such as ``late=0.2,duplicates=0.05,mode=429,chance=0.1``.

    Raises SettingsError with one problem for each part that cannot be read.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = part.partition("=")
        try:
            values[name.strip()] = _reader(name.strip())(value.strip())
        except ValueError as error:
            problems.append(f"fault {part!r}: {error}")
    if problems:
        raise SettingsError(problems)
    return Faults(**values)


def _reader(name: str) -> Callable[[str], Any]:
    kinds: Mapping[str, Callable[[str], Any]] = {"mode": str, "retry_after": _whole}
    known = [field.name for field in fields(Faults)]
    if name not in known:
        raise ValueError(f"no fault is called {name!r}; there are {', '.join(known)}")
    return kinds.get(name, _fraction)


def _fraction(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("allowed are numbers from 0 to 1") from None


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("allowed are whole seconds from 0") from None


def duplicated(rows: Iterable[T], fraction: float, random: Random) -> list[T]:
    """The rows, some of them twice in a row."""
    return [row for row in rows for _ in range(1 + (random.random() < fraction))]


def with_nulls(rows: Sequence[dict[str, Any]], fraction: float, seed: int) -> list[dict[str, Any]]:
    """The rows with nulls in some; which ones follows from the seed and the row alone."""
    return [_nulled(row, fraction, Random(f"{seed}/{row.get('sort_order', row)}")) for row in rows]


_KEPT = ("sort_order", "universal_chain_id", "source_universal_chain_id", "destination_universal_chain_id")


def _nulled(row: dict[str, Any], fraction: float, random: Random) -> dict[str, Any]:
    if random.random() >= fraction:
        return row
    return {key: _maybe_null(key, value, random) for key, value in row.items()}


def _maybe_null(key: str, value: Any, random: Random) -> Any:
    if isinstance(value, dict):
        return {inner: _maybe_null(inner, below, random) for inner, below in value.items()}
    if key in _KEPT or isinstance(value, list):
        return value
    return None if random.random() < 0.3 else value


def with_bad_rows(rows: Sequence[Any], fraction: float, random: Random) -> list[Any]:
    """The rows, some of them replaced by something that is not a transfer."""
    return [_spoilt(row, random) if random.random() < fraction else row for row in rows]


_WRONG: Sequence[tuple[str, Any]] = (
    ("sort_order", None),
    ("sort_order", 17),
    ("source_chain", None),
    ("source_chain", "ethereum.1"),
    ("destination_chain", {"universal_chain_id": None}),
    ("destination_chain", []),
    ("packet_hash", {"hex": "0x00"}),
    ("transfer_send_timestamp", "yesterday"),
    ("transfer_send_timestamp", 1_750_000_000),
    ("base_amount", "twelve"),
    ("base_amount", -12.5),
    ("base_token_decimals", "six"),
    ("base_token_symbol", ["U"]),
    ("sender_canonical", 5),
)


def _spoilt(row: Any, random: Random) -> Any:
    """Not a row at all, or a row with two values of wrong types."""
    if random.random() < 0.3 or not isinstance(row, dict):
        return random.choice((None, "row", 42, [], {}, True))
    return {**row, **dict(random.sample(_WRONG, 2))}
