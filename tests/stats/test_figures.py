"""Change, share, top lists and times."""

from __future__ import annotations

import random

import pytest

from unionws.stats.figures import carried, change, clip, rfc3339, share, top, window_named


@pytest.mark.parametrize(
    ("current", "previous", "expected"),
    [
        (0, 0, 0.0),
        (7, 0, 100.0),
        (-7, 0, -100.0),
        (3, 2, 50.0),
        (0, 5, -100.0),
        (1, 3, -66.67),
        (-2, -4, 50.0),
        (-6, -4, -50.0),
        (10**60, 3, 3.333333333333333e61),
    ],
)
def test_change_is_percent_of_the_window_before(current: int, previous: int, expected: float) -> None:
    """From nothing it is 100 or 0; a negative base is taken by its size; always a finite float."""
    assert change(current, previous) == pytest.approx(expected)
    assert type(change(current, previous)) is float


def test_shares_lie_between_0_and_100() -> None:
    """Nothing of nothing is nothing."""
    assert (share(0, 0), share(1, 3), share(3, 3)) == (0.0, 33.33, 100.0)


def test_ties_go_to_the_smaller_key_whatever_the_order() -> None:
    """Count descending, then key ascending."""
    counts = [("b", 2), ("a", 2), ("d", 1), ("c", 3)]
    for seed in range(5):
        random.Random(seed).shuffle(counts)
        assert top(dict(counts), 3) == [("c", 3), ("a", 2), ("b", 2)]
    long = {str(number): number % 7 for number in random.Random(1).sample(range(2000), 1500)}
    assert top(long, 300) == sorted(long.items(), key=lambda item: (-item[1], item[0]))[:300]


def test_times_are_rfc3339_in_utc() -> None:
    """Whole seconds, Z."""
    assert rfc3339(1_760_000_000.9) == "2025-10-09T08:53:20Z"


def test_texts_are_cut_to_their_limit() -> None:
    """Names are somebody else's choice."""
    assert (clip("x" * 200), clip("abc", 2), clip("abc")) == ("x" * 48, "ab", "abc")


def test_only_the_minutes_fields_carry_the_short_window() -> None:
    """SHORT_WINDOW moves nothing else."""
    assert carried(window_named("1m"), "5m") == window_named("5m")
    assert carried(window_named("1h"), "5m") == window_named("1h")
