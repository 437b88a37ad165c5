"""The recount of the statistics, in small."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "campaign" / "statistics_truth.py"
SMALL = ("--transfers", "12000", "--wallets", "3000", "--checks", "3", "--restarts", "2")


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *options], capture_output=True, text=True)


def test_the_figures_of_sixty_days_are_those_of_a_recount() -> None:
    """Exact ones equal, estimates within their bound, restarts in between or not."""
    done = run(*SMALL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("checked after") == 3
    assert done.stdout.count("restarted after") == 2
    assert done.stdout.endswith("wrong: 0\n")


def test_a_wrong_figure_is_found(tmp_path: Path) -> None:
    """The recount would notice a collector that leaves out late rows."""
    spoilt = tmp_path / "spoilt.py"
    source = SCRIPT.read_text("utf-8")
    late = "items = [maker.enriched(event) for event in batch]"
    assert late in source
    spoilt.write_text(source.replace(late, f"{late[:-1]} if event.time > newest - 5_000]"))
    environ = {**os.environ, "PYTHONPATH": str(SCRIPT.parent)}
    done = subprocess.run([sys.executable, str(spoilt), *SMALL], capture_output=True, text=True, env=environ)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "wrong: 0" not in done.stdout
    assert "worst error" in done.stdout
