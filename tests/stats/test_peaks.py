"""The largest value per window."""

from __future__ import annotations

import random

import pytest

from tests.stats.traffic import NOW
from unionws.stats.peaks import KEYS_PER_BUCKET, Peaks
from unionws.stats.windows import SCALES

DAY = 86_400


@pytest.mark.parametrize("seed", range(3))
def test_peaks_are_those_of_a_recount(seed: int) -> None:
    """Late rows, long silences and steps back included."""
    draw = random.Random(seed)
    peaks, events, now = Peaks(SCALES), list[tuple[float, str, int]](), NOW
    for _ in range(40):
        now += draw.choice((1, 20, 70, 3000, DAY, -3600, 5 * DAY))
        for _ in range(draw.randrange(6)):
            event = (now - draw.uniform(0, draw.choice((60, 9000, 20 * DAY))), draw.choice("ab"))
            events.append((*event, draw.randrange(100)))
            peaks.add(*events[-1])
        peaks.advance(now)
        for window in SCALES:
            start, end = window.start(now), (now // window.step + 1) * window.step
            for key in "ab":
                values = [value for time, name, value in events if start <= time < end and name == key]
                assert peaks.peak(key, window) == max(values, default=0)


def test_one_bucket_holds_so_many_keys_and_those_that_are_wanted() -> None:
    """Of all others one largest value is known: no key's peak can be higher than that and its own."""
    peaks = Peaks(SCALES, lambda key: key == "900")
    for number in range(1000):
        peaks.add(NOW, str(number), number + 1)
    peaks.advance(NOW)
    for window in SCALES:
        known = [number for number in range(1000) if peaks.peak(str(number), window)]
        assert known == [*range(KEYS_PER_BUCKET), 900]
        assert (peaks.peak("900", window), peaks.refused(window)) == (901, 1000)
    peaks.advance(NOW + 100)
    assert (peaks.refused(SCALES[0]), peaks.refused(SCALES[1])) == (0, 1000)


def test_a_bucket_with_room_refuses_nothing() -> None:
    """Then every peak is exact."""
    peaks = Peaks(SCALES)
    for number in range(KEYS_PER_BUCKET):
        peaks.add(NOW, str(number), 7)
    peaks.advance(NOW)
    assert peaks.refused(SCALES[-1]) == 0


def test_what_was_refused_is_known_after_a_restart_and_forgotten_with_its_bucket() -> None:
    """It is kept in its bucket."""
    peaks, again = Peaks(SCALES), Peaks(SCALES)
    for number in range(KEYS_PER_BUCKET + 1):
        peaks.add(NOW, str(number), number)
    again.restore(peaks.state(whole=True))
    for now in (NOW, NOW + 100, NOW + 4000):
        peaks.advance(now)
        again.advance(now)
        assert [again.refused(window) for window in SCALES] == [peaks.refused(window) for window in SCALES]
    assert [again.refused(window) > 0 for window in SCALES] == [False] * 3 + [True] * 4
    for age in range(2000):
        again.add(NOW + 3600 * age, "a", 1)
    again.advance(NOW + 3600 * 2000)
    assert {again.refused(window) for window in SCALES} == {0}
