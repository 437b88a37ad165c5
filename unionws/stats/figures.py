"""Small figures every group needs: change, share, top lists, times. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from functools import lru_cache
from heapq import nsmallest
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
    """The ``size`` highest counts, highest first, ties by ascending key."""
    if len(counts) > _LONG:
        return nsmallest(size, counts.items(), key=lambda item: (-item[1], item[0]))
    keys = sorted(counts)
    keys.sort(key=counts.__getitem__, reverse=True)  # stable: equal counts keep the keys' order
    return [(key, counts[key]) for key in keys[:size]]


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
