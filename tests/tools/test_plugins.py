from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[2] / "tools" / "bench" / "plugins.py"


def test_the_cost_of_plugins_is_measured_with_none_and_with_some() -> None:
    """A row for each number; what plugins do per transfer grows with them, deliveries have none of it."""
    command = [sys.executable, str(BENCH), "--plugins", "0,3", "--transfers", "50", "--clients", "20"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()]
    assert rows[0][0] == "plugins"
    none, some = rows[2], rows[3]
    assert (none[0], none[3], some[0], some[3]) == ("0", "0.0", "3", "3.0")
    assert float(some[1]) > float(none[1])
    assert float(none[2]) > 0
