from __future__ import annotations

from unionws.source.trail import SLACK, Trail

REACH = 15.0 + SLACK


def test_the_base_follows_what_was_seen_long_before_the_rescan_began():
    """A key is settled once it was seen more than the overlap and the slack before a re-scan."""
    trail = Trail("a", 15.0)
    trail.advance("b", 100.0)
    trail.advance("c", 101.0)
    trail.settle(100.0 + REACH)
    assert trail.base == "a"
    trail.settle(100.5 + REACH)
    assert trail.base == "b"
    trail.settle(200.0)
    assert trail.base == "c"


def test_without_a_completed_rescan_the_base_stays():
    """An outage, however long, settles nothing."""
    trail = Trail("a", 15.0)
    trail.advance("b", 100.0)
    trail.advance("c", 9_999.0)
    assert trail.base == "a"


def test_settled_keys_are_forgotten_and_later_ones_kept():
    """Keys at or before the base are never asked for again."""
    trail = Trail("a", 15.0)
    trail.remember(["b", "c", "aa"])
    trail.advance("b", 100.0)
    trail.advance("c", 110.0)
    trail.settle(105.0 + REACH)
    assert (trail.base, trail.seen) == ("b", {"c"})


def test_the_newest_key_never_goes_back():
    """A late row does not move the head."""
    trail = Trail(None, 15.0)
    trail.advance("m", 1.0)
    trail.advance("c", 2.0)
    assert trail.newest == "m"


def test_nothing_is_settled_before_the_first_row_is_old_enough():
    """An indexer that was empty is re-scanned from its beginning."""
    trail = Trail(None, 15.0)
    trail.advance("m", 100.0)
    trail.settle(100.0 + REACH)
    assert trail.base is None
