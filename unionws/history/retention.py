"""Keeps the history within its bounds, a small chunk at a time.

Published transfers leave in the order of their numbers, so what is left has no hole. Back-filled
ones are older than those, and leave first.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from unionws.settings import Settings

DAY = 86_400
CHUNK = 200
CHUNKS_PER_TURN = 10
FREE_PAGES = 2_048
VACUUM_PAGES = 256
"""Free pages are used again by new rows; beyond FREE_PAGES this many a turn go back to the disk."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is kept: ``rows`` in all, none older than ``since`` (Unix milliseconds)."""

    rows: int
    since: int

    @classmethod
    def of(cls, settings: Settings, now: float) -> Bounds:
        """HISTORY_MAX_ROWS and HISTORY_MAX_AGE at Unix seconds ``now``."""
        return cls(settings.HISTORY_MAX_ROWS, int((now - settings.HISTORY_MAX_AGE * DAY) * 1000))


def prune(connection: sqlite3.Connection, bounds: Bounds, position: str | None) -> int:
    """Delete some of what is out of bounds, and answer how many rows that were.

    Args:
        position: the stored poll position; keys after it are put into ``known`` first.
    """
    deleted = 0
    for _ in range(CHUNKS_PER_TURN):
        chunk = _prune_backfilled(connection, bounds) or _prune_published(connection, bounds, position)
        deleted += chunk
        if chunk < CHUNK:
            break
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    if free > FREE_PAGES:
        # Each page is a step without columns, which ends an execute() after the first.
        connection.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES});")
    return deleted


def lowest(connection: sqlite3.Connection) -> int | None:
    """The lowest number stored."""
    # min(seq) would walk over the back-filled rows, whose NULL stands first in the index.
    row = connection.execute("SELECT seq FROM transfers WHERE seq > 0 ORDER BY seq LIMIT 1").fetchone()
    return row and int(row[0])


def _published(connection: sqlite3.Connection) -> int:
    low = lowest(connection)
    return (
        0
        if low is None
        else int(connection.execute("SELECT max(seq) FROM transfers").fetchone()[0]) - low + 1
    )


def _excess(connection: sqlite3.Connection, rows: int) -> int:
    (backfilled,) = connection.execute("SELECT count(*) FROM transfers WHERE seq IS NULL").fetchone()
    return _published(connection) + int(backfilled) - rows


def _prune_backfilled(connection: sqlite3.Connection, bounds: Bounds) -> int:
    oldest = connection.execute(
        "SELECT timestamp, id FROM transfers WHERE seq IS NULL ORDER BY sort_order LIMIT ?", (CHUNK,)
    ).fetchall()
    ids = _leaving(oldest, bounds, lambda: _excess(connection, bounds.rows)) if oldest else []
    connection.executemany("DELETE FROM transfers WHERE id = ?", ids)
    return len(ids)


def _prune_published(connection: sqlite3.Connection, bounds: Bounds, position: str | None) -> int:
    oldest = connection.execute(
        "SELECT timestamp, seq FROM transfers WHERE seq > 0 ORDER BY seq LIMIT ?", (CHUNK,)
    ).fetchall()
    numbers = _leaving(oldest, bounds, lambda: _published(connection) - bounds.rows)
    if not numbers:
        return 0
    (last,) = numbers[-1]
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(
            "INSERT OR IGNORE INTO known SELECT sort_order FROM transfers WHERE seq <= ? AND sort_order > ?",
            (last, position or ""),
        )
        connection.execute("DELETE FROM transfers WHERE seq <= ?", (last,))
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return len(numbers)


def _leaving(oldest: list[tuple[int, int]], bounds: Bounds, excess: Callable[[], int]) -> list[tuple[int]]:
    """Of the oldest rows (timestamp, key), oldest first, the keys of those that have to go."""
    aged = 0
    while aged < len(oldest) and oldest[aged][0] < bounds.since:
        aged += 1
    return [(key,) for _, key in oldest[: max(aged, excess())]]
