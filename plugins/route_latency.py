"""Sample plugin: how long transfers take from being sent to being received, route by route.

``chartData`` has it as ``samples.latency``: per route the 50th, 90th and 99th percentile in seconds
of its last transfers whose arrival is known. Memory is bounded: the routes seen last are kept.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Any

from unionws import EnrichedTransfer, Statistic, hookimpl

MAX_ROUTES = 200
PER_ROUTE = 500
SHOWN = 20
LONGEST = 30 * 86_400


class Latencies:
    """The last arrivals of each route, in seconds after they were sent."""

    def __init__(self) -> None:
        self._routes: OrderedDict[str, deque[float]] = OrderedDict()

    def observe(self, batch: Sequence[EnrichedTransfer], now: float) -> None:
        for item in batch:
            sent, received = item.transfer.send_time, item.transfer.recv_time
            if sent is not None and received is not None and 0 <= received - sent <= LONGEST:
                self._routes.setdefault(item.route_key, deque(maxlen=PER_ROUTE)).append(received - sent)
                self._routes.move_to_end(item.route_key)
        while len(self._routes) > MAX_ROUTES:
            self._routes.popitem(last=False)

    def snapshot(self, now: float) -> dict[str, Any]:
        busiest = sorted(self._routes.items(), key=lambda pair: (-len(pair[1]), pair[0]))[:SHOWN]
        return {"routes": [{"route": route, **percentiles(sorted(times))} for route, times in busiest]}


def percentiles(times: Sequence[float]) -> dict[str, Any]:
    """Of sorted times, not empty: the smallest that so many in a hundred do not exceed."""
    count = len(times)
    ranks = {name: times[max(0, -(-count * part // 100) - 1)] for name, part in PARTS}
    return {"count": count, **{name: round(seconds, 3) for name, seconds in ranks.items()}}


PARTS = (("p50", 50), ("p90", 90), ("p99", 99))


@hookimpl
def register_statistics() -> list[Statistic]:
    return [Statistic("samples.latency", Latencies())]
