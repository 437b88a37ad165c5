"""An edge's side of the history: pages read from the file while ingest writes it.

A thread does the reading, so a slow disk never holds up deliveries. Each page is one short
transaction: a reader that stays open would keep the write-ahead log from starting anew.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from unionws.history import schema
from unionws.model import Fragment, TransfersRecord

log = logging.getLogger("unionws.history")

T = TypeVar("T")

MOST_SCANNED = 20_000
"""Rows looked at for one page: a filter that matches little costs a bounded time."""

EMPTY = (1, 0)


@dataclass(frozen=True, slots=True)
class Match:
    """What rows to answer: AND across fields, OR inside them, empty is any.

    Values are as in Fragment (lower case where it says so); ``chains`` match either side,
    ``wallets`` sender or receiver, ``assets`` symbol or token.
    """

    sources: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    chains: tuple[str, ...] = ()
    wallets: tuple[str, ...] = ()
    assets: tuple[str, ...] = ()
    testnet: bool | None = None

    def sql(self) -> tuple[str, list[Any]]:
        """A condition, and its parameters."""
        fields = [
            (self.sources, ("source",)),
            (self.destinations, ("destination",)),
            (self.chains, ("source", "destination")),
            (self.wallets, ("sender", "receiver")),
            (self.assets, ("symbol", "token")),
            (() if self.testnet is None else (self.testnet,), ("testnet",)),
        ]
        conditions: list[str] = []
        values: list[Any] = []
        for wanted, names in fields:
            if wanted:
                marks = ", ".join("?" * len(wanted))
                conditions.append("(" + " OR ".join(f"{name} IN ({marks})" for name in names) + ")")
                values += list(wanted) * len(names)
        return " AND ".join(conditions) or "1", values


ANY = Match()


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows in the order of ``sort_order``, ascending or descending as was asked.

    Attributes:
        rows: number (None: back-filled) and transfer.
        cursor: where to ask on; what was asked with when nothing was looked at.
        more: whether there may be more; true also where a filter matched too little to go on.
    """

    rows: list[tuple[int | None, Fragment]]
    cursor: str
    more: bool


