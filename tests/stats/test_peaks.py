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


def test_one_bucket_holds_so_many_keys_and_no_more() -> None:
    """Tokens beyond that have no largest transfer rather than memory without end."""
    peaks = Peaks(SCALES)
    for number in range(2 * KEYS_PER_BUCKET):
        peaks.add(NOW, str(number), 7)
    peaks.advance(NOW)
    known = [number for number in range(2 * KEYS_PER_BUCKET) if peaks.peak(str(number), SCALES[-1])]
    assert known == list(range(KEYS_PER_BUCKET))
