from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.source.indexers import MemoryIndexer, Shown
from unionws.source import window as window_module
from unionws.source.decode import Page
from unionws.source.window import Part, Window, in_send_order

OVERLAP = 5.0
LIMIT = 3
TICK = 0.5


@dataclass
class Life:
    """A window polling a MemoryIndexer through time, one request taking ``trip`` seconds each way."""

    indexer: MemoryIndexer
    window: Window
    now: float = 100.0
    trip: float = 0.02
    cached: float = 0.0
    fails: list[bool] = field(default_factory=list)
    emitted: Counter[str] = field(default_factory=Counter)
    batches: list[list[str]] = field(default_factory=list)
    asked: list[Part] = field(default_factory=list)
    most_seen: int = 0
    started: float | None = None

    def tick(self, wait: float = TICK) -> None:
        self.now += wait
        self.window.tick()
        for _ in range(10_000):
            ask = self.window.next(self.now)
            if ask is None:
                return
            self.asked.append(ask.part)
            self.now += self.trip
            if self.fails and self.fails.pop():
                self.window.failed(ask)
                return
            page = self.indexer.page(ask, self.now - self.cached, self.window.known)
            self.now += self.trip
            self._take(ask, page)
        raise AssertionError("the window never stops asking")

    def _take(self, ask, page) -> None:
        news = self.window.accept(ask, page, self.now)
        self.most_seen = max(self.most_seen, len(self.window.trail.seen))
        self.emitted.update(transfer.sort_order for transfer in news.transfers)
        if news.transfers:
            self.batches.append([transfer.sort_order for transfer in news.transfers])
        if self.started is None and not self.window.initial:
            self.started = self.now

    def run_until(self, end: float) -> None:
        while self.now < end:
            self.tick()


def shown(second: int, name: int, late: float = 0.0) -> Shown:
    """A row whose key orders it by whole seconds only: inside a second, the last sent is first."""
    sent = second + 0.99 - name % 100 / 100
    return Shown(f"{second:06d}-{name:04d}", sent, sent + late)


def life(rows, *, resume_from=None, limit=LIMIT, **options) -> Life:
    indexer = MemoryIndexer(rows, limit)
    return Life(indexer, Window(limit=limit, overlap=OVERLAP, resume_from=resume_from), **options)


ROWS = st.lists(
    st.tuples(
        st.integers(60, 160),
        st.integers(0, 999),
        st.one_of(st.just(0.0), st.floats(0.0, OVERLAP), st.just(OVERLAP)),
    ),
    max_size=60,
    unique_by=lambda row: row[:2],
)
BURSTS = st.lists(st.tuples(st.integers(101, 150), st.integers(1, 40)), max_size=3)


def rows_of(single, bursts) -> list[Shown]:
    rows = {(second, name): shown(second, name, late) for second, name, late in single}
    for second, size in bursts:
        rows.update({(second, 1000 + n): shown(second, 1000 + n, n % 7 * 0.7) for n in range(size)})
    return list(rows.values())


@settings(max_examples=250, deadline=None)
@given(
    single=ROWS,
    bursts=BURSTS,
    fails=st.lists(st.booleans(), max_size=60),
    outage=st.integers(0, 40),
    trip=st.sampled_from([0.001, 0.05, 0.4]),
    cached=st.sampled_from([0.0, 1.0]),
)
def test_every_row_shown_after_the_baseline_is_handed_out_exactly_once(
    single, bursts, fails, outage, trip, cached
):
    """Late rows, bursts, failures at any call, slow and cached answers: nothing lost, nothing twice."""
    rows = rows_of(single, bursts)
    story = life(rows, trip=trip, cached=cached, fails=[*fails, *[False] * 20, *[True] * outage])
    story.run_until(210.0)
    assert story.started is not None
    expected = {row.key for row in rows if row.visible > story.started}
    present = {row.key for row in rows if row.visible <= 100.0 - cached}
    assert set(story.emitted) >= expected
    assert not set(story.emitted) & present
    assert set(story.emitted.values()) <= {1}


