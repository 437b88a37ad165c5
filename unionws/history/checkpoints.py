"""Moves the write-ahead log into the database, off the loop.

Copying and syncing megabytes would stop ingest's loop for as long as the disk likes, so a thread
does it with a connection of its own (``PASSIVE``: it waits for nobody and nobody waits for it).
What the writer added meanwhile is left over; that little is copied on the writer's own connection,
and with all of it copied the next commit starts the log from its beginning again. A reader in the
middle of a page only puts this off until the next time.
"""

from __future__ import annotations

import logging
import sqlite3
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

log = logging.getLogger("unionws.history")

EVERY_ROWS = 1_000
EVERY_SECONDS = 30.0
PASSIVE = "PRAGMA wal_checkpoint(PASSIVE)"


class Checkpoints:
    """Decides when, and does it.

    Args:
        path: the database.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows = 0
        self._last = 0.0
        self._thread: ThreadPoolExecutor | None = None
        self._running: Future[None] | None = None

    def wrote(self, rows: int) -> None:
        """Rows were written."""
        self._rows += rows

    def tick(self, connection: sqlite3.Connection, now: float) -> None:
        """Called about once a second (``now``: monotonic seconds) with the writer's connection."""
        if self._running is not None and self._running.done():
            self._finish(connection)
        due = self._rows >= EVERY_ROWS or (self._rows and now - self._last >= EVERY_SECONDS)
        if due and self._running is None:
            self._rows, self._last = 0, now
            self._thread = self._thread or ThreadPoolExecutor(1, "history-checkpoint")
            self._running = self._thread.submit(_checkpoint, self._path)

    def _finish(self, connection: sqlite3.Connection) -> None:
        assert self._running is not None
        error, self._running = self._running.exception(), None
        if error is not None:
            log.warning("checkpoint failed", extra={"fields": {"error": str(error)}})
        connection.execute(PASSIVE).fetchall()

    def stop(self) -> None:
        """Wait for the one under way."""
        if self._thread is not None:
            self._thread.shutdown()
        self._thread = self._running = None


def _checkpoint(path: Path) -> None:
    connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        connection.execute(PASSIVE).fetchall()
    finally:
        connection.close()
