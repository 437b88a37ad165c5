from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from math import inf
from random import Random
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scheduler.factory import WALL, item, keys
from tests.scheduler.playing import (
    CALM,
    NOW,
    OFF,
    ROUTES,
    STEADY,
    Poll,
    played,
    polls,
    rule_sets,
    started,
)
from unionws.scheduler.rules import Rules
from unionws.scheduler.timeline import LATE_FRAME, TURN, TURN_LIMIT

# --------------------------------------------------------------------------------------- due times


def test_a_batch_is_spread_in_send_time_order() -> None:
    """Without jitter the i-th of n is due at buffer + i/n of the spread, oldest first."""
    run = started(STEADY)
    run.timeline.add(
        [item(str(n), route=f"a.{n}->b.1", age=10 - n) for n in (3, 0, 2, 1)], now=NOW, wall=WALL
    )
    run.until(inf)
    assert keys(run.published()) == ["0", "1", "2", "3"]
    assert [at - NOW for at, _ in run.frames] == pytest.approx([1.0, 1.75, 2.5, 3.25])


def test_a_busy_stream_is_spread_less() -> None:
    """At 60 transfers in 30 s a batch is out within the poll interval."""
    run = started(STEADY)
    run.timeline.add([item(str(n), route=f"a.{n}->b.1") for n in range(60)], now=NOW, wall=WALL)
    run.until(inf)
    assert run.frames[0][0] - NOW == pytest.approx(1.0)
    assert run.frames[-1][0] - NOW <= 1.0 + 0.5


def test_jitter_is_injected() -> None:
    """The same seed gives the same times, another one does not."""

    def times(seed: int) -> list[float]:
        run = started(CALM, seed)
        run.timeline.add([item(str(n), route=f"a.{n}->b.1") for n in range(10)], now=NOW, wall=WALL)
        run.until(inf)
        return [at for at, _ in run.frames]

    assert times(1) == times(1)
    assert times(1) != times(2)


def test_a_route_keeps_its_order_across_batches() -> None:
    """A later batch of a route never overtakes an earlier one that is still spread out."""
    run = started()
    run.timeline.add([item(f"1-{n}", age=20 - n) for n in range(10)], now=NOW, wall=WALL)
    run.timeline.add([item("2-0", age=5), item("2-1", age=4)], now=NOW, wall=WALL)
    run.until(inf)
    assert keys(run.published()) == [f"1-{n}" for n in range(10)] + ["2-0", "2-1"]


def test_the_same_send_time_keeps_the_polls_order() -> None:
    """Rows of the same second come out in the order the indexer gave them."""
    run = started(OFF)
    run.timeline.add([item(str(n)) for n in range(9)], now=NOW, wall=WALL)
    run.until(inf)
    assert keys(run.published()) == [str(n) for n in range(9)]


def test_waiting_does_not_add_up() -> None:
    """After an hour of steady input on one route nothing waits longer than the longest spread."""
    run = started()
    for poll in range(7200):
        now = NOW + poll * 0.5
        run.until(now)
        run.timeline.add([item(f"{poll:05}", wall=WALL + poll * 0.5)], now=now, wall=WALL + poll * 0.5)
    assert len(run.timeline) <= (1.0 + 3.0 + 0.5) / 0.5 + 1
    assert len(run.timeline._last_due) == 1
    run.until(inf)
    assert keys(run.published()) == [f"{poll:05}" for poll in range(7200)]
    assert run.timeline._last_due == {}


# ------------------------------------------------------------------------------------------ frames


def test_what_does_not_fit_a_frame_follows_10_ms_later() -> None:
    """Twelve transfers due at once go out as 5, 5 and 2, 10 ms apart."""
    run = started(OFF)
    run.timeline.add([item(f"{n:02}") for n in range(12)], now=NOW, wall=WALL)
    run.until(inf)
    assert [(len(frame.items), at - NOW) for at, frame in run.frames] == [
        (5, 0.0),
        (5, pytest.approx(0.01)),
        (2, pytest.approx(0.02)),
    ]


