"""The campaign of misbehaving plugins in small: nobody is lost, and the culprit is named everywhere."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

import pytest

from tools.bench import harness

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools" / "campaign"), str(ROOT / "tools" / "bench")]

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc: apt-get install gcc libc6-dev")


@pytest.mark.parametrize(
    ("case", "edges", "error"),
    [
        ("blocks", 0, "published: BlockedError: kept everything waiting, and was cut short after"),
        ("blocks_edge", 1, "BlockedError: kept everything waiting, and was cut short after"),
        ("leaks", 0, "memory: LeakError: it holds more than"),
    ],
)
def test_a_culprit_is_stopped_and_named(tmp_path: Path, case: str, edges: int, error: str) -> None:
    """By `unionws plugins`, metrics and log; every client gets every transfer once."""
    import misbehaviour

    program = harness.compile_c("loadclient", tmp_path)
    found = asyncio.run(misbehaviour.run(case, edges, 40, 3.0, program, tmp_path))
    assert (found.problems, found.lost, found.gaps) == ((), 0, 0)
    assert "culprit switched off" in found.told
    assert error in found.told


def test_a_successor_with_a_culprit_does_not_start(tmp_path: Path) -> None:
    """It names the plugin and what it registers; the running service notices nothing."""
    import misbehaviour

    program = harness.compile_c("loadclient", tmp_path)
    found = asyncio.run(misbehaviour.run("bad_filter", 0, 40, 3.0, program, tmp_path))
    assert (found.problems, found.lost, found.gaps) == ((), 0, 0)


def test_the_verdict_is_by_the_runs_without_a_plugin() -> None:
    """A p99 of more than 1.5 times theirs is a problem, and so is anything a run found."""
    import misbehaviour

    def outcome(case: str, p99: float, *problems: str) -> misbehaviour.Outcome:
        return misbehaviour.Outcome(case, 0, 0, 1.0, p99, p99, 100.0, problems, "")

    calm = [
        outcome("nobody", 10.0),
        outcome("blocks", 14.9),
        outcome("deploy", 16.0),
        outcome("clashes", 23.0),
    ]
    assert misbehaviour.judged(calm)[1]
    text, well = misbehaviour.judged([*calm, outcome("spins", 15.1)])
    assert not well
    assert "p99 is 1.51 times as long" in text
    assert not misbehaviour.judged([*calm, outcome("leaks", 10.0, "2 clients lost")])[1]
