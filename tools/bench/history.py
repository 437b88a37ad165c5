"""What the history costs: storing a transfer, a page of a replay, finding a cursor, a megabyte of disk.

``python tools/bench/history.py [--rows 100000] [--bytes 1000]``

Each is held against SQLite alone, in the same run and on the same disk: rows of the same columns in
transactions of the same size, and the same pages without making transfers of them.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import harness

from unionws.clock import SystemClock
from unionws.history import schema
from unionws.history.database import INSERT
from unionws.history.reader import History, Match
from unionws.history.statefolder import StateFolder
from unionws.history.store import Store
from unionws.model import Fragment
from unionws.settings import Settings

RECORD = 5
"""Transfers in a transaction: as they fall due together."""

PAGE = 100
BACK_MS = 20_000
ROUTES = 50
WALLETS = 20_000


def transfer(number: int, size: int) -> Fragment:
    """A transfer whose JSON is about ``size`` bytes."""
    order = f"20260101{number:08}-0x{number:064x}-union.union-1-000"
    route = number % ROUTES
    text = f'{{"sort_order":"{order}","filler":"'
    return Fragment(
        sort_order=order,
        source=f"source.{route}",
        destination=f"destination.{route}",
        sender=f"0x{number * 7919 % WALLETS:040x}",
        receiver=f"0x{number * 104_729 % WALLETS:040x}",
        symbol="u",
        token="0x6175",
        amount="1.5",
        testnet=False,
        event_ms=number * 10,
        json=(text + "x" * (size - len(text) - 2) + '"}').encode(),
    )


def records(rows: int, size: int) -> Iterator[tuple[Fragment, ...]]:
    """What falls due together, in turn."""
    for first in range(0, rows, RECORD):
        yield tuple([transfer(number, size) for number in range(first, first + RECORD)])


def timed(actions: Sequence[Callable[[], object]]) -> float:
    """Microseconds of each, in the mean."""
    began = time.perf_counter()
    for action in actions:
        action()
    return (time.perf_counter() - began) / len(actions) * 1e6


# ---- ours ----


def store_all(folder: StateFolder, batches: Sequence[tuple[Fragment, ...]]) -> float:
    """Number and commit them; microseconds for each transfer. Published 10 ms apart."""
    store = Store(folder, Settings(), SystemClock())
    store.open()
    times = iter(range(1, len(batches) + 1))
    cost = timed([lambda batch=batch: store.append([(batch, False)], next(times) * 10) for batch in batches])
    store.close()
    folder.release()
    return cost / RECORD


def read_pages(path: Path, rows: int, count: int) -> dict[str, float]:
    """Microseconds of each kind of page, at random places."""
    history, places = History(path), random.Random(1)
    firsts = [places.randrange(1, rows - PAGE) for _ in range(count)]
    cursors = [transfer(first, 200).sort_order for first in firsts]
    match = Match(sources=("source.7",))
    found = {
        "page of a replay": [
            lambda first=first: history.between(first, first + PAGE - 1) for first in firsts
        ],
        "page behind a cursor": [lambda at=at: history.after_cursor(at, PAGE) for at in cursors],
        "the same under a filter": [lambda at=at: history.after_cursor(at, PAGE, match) for at in cursors],
        "position of a cursor": [lambda at=at: history.position_before(at, BACK_MS) for at in cursors],
    }
    costs = {name: timed(actions) for name, actions in found.items()}
    history.close()
    return costs


# ---- SQLite alone ----


def store_bare(path: Path, batches: Sequence[tuple[Fragment, ...]]) -> float:
    """The same rows and nothing else."""
    connection = schema.open_writer(path)
    connection.execute("PRAGMA wal_autocheckpoint = 1000")
    numbers = itertools.count(1)
    rows = [
        [(*schema.columns(item), next(numbers), "epoch", None, 1, False) for item in batch]
        for batch in batches
    ]

    def commit(batch: list[tuple[object, ...]]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(INSERT, batch)
        connection.execute("COMMIT")

    cost = timed([lambda batch=batch: commit(batch) for batch in rows])
    connection.close()
    return cost / RECORD


def read_bare(path: Path, rows: int, count: int) -> float:
    """Pages by number, as tuples."""
    connection, places = sqlite3.connect(path), random.Random(1)
    query = (
        f"SELECT {schema.FRAGMENT}, seq, cursor FROM transfers WHERE seq BETWEEN ? AND ? ORDER BY seq DESC"
    )
    firsts = [places.randrange(1, rows - PAGE) for _ in range(count)]
    cost = timed([lambda at=at: connection.execute(query, (at, at + PAGE - 1)).fetchall() for at in firsts])
    connection.close()
    return cost


# ---- the bench ----


def measure(rows: int, size: int, pages: int) -> list[tuple[str, str, str, str]]:
    """The rows of the table."""
    batches = list(records(rows, size))
    with TemporaryDirectory(prefix="unionws-bench-") as place:
        folder = StateFolder(Path(place) / "state")
        stored = store_all(folder, batches)
        bare = store_bare(Path(place) / "bare.db", batches)
        costs, raw = read_pages(folder.database, rows, pages), read_bare(folder.database, rows, pages)
        bytes_each = folder.database.stat().st_size / rows
    figure = harness.figure
    table = [("storing a transfer", figure(stored, 1), figure(bare, 1), figure(stored / bare))]
    table += [
        (name, figure(cost, 0), figure(raw, 0) if "replay" in name else "", figure(cost / raw))
        for name, cost in costs.items()
    ]
    disk = (figure(bytes_each, 0), figure(size, 0), figure(bytes_each / size))
    return [*table, ("bytes on disk for a transfer, and of its JSON", *disk)]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="What the history costs.")
    parser.add_argument("--rows", type=int, default=100_000, help="transfers stored")
    parser.add_argument("--bytes", type=int, default=1_000, help="JSON of a transfer")
    parser.add_argument("--pages", type=int, default=2_000, help="pages read of each kind")
    args = parser.parse_args(argv)
    table = measure(args.rows // RECORD * RECORD, args.bytes, args.pages)
    print(harness.table((f"{args.rows:,} transfers", "µs", "SQLite alone", "×"), table))
    return 0


if __name__ == "__main__":
    raise SystemExit(harness.run(main))
