"""The bench of the statistics, in small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tools.bench import harness

SCRIPT = Path(harness.__file__).parent / "statistics_cost.py"


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *options], capture_output=True, text=True)


def test_one_command_gives_a_row_for_each_size() -> None:
    """Each row has the transfers asked for and no figure is missing."""
    done = run("--transfers", "300,500", "--wallets", "0.1")
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()[2:]]
    assert [row[0] for row in rows] == ["300", "500"]
    for row in rows:
        assert len(row) == 8
        assert all(float(cell.replace(",", "")) >= 0 for cell in row)
        assert float(row[2]) > 0


def test_a_size_that_is_no_size_is_refused() -> None:
    """Zero transfers cost nothing that could be measured."""
    assert run("--transfers", "0").returncode == 2
