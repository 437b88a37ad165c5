"""What the statistics say they cover."""

from __future__ import annotations

from tests.stats.traffic import NOW
from unionws.stats.coverage import Coverage
from unionws.stats.windows import WINDOWS


def test_a_window_is_complete_once_uptime_really_covers_it() -> None:
    """Starting at s or before covers [s, now]; a second later does not."""
    for window in WINDOWS:
        start = window.start(NOW)
        assert Coverage(start).complete(NOW)[window.key]
        assert not Coverage(start + 1).complete(NOW)[window.key]


def test_a_change_needs_the_window_before_as_well() -> None:
    """comparable() needs coverage from s − W."""
    for window in WINDOWS:
        assert Coverage(window.start_before(NOW)).comparable(window, NOW)
        assert not Coverage(window.start_before(NOW) + 1).comparable(window, NOW)


def test_added_spans_count_when_they_join_without_a_hole() -> None:
    """Spans may come in any order; one that does not touch waits for the one between."""
    coverage = Coverage(NOW)
    coverage.add(NOW - 300, NOW - 200)
    assert coverage.since == NOW
    coverage.add(NOW - 250, NOW - 50)
    assert coverage.since == NOW
    coverage.add(NOW - 60, NOW + 1)
    assert coverage.since == NOW - 300


def test_uptime_is_never_negative() -> None:
    """A clock set back before the start gives zero, and covers nothing."""
    coverage = Coverage(NOW)
    assert coverage.uptime(NOW - 3600) == 0
    assert not any(coverage.complete(NOW - 3600).values())
    assert coverage.uptime(NOW + 1.9) == 1


def test_flags_have_the_contracts_names_and_follow_the_short_window() -> None:
    """hasMinute speaks of the window that the minute's fields carry."""
    one, five = Coverage(NOW - 100, "1m").availability(NOW), Coverage(NOW - 100, "5m").availability(NOW)
    assert list(one) == [
        "has30Seconds",
        "hasMinute",
        "has5Minutes",
        "hasHour",
        "hasDay",
        "has7Days",
        "has14Days",
        "has30Days",
    ]
    assert (one["hasMinute"], one["has5Minutes"]) == (True, False)
    assert (five["hasMinute"], five["has30Seconds"]) == (False, True)


def test_nothing_is_complete_while_transfers_of_now_do_not_arrive() -> None:
    """An indexer that does not answer leaves every window open at its end."""
    coverage = Coverage(NOW - 90 * 86_400)
    assert all(coverage.complete(NOW).values())
    coverage.current = False
    assert not any(coverage.complete(NOW).values())
    assert not any(coverage.comparable(window, NOW) for window in WINDOWS)
    coverage.current = True
    assert all(coverage.complete(NOW).values())


def test_many_spans_are_kept_as_few() -> None:
    """Page after page of the past is one span; what does not join yet is told apart."""
    coverage = Coverage(NOW)
    for page in range(1_000):
        coverage.add(NOW - 1_000 - page, NOW - 900)
    coverage.add(NOW - 5_000, NOW - 4_000)
    assert coverage.spans == [(NOW - 5_000, NOW - 4_000), (NOW - 1_999, NOW - 900)]
    coverage.begin(NOW - 950)
    assert (coverage.since, coverage.spans) == (NOW - 1_999, [(NOW - 5_000, NOW - 4_000)])
    coverage.add(0.0, NOW)
    assert (coverage.since, coverage.spans) == (0.0, [])
