"""How long packets take: which route to ask about next, and ``latencyData``. Pure.

Asked about are the MOST busiest routes of the last while, the busiest first, each again when its answer
is REFRESH old; one request per BUDGET seconds at most, whatever there is to ask.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from unionws.model import JSON, EnrichedTransfer

BUDGET = 5.0
REFRESH = 600.0
MOST = 20
KEPT = 1_000
"""Routes remembered."""

FADE = 600.0
"""Seconds in which what was seen comes to count half."""

PARTS = {
    "packetRecv": "secs_until_packet_recv",
    "writeAck": "secs_until_write_ack",
    "packetAck": "secs_until_packet_ack",
}
POINTS = ("p5", "median", "p95")


@dataclass(slots=True)
class Route:
    """A route seen lately; ``weight`` fades, ``asked`` in seconds as ``next`` is told."""

    source: str
    destination: str
    source_name: str = ""
    destination_name: str = ""
    weight: float = 0.0
    asked: float = -math.inf
    figures: Mapping[str, JSON] | None = None


class Latencies:
    """Routes, their activity and their latencies; a statistic's observer."""

    def __init__(self) -> None:
        self._routes: dict[str, Route] = {}
        self._faded = -math.inf

    def observe(self, batch: Sequence[EnrichedTransfer], now: float) -> None:
        self._fade(now)
        for item in batch:
            if item.event_time >= now - FADE:
                self._see(item)
        if len(self._routes) > KEPT:
            self._routes = {self._key(route): route for route in self._busiest(KEPT // 2)}

    def _see(self, item: EnrichedTransfer) -> None:
        route = self._routes.get(item.route_key)
        if route is None:
            source, destination = item.transfer.source_chain, item.transfer.destination_chain
            route = Route(source.universal_chain_id, destination.universal_chain_id)
            self._routes[item.route_key] = route
        route.source_name, route.destination_name = item.source_name, item.destination_name
        route.weight += 1

    def _fade(self, now: float) -> None:
        if now - self._faded < FADE:
            return
        self._faded = now
        for route in self._routes.values():
            route.weight /= 2

    @staticmethod
    def _key(route: Route) -> str:
        return f"{route.source}->{route.destination}"

    def _busiest(self, most: int) -> list[Route]:
        ranked = sorted(self._routes.items(), key=lambda pair: (-pair[1].weight, pair[0]))
        return [route for _, route in ranked[:most]]

    def next(self, now: float) -> Route | None:
        """The route to ask about (``now``: monotonic seconds), taken as asked; None: all are fresh."""
        for route in self._busiest(MOST):
            if now - route.asked >= REFRESH:
                route.asked = now
                return route
        return None

    def take(self, route: Route, rows: object) -> None:
        """The answer about a route: the ``v2_stats_latency`` list, whatever it holds."""
        row = rows[0] if isinstance(rows, list) and rows else None
        route.figures = _figures(row) if isinstance(row, dict) else None

    def snapshot(self, now: float) -> Mapping[str, JSON]:
        busiest = self._busiest(MOST)
        found = [{**_entry(route), **route.figures} for route in busiest if route.figures is not None]
        return {"latencyData": found}


def _entry(route: Route) -> dict[str, JSON]:
    return {
        "sourceName": route.source_name or route.source,
        "destinationName": route.destination_name or route.destination,
        "sourceChain": route.source,
        "destinationChain": route.destination,
    }


def _figures(row: Mapping[str, object]) -> dict[str, JSON] | None:
    """All three, or None: clients read every one of them."""
    figures = {part: _points(row.get(name)) for part, name in PARTS.items()}
    return None if None in figures.values() else figures


def _points(value: object) -> dict[str, JSON] | None:
    points = value if isinstance(value, dict) else {}
    found = {point: points.get(point) for point in POINTS}
    return found if _are_seconds(found.values()) else None


def _are_seconds(values: Iterable[object]) -> bool:
    return all(
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and math.isfinite(value)
        and value >= 0
        for value in values
    )
