"""Plays a timeline through, turn by turn, on a clock of its own; and scripts of polls for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import inf
from random import Random

from hypothesis import strategies as st

from tests.scheduler.factory import WALL, item
from unionws.model import EnrichedTransfer
from unionws.scheduler.rules import Rules
from unionws.scheduler.timeline import Frame, Timeline

NOW = 1000.0
CALM = Rules(spread=3.0, buffer=1.0, jitter=0.5, poll_interval=0.5, age_threshold=60.0, per_frame=5)
STEADY = replace(CALM, jitter=0.0)
OFF = replace(CALM, spread=0.0, buffer=0.0, jitter=0.0)
ROUTES = ["a.1->b.1", "a.1->c.1", "c.1->b.1"]


@dataclass
class Run:
    """A timeline played through, turn by turn."""

    timeline: Timeline
    now: float = NOW
    frames: list[tuple[float, Frame]] = field(default_factory=list)

    def until(self, end: float) -> None:
        while (due := self.timeline.next_due()) is not None and due <= end:
            self.now = max(due, self.now)
            self.frames.extend((self.now, frame) for frame in self.timeline.turn(self.now))
        if end < inf:
            self.now = max(self.now, end)

    def published(self, *, late: bool | None = None) -> list[EnrichedTransfer]:
        return [one for _, frame in self.frames if late in (None, frame.late) for one in frame.items]


def started(rules: Rules = CALM, seed: int = 1) -> Run:
    return Run(Timeline(rules, Random(seed)))


rule_sets = st.builds(
    Rules,
    spread=st.sampled_from([0.001, 0.4, 3.0, 60.0]),
    buffer=st.sampled_from([0.0, 1.0]),
    jitter=st.sampled_from([0.0, 0.5, 10.0]),
    poll_interval=st.sampled_from([0.05, 0.5, 5.0]),
    age_threshold=st.sampled_from([1.0, 60.0]),
    per_frame=st.integers(1, 7),
) | st.just(OFF)
rows = st.tuples(st.sampled_from(ROUTES), st.floats(-5, 100))
polls = st.lists(st.tuples(st.floats(0, 4), st.lists(rows, max_size=30)), max_size=8)


@dataclass
class Poll:
    now: float
    wall: float
    batch: list[EnrichedTransfer]


def played(script: list[tuple[float, list[tuple[str, float]]]]) -> Iterator[Poll]:
    now, wall = NOW, WALL
    for number, (gap, sent) in enumerate(script):
        now, wall = now + gap, wall + gap
        yield Poll(
            now,
            wall,
            [item(f"{number}-{n}", route=route, age=age, wall=wall) for n, (route, age) in enumerate(sent)],
        )
