"""The database: tables, their version, how a connection is opened, and a row as a Fragment.

``transfers`` holds published transfers (``seq``) and back-filled ones (``seq`` NULL). ``cursor`` is
the greatest ``sort_order`` published up to that row; NULL when it is the row's own, as it mostly
is. ``timestamp`` is when it was published, for back-filled rows the event time (Unix ms). ``state``
has one row: the numbering and the poll position. ``known`` has keys after the poll position that
need no publishing and are not in ``transfers``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from unionws.errors import StateError
from unionws.model import Fragment

VERSION = 1
LOCKED_SECONDS = 0.1
"""How long a statement waits for another connection's lock: ingest's loop stands still meanwhile."""

CACHE_KIB = 8_192

MIGRATIONS: Sequence[str] = (
    """
    CREATE TABLE transfers (
        id INTEGER PRIMARY KEY,
        seq INTEGER UNIQUE,
        sort_order TEXT NOT NULL UNIQUE,
        epoch TEXT NOT NULL,
        cursor TEXT,
        timestamp INTEGER NOT NULL,
        late INTEGER NOT NULL,
        source TEXT NOT NULL,
        destination TEXT NOT NULL,
        sender TEXT NOT NULL,
        receiver TEXT NOT NULL,
        symbol TEXT NOT NULL,
        token TEXT NOT NULL,
        amount TEXT NOT NULL,
        testnet INTEGER NOT NULL,
        event_ms INTEGER NOT NULL,
        json BLOB NOT NULL
    );
    CREATE INDEX backfilled ON transfers (sort_order) WHERE seq IS NULL;
    CREATE TABLE known (sort_order TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE state (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        epoch TEXT NOT NULL,
        seq INTEGER NOT NULL,
        cursor TEXT NOT NULL,
        complete_from INTEGER NOT NULL,
        position TEXT
    );
    """,
)
"""Script number n leads from version n to n + 1. Never changed once released, only added to."""

FRAGMENT = "sort_order, source, destination, sender, receiver, symbol, token, amount, testnet, event_ms, json"
"""Columns of :func:`fragment`, in order."""

_fragment: Callable[..., Fragment] = Fragment  # the file has these columns in order


def fragment(row: Sequence[Any]) -> Fragment:
    """The Fragment of a row that begins with the columns FRAGMENT."""
    return _fragment(*row[:8], bool(row[8]), *row[9:11])


def columns(item: Fragment) -> tuple[Any, ...]:
    """The values of the columns FRAGMENT."""
    return (
        item.sort_order, item.source, item.destination, item.sender, item.receiver,
        item.symbol, item.token, item.amount, item.testnet, item.event_ms, item.json,
    )  # fmt: skip


def open_writer(path: Path) -> sqlite3.Connection:
    """The writer's connection, the schema brought to this version.

    Raises:
        StateError: a newer unionws wrote the file.
        sqlite3.Error: it cannot be opened or brought up.
    """
    connection = sqlite3.connect(path, timeout=LOCKED_SECONDS, isolation_level=None)
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")  # see checkpoints.py
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Run the scripts that lead to this version, each in a transaction of its own.

    Raises:
        StateError: the file's version is newer.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise StateError(
            f"{path} was written by a newer unionws (schema {version}, this one knows {VERSION}): "
            "use that version again, or give this one another STATE_DIR"
        )
    for number in range(version, VERSION):
        script = f"BEGIN IMMEDIATE; {MIGRATIONS[number]} PRAGMA user_version = {number + 1}; COMMIT;"
        connection.executescript(script)


def open_reader(path: Path) -> sqlite3.Connection:
    """A read-only connection.

    Raises:
        sqlite3.Error: there is no such file, or it cannot be opened.
    """
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None)
