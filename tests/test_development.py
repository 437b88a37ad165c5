from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import ModuleType

import pytest

from unionws import development
from unionws.development import Restarter, installed_places, module_place, times

LOGGER = "import sys, time\nopen(sys.argv[1], 'a').write('started\\n')\ntime.sleep(60)\n"


def until(condition: object) -> None:
    for _ in range(6000):  # a start takes its time on a busy machine
        if condition():  # type: ignore[operator]
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen")


def test_only_python_files_count(tmp_path: Path) -> None:
    """In folders, deep down too; caches, other files and missing places do not."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "__pycache__").mkdir()
    for name in ("a.py", "deep/b.py", "notes.txt", "deep/__pycache__/c.py"):
        (tmp_path / name).write_text("")
    assert {path.name for path in times([tmp_path, tmp_path / "missing"])} == {"a.py", "b.py"}
    assert set(times([tmp_path / "a.py"])) == {tmp_path / "a.py"}


def test_modules_are_found_where_they_are() -> None:
    """A package is its folder; what cannot be found is left out."""
    assert module_place("unionws.contrib") == [Path(development.__file__).parent / "contrib"]
    assert module_place("unionws.clock") == [Path(development.__file__).parent / "clock.py"]
    assert module_place("nonsense_xyz") == module_place("nonsense_xyz.y") == []


def test_installed_plugins_are_found_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By their entry points, as in a package under development."""
    info = tmp_path / "unionws_acme-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: unionws-acme\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(
        "[unionws]\nacme = unionws_acme\nparts = unionws_acme.part:plugin\n"
    )
    (tmp_path / "unionws_acme").mkdir()
    for name in ("__init__.py", "part.py"):
        (tmp_path / "unionws_acme" / name).write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert installed_places() == [tmp_path / "unionws_acme", tmp_path / "unionws_acme" / "part.py"]


def test_the_command_runs_again_after_each_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change ends it and starts it anew, and the file is named."""
    plugin, out, said = tmp_path / "plugin.py", tmp_path / "out", []
    plugin.write_text("")
    rounds = iter(range(10_000))

    def pause(seconds: float, sleep: object = time.sleep) -> None:
        number = next(rounds)
        sleep(0.01)  # type: ignore[operator]
        started = out.read_text().count("started") if out.exists() else 0
        if started == 1 and number:
            plugin.write_text("x")
            os.utime(plugin, (1, 1))
        if started == 2:
            raise KeyboardInterrupt

    clock = ModuleType("clock")
    clock.sleep = pause  # type: ignore[attr-defined]
    monkeypatch.setattr(development, "time", clock)
    restarter = Restarter([sys.executable, "-c", LOGGER, str(out)], [plugin], said.append)
    assert restarter.run() == 130
    assert (restarter.starts, said) == (2, ["changed: plugin.py"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_dev_takes_a_changed_plugin_over(tmp_path: Path, number: signal.Signals) -> None:
    """The whole way: a plugin is edited, the service answers with the new one, and a signal ends both."""
    (tmp_path / "plugins").mkdir()
    plugin = tmp_path / "plugins" / "acme.py"
    code = (
        "from unionws import hookimpl\n@hookimpl\ndef startup(service):\n"
        "    open('started', 'a').write('{}')\n"
    )
    plugin.write_text(code.format("one,"))
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, "-m", "unionws", "serve", "--dev", "--simulate", "1"]
    command += ["--set", "PORT=0", "--set", "HOST=127.0.0.1"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environ, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(process.stderr or ()), daemon=True)
    reader.start()
    started = tmp_path / "started"
    try:
        until(lambda: started.exists() and any('"serving"' in line for line in lines))
        plugin.write_text(code.format("two"))
        until(lambda: started.read_text() == "one,two")
    finally:
        process.send_signal(number)
        process.wait(20)
        reader.join(20)
        over = not reader.is_alive()  # nobody holds the other end: the service is gone, too
        if process.stderr is not None and over:
            process.stderr.close()
    assert over
    assert "unionws: changed: acme.py\n" in lines