def test_without_smoothing_a_batch_waits_for_nothing() -> None:
    """With SPREAD_MS = 0 a transfer goes out in the turn it came, right after another one too."""
    run = started(OFF)
    for step in (0.0, 0.001, 0.002):
        run.timeline.add([item(str(step))], now=NOW + step, wall=WALL)
        assert [keys(frame.items) for frame in run.timeline.turn(NOW + step)] == [[str(step)]]


def test_transfers_due_within_10_ms_share_a_frame() -> None:
    """With smoothing, turns are 10 ms apart, so a busy stream does not cost a frame per transfer."""
    run = started(replace(STEADY, spread=0.5))
    run.timeline.add([item(f"{n:03}", route=f"a.{n}->b.1") for n in range(100)], now=NOW, wall=WALL)
    run.until(inf)
    assert len(run.published()) == 100
    assert len(run.frames) <= 51
    gaps = [b[0] - a[0] for a, b in zip(run.frames, run.frames[1:], strict=False)]
    assert min(gaps) >= TURN - 1e-9


def test_a_turn_before_its_time_is_empty() -> None:
    """Waking up early publishes nothing and loses nothing."""
    run = started()
    run.timeline.add([item("1")], now=NOW, wall=WALL)
    assert list(run.timeline.turn(NOW + 0.5)) == []
    assert len(run.timeline) == 1


def test_turns_keep_their_distance() -> None:
    """A wake-up between two turns publishes nothing, however much is due."""
    run = started(OFF)
    run.timeline.add([item(f"{n:02}") for n in range(10)], now=NOW, wall=WALL)
    assert [len(frame.items) for frame in run.timeline.turn(NOW)] == [5]
    assert list(run.timeline.turn(NOW + 0.005)) == []
    assert [len(frame.items) for frame in run.timeline.turn(NOW + 0.01)] == [5]


def test_a_late_turn_does_not_slow_the_queue() -> None:
    """Timers that fire a few milliseconds late still give a hundred turns a second."""
    run = started(OFF)
    run.timeline.add([item(f"{n:03}") for n in range(500)], now=NOW, wall=WALL)
    now = NOW
    while (due := run.timeline.next_due()) is not None:
        now = max(now, due) + 0.004
        run.frames.extend((now, frame) for frame in run.timeline.turn(now))
    assert len(run.published()) == 500
    assert now - NOW < 1.01


@pytest.mark.parametrize("count", [300, 3000, 20_000])
def test_a_flood_is_published_fast_and_whole(count: int) -> None:
    """At any backlog all is published, at 500 a second or more, in frames of at most 5."""
    run = started(OFF)
    run.timeline.add([item(f"{n:05}") for n in range(count)], now=NOW, wall=WALL)
    run.until(inf)
    assert keys(run.published()) == [f"{n:05}" for n in range(count)]
    assert max(len(frame.items) for _, frame in run.frames) == 5
    assert run.frames[-1][0] - NOW <= count / 500
    turns: dict[float, int] = defaultdict(int)
    for at, frame in run.frames:
        turns[at] += len(frame.items)
    assert max(turns.values()) <= TURN_LIMIT


def test_a_small_burst_has_one_frame_a_turn() -> None:
    """Up to a second's worth due at once goes out one frame every 10 ms, as the contract says."""
    run = started(OFF)
    run.timeline.add([item(f"{n:03}") for n in range(500)], now=NOW, wall=WALL)
    run.until(inf)
    assert len({at for at, _ in run.frames}) == len(run.frames) == 100


