from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from unionws.cli import main
from unionws.errors import UnionwsError
from unionws.scaffold import create

ROOT = Path(__file__).parent.parent


def test_a_new_plugin_passes_its_own_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As it is written: its message, filter, statistic and setting work in a running server."""
    assert main(["new-plugin", "acme", "--in", str(tmp_path)]) == 0
    folder = tmp_path / "unionws-acme"
    assert str(folder / "tests" / "test_acme.py") in capsys.readouterr().out
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)])}
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, cwd=folder, timeout=60)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_it_passes_also_where_it_is_installed(tmp_path: Path) -> None:
    """As `pip install -e` leaves it: the plugin under test does not meet itself."""
    create("acme", tmp_path)
    folder = tmp_path / "unionws-acme"
    info = folder / "unionws_acme-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: unionws-acme\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[unionws]\nacme = unionws_acme\n")
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)])}
    listed = [sys.executable, "-m", "unionws", "plugins"]
    said = subprocess.run(listed, capture_output=True, text=True, env=environ, cwd=tmp_path, timeout=60)
    assert "acme        active  entry point of unionws-acme" in said.stdout
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, cwd=folder, timeout=60)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_the_entry_point_leads_to_the_plugin(tmp_path: Path) -> None:
    """Whoever installs the package has the plugin."""
    files = {path.name: path.read_text() for path in create("acme", tmp_path)}
    assert '[project.entry-points.unionws]\nacme = "unionws_acme"\n' in files["pyproject.toml"]
    assert "ACME_ASSET" in files["__init__.py"]
    assert not any("@" + name + "@" in text for text in files.values() for name in ("name", "NAME"))


@pytest.mark.parametrize("name", ["", "Acme", "a", "a-b", "1a", "a.b", "../x"])
def test_a_name_that_cannot_be_is_refused(tmp_path: Path, name: str) -> None:
    """It is part of names of modules, messages and settings."""
    with pytest.raises(UnionwsError, match="cannot be a plugin's name"):
        create(name, tmp_path)


def test_nothing_is_written_over(tmp_path: Path) -> None:
    """A package that is there stays as it is."""
    create("acme", tmp_path)
    with pytest.raises(UnionwsError, match=r"cannot write .*unionws-acme: File exists"):
        create("acme", tmp_path)