class History:
    """Reads pages on the calling thread. Where there is no file, the history is empty.

    Raises (every method):
        sqlite3.Error: the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._file: os.stat_result | None = None

    def span(self) -> tuple[int, int]:
        """Lowest and highest number such that nothing between is missing; (n + 1, n) when empty."""
        with self._transaction() as connection:
            return _span(connection) if connection else EMPTY

    def after_seq(self, seq: int, limit: int) -> list[tuple[int, Fragment]]:
        """Published transfers numbered above ``seq``, ascending."""
        query = f"SELECT {schema.FRAGMENT}, seq FROM transfers WHERE seq > ? ORDER BY seq LIMIT ?"
        with self._transaction() as connection:
            found = connection.execute(query, (max(seq, 0), limit)).fetchall() if connection else []
        return [(row[11], schema.fragment(row)) for row in found]

    def after_cursor(self, cursor: str, limit: int, match: Match = ANY) -> Page:
        """Rows behind a cursor, oldest first, back-filled ones included."""
        return self._page(cursor, limit, match, "sort_order > ?", "ASC")

    def before_cursor(self, cursor: str, limit: int, match: Match = ANY) -> Page:
        """Rows before a cursor, newest first, back-filled ones included."""
        return self._page(cursor, limit, match, "sort_order < ?", "DESC")

    def newest(self, limit: int, match: Match = ANY) -> Page:
        """The newest rows, newest first."""
        return self._page("", limit, match, "sort_order > ?", "DESC")

    def between(self, first: int, last: int) -> TransfersRecord:
        """Published transfers by number, both included, as one record.

        It has those behind the last hole: what has expired, or is not stored, is missing in front.
        """
        columns = f"{schema.FRAGMENT}, seq, cursor"
        query = f"SELECT {columns} FROM transfers WHERE seq BETWEEN ? AND ? ORDER BY seq DESC"
        with self._transaction() as connection:
            found = connection.execute(query, (first, last)).fetchall() if connection else []
            state = connection.execute("SELECT epoch, cursor FROM state").fetchone() if connection else None
        whole = [row for row, seq in zip(found, range(last, first - 1, -1), strict=False) if row[11] == seq]
        epoch, cursor = state or ("", "")
        items = tuple([schema.fragment(row) for row in reversed(whole)])
        if whole:
            cursor = whole[0][12] or whole[0][0]
        return TransfersRecord(epoch, last, cursor, False, time.time_ns() // 1_000_000, items)

    def position_before(self, cursor: str, back_ms: int) -> int | None:
        """The number behind which all stands that was published from ``back_ms`` before ``cursor`` on.

        ``cursor`` may come from another instance: the transfer nearest before it counts. None when
        nothing up to it is held, or that moment lies before what is held of a longer history.
        """
        with self._transaction() as connection:
            return _position_before(connection, cursor, back_ms) if connection else None

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._file = None

    def _page(self, cursor: str, limit: int, match: Match, where: str, order: str) -> Page:
        condition, values = match.sql()
        with self._transaction() as connection:
            if connection is None:
                return Page([], cursor, False)
            end = _scan_end(connection, cursor, where, order)
            until = f" AND sort_order {'<' if order == 'ASC' else '>'}= ?" if end else ""
            found = connection.execute(
                f"SELECT {schema.FRAGMENT}, seq FROM transfers WHERE {where}{until} AND {condition} "
                f"ORDER BY sort_order {order} LIMIT ?",
                (cursor, *([end] if end else []), *values, limit),
            ).fetchall()
        rows = [(row[11], schema.fragment(row)) for row in found]
        if len(rows) == limit:
            return Page(rows, rows[-1][1].sort_order if rows else cursor, True)
        last = rows[-1][1].sort_order if rows else cursor
        return Page(rows, end or last, bool(end))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection | None]:
        connection = self._open()
        if connection is None:
            yield None
            return
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.execute("ROLLBACK")

    def _open(self) -> sqlite3.Connection | None:
        """The connection to the file that has the name now; None while there is none."""
        try:
            now = self._path.stat()
        except OSError:
            self.close()
            return None
        if self._file is None or not os.path.samestat(now, self._file):
            self.close()
            self._connection, self._file = schema.open_reader(self._path), now
        assert self._connection is not None
        if self._connection.execute("PRAGMA user_version").fetchone() == (0,):
            return None  # its writer is about to make the tables
        return self._connection


def _span(connection: sqlite3.Connection) -> tuple[int, int]:
    state = connection.execute("SELECT seq, complete_from FROM state").fetchone()
    if state is None:
        return EMPTY
    highest, complete_from = state
    row = connection.execute(
        "SELECT seq FROM transfers WHERE seq >= ? ORDER BY seq LIMIT 1", (complete_from,)
    )
    (lowest,) = row.fetchone() or (highest + 1,)
    return lowest, highest


def _scan_end(connection: sqlite3.Connection, cursor: str, where: str, order: str) -> str | None:
    """The key of the last row a page may look at; None when that is the last there is."""
    row = connection.execute(
        f"SELECT sort_order FROM transfers WHERE {where} ORDER BY sort_order {order} LIMIT 1 OFFSET ?",
        (cursor, MOST_SCANNED - 1),
    ).fetchone()
    return row and str(row[0])


class _Times:
    """When each number was published, as a sequence for ``bisect``: they rise with the numbers."""

    def __init__(self, connection: sqlite3.Connection, lowest: int, highest: int) -> None:
        self._connection = connection
        self._lowest = lowest
        self._count = highest - lowest + 1

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> int:
        query = "SELECT timestamp FROM transfers WHERE seq >= ? ORDER BY seq LIMIT 1"
        return int(self._connection.execute(query, (self._lowest + index,)).fetchone()[0])


def _position_before(connection: sqlite3.Connection, cursor: str, back_ms: int) -> int | None:
    lowest, highest = _span(connection)
    row = connection.execute(
        "SELECT timestamp FROM transfers WHERE sort_order <= ? AND seq >= ? ORDER BY sort_order DESC LIMIT 1",
        (cursor, lowest),
    ).fetchone()
    if row is None:
        return None
    place = bisect_left(_Times(connection, lowest, highest), row[0] - back_ms)
    return lowest + place - 1 if place or lowest == 1 else None


class Reader:
    """:class:`History` on a thread of its own, for a loop. Each method is one page of it.

    Attributes:
        lowest: lowest number held when it was last asked (``refresh``); None when nothing is.
    """

    def __init__(self, path: Path) -> None:
        self.lowest: int | None = None
        self._history = History(path)
        self._thread = ThreadPoolExecutor(1, "history-reader")

    async def span(self) -> tuple[int, int]:
        """See :meth:`History.span`."""
        return await self._run(self._history.span)

    async def after_seq(self, seq: int, limit: int) -> list[tuple[int, Fragment]]:
        """See :meth:`History.after_seq`."""
        return await self._run(lambda: self._history.after_seq(seq, limit))

    async def after_cursor(self, cursor: str, limit: int, match: Match = ANY) -> Page:
        """See :meth:`History.after_cursor`."""
        return await self._run(lambda: self._history.after_cursor(cursor, limit, match))

    async def before_cursor(self, cursor: str, limit: int, match: Match = ANY) -> Page:
        """See :meth:`History.before_cursor`."""
        return await self._run(lambda: self._history.before_cursor(cursor, limit, match))

    async def newest(self, limit: int, match: Match = ANY) -> Page:
        """See :meth:`History.newest`."""
        return await self._run(lambda: self._history.newest(limit, match))

    async def between(self, first: int, last: int) -> TransfersRecord:
        """See :meth:`History.between`."""
        return await self._run(lambda: self._history.between(first, last))

    async def position_before(self, cursor: str, back_ms: int) -> int | None:
        """See :meth:`History.position_before`."""
        return await self._run(lambda: self._history.position_before(cursor, back_ms))

    async def refresh(self) -> None:
        """Learn ``lowest`` anew; a file that cannot be read holds nothing."""
        try:
            low, high = await self.span()
        except sqlite3.Error as error:
            log.warning("history cannot be read", extra={"fields": {"error": str(error)}})
            low, high = EMPTY
        self.lowest = low if low <= high else None

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """Let the page under way end, close the file, end the thread."""
        self._thread.submit(self._history.close)
        self._thread.shutdown()