def test_sustained_overload_has_bounded_delay() -> None:
    """At 2,000 transfers a second, four times one frame per turn, the delay settles near a second."""
    run = started(replace(OFF, spread=0.001, poll_interval=0.001))
    for poll in range(200):
        now = NOW + poll * 0.05
        run.until(now)
        run.timeline.add([item(f"{poll:03}-{n:03}", wall=WALL) for n in range(100)], now=now, wall=WALL)
    assert len(run.timeline) <= 2000 * 1.1


# -------------------------------------------------------------------------------------------- late


def test_old_transfers_go_at_once_marked_late() -> None:
    """Transfers over the age threshold skip the spreading, in frames of up to 100 of their own."""
    run = started()
    old = [item(f"old-{n:03}", age=500 - n) for n in range(250)]
    run.timeline.add([item("new"), *reversed(old)], now=NOW, wall=WALL)
    run.until(NOW + 0.5)
    assert [(len(frame.items), frame.late) for _, frame in run.frames] == [
        (100, True),
        (100, True),
        (50, True),
    ]
    assert [at - NOW for at, _ in run.frames] == pytest.approx([0.0, 0.01, 0.02])
    assert keys(run.published()) == keys(tuple(old))
    run.until(inf)
    assert keys(run.published(late=False)) == ["new"]


def test_the_threshold_is_exclusive() -> None:
    """A transfer of exactly the threshold's age is still spread, a little older one is late."""
    run = started()
    run.timeline.add([item("at", age=60.0), item("over", age=60.5)], now=NOW, wall=WALL)
    run.until(inf)
    assert keys(run.published(late=True)) == ["over"]
    assert keys(run.published(late=False)) == ["at"]


def test_late_transfers_do_not_delay_their_route() -> None:
    """Late rows are outside the order of a route and do not push its due times."""
    run = started(STEADY)
    run.timeline.add([item("old", age=100.0)], now=NOW, wall=WALL)
    run.timeline.add([item("new")], now=NOW, wall=WALL)
    run.until(inf)
    assert run.frames[-1][0] == pytest.approx(NOW + 1.0)


# ----------------------------------------------------------------------------------------- looking


def test_lowest_and_pending_follow_the_queue() -> None:
    """The lowest queued key never passes an unpublished row, and rises as rows go out."""
    run = started(OFF)
    assert run.timeline.lowest() is None
    run.timeline.add([item("5"), item("3", age=9.0), item("4", age=99.0)], now=NOW, wall=WALL)
    assert run.timeline.lowest() == "3"
    assert sorted(keys(list(run.timeline.pending()))) == ["3", "4", "5"]
    turn = run.timeline.turn(NOW)
    assert keys(next(turn).items) == ["4"]
    assert run.timeline.lowest() == "3"
    assert sorted(keys(list(run.timeline.pending()))) == ["3", "5"]
    assert keys(next(turn).items) == ["3", "5"]
    assert run.timeline.lowest() is None
    assert list(run.timeline.pending()) == []


def test_an_empty_timeline_is_never_due() -> None:
    """An empty batch queues nothing and asks for no wake-up."""
    run = started()
    run.timeline.add([], now=NOW, wall=WALL)
    assert run.timeline.next_due() is None
    assert list(run.timeline.turn(NOW)) == []
    assert list(run.timeline.drain()) == []


def test_the_queue_may_change_between_frames() -> None:
    """Whoever handles a frame may drain and refill the queue; nothing is lost or repeated."""
    run = started()
    run.timeline.add([item(f"{n:03}", age=500 - n) for n in range(150)], now=NOW, wall=WALL)
    outer = run.timeline.drain()
    seen = keys(next(outer).items)
    seen += [key for frame in run.timeline.drain() for key in keys(frame.items)]
    run.timeline.add([item("more", age=99.0)], now=NOW, wall=WALL)
    seen += [key for frame in outer for key in keys(frame.items)]
    assert seen == [f"{n:03}" for n in range(150)] + ["more"]


