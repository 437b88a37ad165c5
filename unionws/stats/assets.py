"""Volume and transfers per token symbol, in display units: ``assetVolumeData``.

Transfers whose decimals are unknown count, but add no volume; averages are over those that do.
Transfers without a symbol are in no asset. The totals are those of the window of the un-scaled
list, over all assets; ``totalVolume`` adds units of different tokens, as the contract asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from unionws.model import JSON, EnrichedTransfer
from unionws.stats.cells import OTHER, Rollup
from unionws.stats.figures import TOP, change, share, top, window_named
from unionws.stats.flow import Flow
from unionws.stats.inner import Inner
from unionws.stats.packing import average, count, counts, display, known, volume
from unionws.stats.routes import route_fields
from unionws.stats.windows import SCALES, Window

TOP_ROUTES = 5


class Assets:
    """Reads assets from the flow table.

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
        """The ``topRoutes`` of the last snapshot, still empty."""
        return self._inner

    def snapshot(self, now: float) -> Mapping[str, JSON]:
        assets = self._flow.rollups(self._short)[0].assets  # OTHER among them, so that the totals hold
        whole = sum(assets.values())
        self._inner = []
        scale = {window.key: self._list(window, now) for window in SCALES}
        data: dict[str, JSON] = {
            "assets": scale[self._short.key],
            "assetVolumeTimeScale": scale,
            "totalAssets": len(assets) - (OTHER in assets),
            "totalVolume": display(volume(whole)),
            "totalTransfers": count(whole),
        }
        return {"assetVolumeData": data}

    def _list(self, window: Window, now: float) -> list[dict[str, JSON]]:
        current, previous = self._flow.rollups(window)
        comparable = self._flow.comparable(window, now)
        items = []
        listed = [symbol for symbol, _ in current.busiest(TOP)]
        self._flow.show(window, listed)
        for rank, symbol in enumerate(listed):
            item = self._asset(symbol, window, current)
            if comparable:
                item |= _changes(current.assets[symbol], previous.assets.get(symbol, 0))
            item["topRoutes"] = []
            most = min(TOP_ROUTES, len(current.asset_routes.get(symbol, ())))
            make = partial(self._routes, symbol, current)
            self._inner.append(Inner(rank, item["topRoutes"], most, make, twice=window is self._short))
            items.append(item)
        return items

    def _asset(self, symbol: str, window: Window, current: Rollup) -> dict[str, JSON]:
        packed = current.assets[symbol]
        largest = self._flow.largest(symbol, window) if known(packed) else 0
        return {
            "assetSymbol": symbol,
            "assetName": self._flow.asset_name(symbol),
            "transferCount": count(packed),
            "totalVolume": display(volume(packed)),
            "averageAmount": average(packed),
            "largestTransfer": display(largest),
        } | self._flow.last_activity("asset", symbol)

    def _routes(self, symbol: str, current: Rollup) -> list[dict[str, JSON]]:
        routes = current.asset_routes.get(symbol, {})
        return [
            route_fields(self._flow, route)
            | {
                "count": number,
                "volume": display(volume(routes[route])),
                "percentage": share(number, count(current.assets[symbol])),
            }
            | self._flow.last_activity("asset", *route, symbol)
            for route, number in top(counts(routes), TOP_ROUTES)
        ]


def _changes(current: int, previous: int) -> dict[str, JSON]:
    return {
        "volumeChange": change(volume(current), volume(previous)),
        "countChange": change(count(current), count(previous)),
    }
