from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unionws.model import Fragment
from unionws.source.decode import Outcome
from unionws.source.openings import FIRST, KEEP, LONGEST, Openings

WALL = 1_760_000_000.0
RECEIVED = {"transfer_recv_timestamp": "2025-10-09T12:03:21Z", "success": True}


def published(key: str, sent: float = 0.0, *, received: bool = False) -> Fragment:
    """A transfer sent at a monotonic time, as it is published."""
    json = b'{"sort_order":"%s"%s}' % (key.encode(), b',"transfer_recv_timestamp":"x"' * received)
    texts = ("a.1", "b.2", "0x1", "0x2", "u", "0x75", "1")
    return Fragment(key, *texts, testnet=False, event_ms=int((WALL + sent) * 1000), json=json)


def outcome(key: str, final: bool = True) -> Outcome:
    return Outcome(key, "0x" + key, RECEIVED if final else {}, final)


@dataclass
class Upstream:
    """Rows by key, and from when on each has an outcome."""

    limit: int
    ends: dict[str, float] = field(default_factory=dict)
    asked: int = 0

    def page(self, cursor: str, now: float) -> list[Outcome]:
        self.asked += 1
        keys = sorted(key for key in self.ends if key > cursor)[: self.limit]
        return [outcome(key, self.ends[key] <= now) for key in keys]


def ask(openings: Openings, upstream: Upstream, now: float) -> list[str] | None:
    """One request, if one is due: the keys of which something became known."""
    cursor = openings.next(now)
    if cursor is None:
        return None
    page = upstream.page(cursor, now)
    return [update.about.sort_order for update in openings.accept(cursor, page, len(page), now)]


ROWS = st.lists(
    st.tuples(st.integers(0, 9999), st.floats(0, 600), st.floats(0, 5000), st.booleans()),
    unique_by=lambda row: row[0],
    max_size=60,
)
"""Key, when it is published, when it ends, and whether it is shown but never published."""


@settings(max_examples=150, deadline=None)
@given(rows=ROWS, limit=st.integers(1, 8))
def test_every_outcome_is_told_exactly_once(rows, limit):
    """Whatever the order of publishing, the sizes of pages and the times, nothing stays open."""
    upstream = Upstream(limit, {f"{key:04}": ends for key, _, ends, _ in rows})
    coming = sorted((at, f"{key:04}") for key, at, _, hidden in rows if not hidden)
    openings, told, now = Openings(limit=limit), [], 0.0
    while coming or len(openings):
        due = [key for at, key in coming if at <= now]
        coming = coming[len(due) :]
        for _ in range(2):  # twice is as once
            openings.add([published(key, now) for key in due], "/", WALL + now, now)
        told += ask(openings, upstream, now) or []
        now += 5.0
        assert now < 3 * LONGEST + 60 * 5 * len(rows), "a transfer waits for ever"
    assert sorted(told) == sorted(f"{key:04}" for key, _, _, hidden in rows if not hidden)


@given(sent=st.lists(st.floats(0, 10_000), max_size=40), most=st.integers(1, 10))
def test_only_so_many_are_remembered(sent, most):
    """The oldest give way, and are counted."""
    openings = Openings(limit=5, most=most)
    openings.add([published("0000", received=True)], "/", WALL, 0.0)
    for number, moment in enumerate(sorted(sent), start=1):
        openings.add([published(f"{number:04}", moment)], None, WALL + moment, moment)
    assert len(openings) == min(most, len(sent))
    assert openings.forgotten == max(0, len(sent) - most)


def test_nothing_is_asked_before_a_transfer_is_due():
    """First after FIRST, then whenever the time since it was sent has doubled, at most an hour apart."""
    openings = Openings(limit=100)
    openings.add([published("1")], "0", WALL, 0.0)
    moments, now = [], 0.0
    while now < 5 * LONGEST:
        if (cursor := openings.next(now)) is not None:
            assert cursor == "0"
            assert openings.accept(cursor, [outcome("1", final=False)], 1, now) == []
            moments.append(now)
        now += 1.0
    assert moments[:5] == [FIRST, 2 * FIRST, 4 * FIRST, 8 * FIRST, 16 * FIRST]
    assert max(b - a for a, b in pairwise(moments)) <= LONGEST + 1


