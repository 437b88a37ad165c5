"""The shape of the source, kept by tests: who imports whom, what an import does, what has tests."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "unionws"
SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)
STAGES = ("source", "enrich", "scheduler", "stats", "history", "bus", "broadcaster", "connections")
SHARED = ("model", "errors", "settings", "clock", "extensions", "frames", "ticker", "measure")

UNTESTED = {
    "__init__": "names only; what they export is tested where it is defined",
    "__main__": "one line; tests/test_cli.py runs it",
    "settings_sources": "reached through load_settings only: tests/test_settings_reading.py",
    "settings_values": "reached through load_settings only: tests/test_settings_reading.py",
    "pluginloading": "reached through PluginHost only: tests/test_pluginhost.py",
    "pluginnames": "reached through PluginHost only: tests/test_pluginhost.py",
    "pluginviews": "reached through PluginHost only: tests/test_pluginhost.py",
    "assembly": "reached through the settings of plugins: tests/test_settings_plugins.py",
    "doors": "plain data; tests/test_pluginwraps.py and tests/test_pluginvalues.py use it",
    "discovery": "reached through PluginHost only: tests/test_pluginhost.py",
    "checkup": "reached through `unionws check` only: tests/test_cli.py",
    "views": "what tests/web reads through HTTP",
    "connections/limits": "plain data; tests/connections/test_parking.py uses it",
    "wording": "reached through the errors that use it",
}
"""Modules without a test module of their own, and why."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_by(path: Path) -> set[str]:
    """Absolute names of the unionws modules a file imports, wherever the import stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] == "unionws"}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_imports_only_what_is_shared_and_itself(stage: str) -> None:
    """No stage knows another; only app.py composes them."""
    for path in (PACKAGE / stage).rglob("*.py"):
        for name in imported_by(path):
            first = name.split(".")[1] if "." in name else ""
            assert first in (*SHARED, stage), f"{path.relative_to(ROOT)} imports {name}"


def test_every_module_imports_alone_in_silence() -> None:
    """Importing any module first, on its own, gives no warning and makes no loop, thread or log handler."""
    code = """
import asyncio, importlib, logging, os, sys, threading, warnings
import Crypto.Hash, datasketches, graphql, pluggy, requests, tornado.web, tornado.websocket  # once, for speed
warnings.simplefilter("error")
def refuse(*args): raise RuntimeError("an event loop was made at import")
asyncio.new_event_loop = asyncio.set_event_loop = refuse
failed = 0
for name in sys.argv[1:]:
    child = os.fork()
    if not child:
        importlib.import_module(name)
        assert threading.active_count() == 1, f"{name} starts a thread"
        assert not logging.getLogger().handlers, f"{name} configures logging"
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        print("cannot import", name, "alone", file=sys.stderr)
        failed = 1
sys.exit(failed)
"""
    names = [module_name(path) for path in SOURCES if path.name != "__main__.py"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True, env=environ)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_module_has_its_test_module() -> None:
    """tests/ mirrors unionws/; a package with parts may be tested as a whole."""
    missing = [str(path.relative_to(ROOT)) for path in SOURCES if not has_tests(path.relative_to(PACKAGE))]
    assert not missing


def has_tests(module: Path) -> bool:
    """Whether a module (relative to unionws/) has a test module, or its package has, or needs none."""
    tests = ROOT / "tests"
    own = tests / module.parent / f"test_{module.stem}.py"
    whole = [tests / folder.parent / f"test_{folder.name}.py" for folder in module.parents if folder.name]
    exempt = module.stem in UNTESTED or module.with_suffix("").as_posix() in UNTESTED
    return exempt or any(candidate.is_file() for candidate in (own, *whole))


def test_every_exemption_is_still_needed() -> None:
    """The list of modules without tests does not outlive its modules."""
    modules = [path.relative_to(PACKAGE).with_suffix("") for path in SOURCES]
    names = {path.as_posix() for path in modules} | {path.stem for path in modules}
    for name in set(UNTESTED) - {"__init__"}:
        assert name in names
        folder, _, stem = name.rpartition("/")
        assert not (ROOT / "tests" / folder / f"test_{stem}.py").exists()


def test_nothing_is_timed_by_the_wall_clock() -> None:
    """Tornado's PeriodicCallback is: set back an hour, it pauses. Only the poller has one, restarted."""
    users = [path for path in SOURCES if re.search(r"import .*PeriodicCallback", path.read_text("utf-8"))]
    assert [path.relative_to(PACKAGE).as_posix() for path in users] == ["source/poller.py"]


def test_no_path_of_a_machine_is_in_the_tree() -> None:
    """What works only on one machine does not get in."""
    pattern = re.compile(r"(?<![\w./-])/(?:home|Users|work|root)/\w+")
    for path in text_files():
        found = pattern.search(path.read_text("utf-8", errors="replace"))
        assert found is None, f"{path.relative_to(ROOT)}: {found and found.group()}"


def text_files() -> list[Path]:
    folders = [ROOT / name for name in ("unionws", "plugins", "conf", "tests", "tools", "docs", ".ci")]
    found = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    kinds = {".py", ".md", ".graphql", ".json", ".c", ".h", ".toml", ".sh", ""}
    return [
        path
        for path in [*found, *ROOT.glob("*.md"), ROOT / "setup.py", ROOT / "pyproject.toml"]
        if path.suffix in kinds and "__pycache__" not in path.parts
    ]
