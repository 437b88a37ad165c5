"""Cells of the flow table, and those that give way over the budget."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.stats.traffic import NOW
from unionws.stats.cells import OTHER, OTHER_ROUTES, Cell, FlowSpan, Rollup, Thinning
from unionws.stats.figures import top
from unionws.stats.packing import count, counts, pack, volume
from unionws.stats.sums import Sums
from unionws.stats.windows import SCALES


def test_a_rollup_that_everything_left_is_empty() -> None:
    """Adding and taking back the same cells leaves no key behind."""
    rollup = Rollup()
    cells = {("a", "b", "U"): 3, ("a", "c", ""): 1, ("c", "a", "U"): 2}
    rollup.add(cells)
    assert (count(rollup.routes["a", "b"]), rollup.assets, rollup.sent["a"]) == (3, {"U": 5}, 4)
    assert (rollup.chain_assets["a"], rollup.asset_routes["U"]["c", "a"]) == ({"U": 5}, 2)
    assert rollup.both_ways("a", "U") == (3, 2)
    rollup.add({cell: -value for cell, value in cells.items()})
    assert rollup == Rollup()


def test_rests_of_assets_and_routes_add_to_one_side_only() -> None:
    """The rest of an asset is on no route, that of a route is of no asset."""
    rollup = Rollup()
    rollup.add(
        {("a", "b", "U"): 1, ("a", "b", ""): 2, ("", "", "U"): 4, ("", "", OTHER): 8, OTHER_ROUTES: 16}
    )
    assert rollup.routes == {("a", "b"): 3, (OTHER, OTHER): 16}
    assert rollup.assets == {"U": 5, OTHER: 8}
    assert rollup.asset_routes == {"U": {("a", "b"): 1}}
    assert rollup.chain_assets == {"a": {"U": 1}, "b": {"U": 1}}


class Scene:
    """Cells counted with a budget, and without."""

    def __init__(self, budget: int) -> None:
        self.spans = {window: FlowSpan(window.buckets) for window in SCALES}
        self.sums: Sums[Cell] = Sums(self.spans, budget=budget, dropping=Thinning())
        self.truth = Rollup()

    def add(self, age: float, cell: Cell, amount: int) -> None:
        self.sums.add(NOW - age, cell, pack(amount))
        self.truth.add({cell: pack(amount)})

    def lost(self) -> dict[str, list[tuple[int, int]]]:
        """By kind, of each figure of 30 days the count and volume that it lacks."""
        self.sums.advance(NOW)
        found, true = figures(self.spans[SCALES[-1]].rollups()[0]), figures(self.truth)
        return {
            kind: [lacking(packed, found[kind].get(key, 0)) for key, packed in table.items()]
            for kind, table in true.items()
        }


def lacking(true: int, found: int) -> tuple[int, int]:
    return count(true) - count(found), volume(true) - volume(found)


def figures(rollup: Rollup) -> dict[str, dict[Any, int]]:
    """All that lists show, by kind; a chain's both ways together."""
    return {
        "routes": rollup.routes,
        "assets": rollup.assets,
        "chains": both(rollup.sent, rollup.received),
        "assetRoutes": flat(rollup.asset_routes),
        "chainAssets": flat(rollup.chain_assets),
    }


def both(first: dict[Any, int], second: dict[Any, int]) -> dict[Any, int]:
    return {key: first.get(key, 0) + second.get(key, 0) for key in first.keys() | second.keys()}


def flat(table: dict[str, dict[Any, int]]) -> dict[Any, int]:
    return {(outer, inner): packed for outer, row in table.items() for inner, packed in row.items()}


FLOODS = {"pairs": (9, 30), "assets": (2, 4000), "routes": (60, 1)}


