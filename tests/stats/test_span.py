"""Running totals of one window."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unionws.stats.span import Span, spans
from unionws.stats.windows import WINDOWS

buckets_of = st.dictionaries(
    st.integers(0, 40), st.dictionaries(st.sampled_from("abc"), st.integers(1, 5), min_size=1), max_size=30
)


def summed(buckets: dict[int, dict[str, int]], indexes: range) -> dict[str, int]:
    totals: dict[str, int] = {}
    for index in indexes:
        for key, value in buckets.get(index, {}).items():
            totals[key] = totals.get(key, 0) + value
    return totals


@given(buckets_of, st.integers(1, 9), st.booleans())
def test_stepping_gives_what_starting_over_gives(
    buckets: dict[int, dict[str, int]], size: int, previous: bool
) -> None:
    """After any number of steps: the newest size + 1 buckets, and the size before them."""
    span: Span[str] = Span(size, previous=previous)
    span.rebuild(0, buckets)
    for head in range(1, 45):
        span.step(head, buckets)
        assert span.current == summed(buckets, range(head - size, head + 1))
        before = summed(buckets, range(head - 2 * size, head - size))
        assert span.previous == (before if previous else {})


@pytest.mark.parametrize(
    ("age", "current", "before"), [(0, 3, 0), (4, 3, 0), (5, 0, 3), (8, 0, 3), (9, 0, 0)]
)
def test_a_late_value_lands_in_the_window_of_its_age(age: int, current: int, before: int) -> None:
    """And taking it back leaves no trace."""
    span: Span[str] = Span(4, previous=True)
    span.add(age, "k", 3)
    assert (span.current.get("k", 0), span.previous.get("k", 0)) == (current, before)
    span.add(age, "k", -3)
    assert (span.current, span.previous) == ({}, {})


def test_spans_are_as_long_as_their_windows() -> None:
    """One per window, in order."""
    made: dict[object, Span[str]] = dict(spans(WINDOWS).items())
    assert [span.size for span in made.values()] == [30, 60, 300, 60, 1440, 168, 336, 720]
