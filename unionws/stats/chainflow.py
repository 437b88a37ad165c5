"""Transfers out of and into each chain: ``chainFlowData``.

The totals are those of the window of the un-scaled list, over all chains, listed or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from unionws.model import JSON, EnrichedTransfer
from unionws.stats.figures import change, share, top, window_named
from unionws.stats.flow import Flow, Rollup
from unionws.stats.packing import average, count, display, volume
from unionws.stats.windows import SCALES, Window

TOP_ASSETS = 3


def chain_counts(table: Mapping[str, int]) -> dict[str, int]:
    """Transfers per chain from its packed figures."""
    return {chain: count(packed) for chain, packed in table.items()}


class ChainFlow:
    """Reads chains from the flow table.

    Args:
        flow: the table; it counts, this only reads.
        short: window of the un-scaled list.
    """

    def __init__(self, flow: Flow, short: str) -> None:
        self._flow = flow
        self._short = window_named(short)

    def observe(self, batch: Sequence[EnrichedTransfer], now: float) -> None:
        """Nothing: the flow table counts."""

    def snapshot(self, now: float) -> Mapping[str, JSON]:
        current, _ = self._flow.rollups(self._short)
        scale = {window.key: self._list(window, now) for window in SCALES}
        flow: dict[str, JSON] = {
            "chains": scale[self._short.key],
            "chainFlowTimeScale": scale,
            "totalOutgoing": sum(chain_counts(current.sent).values()),
            "totalIncoming": sum(chain_counts(current.received).values()),
        }
        return {"chainFlowData": flow}

    def _list(self, window: Window, now: float) -> list[dict[str, JSON]]:
        current, previous = self._flow.rollups(window)
        outgoing, incoming = chain_counts(current.sent), chain_counts(current.received)
        before = None
        if self._flow.comparable(window, now):
            before = (chain_counts(previous.sent), chain_counts(previous.received))
        totals = {c: outgoing.get(c, 0) + incoming.get(c, 0) for c in outgoing.keys() | incoming.keys()}
        items = []
        for chain, _ in top(totals):
            item = self._chain(chain, outgoing.get(chain, 0), incoming.get(chain, 0))
            if before is not None:
                item |= _changes(item, before[0].get(chain, 0), before[1].get(chain, 0))
            item["topAssets"] = self._assets(chain, current)
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
        sent = current.sent_assets.get(chain, {})
        received = current.received_assets.get(chain, {})
        symbols = sent.keys() | received.keys()
        both = {symbol: sent.get(symbol, 0) + received.get(symbol, 0) for symbol in symbols}
        whole = count(current.sent.get(chain, 0) + current.received.get(chain, 0))
        counts = {symbol: count(packed) for symbol, packed in both.items()}
        return [
            {
                "assetSymbol": symbol,
                "assetName": self._flow.asset_name(symbol),
                "outgoingCount": count(sent.get(symbol, 0)),
                "incomingCount": count(received.get(symbol, 0)),
                "netFlow": count(received.get(symbol, 0)) - count(sent.get(symbol, 0)),
                "totalVolume": display(volume(both[symbol])),
                "averageAmount": average(both[symbol]),
                "percentage": share(number, whole),
            }
            | self._flow.last_activity("chain", chain, symbol)
            for symbol, number in top(counts, TOP_ASSETS)
        ]


def _changes(item: Mapping[str, JSON], outgoing: int, incoming: int) -> dict[str, JSON]:
    return {
        "outgoingChange": change(item["outgoingCount"], outgoing),
        "incomingChange": change(item["incomingCount"], incoming),
        "netFlowChange": change(item["netFlow"], incoming - outgoing),
    }
