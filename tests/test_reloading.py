"""Settings read again while the service runs."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.connections.wire import Peer, upgrade
from unionws.errors import SettingsError
from unionws.reloading import RELOADED, Live
from unionws.settings import Settings, settings_table

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _levels() -> Iterator[None]:
    """A reload sets the levels of all loggers."""
    loggers = [logging.getLogger(), *(logging.getLogger(name) for name in logging.root.manager.loggerDict)]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def told(caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    fields: dict[str, Any] = caplog.records[-1].__dict__["fields"]
    return fields


def live(change: Callable[[Settings], Settings]) -> tuple[Live, list[Settings]]:
    """A live service whose settings, read again, are changed so; and what it tells its parts."""
    made, heard = Live(Settings(), lambda: change(Settings())), list[Settings]()
    made.on_change(heard.append)
    return made, heard


def test_safe_settings_are_taken_over_and_others_named(caplog: pytest.LogCaptureFixture) -> None:
    """What changed is logged with its value, what needs a restart by name; secrets are masked."""
    caplog.set_level("INFO", "unionws")
    made, heard = live(lambda old: replace(old, MAX_CLIENTS=5, PORT=9999, API_KEYS=("a-secret-key",)))
    made.reload()
    assert (made.settings.MAX_CLIENTS, made.settings.PORT) == (5, 8080)
    assert heard == [made.settings]
    assert told(caplog) == {"changed": {"MAX_CLIENTS": 5, "API_KEYS": "***"}, "needs_restart": ["PORT"]}


def test_wrong_settings_change_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """All problems are logged, and the service goes on as it was."""

    def wrong(_: Settings) -> Settings:
        raise SettingsError(["PORT is 'x', but must be a whole number", "unknown setting FOO"])

    made, heard = live(wrong)
    made.reload()
    assert heard == []
    assert made.settings == Settings()
    assert len(told(caplog)["problems"]) == 2


def test_only_settings_there_are_can_be_reloaded() -> None:
    """The list does not outlive a setting's name."""
    assert {row.name for row in settings_table()} >= RELOADED


def line(process: subprocess.Popen[str], wanted: str) -> dict[str, Any]:
    """The next line of the log with that message."""
    assert process.stderr is not None
    for text in process.stderr:
        told: dict[str, Any] = json.loads(text)
        if told["message"] == wanted:
            return told
    raise AssertionError(f"the service ended without saying {wanted!r}")


PATIENCE = 20.0


def status(port: int, origin: str) -> int:
    with Peer.connect(port) as peer:
        peer.send(upgrade(Origin=origin))
        return peer.response()[0]


@pytest.mark.parametrize("edges", ["0", "1"])
def test_a_running_service_takes_them_over(edges: str, tmp_path: Path) -> None:
    """SIGHUP reaches every process; clients that come later meet the new settings."""
    file = tmp_path / "settings.py"
    file.write_text('LOG_FORMAT = "json"\nLOG_LEVEL = "INFO"\n')
    arguments = ["--settings", str(file), "--simulate", "--set", "PORT=0", "--set", f"EDGE_PROCESSES={edges}"]
    arguments += ["--set", f"STATE_DIR={tmp_path}", "--set", "HOST=127.0.0.1"]
    command = [sys.executable, "-m", "unionws", "serve", *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ})
    try:
        port = line(process, "serving")["fields"]["port"]
        assert status(port, "https://a.example") == 101
        file.write_text('LOG_FORMAT = "json"\nALLOWED_ORIGINS = ["https://b.example"]\nMAX_CLIENTS = 0\n')
        process.send_signal(signal.SIGHUP)
        fields = line(process, "settings reloaded")["fields"]
        assert fields["changed"] == {"ALLOWED_ORIGINS": ["https://b.example"], "MAX_CLIENTS": 0}
        deadline = time.monotonic() + PATIENCE
        while status(port, "https://a.example") == 101:  # the supervisor tells, then the edge is told
            assert time.monotonic() < deadline
        assert status(port, "https://a.example") == 403
        assert status(port, "https://b.example") == 101
    finally:
        process.terminate()
        _, rest = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "settings reloaded" not in rest  # once for the service, not once per process
