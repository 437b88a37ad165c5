"""Sums over every window against a recount, and what happens over the budget."""

from __future__ import annotations

import json
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stats.traffic import NOW
from unionws.stats.dropping import COUNTS, Forgetting
from unionws.stats.span import spans
from unionws.stats.sums import Sums
from unionws.stats.windows import SCALES, WINDOWS, Window

DAY = 86_400
ages = st.one_of(st.floats(0, 700), st.floats(0, 2.1 * DAY), st.floats(0, 60 * DAY))
steps = st.sampled_from([1.0, 60.0, 3600.0, -3600.0])
moves = st.one_of(st.floats(0, 90), st.floats(0, 8 * DAY), steps)


def recount(events: list[tuple[float, str]], window: Window, now: float) -> tuple[dict[str, int], ...]:
    start, end = window.start(now), (now // window.step + 1) * window.step
    current = [key for time, key in events if start <= time < end]
    before = [key for time, key in events if start - window.seconds <= time < start]
    return tuple({key: keys.count(key) for key in set(keys)} for keys in (current, before))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(moves, st.lists(st.tuples(ages, st.sampled_from("abc")), max_size=6)), max_size=8))
def test_any_order_of_events_and_times_gives_the_recount(
    rounds: list[tuple[float, list[tuple[float, str]]]],
) -> None:
    """Late rows, long silences and steps of the clock: both windows, every key, exactly.

    Whether windows were moved along with the stream before or not.
    """
    sums: Sums[str] = Sums(spans(WINDOWS), budget=10_000)
    now, events = NOW, list[tuple[float, str]]()
    for move, batch in rounds:
        now += move
        sums.follow(now)
        for age, key in batch:
            events.append((now - age, key))
            sums.add(now - age, key)
        sums.advance(now)
        for window in WINDOWS:
            found = (dict(sums.current(window)), dict(sums.previous(window)))
            assert found == recount(events, window, now)


def test_a_busy_stream_moves_its_windows_along() -> None:
    """One bucket behind is caught up with at once; a longer way waits for ``advance``."""
    sums: Sums[str] = Sums(spans(WINDOWS), budget=100)
    sums.add(NOW, "k")
    sums.advance(NOW)
    sums.follow(NOW + 60)
    assert [window.key for window in WINDOWS if not sums.current(window)] == []
    for second in range(61, 63):
        sums.advance(NOW + second - 1)
        sums.follow(NOW + second)
    assert [window.key for window in WINDOWS if not sums.current(window)] == ["30s", "1m"]


def test_edges_belong_to_the_window_that_starts_there() -> None:
    """An event at s is in [s, now]; one just before is in [s − W, s)."""
    for window in WINDOWS:
        sums: Sums[str] = Sums(spans(WINDOWS), budget=100)
        start = window.start(NOW)
        for time in (start, start - 0.001, start - window.seconds, start - window.seconds - 0.001):
            sums.add(time, "k")
        sums.advance(NOW)
        assert (sums.current(window)["k"], sums.previous(window)["k"]) == (1, 2)


def test_over_the_budget_figures_are_too_low_by_no_more_than_is_said() -> None:
    """Memory stays in the budget, the busiest keys stay, and missing() bounds every error."""
    draw = random.Random(1)
    sums: Sums[str] = Sums(spans(SCALES, previous=False), budget=500)
    truth: dict[str, int] = {}
    for number in range(20_000):
        key = str(int(3000 * draw.random() ** 4))
        truth[key] = truth.get(key, 0) + 1
        sums.add(NOW + number / 100, key)
        if number % 500 == 0:
            sums.advance(NOW + number / 100)
    sums.advance(NOW + 200)
    assert sums.entries <= 3 * 500
    hour = next(window for window in SCALES if window.key == "1h")
    found = sums.current(hour)
    errors = [count - found.get(key, 0) for key, count in truth.items()]
    assert 0 < max(errors) <= sums.missing(hour)[COUNTS]
    assert min(errors) == 0
    assert max(found, key=lambda key: found[key]) == "0"


def test_what_is_within_the_budget_misses_nothing() -> None:
    """missing() is 0 until something is dropped."""
    sums: Sums[str] = Sums(spans(SCALES), budget=50)
    for number in range(50):
        sums.add(NOW, str(number))
    sums.advance(NOW)
    assert [sums.missing(window) for window in SCALES] == [{}] * 7


class Initials(Forgetting):
    """Words give way to their first letters, which stay."""

    def price(self, key: str) -> int:  # type: ignore[override]
        return int(len(key) > 1)

    def parents(self, key: str) -> tuple[str, ...]:  # type: ignore[override]
        return (key[0],)


def test_dropped_keys_leave_the_whole_to_their_parents() -> None:
    """A dropped key's figure goes to its parent, in every window, and leaves with its bucket."""
    sums: Sums[str] = Sums(spans(SCALES), budget=40, dropping=Initials())
    sums.advance(NOW)
    for number in range(3000):
        sums.add(NOW - number % 7, f"{'xy'[number % 2]}{number}")
    sums.advance(NOW + 1)
    for window in SCALES:
        totals = {"x": 0, "y": 0}
        for key, count in sums.current(window).items():
            totals[key[0]] += count
        assert totals == {"x": 1500, "y": 1500}
    sums.advance(NOW + 70 * DAY)
    assert [sums.current(window) for window in SCALES] == [{}] * 7


def test_the_last_sight_of_a_key_is_known_to_its_bucket() -> None:
    """The newest bucket of the window that holds it; None when none does."""
    sums: Sums[str] = Sums(spans(SCALES), budget=100)
    for age in (50, 20, 90):
        sums.add(NOW - age, "k")
    sums.advance(NOW)
    assert sums.last_seen("k", SCALES[0]) == int(NOW - 20)
    assert sums.last_seen("other", SCALES[0]) is None


def test_keys_that_must_not_be_dropped_stay_exact_over_the_budget() -> None:
    """A budget full of keys without a price is exceeded rather than broken into."""
    sums: Sums[str] = Sums(spans(SCALES), budget=64, dropping=Initials())
    for number in range(600):
        sums.add(NOW, chr(number % 200 + 1000))
    sums.advance(NOW)
    assert set(sums.current(SCALES[0]).values()) == {3}
    assert [sums.missing(window) for window in SCALES] == [{}] * 7


def test_what_is_missing_leaves_with_its_bucket_and_survives_a_restart() -> None:
    """A window whose buckets were never cut is exact again; a file keeps the bound beside the counts."""
    sums: Sums[str] = Sums(spans(SCALES), budget=40)
    for number in range(300):
        sums.add(NOW, str(number))
    sums.advance(NOW)
    again: Sums[str] = Sums(spans(SCALES), budget=40)
    state = {name: part() for name, part in sums.state(str, whole=True).items()}
    again.restore(json.loads(json.dumps(state)), str)
    again.advance(NOW)
    for window in SCALES:
        assert again.missing(window) == sums.missing(window) != {}
    again.advance(NOW + 90)
    assert again.missing(SCALES[0]) == {}
    assert again.missing(SCALES[1]) == again.missing(SCALES[0], previous=True) != {}
    again.advance(NOW + 150)
    assert again.missing(SCALES[0], previous=True) == {}


def test_a_bound_of_an_older_file_is_taken_over() -> None:
    """It told the largest dropped count of a bucket as a number."""
    sums: Sums[str] = Sums(spans(SCALES), budget=40)
    sums.restore({f"3600/{int(NOW // 3600)}": {"cut": 7, "entries": [["a", 9]]}}, str)
    sums.advance(NOW)
    assert sums.missing(SCALES[-1]) == {COUNTS: 7}
