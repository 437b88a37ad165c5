from __future__ import annotations

from typing import Any

import pytest

from unionws.errors import RequestError
from unionws.resuming import MAX_SNAPSHOT, Resume, parse_resume, parse_snapshot


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (None, None),
        ({"epoch": "abc", "seq": 7}, Resume("abc", 7)),
        ({"epoch": "abc"}, Resume("abc", 0)),
        ({"cursor": "2025-x"}, Resume(cursor="2025-x")),
        ({"epoch": "abc", "seq": 0, "cursor": "c"}, Resume("abc", 0, "c")),
    ],
)
def test_a_place_is_a_position_a_cursor_or_both(given: Any, wanted: Resume | None) -> None:
    """What a client has of a frame is enough."""
    assert parse_resume(given) == wanted


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"seq": 7},
        {"epoch": "", "seq": 7},
        {"epoch": 1, "seq": 7},
        {"epoch": "abc", "seq": -1},
        {"epoch": "abc", "seq": True},
        {"epoch": "abc", "seq": "7"},
        {"epoch": "abc", "seq": 1 << 62},
        {"cursor": 5},
        "abc:7",
        [],
    ],
)
def test_anything_else_is_no_place(given: Any) -> None:
    """The answer says what a place looks like."""
    with pytest.raises(RequestError, match=r"resume must be \{epoch, seq\} or \{cursor\}") as caught:
        parse_resume(given)
    assert caught.value.code == "invalid_message"


@pytest.mark.parametrize(("given", "wanted"), [(None, 0), (0, 0), (1, 1), (MAX_SNAPSHOT, MAX_SNAPSHOT)])
def test_a_snapshot_is_a_number(given: Any, wanted: int) -> None:
    """None is none."""
    assert parse_snapshot(given) == wanted


@pytest.mark.parametrize("given", [-1, MAX_SNAPSHOT + 1, True, 1.5, "3", [], {}])
def test_anything_else_is_no_snapshot(given: Any) -> None:
    """The answer says how many there may be."""
    with pytest.raises(RequestError, match=f"from 0 to {MAX_SNAPSHOT}") as caught:
        parse_snapshot(given)
    assert caught.value.code == "invalid_message"
