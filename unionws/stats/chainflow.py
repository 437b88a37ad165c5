"""Transfers out of and into each chain: ``chainFlowData``.

The totals are those of the window of the un-scaled list, over all chains, listed or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from unionws.model import JSON, EnrichedTransfer
from unionws.stats.cells import OTHER, Rollup
from unionws.stats.figures import change, share, top, window_named
from unionws.stats.flow import Flow
from unionws.stats.inner import Inner
from unionws.stats.packing import average, count, counts, display, volume
from unionws.stats.windows import SCALES, Window

TOP_ASSETS = 3


class ChainFlow:
    """Reads chains from the flow table.

    Args:
        flow: the table; it counts, this only reads.
        short: window of the un-scaled list.
    """

    def __init__(self, flow: Flow, short: str) -> None:
        self._flow = flow
        self._short = window_named(short)
        self._inner: list[Inner] = []

    def observe(self, batch: Sequence[EnrichedTransfer], now: float) -> None:
        """Nothing: the flow table counts."""

    def inner(self) -> Sequence[Inner]:
        """The ``topAssets`` of the last snapshot, still empty."""
        return self._inner

    def snapshot(self, now: float) -> Mapping[str, JSON]:
        current, _ = self._flow.rollups(self._short)
        self._inner = []
        scale = {window.key: self._list(window, now) for window in SCALES}
        flow: dict[str, JSON] = {
            "chains": scale[self._short.key],
            "chainFlowTimeScale": scale,
            "totalOutgoing": sum(counts(current.sent).values()),
            "totalIncoming": sum(counts(current.received).values()),
        }
        return {"chainFlowData": flow}

    def _list(self, window: Window, now: float) -> list[dict[str, JSON]]:
        current, previous = self._flow.rollups(window)
        outgoing, incoming = counts(current.sent), counts(current.received)
        before = None
        if self._flow.comparable(window, now):
            before = (counts(previous.sent), counts(previous.received))
        totals = _sums(outgoing, incoming)
        totals.pop(OTHER, None)
        items = []
        for rank, (chain, _) in enumerate(top(totals)):
            item = self._chain(chain, outgoing.get(chain, 0), incoming.get(chain, 0))
            if before is not None:
                item |= _changes(item, before[0].get(chain, 0), before[1].get(chain, 0))
            item["topAssets"] = []
            make = partial(self._assets, chain, current)
            self._inner.append(Inner(rank, item["topAssets"], TOP_ASSETS, make, twice=window is self._short))
            items.append(item)
        return items

    def _chain(self, chain: str, outgoing: int, incoming: int) -> dict[str, JSON]:
        return {
            "universal_chain_id": chain,
            "chainName": self._flow.chain_name(chain),
            "outgoingCount": outgoing,
            "incomingCount": incoming,
            "netFlow": incoming - outgoing,
        } | self._flow.last_activity("chain", chain)

    def _assets(self, chain: str, current: Rollup) -> list[dict[str, JSON]]:
        whole = count(current.sent.get(chain, 0) + current.received.get(chain, 0))
        return [
            {
                "assetSymbol": symbol,
                "assetName": self._flow.asset_name(symbol),
                **_both_ways(*current.both_ways(chain, symbol)),
                "percentage": share(number, whole),
            }
            | self._flow.last_activity("chain", chain, symbol)
            for symbol, number in current.busiest_of(chain, TOP_ASSETS)
        ]


def _both_ways(sent: int, received: int) -> dict[str, JSON]:
    return {
        "outgoingCount": count(sent),
        "incomingCount": count(received),
        "netFlow": count(received) - count(sent),
        "totalVolume": display(volume(sent + received)),
        "averageAmount": average(sent + received),
    }


def _sums(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    sums = dict(first)
    for key, value in second.items():
        sums[key] = sums.get(key, 0) + value
    return sums


def _changes(item: Mapping[str, JSON], outgoing: int, incoming: int) -> dict[str, JSON]:
    return {
        "outgoingChange": change(item["outgoingCount"], outgoing),
        "incomingChange": change(item["incomingCount"], incoming),
        "netFlowChange": change(item["netFlow"], incoming - outgoing),
    }