@settings(max_examples=100, deadline=None)
@given(single=ROWS, fails=st.lists(st.booleans(), max_size=40), stop=st.floats(101.0, 150.0))
def test_a_restart_from_the_position_hands_out_whatever_the_first_run_did_not(single, fails, stop):
    """The position never passes a row that is still to come."""
    rows = [row for row in rows_of(single, []) if row.visible > 101.0] + [shown(50, n) for n in range(LIMIT)]
    first = life(rows, fails=list(fails))
    first.run_until(stop)
    position = first.window.trail.base
    if position is None or first.started is None:
        return
    second = life(rows, now=first.now + 20.0, resume_from=position)
    second.run_until(210.0)
    expected = {row.key for row in rows if row.visible > first.started}
    assert expected <= set(first.emitted) | set(second.emitted)
    assert set(second.emitted.values()) <= {1}


def test_the_baseline_is_not_handed_out():
    """Rows that exist at the start are known, the first new one is news."""
    story = life([shown(60 + n, 0) for n in range(10)] + [shown(105, 0)])
    story.run_until(110.0)
    assert list(story.emitted) == ["000105-0000"]


def test_the_baseline_reaches_back_over_twice_the_overlap():
    """The first re-scan starts behind rows that may themselves have been late."""
    story = life([shown(50 + n, 0) for n in range(50)])
    story.tick()
    base = story.window.trail.base
    assert base is not None
    assert int(base[:6]) <= 99 - 2 * OVERLAP


def test_a_row_without_a_send_time_does_not_end_the_baseline():
    """It may be as young as all others: what shows up late among them is found."""
    undated = Shown("000099-0001", 99.1, 99.1, dated=False)
    young = [shown(99, name) for name in range(10, 12)]
    late = shown(99, 0, late=2.0)
    old = [shown(second, 5) for second in range(60, 70)]
    assert late.key < undated.key < young[0].key
    polled = life([*old, undated, *young, late])
    polled.run_until(115.0)
    assert polled.emitted == {late.key: 1}


def test_a_row_late_by_the_whole_overlap_right_after_the_baseline_is_found():
    """The window is complete from the first moment on."""
    story = life([*(shown(50 + n, 0) for n in range(50)), shown(96, 5, OVERLAP)])
    story.run_until(108.0)
    assert list(story.emitted) == ["000096-0005"]


def test_an_empty_indexer_is_watched_from_its_first_row_on():
    """Also a row behind the very first one is found."""
    story = life([shown(103, 5), shown(102, 1, 4.0), shown(103, 4, 3.0)])
    story.run_until(125.0)
    assert set(story.emitted) == {"000103-0005", "000102-0001", "000103-0004"}


def test_a_quiet_indexer_is_asked_one_page_per_interval():
    """Without anything new there is nothing to re-scan."""
    story = life([shown(60 + n, 0) for n in range(3)], limit=100)
    story.run_until(125.0)
    before = len(story.asked)
    for _ in range(20):
        story.tick()
    assert story.asked[before:] == [Part.HEAD] * 20


def test_a_rescan_that_fits_one_page_replaces_the_poll():
    """A moderate stream costs no request beyond one per interval."""
    story = life([shown(60 + n, 0) for n in range(100)], limit=100)
    story.run_until(120.0)
    before = len(story.asked)
    for _ in range(20):
        story.tick()
    parts = Counter(story.asked[before:])
    assert sum(parts.values()) == 20
    assert parts[Part.RESCAN] >= 4


def test_a_full_page_is_followed_at_once():
    """A burst is read within one interval."""
    burst = [Shown(f"000101-{n:04d}", 101.0, 101.0) for n in range(40)]
    story = life([*(shown(50 + n, 0) for n in range(50)), *burst])
    story.run_until(101.4)
    story.tick()
    assert len(story.emitted) == 40


