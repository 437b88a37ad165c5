"""Sample plugin: large transfers. A message type, a filter and a statistic; docs/plugins.md builds it.

- Subscribers of the channel ``samples.large`` get a ``samples.largeTransfer`` for each transfer of
  at least SAMPLES_LARGE_AMOUNT that passes their filter; such a transfer is not held back.
- The filter field ``samples.large`` passes only those (true) or only the others (false).
- ``chartData`` has the largest transfer of each asset in the last 24 hours, as ``samples.largest``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from unionws import (
    EnrichedTransfer,
    FilterField,
    Fragment,
    ServerMessage,
    Service,
    Setting,
    Statistic,
    TransfersRecord,
    hookimpl,
)

# ------------------------------------------------------------------------------- what is large


class Here:
    """What startup was handed."""

    service: Service


def limit(settings: Any) -> Decimal:
    return Decimal(str(settings.extra["SAMPLES_LARGE_AMOUNT"]))


@hookimpl
def register_settings() -> list[Setting]:
    help = "Amount, in units of any asset, from which a transfer counts as large."
    return [Setting("SAMPLES_LARGE_AMOUNT", 1000.0, help, low=0)]


@hookimpl
def startup(service: Service) -> None:
    Here.service = service


# --------------------------------------------------------------------------------- the message


@hookimpl
def register_messages() -> list[ServerMessage]:
    example = {
        "type": "samples.largeTransfer",
        "data": {"amount": "2500", "asset": "u", "route": "a.1->b.2", "sort_order": "1"},
        "timestamp": 1760000000000,
    }
    help = "A large transfer was published."
    return [ServerMessage("samples.largeTransfer", help, "samples.large", example=example)]


@hookimpl
def published(record: TransfersRecord) -> None:
    smallest = limit(Here.service.settings)
    for item in record.items:
        if item.amount and Decimal(item.amount) >= smallest:
            data = {
                "amount": item.amount,
                "asset": item.symbol,
                "route": f"{item.source}->{item.destination}",
                "sort_order": item.sort_order,
            }
            Here.service.publish("samples.largeTransfer", data, about=item)


@hookimpl
def urgent(transfers: Sequence[EnrichedTransfer]) -> set[str]:
    smallest = limit(Here.service.settings)
    return {
        item.transfer.sort_order for item in transfers if item.amount is not None and item.amount >= smallest
    }


# ---------------------------------------------------------------------------------- the filter


def parse(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true, false or null")
    return value


@hookimpl
def register_filters(settings: Any) -> list[FilterField]:
    smallest = limit(settings)

    def is_large(item: Fragment) -> bool:
        return bool(item.amount) and Decimal(item.amount) >= smallest

    return [
        FilterField(
            "samples.large",
            parse,
            matches=lambda wanted, item: is_large(item) is wanted,
            dump=bool,
            keys=lambda wanted: [wanted],
            item_keys=lambda item: [is_large(item)],
        )
    ]


# ------------------------------------------------------------------------------- the statistic

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
