from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from unionws.scheduler.activity import HOUR, Activity

NOW = 50_000.0


def test_windows_count_by_age() -> None:
    """Each window counts the transfers sent within it, however old they were when added."""
    activity = Activity()
    activity.add([0, 29, 30, 32, 299, 302, 3599, 3700], NOW)
    assert [activity.within(seconds, NOW) for seconds in (30, 300, 3600)] == [3, 5, 7]
    assert activity.total == 8


def test_windows_roll() -> None:
    """As time passes transfers leave the short window first and the hour last."""
    activity = Activity()
    activity.add([0.0] * 5, NOW)
    assert activity.within(30, NOW + 29) == 5
    assert activity.within(30, NOW + 32) == 0
    assert activity.within(300, NOW + 32) == 5
    assert activity.within(3600, NOW + 3700) == 0


def test_a_send_time_in_the_future_counts_as_now() -> None:
    """A transfer whose chain's clock runs ahead is counted at once and only once."""
    activity = Activity()
    activity.add([-5000.0], NOW)
    assert activity.within(30, NOW) == 1
    assert activity.within(30, NOW + 5000) == 0


def test_the_level_is_held() -> None:
    """The level is the 30 s count over 60, never under 0.1 nor over 1.0."""
    activity = Activity()
    assert activity.level(NOW) == 0.1
    activity.add([1.0] * 30, NOW)
    assert activity.level(NOW) == 0.5
    activity.add([1.0] * 300, NOW)
    assert activity.level(NOW) == 1.0


def test_memory_is_an_hour() -> None:
    """Days of traffic leave no more than about an hour of buckets."""
    activity = Activity()
    for second in range(3 * HOUR):
        activity.add([0.0], NOW + second)
    assert len(activity._buckets) <= HOUR + 101
    assert activity.within(3600, NOW + 3 * HOUR - 1) == 3601


def test_rows_of_long_ago_take_no_memory() -> None:
    """Catching up on days of old rows counts them, and keeps no bucket for them."""
    activity = Activity()
    activity.add([HOUR + 10.0 * n for n in range(1, 1000)], NOW)
    assert activity.total == 999
    assert activity._buckets == {}


@given(st.lists(st.tuples(st.floats(0, 5000), st.floats(0, 5000)), max_size=50), st.floats(0, 6000))
def test_buckets_are_right_to_the_second(events: list[tuple[float, float]], later: float) -> None:
    """A window counts all that is inside it and nothing a second or more outside."""
    activity = Activity()
    for after, age in sorted(events):
        activity.add([age], NOW + after)
    now = NOW + max([later, *(after for after, _ in events)])
    sent = [NOW + after - age for after, age in events if age <= HOUR]
    for seconds in (30, 300, 3600):
        counted = activity.within(seconds, now)
        assert sum(now - seconds <= at for at in sent) <= counted
        assert counted <= sum(now - seconds - 1 < at for at in sent)
