"""What dropped keys take with them."""

from __future__ import annotations

from unionws.stats.dropping import COUNTS, Forgetting, added, most
from unionws.stats.packing import count, pack, pair, volume


def test_the_most_is_told_of_counts_and_volumes_apart() -> None:
    """The largest count and the largest volume need not be of one key."""
    found = most({"a": pack(7) + pack(None), "b": pack(90)})
    assert (count(found), volume(found)) == (2, 90)


def test_losses_add_up_by_kind() -> None:
    """One that is not there is none."""
    both = added({"a": pair(1, 5)}, {"a": pair(2, 6), "b": pair(3, 0)})
    assert both == {"a": pair(3, 11), "b": pair(3, 0)}


def test_what_is_forgotten_is_a_figure_of_its_own() -> None:
    """It goes nowhere, and the largest of them is the most that is lost."""
    rule = Forgetting()
    assert (rule.price(b"x"), rule.parents(b"x")) == (1, ())
    assert rule.losses({b"x": 3, b"y": 5}) == {COUNTS: 5}
    assert (rule.losses_before({}, 4), rule.losses_before({}, 0)) == ({COUNTS: 4}, {})
