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

from collections.abc import Iterable, Mapping, Sequence

from unionws.model import JSON
from unionws.stats.guard import encode
from unionws.stats.inner import Inner, in_order

CHART_BYTES = 99_000
"""Most that the encoded ``data`` takes; the envelope around it fits into the rest of 100 KB."""

_INNER_KEYS = ("assetVolumeData", "chainFlowData")
_EXTRA_KEYS = ("nodeHealthData", "latencyData")


def fit(
    data: dict[str, JSON],
    encoded: Mapping[str, bytes],
    inners: Sequence[Inner] = (),
    limit: int = CHART_BYTES,
) -> dict[str, bytes]:
    """Fill the lists inside items as far as there is room, or shorten what there is, in place.

    Args:
        encoded: those of its values, by key, that are encoded already.
        inners: lists in ``data``, all empty.

    Returns:
        all values of ``data``, in its order, encoded: at most ``limit`` bytes together.
    """
    parts = {key: encoded[key] if key in encoded else encode(data[key]) for key in data}
    if (room := limit - size(parts)) >= 0:
        _fill(inners, room)
        parts |= {key: encode(data[key]) for key in _INNER_KEYS if inners and key in data}
        return parts
    _drop_extras(data, -room)
    parts |= {key: encode(data[key]) for key in _EXTRA_KEYS if key in data}
    while size(parts) > limit and data["ext"]:
        del data["ext"][max(data["ext"], key=lambda name: len(encode(data["ext"][name])))]
        parts["ext"] = encode(data["ext"])
    return parts


def join(parts: Mapping[str, bytes]) -> bytes:
    """Encoded values as one object."""
    return b"{%s}" % b",".join([b'"%s":%s' % (key.encode(), part) for key, part in parts.items()])


def size(parts: Mapping[str, bytes]) -> int:
    """Bytes of ``join``."""
    return 1 + sum(len(key) + 4 + len(part) for key, part in parts.items())


def _fill(inners: Sequence[Inner], room: int) -> None:
    for inner, depth in in_order(inners):
        entry = inner.entry(depth)
        if entry is None:
            continue
        room -= inner.copies * (len(encode(entry)) + (depth > 0))
        if room < 0:
            return
        inner.shown.append(entry)


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
