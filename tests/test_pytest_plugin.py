from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = """
from unionws import Statistic, hookimpl
from unionws.testing import transfer


class Count:
    def __init__(self):
        self.count = 0

    def observe(self, batch, now):
        self.count += len(batch)

    def snapshot(self, now):
        return {"count": self.count}


class Plugin:
    @hookimpl
    def register_statistics(self):
        return [Statistic("acme.count", Count())]


def test_it(unionws_server, manual_clock):
    server = unionws_server(Plugin(), CHART_INTERVAL=0.2)
    with server.client("chartData") as client:
        server.upstream.send(transfer(), transfer())
        while client.receive("chartData")["data"]["ext"]["acme.count"] != {"count": 2}:
            pass
    manual_clock.advance(5)
    assert server.plugin("Plugin").failures == 0
"""


def test_the_fixtures_serve_a_plugin_author_s_tests(tmp_path: Path) -> None:
    """One line in conftest.py; the server has ended when the test has."""
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["unionws.pytest_plugin"]\n')
    (tmp_path / "test_plugin.py").write_text(TESTS)
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, cwd=tmp_path, timeout=60)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
