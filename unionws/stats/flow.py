"""What moved where: one exact table of (source, destination, symbol) under every window.

Routes, chain flow and asset volume are three readings of it, so they always agree. Keys are
universal chain ids and token symbols; transfers without a symbol are filed under "".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from unionws.model import JSON, EnrichedTransfer
from unionws.stats.book import Book
from unionws.stats.coverage import Coverage
from unionws.stats.figures import clip, rfc3339
from unionws.stats.packing import pack, scaled
from unionws.stats.parts import Parts, below, under
from unionws.stats.peaks import Peaks
from unionws.stats.span import Span
from unionws.stats.sums import Sums
from unionws.stats.windows import SCALES, Window, place

Route: TypeAlias = tuple[str, str]
Cell: TypeAlias = tuple[str, str, str]
K = TypeVar("K", str, Route)

BUDGET = 250_000
"""Cells held per bucket width. Over it the rarest are filed under "": routes and chains stay
exact, the figures of rare assets become too low."""

_BOOK = 4_096


@dataclass(slots=True)
class Totals:
    """A window's cells added up by route, by chain each way and by symbol; all packed figures."""

    routes: dict[Route, int] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    received: dict[str, int] = field(default_factory=dict)
    assets: dict[str, int] = field(default_factory=dict)

    def add(self, cells: Mapping[Cell, int]) -> None:
        """Add cells (differences of figures, too), by everything at once."""
        for (source, destination, symbol), packed in cells.items():
            _change(self.routes, (source, destination), packed)
            _change(self.sent, source, packed)
            _change(self.received, destination, packed)
            if symbol:
                _change(self.assets, symbol, packed)


@dataclass(slots=True)
class Rollup(Totals):
    """Totals, and what each chain and each asset is made of."""

    sent_assets: dict[str, dict[str, int]] = field(default_factory=dict)
    received_assets: dict[str, dict[str, int]] = field(default_factory=dict)
    asset_routes: dict[str, dict[Route, int]] = field(default_factory=dict)

    def add(self, cells: Mapping[Cell, int]) -> None:
        Totals.add(self, cells)
        for (source, destination, symbol), packed in cells.items():
            if symbol:
                _nest(self.sent_assets, source, symbol, packed)
                _nest(self.received_assets, destination, symbol, packed)
                _nest(self.asset_routes, symbol, (source, destination), packed)


def _change(table: dict[K, int], key: K, packed: int) -> None:
    total = table.get(key, 0) + packed
    if total:
        table[key] = total
    else:
        table.pop(key, None)


def _nest(table: dict[str, dict[K, int]], outer: str, inner: K, packed: int) -> None:
    row = table.setdefault(outer, {})
    _change(row, inner, packed)
    if not row:
        del table[outer]


class FlowSpan(Span[Cell]):
    """Rollups of one window and of the one before it.

    Its running totals are only what changed since the rollups were last brought up to date, so
    a snapshot costs what changed, not what there is.

    Args:
        size: whole buckets in the window.
    """

    __slots__ = ("_now", "_then")

    def __init__(self, size: int) -> None:
        super().__init__(size, previous=True)
        self._now = Rollup()
        self._then = Totals()

    def clear(self) -> None:
        super().clear()
        self._now, self._then = Rollup(), Totals()

    def rollups(self) -> tuple[Rollup, Totals]:
        """The window and the one before it, up to date; read, do not change."""
        self._now.add(self.current)
        self._then.add(self.previous)
        super().clear()
        return self._now, self._then


