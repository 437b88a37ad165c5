"""Loaded by a service under test (PYTHONPATH): a wall clock that is stepped, a disk that is full.

The folder CAMPAIGN_FOLDER says when: ``clock`` holds the seconds to add, as a C double, and while
there is a file ``full`` no database grows.
"""

from __future__ import annotations

import mmap
import os
import sqlite3
import struct
import time
from functools import partial
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ["CAMPAIGN_FOLDER"])
UNBOUNDED = 1 << 30


def spoil_clock() -> None:
    """Add what the file says, at every reading."""
    with (FOLDER / "clock").open("r+b") as file:
        step = mmap.mmap(file.fileno(), 8)
    real, real_ns = time.time, time.time_ns
    time.time = lambda: real() + struct.unpack_from("d", step)[0]
    time.time_ns = lambda: real_ns() + int(struct.unpack_from("d", step)[0] * 1e9)


class Disk(sqlite3.Connection):
    """Before each transaction: may the file grow beyond what it is?"""

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if sql.startswith("BEGIN"):
            pages = 1 if (FOLDER / "full").exists() else UNBOUNDED
            super().execute(f"PRAGMA max_page_count = {pages}")
        return super().execute(sql, *values)


spoil_clock()
sqlite3.connect = partial(sqlite3.connect, factory=Disk)  # type: ignore[assignment]
