"""The file in which statistics outlive a restart: parts by statistic, and up to where they count.

::

    parts    statistic, part, data      data: BLOB of bytes, or TEXT of JSON
    mark     one row of JSON            see :class:`Mark`

One transaction writes all parts that changed and the mark they belong to, so whatever happens the
file is the state of one moment. It is SQLite in WAL mode; a checkpoint may sync the disk, which is
why every method runs in a thread.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from unionws.errors import StateError
from unionws.model import JSON

MIGRATIONS = (
    """
    CREATE TABLE parts (
        statistic TEXT NOT NULL,
        part TEXT NOT NULL,
        data NOT NULL,
        PRIMARY KEY (statistic, part)
    );
    CREATE TABLE mark (id INTEGER PRIMARY KEY CHECK (id = 1), data TEXT NOT NULL);
    """,
)
"""Script number n leads from version n to n + 1. Never changed once released, only added to."""

VERSION = len(MIGRATIONS)

MOST_BYTES = 16 * 1024 * 1024
"""Largest part; no statistic of ours comes near."""

Change = tuple[str, str, JSON]
"""Statistic, part, and its new value as :class:`unionws.extensions.Persistent` answers it."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What the parts beside it stand for.

    Attributes:
        seq: number of the last published transfer that is counted; all before it are, too.
        cursor: greatest ``sort_order`` published up to it.
        saved: Unix seconds of the moment.
        since: start of the unbroken time that is covered.
        spans: other spans that are covered.
        backfill: how far back-filling is; empty: it has not begun.
    """

    seq: int
    cursor: str
    saved: float
    since: float
    spans: list[tuple[float, float]] = field(default_factory=list)
    backfill: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kept:
    """What a file held: by statistic its parts, decoded, and their mark."""

    mark: Mark
    states: dict[str, dict[str, JSON]]


class StateFile:
    """One SQLite file.

    Every method raises sqlite3.Error when the file or the disk is of no use.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._opened: os.stat_result | None = None

    def load(self) -> Kept | None:
        """What is in it; None for a new file.

        Raises:
            StateError: a newer unionws wrote it, or it is not whole.
        """
        connection = self._open()
        if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise StateError("it is damaged")
        row = connection.execute("SELECT data FROM mark").fetchone()
        if row is None:
            return None
        try:
            return Kept(Mark(**json.loads(row[0])), _states(connection))
        except (ValueError, TypeError, RecursionError) as error:
            raise StateError(f"it holds something else: {str(error)[:200]}") from error

    def write(
        self, changes: Iterable[Change], mark: Mark, *, whole: bool, on_bad: Callable[[str, Exception], None]
    ) -> None:
        """Store parts and their mark in one transaction; ``whole``: they are all there is.

        Args:
            on_bad: called with the name of a statistic that answered a part that cannot be stored.
        """
        rows = list(_rows(changes, on_bad))
        if whole:
            self.close()  # the file that is open may be gone from the folder
        connection = self._open()
        connection.execute("BEGIN IMMEDIATE")
        try:
            if whole:
                connection.execute("DELETE FROM parts")
            gone = [(statistic, part) for statistic, part, data in rows if data is None]
            connection.executemany("DELETE FROM parts WHERE statistic = ? AND part = ?", gone)
            kept = [row for row in rows if row[2] is not None]
            connection.executemany("INSERT OR REPLACE INTO parts VALUES (?, ?, ?)", kept)
            connection.execute("INSERT OR REPLACE INTO mark VALUES (1, ?)", (json.dumps(asdict(mark)),))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def is_lost(self) -> bool:
        """Whether a file is open that the folder no longer has: what is written goes nowhere."""
        if self._opened is None:
            return False
        try:
            return not os.path.samestat(self.path.stat(), self._opened)
        except OSError:
            return True

    def close(self) -> None:
        """Close the file, if it is open."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._opened = None

    def set_aside(self, suffix: str) -> Path:
        """Give the file another name, so that a new one can be made; answers that name."""
        self.close()
        aside = self.path.with_suffix(f".{suffix}")
        self.path.rename(aside)
        for part in ("-wal", "-shm"):
            self.path.with_name(self.path.name + part).unlink(missing_ok=True)
        return aside

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            # The threads that use it follow each other, they never meet.
            connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                migrate(connection)
            except BaseException:
                connection.close()
                raise
            self._connection, self._opened = connection, self.path.stat()
        return self._connection


def migrate(connection: sqlite3.Connection) -> None:
    """Run the scripts that lead to this version, each in a transaction of its own.

    Raises:
        StateError: the file's version is newer.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise StateError(f"a newer unionws wrote it (schema {version}, this one knows {VERSION})")
    for number in range(version, VERSION):
        script = f"BEGIN IMMEDIATE; {MIGRATIONS[number]} PRAGMA user_version = {number + 1}; COMMIT;"
        connection.executescript(script)


def _states(connection: sqlite3.Connection) -> dict[str, dict[str, JSON]]:
    states: dict[str, dict[str, JSON]] = {}
    for statistic, part, data in connection.execute("SELECT statistic, part, data FROM parts"):
        value = data if isinstance(data, bytes) else json.loads(data)
        states.setdefault(statistic, {})[part] = value
    return states


def _rows(
    changes: Iterable[Change], on_bad: Callable[[str, Exception], None]
) -> Iterable[tuple[str, str, bytes | str | None]]:
    """The parts encoded, those that cannot be left out: they stay as they were."""
    for statistic, part, value in changes:
        try:
            yield statistic, str(part), _encoded(value() if callable(value) else value)
        except Exception as error:  # noqa: BLE001 - a plugin may answer, or raise, anything
            on_bad(statistic, error)


def _encoded(value: JSON) -> bytes | str | None:
    if value is None:
        return None
    data = bytes(value) if isinstance(value, bytes) else json.dumps(value, separators=(",", ":"))
    if len(data) > MOST_BYTES:
        raise ValueError(f"a part of {len(data)} bytes, more than {MOST_BYTES}")
    return data
