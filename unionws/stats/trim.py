"""The rule that keeps a chartData frame under its size.

In full shape (ten items per list, five routes per asset, three assets per chain, seven windows)
busy statistics take 240 KB. The lists themselves, on whose ten items clients count, are never cut:
they alone take 92 KB then. What room is left goes to the lists inside items, ``topRoutes`` and
``topAssets``: to those of the first five items first (the explorer page shows no more unless
asked), to the first entry of each before the second of any. Should even the bare lists be too
long, nodes go from the list of nodes, sound ones first (its totals stay), then latencies of the
less busy routes, then what is said of nodes by chain, and at last plugins' figures, the largest first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from unionws.model import JSON
from unionws.stats.guard import encode

CHART_BYTES = 99_000
"""Most that the encoded ``data`` takes; the envelope around it fits into the rest of 100 KB."""

FIRST = 5
"""Items whose inner lists are shortened last."""

_INNER = (
    ("assetVolumeData", "assets", "assetVolumeTimeScale", "topRoutes"),
    ("chainFlowData", "chains", "chainFlowTimeScale", "topAssets"),
)

_UNSURE = 2_000
"""Bytes an expected size may be too large by."""

_Entry: TypeAlias = tuple[tuple[int, int, int], int, list[JSON]]
"""Its place in the queue (last goes first), the bytes it takes, and the list whose last it will be."""


def fit(data: dict[str, JSON], limit: int = CHART_BYTES, expected: int = 0) -> bytes:
    """Shorten ``data`` in place until it encodes to at most ``limit`` bytes; encoded.

    Args:
        expected: about how many bytes it takes as it is, where that is known: saves encoding it.
    """
    if expected > limit + _UNSURE:
        _shorten(data, expected - limit - _UNSURE)
    encoded = encode(data)
    if len(encoded) > limit:
        _shorten(data, len(encoded) - limit)
        encoded = encode(data)
    if len(encoded) > limit:
        _drop_extras(data, len(encoded) - limit)
        encoded = encode(data)
    while len(encoded) > limit and data["ext"]:
        del data["ext"][max(data["ext"], key=lambda name: len(encode(data["ext"][name])))]
        encoded = encode(data)
    return encoded


def _shorten(data: Mapping[str, JSON], excess: int) -> None:
    queue = sorted(_entries(data), key=lambda entry: entry[0])
    while excess > 0 and queue:
        _, size, inner = queue.pop()
        inner.pop()
        excess -= size


def _drop_extras(data: dict[str, JSON], excess: int) -> None:
    """Leave out nodes and latencies; fresh lists, for those given belong to whoever gave them."""
    nodes = data.get("nodeHealthData")
    if nodes:
        listed = list(nodes["nodesWithRpcs"])
        excess = _drop(listed, excess, [node for node in reversed(listed) if node["status"] == "healthy"])
        excess = _drop(listed, excess, listed[::-1])
        data["nodeHealthData"] = {**nodes, "nodesWithRpcs": listed}
    latencies = data["latencyData"] = list(data["latencyData"])
    excess = _drop(latencies, excess, latencies[::-1])
    if nodes and excess > 0:
        data["nodeHealthData"]["chainHealthStats"] = {}


def _drop(listed: list[JSON], excess: int, order: Iterable[JSON]) -> int:
    """Take items out in this order until ``excess`` bytes are saved; what is still to be saved."""
    for item in order:
        if excess <= 0:
            break
        listed.remove(item)
        excess -= len(encode(item)) + 1
    return excess


def _entries(data: Mapping[str, JSON]) -> Iterator[_Entry]:
    for group, plain, scale, inner in _INNER:
        for items in data[group][scale].values():
            copies = 2 if items is data[group][plain] else 1
            for rank, item in enumerate(items):
                for depth, entry in enumerate(item[inner]):
                    size = len(encode(entry)) + (depth > 0)
                    yield (rank // FIRST, depth, rank), size * copies, item[inner]
