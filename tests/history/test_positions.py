from __future__ import annotations

from tests.history.factory import key, transfer
from unionws.history.positions import Numbering


def test_numbers_rise_by_one_and_the_cursor_never_falls() -> None:
    """A late transfer has a new number and an older key."""
    numbering = Numbering("e1", 7, key(9))
    first = numbering.number([transfer(8)], False, 1)
    second = numbering.number([transfer(12), transfer(11)], True, 2)
    assert (first.seq, first.cursor, first.epoch) == (8, key(9), "e1")
    assert (second.seq, second.cursor, second.late, second.timestamp) == (10, key(12), True, 2)
