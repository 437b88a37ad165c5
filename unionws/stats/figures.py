"""Small figures every group needs: change, share, top lists, times. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timezone
from functools import lru_cache
from heapq import nlargest, nsmallest
from typing import TypeVar

from unionws.stats.windows import WINDOWS, Window

K = TypeVar("K", str, bytes, tuple[str, str])

TOP = 10
"""Items in a top list."""

TEXT_LIMIT = 48
"""Characters kept of a name or symbol: anybody can issue a token with a book for a name."""


_LONG = 500
"""From here on picking a few costs less than sorting all."""


def change(current: int, previous: int) -> float:
    """Percent by which ``current`` differs from ``previous``, two decimals.

    From nothing to something is 100 (−100 downwards, where a net figure can fall), from nothing
    to nothing 0. A negative ``previous`` is taken by its size, so up stays up.
    """
    if previous == 0:
        return 100.0 * ((current > 0) - (current < 0))
    return round((current - previous) * 100 / abs(previous), 2)


def share(part: int, whole: int) -> float:
    """``part`` in percent of ``whole``, two decimals, 0–100; 0 of nothing."""
    return round(part * 100 / whole, 2) if whole else 0.0


def top(counts: Mapping[K, int], size: int = TOP) -> list[tuple[K, int]]:
    """The ``size`` highest counts, highest first, ties by ascending key.

    Most tables are long and flat: the count of the last that is wanted is found first, by counts
    alone, and only what reaches it is put in order.
    """
    if len(counts) <= size:
        return sorted(counts.items(), key=_rank)
    level = _nth(counts.values(), size)
    above = sorted([item for item in counts.items() if item[1] > level], key=_rank)
    ties = nsmallest(size - len(above), [key for key, count in counts.items() if count == level])
    return above + [(key, level) for key in ties]


def _nth(values: Collection[int], size: int) -> int:
    """The ``size``-th highest value."""
    if len(values) > _LONG:
        return nlargest(size, values)[-1]
    return sorted(values, reverse=True)[size - 1]


def _rank(item: tuple[K, int]) -> tuple[int, K]:
    return -item[1], item[0]


def clip(text: str, limit: int = TEXT_LIMIT) -> str:
    """``text`` cut to what a list has room for."""
    return text[:limit]


def carried(window: Window, short: str) -> Window:
    """The window whose figures the fields of ``window`` carry: SHORT_WINDOW for the minute's."""
    return window_named(short) if window.key == "1m" else window


def window_named(key: str) -> Window:
    """The window with this key."""
    return next(window for window in WINDOWS if window.key == key)


def rfc3339(seconds: float) -> str:
    """Unix seconds as RFC 3339 in UTC, whole seconds."""
    return _rfc3339(int(seconds))


@lru_cache(maxsize=4096)
def _rfc3339(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
