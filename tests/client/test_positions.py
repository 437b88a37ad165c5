"""The gap rule and the memory against repeats."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from unionws.client.events import Gap
from unionws.client.positions import Position, Seen, Tracker, read_position, read_seq


def at(seq: int | None, epoch: str | None = "e", cursor: str | None = None) -> Position:
    return Position(epoch, seq, cursor)


def test_gap_exactly_when_prev_is_beyond_last() -> None:
    """Frames that join or overlap are no gap; a jump names what is between."""
    tracker = Tracker()
    assert tracker.frame(at(5), 2) is None
    assert tracker.frame(at(7), 5) is None
    assert tracker.frame(at(8), 3) is None
    assert tracker.frame(at(12), 10) == Gap(9, 10, "missed")
    assert tracker.frame(at(13), 12) is None


@given(st.lists(st.tuples(st.integers(1, 5), st.booleans()), max_size=60))
def test_gaps_name_exactly_what_was_dropped(records: list[tuple[int, bool]]) -> None:
    """However records are lost, every lost number is inside a gap and no delivered one is."""
    tracker, seq, delivered, missing = Tracker(), 0, set[int](), set[int]()
    tracker.adopt(at(0))
    for size, lost in [*records, (1, False)]:
        prev, seq = seq, seq + size
        if lost:
            continue
        gap = tracker.frame(at(seq), prev)
        delivered.update(range(prev + 1, seq + 1))
        if gap is not None and gap.from_seq is not None and gap.to_seq is not None:
            missing.update(range(gap.from_seq, gap.to_seq + 1))
    assert missing == set(range(1, seq + 1)) - delivered


def test_changed_epoch_is_a_gap_of_unknown_extent_once() -> None:
    """Another numbering cannot be compared; it is told once."""
    tracker = Tracker()
    tracker.adopt(at(100, "old"))
    assert tracker.frame(at(3, "new"), 2) == Gap(None, None, "epoch_changed")
    assert tracker.frame(at(4, "new"), 3) is None
    assert tracker.mark(at(9, "newer")) == Gap(None, None, "epoch_changed")


def test_quiet_positions_count_as_accounted_for() -> None:
    """A heartbeat moves the position without a gap, so the next frame joins it."""
    tracker = Tracker()
    tracker.adopt(at(3))
    assert tracker.mark(at(9)) is None
    assert tracker.frame(at(10), 9) is None


def test_unknown_parts_leave_what_is_known() -> None:
    """A position without a cursor does not forget the cursor."""
    tracker = Tracker()
    tracker.adopt(at(3, "e", "c3"))
    tracker.adopt(at(4, None, None))
    assert tracker.position == at(4, "e", "c3")


def test_fields_of_the_wrong_type_are_missing() -> None:
    """A position is never made of text numbers, booleans or empty cursors."""
    assert read_position({"epoch": 1, "seq": "5", "cursor": ""}) == Position()
    assert read_seq({"prev": True}, "prev") is None
    assert read_seq({"prev": 0}, "prev") == 0


def test_memory_against_repeats_is_bounded() -> None:
    """A key is new once while it is remembered; the oldest is forgotten first."""
    seen = Seen(2)
    assert [seen.add(key) for key in ("a", "b", "a", "c", "b", "a")] == [True, True, False, True, False, True]