def test_a_wide_window_does_not_hold_up_fresh_rows():
    """While a burst's window is re-scanned, each interval still asks for the head."""
    burst = [shown(101, n) for n in range(300)]
    story = life([shown(60, 0), *burst, *(shown(102 + n, 0) for n in range(8))])
    story.run_until(104.0)
    for _ in range(12):
        before = len(story.asked)
        story.tick()
        parts = story.asked[before:]
        assert Part.HEAD in parts
        assert len(parts) <= 2 + 2 * window_module.PAGES_IN_A_ROW


def test_a_rescan_that_keeps_failing_does_not_stop_the_head():
    """The head is asked first after a failed re-scan page."""
    story = life([shown(60 + n, 0) for n in range(80)], limit=100)
    story.run_until(110.0)
    for _ in range(8):
        story.now += TICK
        story.window.tick()
        while (ask := story.window.next(story.now)) is not None:
            if ask.part is Part.RESCAN:
                story.window.failed(ask)
                break
            story._take(ask, story.indexer.page(ask, story.now, story.window.known))
    assert "000113-0000" in story.emitted


def test_memory_is_bounded_while_catching_up(monkeypatch):
    """The head waits for a re-scan to settle keys, and everything still arrives once."""
    monkeypatch.setattr(window_module, "MAX_SEEN", 60)
    rows = [shown(60 + n // 20, n % 20) for n in range(800)]
    story = life(rows, resume_from="000000", now=200.0, limit=10)
    story.run_until(420.0)
    assert len(story.emitted) == 800
    assert set(story.emitted.values()) == {1}
    assert story.most_seen <= 60 + 10


def test_settled_keys_are_forgotten():
    """A stream that goes on does not grow the memory."""
    story = life([shown(60 + n // 4, n % 4) for n in range(600)], limit=20)
    story.run_until(205.0)
    assert len(story.emitted) > 350
    assert story.most_seen < 4 * 30


def test_a_full_page_without_progress_is_not_followed_at_once():
    """An indexer that repeats itself is not asked in a hot loop."""
    polled = Window(limit=1, overlap=OVERLAP, resume_from="b")
    polled.tick()
    ask = polled.next(100.0)
    assert ask is not None
    polled.accept(ask, Page(1, ("a",), (shown(1, 1).transfer(),)), 100.1)
    assert polled.next(100.2) is None


def test_a_row_before_the_cursor_asked_for_is_left_out():
    """Its key may have been forgotten, so it could go out twice."""
    polled = Window(limit=3, overlap=OVERLAP, resume_from="000050-0000")
    polled.tick()
    ask = polled.next(100.0)
    assert ask is not None
    news = polled.accept(ask, Page(1, ("000001-0001",), (shown(1, 1).transfer(),)), 100.1)
    assert news.transfers == ()
    assert polled.trail.newest == "000050-0000"


def test_late_rows_are_counted():
    """A row behind the newest cursor is late."""
    polled = Window(limit=3, overlap=OVERLAP, resume_from="000050-0000")
    polled.tick()
    ask = polled.next(100.0)
    assert ask is not None
    polled.accept(ask, Page(1, ("000060-0000",), (shown(60, 0).transfer(),)), 100.1)
    polled.tick()
    ask = polled.next(100.5)
    assert ask is not None
    assert ask.part is Part.RESCAN
    page = Page(2, ("000055-0000", "000060-0000"), (shown(55, 0).transfer(),), 1)
    assert polled.accept(ask, page, 100.6).late == 1


def test_a_batch_is_in_send_order_with_unknown_times_last():
    """Ties go by key."""
    rows = [Shown("b", 2.0, 0), Shown("a", 2.0, 0), Shown("z", 1.0, 0)]
    assert [t.sort_order for t in in_send_order([row.transfer() for row in rows])] == ["z", "a", "b"]
