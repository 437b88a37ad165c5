from __future__ import annotations

import pytest

from unionws.source.backoff import MOST_ASKED, Backoff


def test_waits_double_from_one_second_to_thirty():
    """Without jitter the steps are exact and stay at the longest."""
    backoff = Backoff(lambda: 0.0)
    assert [backoff.failed() for _ in range(8)] == [1, 2, 4, 8, 16, 30, 30, 30]


def test_ten_thousand_failures_still_wait():
    """The step does not overflow."""
    backoff = Backoff(lambda: 0.5)
    waits = [backoff.failed() for _ in range(10_000)]
    assert 20 < waits[-1] <= 30


def test_one_success_returns_to_normal():
    """The next failure waits the first step."""
    backoff = Backoff(lambda: 0.0)
    backoff.failed()
    backoff.failed()
    backoff.succeeded()
    assert backoff.failed() == 1


def test_jitter_shortens_by_at_most_a_quarter():
    """Two services draw different waits."""
    assert Backoff(lambda: 0.999).failed() == pytest.approx(0.75, abs=0.01)
    assert Backoff().failed() != Backoff().failed()


@pytest.mark.parametrize(("asked", "low", "high"), [(7, 7, 8), (0, 0.75, 1), (-3, 0.75, 1), (1e12, 300, 301)])
def test_retry_after_is_honoured_within_reason(asked, low, high):
    """Never undercut, never believed beyond the most."""
    assert MOST_ASKED == 300
    assert low <= Backoff().failed(asked) <= high
