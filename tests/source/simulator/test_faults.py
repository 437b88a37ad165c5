"""Faults: declared clearly, refused clearly, and doing what they say to rows."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from unionws.errors import SettingsError
from unionws.source.simulator.faults import (
    MODES,
    Faults,
    duplicated,
    parse_faults,
    with_bad_rows,
    with_nulls,
)

ROWS: list[dict[str, Any]] = [
    {
        "sort_order": f"2025-{number:04d}",
        "base_amount": "5",
        "packet_hash": "0x1",
        "source_chain": {"universal_chain_id": "ethereum.1", "display_name": "Ethereum"},
        "traces": [],
    }
    for number in range(500)
]


def test_a_compact_list_is_parsed() -> None:
    """The form of the command line gives the same as the constructor."""
    text = "late=0.2, duplicates=0.05,nulls=0.01,bad_rows=0,mode=429,chance=0.1,retry_after=7"
    assert parse_faults(text) == Faults(
        late=0.2, duplicates=0.05, nulls=0.01, mode="429", chance=0.1, retry_after=7
    )
    assert parse_faults("") == Faults()


@pytest.mark.parametrize(
    ("text", "culprits"),
    [
        ("lat=0.2", ["'lat'", "late"]),
        ("late=2", ["late=2.0", "0 to 1"]),
        ("late=nan", ["late=nan", "0 to 1"]),
        ("late=much", ["late=much", "0 to 1"]),
        ("late", ["'late'", "0 to 1"]),
        ("mode=explode", ["explode", *MODES]),
        ("retry_after=soon", ["retry_after=soon", "whole seconds"]),
        ("lat=1,mod=2", ["'lat'", "'mod'"]),
    ],
)
def test_a_wrong_part_is_named_with_what_is_allowed(text: str, culprits: list[str]) -> None:
    """Each problem names its culprit and what may stand there."""
    with pytest.raises(SettingsError) as caught:
        parse_faults(text)
    for culprit in culprits:
        assert culprit in str(caught.value)


def test_every_problem_is_told_at_once() -> None:
    """Two bad values are two problems."""
    with pytest.raises(SettingsError) as caught:
        Faults(late=2, mode="explode")
    assert len(caught.value.problems) == 2


def test_duplicates_stand_next_to_their_row() -> None:
    """The chosen fraction appears twice, in order, and nothing is lost."""
    rows = duplicated(range(2_000), 0.25, Random(1))
    assert sorted(rows) == rows
    assert set(rows) == set(range(2_000))
    assert 2_400 < len(rows) < 2_600
    assert duplicated([1, 2], 0.0, Random(1)) == [1, 2]


def test_nulls_are_the_same_every_time_and_spare_the_keys() -> None:
    """A row's nulls follow from seed and row; sort_order and chain ids stay."""
    rows = with_nulls(ROWS, 0.5, 1)
    assert rows == with_nulls(ROWS, 0.5, 1)
    assert rows != with_nulls(ROWS, 0.5, 2)
    assert [row["sort_order"] for row in rows] == [row["sort_order"] for row in ROWS]
    assert all(row["source_chain"]["universal_chain_id"] == "ethereum.1" for row in rows)
    assert any(row["base_amount"] is None for row in rows)
    assert any(row["source_chain"]["display_name"] is None for row in rows)
    changed = sum(1 for row, before in zip(rows, ROWS, strict=True) if row != before)
    assert 100 < changed < 250
    assert ROWS[0]["source_chain"]["display_name"] == "Ethereum"


def test_bad_rows_replace_the_chosen_fraction() -> None:
    """Bad rows are no rows or carry wrong types; the others are untouched."""
    rows = with_bad_rows(ROWS, 0.5, Random(1))
    bad = [row for row, before in zip(rows, ROWS, strict=True) if row != before]
    assert 200 < len(bad) < 300
    assert {type(row) for row in bad} >= {dict, str, int, list, type(None)}
    assert with_bad_rows(ROWS, 1.0, Random(1)) != ROWS
