"""The writer's connection and its statements; what they mean is :mod:`unionws.history.store`'s."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unionws.history import retention, schema
from unionws.model import Fragment, TransfersRecord

INSERT = (
    f"INSERT OR REPLACE INTO transfers ({schema.FRAGMENT}, seq, epoch, cursor, timestamp, late) "
    f"VALUES ({', '.join('?' * 16)})"
)
INSERT_BACKFILLED = (
    f"INSERT OR IGNORE INTO transfers ({schema.FRAGMENT}, timestamp, epoch, late) "
    f"VALUES ({', '.join('?' * 12)}, '', 0)"
)


@dataclass(frozen=True, slots=True)
class Saved:
    """The row of ``state``.

    Attributes:
        epoch, seq, cursor: the numbering up to the last transfer stored.
        complete_from: from this number on the history has no hole.
        position: cursor to resume polling from, or None.
    """

    epoch: str
    seq: int
    cursor: str
    complete_from: int
    position: str | None


class Database:
    """One file, opened and closed as often as the disk makes it necessary.

    Every method but ``is_lost`` and ``size`` raises sqlite3.Error when the disk refuses.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._file: os.stat_result | None = None

    @property
    def connection(self) -> sqlite3.Connection:
        """The open connection."""
        if self._connection is None:
            raise sqlite3.OperationalError("the database is not open")
        return self._connection

    def open(self) -> None:
        """Open the file, or make it."""
        self._connection = schema.open_writer(self.path)
        self._file = self.path.stat()

    def close(self) -> None:
        """Close it, if it is open."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None

    def is_lost(self) -> bool:
        """Whether the path no longer names the file that is open: commits would go nowhere."""
        try:
            return self._file is None or not os.path.samestat(self.path.stat(), self._file)
        except OSError:
            return True

    def set_aside(self, suffix: str) -> Path:
        """Give the closed file another name; answers it."""
        aside = self.path.with_suffix(f".{suffix}")
        with contextlib.suppress(FileNotFoundError):
            self.path.rename(aside)
        for part in ("-wal", "-shm"):
            self.path.with_name(self.path.name + part).unlink(missing_ok=True)
        return aside

    def size(self, part: str = "") -> int:
        """Bytes of the file, or of its ``-wal``."""
        try:
            return self.path.with_name(self.path.name + part).stat().st_size
        except OSError:
            return 0

    # -- state ----------------------------------------------------------------------------------

    def load(self) -> Saved | None:
        """What was saved last; None in a new file."""
        columns = "epoch, seq, cursor, complete_from, position"
        row = self.connection.execute(f"SELECT {columns} FROM state").fetchone()
        return None if row is None else Saved(*row)

    def write(
        self, records: Iterable[TransfersRecord], saved: Saved, known: Iterable[str] = (), moved: bool = False
    ) -> None:
        """One transaction: transfers, the state after them, keys to know; ``moved``: forget older keys.

        Raises:
            ValueError, OverflowError: a value that no column takes.
        """
        with self._transaction() as connection:
            connection.executemany(INSERT, (row for record in records for row in _rows(record)))
            connection.executemany("INSERT OR IGNORE INTO known VALUES (?)", ((key,) for key in known))
            if moved:
                connection.execute("DELETE FROM known WHERE sort_order <= ?", (saved.position,))
            connection.execute(
                "INSERT OR REPLACE INTO state (id, epoch, seq, cursor, complete_from, position) "
                "VALUES (1, ?, ?, ?, ?, ?)",
                (saved.epoch, saved.seq, saved.cursor, saved.complete_from, saved.position),
            )

    def add_backfilled(self, items: Iterable[Fragment]) -> None:
        """Store transfers without a number, where they are not there yet."""
        with self._transaction() as connection:
            rows = ((*schema.columns(item), item.event_ms) for item in items)
            connection.executemany(INSERT_BACKFILLED, rows)

    def prune(self, bounds: retention.Bounds, position: str | None) -> int:
        """Delete some of what is out of bounds; see :mod:`unionws.history.retention`."""
        return retention.prune(self.connection, bounds, position)

    def sync_from_now(self) -> None:
        """Have the next commit, and all before it, on the disk itself."""
        self.connection.execute("PRAGMA synchronous = FULL")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self.connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    # -- reading at the start -------------------------------------------------------------------

    def known(self, position: str) -> list[str]:
        """Keys after ``position`` that were published or need not be."""
        found = self.connection.execute(
            "SELECT sort_order FROM transfers WHERE sort_order > :position AND seq > 0 "
            "UNION SELECT sort_order FROM known WHERE sort_order > :position",
            {"position": position},
        )
        return [key for (key,) in found]

    def after(self, seq: int, epoch: str) -> list[TransfersRecord]:
        """Published transfers of an epoch after ``seq``, each a record of its own."""
        found = self.connection.execute(
            f"SELECT {schema.FRAGMENT}, seq, cursor, late, timestamp FROM transfers "
            "WHERE seq > ? AND epoch = ? ORDER BY seq",
            (seq, epoch),
        )
        return [_record(epoch, row) for row in found]


def _record(epoch: str, row: Sequence[Any]) -> TransfersRecord:
    seq, cursor, late, timestamp = row[11:]
    return TransfersRecord(epoch, seq, cursor or row[0], bool(late), timestamp, (schema.fragment(row),))


def _rows(record: TransfersRecord) -> Iterator[tuple[Any, ...]]:
    """A row per transfer. Within a record the cursor is known at its end only, so all rows get it."""
    first = record.seq - len(record.items) + 1
    for seq, item in enumerate(record.items, first):
        cursor = None if item.sort_order == record.cursor else record.cursor
        yield (*schema.columns(item), seq, record.epoch, cursor, record.timestamp, record.late)


def is_damage(error: BaseException) -> bool:
    """Whether SQLite found something that is no database, or a broken one."""
    return isinstance(error, sqlite3.DatabaseError) and (
        "malformed" in str(error) or "not a database" in str(error)
    )
