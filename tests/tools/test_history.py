"""tools/bench/history.py in small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[2] / "tools" / "bench" / "history.py"


def test_each_step_is_held_against_sqlite_alone() -> None:
    """A row for storing, for each kind of page and for the disk, which has more than the JSON."""
    command = [sys.executable, str(BENCH), "--rows", "1000", "--pages", "5", "--bytes", "500"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()]
    assert rows[0] == ["1,000 transfers", "µs", "SQLite alone", "×"]
    costs = {row[0]: float(row[3]) for row in rows[2:]}
    assert list(costs) == [
        "storing a transfer",
        "page of a replay",
        "page behind a cursor",
        "the same under a filter",
        "position of a cursor",
        "bytes on disk for a transfer, and of its JSON",
    ]
    assert all(cost > 0 for cost in costs.values())
    assert costs["bytes on disk for a transfer, and of its JSON"] > 1