def test_ten_thousand_pass_quickly() -> None:
    """Queueing and publishing cost microseconds, so a flood does not hold the loop."""
    items = [item(f"{n:05}", route=f"a.{n % 50}->b.1") for n in range(10_000)]
    run = started()
    began = process_time()
    run.timeline.add(items, now=NOW, wall=WALL)
    run.until(inf)
    # Measured 40 ms; the bound leaves room for slow and busy machines.
    assert process_time() - began < 1.0
    assert len(run.published()) == 10_000


# -------------------------------------------------------------------------------------- properties


@settings(deadline=None)
@given(rule_sets, polls, st.integers(0, 5))
def test_nothing_lost_nothing_twice_within_bounds(
    rules: Rules, script: list[tuple[float, list[tuple[str, float]]]], seed: int
) -> None:
    """Whatever comes, each row goes out once, in the right kind of frame, within its bounds."""
    run = started(rules, seed)
    added: dict[str, tuple[Poll, bool]] = {}
    for poll in played(script):
        run.until(poll.now)
        run.timeline.add(poll.batch, now=poll.now, wall=poll.wall)
        for one in poll.batch:
            late = poll.wall - one.event_time > rules.age_threshold
            added[one.transfer.sort_order] = (poll, late)
    run.until(inf)
    assert sorted(keys(run.published())) == sorted(added)
    assert len(run.timeline) == 0
    assert run.timeline.lowest() is None
    longest = rules.buffer + rules.spread + rules.jitter
    crowd = (len(added) + 2) * TURN
    for at, frame in run.frames:
        assert 1 <= len(frame.items) <= (LATE_FRAME if frame.late else rules.per_frame)
        for key in keys(frame.items):
            poll, late = added[key]
            assert frame.late is late
            earliest = poll.now if late else poll.now + rules.buffer
            latest = poll.now if late else poll.now + longest
            assert earliest <= at <= latest + crowd + 1e-6


@settings(deadline=None)
@given(
    rule_sets,
    st.lists(st.tuples(st.floats(0, 4), st.lists(st.sampled_from(ROUTES), max_size=30)), max_size=8),
)
def test_a_route_is_never_out_of_order(rules: Rules, script: list[tuple[float, list[str]]]) -> None:
    """Rows that a poll brings in send-time order of their route are published in that order."""
    run = started(replace(rules, age_threshold=1000.0))
    expected: dict[str, list[str]] = defaultdict(list)
    now, count = NOW, 0
    for gap, routes in script:
        now += gap
        run.until(now)
        batch = []
        for route in routes:
            count += 1
            batch.append(item(f"{count:04}", route=route, age=500 - count))
            expected[route].append(f"{count:04}")
        run.timeline.add(Random(count).sample(batch, len(batch)), now=now, wall=WALL)
    run.until(inf)
    got: dict[str, list[str]] = defaultdict(list)
    for one in run.published():
        got[one.route_key].append(one.transfer.sort_order)
    assert got == expected


@settings(deadline=None)
@given(rule_sets, polls, st.floats(0, 6))
def test_drain_gives_the_rest_in_the_same_order(
    rules: Rules, script: list[tuple[float, list[tuple[str, float]]]], wait: float
) -> None:
    """Draining at any moment gives what waiting would have given, late rows first, in frames."""
    drained, waited = started(rules), started(rules)
    for run in (drained, waited):
        for poll in played(script):
            run.until(poll.now)
            run.timeline.add(poll.batch, now=poll.now, wall=poll.wall)
        run.until(NOW + wait)
    rest = list(drained.timeline.drain())
    drained.frames.extend((inf, frame) for frame in rest)
    sizes = [(len(frame.items), frame.late) for frame in rest]
    waited.until(inf)
    for late in (True, False):
        assert keys(drained.published(late=late)) == keys(waited.published(late=late))
    assert all(1 <= size <= (LATE_FRAME if late else rules.per_frame) for size, late in sizes)
    assert sizes == sorted(sizes, key=lambda size: not size[1])
    assert len(drained.timeline) == 0