@pytest.mark.parametrize("flood", FLOODS)
@pytest.mark.parametrize("seed", range(3))
def test_every_figure_is_too_low_by_no_more_than_is_said(flood: str, seed: int) -> None:
    """Whether there are too many pairs, assets or routes; the totals over all stay exact."""
    chains, assets = FLOODS[flood]
    draw, scene = random.Random(seed), Scene(budget=900)
    for number in range(6000):
        source, destination = (f"c{int(chains * draw.random() ** 2)}" for _ in range(2))
        symbol = f"T{int(assets * draw.random() ** 3)}"
        scene.add(draw.random() ** 2 * 200, (source, destination, symbol), draw.randrange(1000))
        if number % 500 == 0:
            scene.sums.advance(NOW)
    lost = scene.lost()
    said = scene.sums.missing(SCALES[-1])
    assert scene.sums.entries <= 3 * 900
    for kind, lacks in lost.items():
        bound = said.get(kind, 0)
        assert all(0 <= lack <= count(bound) and short <= volume(bound) for lack, short in lacks), kind
    kinds = {"pairs": "assetRoutes", "assets": "assets", "routes": "routes"}
    assert max(lack for lack, _ in lost[kinds[flood]]) > 0
    found = scene.spans[SCALES[-1]].rollups()[0]
    for table in (found.routes, found.sent, found.received, found.assets):
        assert count(sum(table.values())) == 6000


def test_pairs_give_way_before_rests_and_listed_assets_stay() -> None:
    """Routes and assets that are few stay exact however many pairs there are."""
    draw, scene = random.Random(1), Scene(budget=200)
    for _ in range(5000):
        source, destination = (f"c{draw.randrange(6)}" for _ in range(2))
        scene.add(draw.random() * 3000, (source, destination, f"T{draw.randrange(20)}"), 1)
    scene.sums.advance(NOW)
    lost = scene.lost()
    assert set(lost["routes"]) == set(lost["assets"]) == {(0, 0)}
    assert scene.sums.missing(SCALES[-1]).keys() == {"assetRoutes", "chainAssets"}


def test_small_buckets_give_up_all_their_pairs_before_any_rest_goes() -> None:
    """Where rests are nearly as many as pairs, little is won by each; still no asset or route loses."""
    draw, scene = random.Random(1), Scene(budget=7500)
    routes = [(f"c{number}", f"d{number}") for number in range(40)]
    scene.sums.advance(NOW)
    for second in range(100):
        for number in draw.sample(range(1000), 90):
            source, destination = routes[number % 40]
            scene.add(second, (source, destination, f"T{number // 40}"), 1)
    scene.sums.advance(NOW)
    assert scene.sums.missing(SCALES[1]).keys() == {"assetRoutes", "chainAssets"}
    found = scene.spans[SCALES[1]].rollups()[0]
    assert count(sum(found.assets.values())) == 9000
    assert found.assets == scene.truth.assets
    assert found.routes == scene.truth.routes


def test_a_bucket_of_an_older_file_may_have_lost_all_that_has_no_symbol() -> None:
    """Nothing where nothing was cut."""
    entries = {("a", "b", ""): pack(5), ("a", "c", ""): pack(6), ("a", "b", "U"): pack(9)}
    lost = Thinning().losses_before(entries, 3)
    assert {kind: (count(loss), volume(loss)) for kind, loss in lost.items()} == dict.fromkeys(
        ("assetRoutes", "chainAssets", "assets"), (2, 11)
    )
    assert Thinning().losses_before(entries, 0) == {}


def test_the_busiest_of_many_assets_are_those_of_a_recount_after_any_changes() -> None:
    """Overall and of a chain, few or many, while they come and go, and when all are gone in between."""
    draw, rollup, kept = random.Random(4), Rollup(), list[dict[Cell, int]]()

    def check() -> None:
        true = Rollup()
        for cells in kept:
            true.add(cells)
        assert rollup.busiest(10) == top(counts(true.assets), 10)
        for chain in "ab":
            assert rollup.busiest_of(chain, 3) == top(counts(true.chain_assets.get(chain, {})), 3)

    for width in (300, 2000, 1200, 1200):
        for _ in range(6):
            symbols = [f"T{int(width * draw.random() ** 1.5)}" for _ in range(700)]
            kept.append({("a", draw.choice("bc"), symbol): draw.randrange(1, 9) for symbol in symbols})
            rollup.add(kept[-1])
            check()
        while len(kept) > (0 if width == 1200 else 2):
            rollup.add({cell: -packed for cell, packed in kept.pop(draw.randrange(len(kept))).items()})
            check()
    assert rollup == Rollup()
