from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "plugins.md"
SAMPLE = ROOT / "plugins" / "large_transfers.py"


def blocks(kind: str) -> list[str]:
    """The page's code blocks of a kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)


def lines(code: str) -> list[str]:
    return [line for line in code.splitlines() if line.strip()]


@pytest.fixture(name="folder")
def fixture_folder(tmp_path: Path) -> Path:
    """What a reader has who did all the steps."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "large_transfers.py").write_text("\n\n".join(blocks("python")), "utf-8")
    (tmp_path / "test_large_transfers.py").write_text(blocks("python test")[0], "utf-8")
    return tmp_path


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, *command]
    return subprocess.run(argv, cwd=folder, env=environ, capture_output=True, text=True, timeout=60)


def test_the_code_of_the_tutorial_is_the_sample() -> None:
    """Piece by piece, nothing left out and nothing added."""
    _, _, body = SAMPLE.read_text("utf-8").split('"""', 2)
    assert lines("".join(blocks("python"))) == lines(body)


def test_the_commands_of_the_tutorial_work(folder: Path) -> None:
    """The plugin is found with all its hooks, and nothing is wrong."""
    (commands,) = blocks("console")
    said = []
    for line in lines(commands):
        done = run(folder, "-m", *shlex.split(line.removeprefix("$ ")))
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert re.search(r"^large_transfers +active .*register_filters", said[0], re.M)
    assert "SAMPLES_LARGE_AMOUNT = 5.0" in said[1]


def test_the_test_of_the_tutorial_passes(folder: Path) -> None:
    """The reader sees message, statistic and filter work."""
    done = run(folder, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider")
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_the_files_it_names_are_there() -> None:
    """Samples and links lead somewhere."""
    text = PAGE.read_text("utf-8")
    for name in re.findall(r"`((?:plugins|unionws)/[\w/]+\.py)`", text):
        assert (ROOT / name).is_file(), name
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (PAGE.parent / target).exists(), target