def test_the_page_with_most_open_transfers_goes_first():
    """One that stands alone waits, but not for ever."""
    openings = Openings(limit=3)
    openings.add([published("10")], "0", WALL, 0.0)
    settled = [published(f"2{number}", received=True) for number in range(9)]
    openings.add([*settled, published("30"), published("31"), published("32")], None, WALL, 0.0)
    assert openings.next(FIRST) == "28"
    openings.accept("28", [outcome(key, final=False) for key in ("30", "31", "32")], 3, FIRST)
    assert openings.next(FIRST) == "0"


def test_a_lonely_transfer_comes_to_its_turn_though_busier_pages_are_always_due():
    """Waiting adds weight."""
    openings = Openings(limit=3)
    openings.add([published("10")], "0", WALL, 0.0)
    now, cursor, number = FIRST, None, 100
    while cursor != "0":
        keys = [str(number + step) for step in range(3)]
        number += 10
        openings.add([published(key, now - FIRST) for key in keys], None, WALL + now - FIRST, now - FIRST)
        cursor = openings.next(now)
        assert cursor is not None
        openings.accept(cursor, [], 0 if cursor == "0" else 3, now)
        now += 5.0
        assert now < 600


def test_a_page_that_ends_before_a_transfer_is_followed_from_its_last_row():
    """A remembered cursor may be far behind; each page brings it nearer."""
    openings = Openings(limit=2)
    openings.add([published("50")], "0", WALL, 0.0)
    upstream = Upstream(2, dict.fromkeys(("10", "20", "30", "40", "50"), 0.0))
    assert ask(openings, upstream, FIRST) == []
    assert ask(openings, upstream, FIRST) == []
    assert ask(openings, upstream, FIRST) == ["50"]


def test_what_changes_is_told_once_and_only_the_change():
    """A receipt, and later the outcome."""
    openings = Openings(limit=10)
    openings.add([published("1")], "0", WALL, 0.0)
    receipt = {"transfer_recv_timestamp": "2025-10-09T12:03:21Z"}
    told = []
    for now, facts, final in ((30.0, receipt, False), (60.0, receipt, False), (120.0, RECEIVED, True)):
        assert openings.next(now) == "0"
        updates = openings.accept("0", [Outcome("1", "0xab", facts, final)], 1, now)
        told.append([(update.packet_hash, update.facts) for update in updates])
    assert told == [[("0xab", receipt)], [], [("0xab", {"success": True})]]
    assert len(openings) == 0


def test_transfers_that_came_with_their_receipt_are_not_watched():
    """They are landmarks only: the next one can be asked from them."""
    openings = Openings(limit=10)
    openings.add([published("1", received=True), published("2")], None, WALL, 0.0)
    assert len(openings) == 1
    assert openings.next(FIRST) == "1"


@pytest.mark.parametrize("sent", [-KEEP - 1, 0.0])
def test_what_is_too_old_is_given_up(sent):
    """After a day nothing is expected any more, whether it was old at the start or has become it."""
    openings = Openings(limit=10)
    openings.add([published("1", sent)], "0", WALL, 0.0)
    assert openings.next(KEEP + 2) is None
    assert len(openings) == 0


def test_a_row_that_the_indexer_lost_stays_open_and_costs_ever_less():
    """It is asked after again, later and later."""
    openings = Openings(limit=10)
    openings.add([published("1")], "0", WALL, 0.0)
    assert openings.next(FIRST) == "0"
    assert openings.accept("0", [outcome("2")], 1, FIRST) == []
    assert openings.next(FIRST) is None
    assert len(openings) == 1
