"""Cells of the flow table: what they add up to, and which give way when there are too many.

A cell is (source, destination, symbol). Over the budget a pair of a route and an asset is the first
to give way: its figures go to two rests, ``(source, destination, "")`` of the route and
``("", "", symbol)`` of the asset, so that only what a route is to an asset, and an asset to a chain,
becomes too low. Where even rests are too many, the rarest assets become one, and then the rarest
routes, so that the totals over all of them stay.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from unionws.stats.dropping import Losses, most
from unionws.stats.figures import top
from unionws.stats.leaders import Leaders
from unionws.stats.packing import count, counts, pair, volume
from unionws.stats.span import Span

Route: TypeAlias = tuple[str, str]
Cell: TypeAlias = tuple[str, str, str]
K = TypeVar("K", str, Route)

OTHER = "\0"
"""Stands for all that is not told apart; what the indexer says holds no NUL."""

OTHER_ASSETS: Cell = ("", "", OTHER)
OTHER_ROUTES: Cell = (OTHER, OTHER, "")

LONG = 500
"""Assets of a chain from which on their order is kept rather than found again for each snapshot."""

PAIR, ASSET, ROUTE = 1, 4, 16
"""What dropping one costs: rests go only where all pairs in the way are gone, those of routes last."""


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
            if source:
                _change(self.routes, (source, destination), packed)
                _change(self.sent, source, packed)
                _change(self.received, destination, packed)
            if symbol:
                _change(self.assets, symbol, packed)


@dataclass(slots=True)
class Rollup(Totals):
    """Totals, and what each chain and each asset is made of.

    Attributes:
        chain_assets: by chain and symbol, both ways together.
    """

    chain_assets: dict[str, dict[str, int]] = field(default_factory=dict)
    asset_routes: dict[str, dict[Route, int]] = field(default_factory=dict)
    _leading: Leaders[str] = field(init=False, compare=False)
    _long: dict[str, Leaders[str]] = field(init=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._leading = Leaders(self.assets)

    def add(self, cells: Mapping[Cell, int]) -> None:
        Totals.add(self, cells)
        _rank(self._leading, {symbol for _, _, symbol in cells})
        for (source, destination, symbol), packed in cells.items():
            if symbol and source:
                _nest(self.chain_assets, source, symbol, packed)
                _nest(self.chain_assets, destination, symbol, packed)
                _nest(self.asset_routes, symbol, (source, destination), packed)
        if self._long:
            self._rank_long(cells)

    def busiest(self, size: int) -> list[tuple[str, int]]:
        """Assets by number of transfers, highest first, ties by symbol; not all others as one."""
        return [(symbol, number) for symbol, number in self._leading.top(size + 1) if symbol != OTHER][:size]

    def busiest_of(self, chain: str, size: int) -> list[tuple[str, int]]:
        """A chain's assets, in the same order. Where they are many, their head is kept from then on."""
        table = self.chain_assets.get(chain, {})
        if len(table) <= LONG:
            return top(counts(table), size)
        leaders = self._long.get(chain)
        if leaders is None:
            leaders = self._long[chain] = Leaders(table)
        return leaders.top(size)

    def both_ways(self, chain: str, symbol: str) -> tuple[int, int]:
        """What was sent and received of an asset on a chain; packed."""
        routes = self.asset_routes.get(symbol, {})
        sent = sum(packed for (source, _), packed in routes.items() if source == chain)
        return sent, sum(packed for (_, destination), packed in routes.items() if destination == chain)

    def _rank_long(self, cells: Mapping[Cell, int]) -> None:
        touched: dict[str, set[str]] = {}
        for source, destination, symbol in cells:
            touched.setdefault(source, set()).add(symbol)
            touched.setdefault(destination, set()).add(symbol)
        for chain, leaders in list(self._long.items()):
            if leaders.figures is not self.chain_assets.get(chain):
                del self._long[chain]  # everything left it in between
            else:
                _rank(leaders, touched.get(chain, ()))


def _rank(leaders: Leaders[str], symbols: Iterable[str]) -> None:
    """Their counts may have changed either way."""
    for symbol in symbols:
        number = count(leaders.figures.get(symbol, 0))
        leaders.lowered(symbol, number)
        if number:
            leaders.raised(symbol, number)


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

    __slots__ = ("_now", "_shown", "_then")

    def __init__(self, size: int) -> None:
        super().__init__(size, previous=True)
        self._now = Rollup()
        self._then = Totals()
        self._shown: frozenset[str] = frozenset()

    def clear(self) -> None:
        super().clear()
        self._now, self._then = Rollup(), Totals()

    def rollups(self) -> tuple[Rollup, Totals]:
        """The window and the one before it, up to date; read, do not change."""
        self._now.add(self.current)
        self._then.add(self.previous)
        super().clear()
        return self._now, self._then

    def show(self, symbols: frozenset[str]) -> None:
        """These assets are in the window's list: what is known of them is not to be dropped."""
        self._shown = symbols

    def shows(self, symbol: str) -> bool:
        """Whether an asset is in the window's list."""
        return symbol in self._shown

    def wants(self, key: Cell) -> bool:
        return not key[0] and key[2] in self._shown


class Thinning:
    """Drops pairs before rests, and rests of assets before those of routes."""

    prices: Sequence[int] = (PAIR, ASSET, ROUTE)

    def price(self, key: Cell) -> int:
        source, _, symbol = key
        if OTHER in (source, symbol):
            return 0
        if not symbol:
            return ROUTE
        return PAIR if source else ASSET

    def parents(self, key: Cell) -> tuple[Cell, ...]:
        source, destination, symbol = key
        if not symbol:
            return (OTHER_ROUTES,)
        return ((source, destination, ""), ("", "", symbol)) if source else (OTHER_ASSETS,)

    def losses(self, dropped: Mapping[Cell, int]) -> Losses:
        """Of asset routes, chain assets, assets, routes and chains, where any of them loses."""
        tables: dict[str, dict[Hashable, int]] = {}
        for cell, packed in dropped.items():
            for kind, figure in _figures(cell):
                table = tables.setdefault(kind, {})
                table[figure] = table.get(figure, 0) + packed
        return {kind: most(table) for kind, table in tables.items()}

    def losses_before(self, entries: Mapping[Cell, int], cut: int) -> Losses:
        """What is under no symbol is the most that can have been taken from one."""
        nameless = [packed for cell, packed in entries.items() if not cell[2]]
        lost = pair(sum(map(count, nameless)), sum(map(volume, nameless)))
        return dict.fromkeys(("assetRoutes", "chainAssets", "assets"), lost) if cut else {}


def _figures(cell: Cell) -> tuple[tuple[str, Hashable], ...]:
    """The figures that a cell's own adds to and its parents' do not, by kind."""
    source, destination, symbol = cell
    if not symbol:
        return (("routes", (source, destination)), ("chains", source), ("chains", destination))
    if not source:
        return (("assets", symbol),)
    return (
        ("assetRoutes", cell),
        ("chainAssets", (source, symbol)),
        ("chainAssets", (destination, symbol)),
    )
