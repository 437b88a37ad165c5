"""The benches of the statistics, in small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools.bench import harness

SCRIPT = Path(harness.__file__).parent / "statistics_cost.py"


STAGES = SCRIPT.with_name("counting.py")


def run(*options: str, script: Path = SCRIPT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(script), *options], capture_output=True, text=True)


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


def test_each_stage_of_counting_has_its_row() -> None:
    """And all of them together one, beside what reading and writing the JSON alone takes."""
    done = run("--rate", "100", "--seconds", "10", "--loaded", "200", script=STAGES)
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()[2:]]
    costs = {row[0]: float(row[1].replace(",", "")) for row in rows if len(row) == 3}
    stages = ["decode", "enrich", "count", "snapshots"]
    assert list(costs) == [*stages, "all", "ujson alone"]
    assert sum(costs[stage] for stage in stages) == pytest.approx(costs["all"], abs=0.3)
    assert 0 < costs["ujson alone"] < costs["all"]
    assert "the slowest of 2 snapshots" in done.stdout


def test_a_stream_of_nothing_is_refused() -> None:
    """There must be something to measure."""
    assert run("--rate", "0", script=STAGES).returncode == 2
