"""Sample plugin: the largest transfer of each asset in the last 24 hours.

Clients find it in ``chartData`` under ``ext`` as ``samples.largest``. Memory is bounded: the
largest transfer of each hour is kept, for the assets seen most recently.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from unionws import EnrichedTransfer, Statistic, hookimpl

HOUR = 3600
HOURS = 24
MAX_ASSETS = 50
SHOWN = 10


class Largest:
    """Per asset, the largest transfer of each hour; older hours and quiet assets are forgotten."""

    def __init__(self) -> None:
        self._assets: OrderedDict[str, dict[int, EnrichedTransfer]] = OrderedDict()

    def observe(self, batch: Sequence[EnrichedTransfer], now: float) -> None:
        for item in batch:
            symbol = item.transfer.base_token_symbol
            if symbol and item.amount is not None and now - HOURS * HOUR < item.event_time < now + HOUR:
                self._remember(symbol, item)

    def _remember(self, symbol: str, item: EnrichedTransfer) -> None:
        hours = self._assets.setdefault(symbol, {})
        self._assets.move_to_end(symbol)
        hour = int(item.event_time // HOUR)
        if hour not in hours or _amount(item) > _amount(hours[hour]):
            hours[hour] = item
        if len(self._assets) > MAX_ASSETS:
            self._assets.popitem(last=False)

    def snapshot(self, now: float) -> dict[str, Any]:
        oldest = int(now // HOUR) - HOURS
        for symbol, hours in list(self._assets.items()):
            self._assets[symbol] = {hour: item for hour, item in hours.items() if hour > oldest}
        tops = [max(hours.values(), key=_amount) for hours in self._assets.values() if hours]
        newest = sorted(tops, key=lambda item: item.event_time, reverse=True)[:SHOWN]
        return {"assets": [_shown(item) for item in newest]}


def _amount(item: EnrichedTransfer) -> Decimal:
    return item.amount if item.amount is not None else Decimal(0)


def _shown(item: EnrichedTransfer) -> dict[str, Any]:
    return {
        "assetSymbol": item.transfer.base_token_symbol,
        "amount": format(_amount(item), "f"),
        "route": item.route_key,
        "sort_order": item.transfer.sort_order,
    }


@hookimpl
def register_statistics() -> list[Statistic]:
    return [Statistic("samples.largest", Largest())]
