"""What moved where: one table of (source, destination, symbol) under every window.

Routes, chain flow and asset volume are three readings of it, so they always agree. Keys are
universal chain ids and token symbols; transfers without a symbol are filed under "". It is exact
up to BUDGET; beyond, ``too_low_by`` says what a figure may lack.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from unionws.model import JSON, EnrichedTransfer
from unionws.stats.book import Book
from unionws.stats.cells import Cell, FlowSpan, Rollup, Thinning, Totals
from unionws.stats.coverage import Coverage
from unionws.stats.figures import clip, rfc3339
from unionws.stats.packing import count, display, pack, scaled, volume
from unionws.stats.parts import Parts, below, under
from unionws.stats.peaks import Peaks
from unionws.stats.sums import Sums
from unionws.stats.windows import SCALES, Window, place

BUDGET = 200_000
"""Cells held per bucket width. Over it they are thinned as :mod:`unionws.stats.cells` says."""

COMPARED = ("assets", "chains", "routes")
"""Kinds of figures whose change against the preceding window is told."""

_BOOK = 4_096


class Flow:
    """The table, its largest transfers, and when and under what names things were last seen.

    Its own snapshot is empty; routes, chain flow and asset volume read it.
    """

    def __init__(self) -> None:
        self.coverage: Coverage | None = None
        self._spans = {window: FlowSpan(window.buckets) for window in SCALES}
        self._cells: Sums[Cell] = Sums(self._spans, budget=BUDGET, dropping=Thinning())
        self._peaks = Peaks(SCALES, self._shows)
        self._interned: dict[Cell, Cell] = {}
        self._seen: Book[tuple[str, ...]] = Book(_BOOK)

    def use_coverage(self, coverage: Coverage) -> None:
        """Readers tell changes only where this says both windows are covered."""
        self.coverage = coverage

    def observe(self, batch: Sequence[EnrichedTransfer], now: float) -> None:
        self._cells.follow(now)
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

    def show(self, window: Window, symbols: Sequence[str]) -> None:
        """Keep what is known of the assets in this window's list, whatever the budget."""
        self._spans[window].show(frozenset(symbols))

    def _shows(self, symbol: str) -> bool:
        return any(span.shows(symbol) for span in self._spans.values())

    def too_low_by(self, window: Window) -> Mapping[str, JSON]:
        """By kind of figure, what one can be too low by at most; empty while all are exact."""
        before = self._cells.missing(window, previous=True)
        losses = self._cells.missing(window) | {
            f"{kind}Before": before[kind] for kind in COMPARED if kind in before
        }
        lost: dict[str, JSON] = {
            kind: {"count": count(loss), "volume": display(volume(loss))}
            for kind, loss in sorted(losses.items())
        }
        if peak := self._peaks.refused(window):
            lost["largestTransfers"] = {"volume": display(peak)}
        return lost

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