class Flow:
    """The table, its largest transfers, and when and under what names things were last seen.

    Its own snapshot is empty; routes, chain flow and asset volume read it.
    """

    def __init__(self) -> None:
        self.coverage: Coverage | None = None
        self._spans = {window: FlowSpan(window.buckets) for window in SCALES}
        self._cells: Sums[Cell] = Sums(self._spans, budget=BUDGET, fold=_without_symbol)
        self._peaks = Peaks(SCALES)
        self._interned: dict[Cell, Cell] = {}
        self._seen: Book[tuple[str, ...]] = Book(_BOOK)

    def use_coverage(self, coverage: Coverage) -> None:
        """Readers tell changes only where this says both windows are covered."""
        self.coverage = coverage

    def observe(self, batch: Sequence[EnrichedTransfer], now: float) -> None:
        for item in batch:
            if (time := place(item.event_time, now)) is not None:
                self._count(item, time)

    def snapshot(self, now: float) -> Mapping[str, JSON]:
        self._cells.advance(now)
        self._peaks.advance(now)
        return {}

    def state(self, *, whole: bool) -> Parts:
        """Cells and largest amounts by bucket, and names."""
        return {
            **under("cells", self._cells.state(list, whole=whole)),
            **under("peaks", self._peaks.state(whole=whole)),
            **under("book", self._seen.state(json.dumps, whole=whole)),
        }

    def restore(self, parts: Mapping[str, JSON]) -> None:
        """Take ``state`` back."""
        self._cells.restore(below("cells", parts), lambda key: self._intern((key[0], key[1], key[2])))
        self._peaks.restore(below("peaks", parts))
        self._seen.restore(below("book", parts), lambda name: tuple(json.loads(name)))

    def rollups(self, window: Window) -> tuple[Rollup, Totals]:
        """The window and the one before it, as of the last snapshot; read, do not change."""
        return self._spans[window].rollups()

    def comparable(self, window: Window, now: float) -> bool:
        """Whether changes may be told for this window."""
        return self.coverage is not None and self.coverage.comparable(window, now)

    def largest(self, symbol: str, window: Window) -> int:
        """Largest amount of an asset in the window, in 10⁻³⁶ display units; 0 when none is known."""
        return self._peaks.peak(symbol, window)

    def chain_name(self, chain: str) -> str:
        """Display name of a chain, as in its newest transfer."""
        known = self._seen.find(("chain", chain))
        return known[1] if known and known[1] else chain

    def asset_name(self, symbol: str) -> str:
        """Name of an asset, as in its newest transfer; its symbol when it has none."""
        known = self._seen.find(("asset", symbol))
        return known[1] if known and known[1] else symbol

    def last_activity(self, *key: str) -> dict[str, JSON]:
        """``{"lastActivity": …}`` of ("chain", id), ("chain", id, symbol), ("route", from, to),
        ("asset", symbol) or ("asset", from, to, symbol); empty when it was forgotten."""
        known = self._seen.find(key)
        return {"lastActivity": rfc3339(known[0])} if known else {}

    def _count(self, item: EnrichedTransfer, time: float) -> None:
        transfer = item.transfer
        source = transfer.source_chain.universal_chain_id
        destination = transfer.destination_chain.universal_chain_id
        symbol = clip(transfer.base_token_symbol or "")
        amount = scaled(item.amount)
        cell = self._intern((source, destination, symbol))
        self._cells.add(time, cell, pack(amount))
        if symbol and amount is not None:
            self._peaks.add(time, symbol, amount)
        self._see(item, cell, time)

    def _see(self, item: EnrichedTransfer, cell: Cell, time: float) -> None:
        source, destination, symbol = cell
        note = self._seen.note
        note(("chain", source), time, clip(item.source_name))
        note(("chain", destination), time, clip(item.destination_name))
        note(("route", source, destination), time, "")
        if symbol:
            note(("asset", symbol), time, clip(item.transfer.base_token_name or ""))
            note(("asset", *cell), time, "")
            note(("chain", source, symbol), time, "")
            note(("chain", destination, symbol), time, "")

    def _intern(self, cell: Cell) -> Cell:
        """One tuple for all buckets that hold it; forgotten and begun again when many."""
        if len(self._interned) > _BOOK:
            self._interned.clear()
        return self._interned.setdefault(cell, cell)


def _without_symbol(cell: Cell) -> Cell:
    return (cell[0], cell[1], "")
