"""Names of parts."""

from __future__ import annotations

from unionws.stats.parts import below, under


def test_below_undoes_under_and_leaves_others_alone() -> None:
    """A statistic finds exactly what each of its members put in."""
    parts = {**under("a", {"1": 1, "x/2": 2}), **under("ab", {"3": 3})}
    assert parts == {"a/1": 1, "a/x/2": 2, "ab/3": 3}
    assert below("a", parts) == {"1": 1, "x/2": 2}
    assert below("ab", parts) == {"3": 3}
