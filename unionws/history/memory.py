"""The pages of :class:`unionws.history.reader.Reader` from the ring, where nothing is kept on disk."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

from unionws.history.reader import ANY, Match, Page
from unionws.history.ring import Ring
from unionws.model import Fragment

SLICE = 1_000
"""Transfers looked at before others get their turn of the loop: delivery goes on meanwhile."""

Row = tuple[int, Fragment]


class MemoryPages:
    """Pages in the order of ``sort_order``, though the ring is in the order of publishing."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring

    async def after_cursor(self, cursor: str, limit: int, match: Match = ANY) -> Page:
        """Transfers behind a cursor, oldest first."""
        found = await self._found(lambda item: item.sort_order > cursor and matches(match, item))
        return page(heapq.nsmallest(limit + 1, found, key=_order), cursor, limit)

    async def before_cursor(self, cursor: str, limit: int, match: Match = ANY) -> Page:
        """Transfers before a cursor, newest first."""
        found = await self._found(lambda item: item.sort_order < cursor and matches(match, item))
        return page(heapq.nlargest(limit + 1, found, key=_order), cursor, limit)

    async def newest(self, limit: int, match: Match = ANY) -> Page:
        """The newest transfers, newest first."""
        found = await self._found(lambda item: matches(match, item))
        return page(heapq.nlargest(limit + 1, found, key=_order), "", limit)

    async def _found(self, wanted: Callable[[Fragment], bool]) -> list[Row]:
        ring, found = self._ring, list[Row]()
        first = ring.lowest
        while first <= ring.highest:
            last = min(first + SLICE - 1, ring.highest)
            record = ring.between(first, last, 0)
            if record is None:  # written over meanwhile
                first = ring.lowest
                continue
            found += [row for row in enumerate(record.items, first) if wanted(row[1])]
            first = last + 1
            await asyncio.sleep(0)
        return found


def page(rows: list[Row], cursor: str, limit: int) -> Page:
    """A page of ``limit`` rows, from one row more where there is more."""
    kept = rows[:limit]
    return Page(list(kept), kept[-1][1].sort_order if kept else cursor, len(rows) > limit)


def matches(match: Match, item: Fragment) -> bool:
    """Whether a transfer is asked for."""
    return (
        (not match.sources or item.source in match.sources)
        and (not match.destinations or item.destination in match.destinations)
        and (not match.chains or item.source in match.chains or item.destination in match.chains)
        and (not match.wallets or item.sender in match.wallets or item.receiver in match.wallets)
        and (not match.assets or item.symbol in match.assets or item.token in match.assets)
        and (match.testnet is None or item.testnet == match.testnet)
    )


def _order(row: Row) -> str:
    return row[1].sort_order
