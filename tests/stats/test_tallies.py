"""Figures of wallets in both roles."""

from __future__ import annotations

import random

import datasketches

from unionws.stats.sketches import LG_K
from unionws.stats.tallies import Growing, at_least, tally


def sketch(*keys: str) -> datasketches.hll_sketch:
    made = datasketches.hll_sketch(LG_K, datasketches.HLL_8)
    for key in keys:
        made.update(key)
    return made


def test_a_wallet_in_both_roles_counts_once_in_the_total() -> None:
    """A true union, over roles and over sketches."""
    assert tally([sketch("a", "b"), sketch("b")], [sketch("b", "c"), sketch()]) == (2, 2, 3)


def test_growing_step_by_step_gives_the_figures_of_each_window_alone() -> None:
    """Few wallets or many."""
    draw = random.Random(1)
    for size in (5, 3000):
        sent, received = (
            [sketch(*(str(draw.randrange(9000)) for _ in range(size))) for _ in range(4)] for _ in range(2)
        )
        growing = Growing()
        for length in (1, 1, 2, 4):
            growing.reach(sent[:length], received[:length])
            assert growing.tally() == tally(sent[:length], received[:length])


def test_a_longer_window_has_no_fewer() -> None:
    """Figure by figure."""
    assert at_least((5, 1, 7), (4, 2, 7)) == (5, 2, 7)
