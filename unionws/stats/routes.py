"""The busiest routes per window: ``popularRoutes`` and ``popularRoutesTimeScale``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from unionws.model import JSON, EnrichedTransfer
from unionws.stats.cells import OTHER_ROUTES, Route
from unionws.stats.figures import change, top
from unionws.stats.flow import Flow
from unionws.stats.packing import count, counts
from unionws.stats.windows import SCALES, Window


def route_fields(flow: Flow, route: Route) -> dict[str, JSON]:
    """What every list says about a route."""
    source, destination = route
    return {
        "fromChain": source,
        "toChain": destination,
        "fromName": flow.chain_name(source),
        "toName": flow.chain_name(destination),
        "route": f"{source}->{destination}",
    }


class Routes:
    """Reads routes from the flow table.

    Args:
        flow: the table; it counts, this only reads.
        short: window of the un-scaled list.
    """

    def __init__(self, flow: Flow, short: str) -> None:
        self._flow = flow
        self._short = short

    def observe(self, batch: Sequence[EnrichedTransfer], now: float) -> None:
        """Nothing: the flow table counts."""

    def snapshot(self, now: float) -> Mapping[str, JSON]:
        scale = {window.key: self._list(window, now) for window in SCALES}
        return {"popularRoutes": scale[self._short], "popularRoutesTimeScale": scale}

    def _list(self, window: Window, now: float) -> list[dict[str, JSON]]:
        current, previous = self._flow.rollups(window)
        numbers = counts(current.routes)
        numbers.pop(OTHER_ROUTES[:2], None)
        comparable = self._flow.comparable(window, now)
        items = []
        for route, number in top(numbers):
            item = {"count": number, **route_fields(self._flow, route)}
            if comparable:
                item["countChange"] = change(number, count(previous.routes.get(route, 0)))
            items.append(item | self._flow.last_activity("route", *route))
        return items
