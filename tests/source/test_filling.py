"""The position of back-filling."""

from __future__ import annotations

import json
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.source.indexers import DESTINATION, SOURCE, MemoryIndexer, Shown
from unionws.model import Transfer
from unionws.source.decode import Page
from unionws.source.filling import UNSURE, Filling
from unionws.source.window import Ask, Origin, Part, Window

LIMIT = 3


def shown(rows: list[Transfer]) -> Page:
    return Page(len(rows), tuple(row.sort_order for row in rows), tuple(rows))


def sent(key: str, time: float | None = None) -> Transfer:
    return Transfer(key, SOURCE, DESTINATION, send_time=time)


def fill(filling: Filling, page: Page) -> list[str]:
    past = filling.accept(page)
    filling.advance(page, past)
    return [row.sort_order for row, _ in past.rows]


def restarted(filling: Filling) -> Filling:
    return Filling.of(json.loads(json.dumps(filling.state())))


class Played:
    """Polling and back-filling side by side over one indexer, one request each second."""

    def __init__(self, rows: list[Shown], draw: random.Random) -> None:
        self.indexer = MemoryIndexer(rows, LIMIT)
        self.window = Window(limit=LIMIT, overlap=4.0)
        self.draw = draw
        self.filling: Filling | None = None
        self.live: list[str] = []
        self.past: list[str] = []

    def second(self, now: float) -> None:
        self.window.tick()
        while (ask := self.window.next(now)) is not None:
            page = self.indexer.page(ask, now, self.window.known)
            self.live += [row.sort_order for row in self.window.accept(ask, page, now).transfers]
        if self.window.origin is not None and self.filling is None:
            self.filling = Filling(self.window.origin, now)
        if self.filling is not None and self.draw.random() < 0.7:
            ask = Ask(Part.HEAD, self.filling.cursor, ascending=False)
            page = self.indexer.page(ask, now, set())
            self.past += fill(self.filling, page)
        if self.filling is not None and self.draw.random() < 0.2:
            self.filling = restarted(self.filling)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(0, 60), late=st.floats(0, 4))
def test_stream_and_past_meet_without_hole_or_overlap(seed: int, count: int, late: float) -> None:
    """Rows shown before the start, late or not, are in the past; all others in the stream; each once."""
    draw = random.Random(seed)
    times = sorted(draw.uniform(0, 120) for _ in range(count))
    rows = [
        Shown(f"{int(time):06d}-{draw.random():.9f}", time, time + draw.uniform(0, late)) for time in times
    ]
    start = draw.uniform(30, 110)
    played = Played(rows, draw)
    for step in range(220):
        played.second(start + step)
    found = [*played.live, *played.past]
    assert len(found) == len(set(found))
    assert set(found) == {row.key for row in rows}
    assert played.filling is not None
    assert played.filling.exhausted
    assert played.filling.rows == len(played.past)


def test_what_is_reached_is_the_newest_time_at_the_end_of_a_page() -> None:
    """One wrong time must not promise the years before it; the second it ends in may go on."""
    filling = Filling(Origin("zzz", frozenset()), 1_000.0)
    page = shown([sent("i", 900.0), sent("h", 890.0), sent("g", None), sent("f", 5.0), sent("e", 870.0)])
    fill(filling, page)
    assert filling.reached == 900.0 + UNSURE
    fill(filling, shown([sent(key, 500.0 - number) for number, key in enumerate("dcba")]))
    assert filling.reached == 501.0
    assert filling.done(501.0)
    assert not filling.done(500.9)


def test_nothing_is_reached_beyond_the_start() -> None:
    """Rows of the live stream on the first pages promise nothing of their own time."""
    filling = Filling(Origin("b", frozenset({"c"})), 100.0)
    assert fill(filling, shown([sent("f", 130.0), sent("e", 120.0)])) == []
    assert filling.reached == 100.0
    assert fill(filling, shown([sent("d", 110.0), sent("c", 90.0), sent("b", 80.0)])) == ["c", "b"]
    assert fill(filling, shown([])) == []
    assert filling.exhausted


def test_a_row_without_send_time_counts_at_its_neighbours() -> None:
    """Keys order by time, so the row before it is close; at the very start it is the start."""
    filling = Filling(Origin("z", frozenset()), 100.0)
    page = shown([sent("c"), sent("b", 50.0), sent("a")])
    past = filling.accept(page)
    assert [(row.sort_order, time) for row, time in past.rows] == [("c", 100.0), ("b", 50.0), ("a", 50.0)]
    filling.advance(page, past)
    assert [time for _, time in filling.accept(shown([sent("A")])).rows] == [51.0]


def test_a_page_that_was_not_taken_changes_nothing() -> None:
    """It is asked for again, with the same rows."""
    filling = Filling(Origin("z", frozenset()), 100.0)
    page = shown([sent("b", 50.0), sent("a", 40.0)])
    before = filling.state()
    assert filling.accept(page) == filling.accept(page)
    assert filling.state() == before


def test_keys_are_forgotten_below_the_base() -> None:
    """The saved position stays small."""
    filling = Filling(Origin("c", frozenset({"d", "e"})), 100.0)
    assert filling.state()["keys"] == ["d", "e"]
    assert fill(filling, shown([sent("e", 3.0), sent("d", 2.0), sent("c", 1.0)])) == ["e", "d", "c"]
    assert filling.state()["keys"] == []
    assert fill(restarted(filling), shown([sent("c", 1.0), sent("b", 0.5)])) == ["b"]
