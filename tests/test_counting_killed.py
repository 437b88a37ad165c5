"""The whole service, killed under load again and again: what it counted in the end."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from unionws.stats.statefile import StateFile

RATE = "60"


def serve(state: Path) -> subprocess.Popen[bytes]:
    sets = ["PORT=0", "HOST=127.0.0.1", f"STATE_DIR={state}", "PLUGINS_DIR=", "BACKFILL_DAYS=0"]
    sets += ["SPREAD_MS=0", "NODE_PROBES=False", "LOG_LEVEL=ERROR"]
    command = [sys.executable, "-m", "unionws", "serve", "--simulate", RATE]
    for item in sets:
        command += ["--set", item]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def published(state: Path) -> int:
    """The last number in the history; 0 while there is none."""
    for path in state.glob("*/history.db"):
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
        try:
            row = connection.execute("SELECT seq FROM state").fetchone()
            return int(row[0]) if row else 0
        except sqlite3.OperationalError:
            return 0  # it is being made
        finally:
            connection.close()
    return 0


def wait_for(state: Path, least: int) -> None:
    end = time.monotonic() + 30
    while published(state) < least:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_counts_go_on_after_kill_minus_nine_and_nothing_counts_twice(tmp_path: Path) -> None:
    """After three kills and a stop, the figures hold exactly what was published, once."""
    least = 0
    for _ in range(3):
        process = serve(tmp_path)
        least += 70
        wait_for(tmp_path, least)
        process.kill()
        process.wait()
        least = published(tmp_path)
    process = serve(tmp_path)
    wait_for(tmp_path, least + 70)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 0
    (path,) = tmp_path.glob("*/statistics.db")
    file = StateFile(path)
    kept = file.load()
    file.close()
    assert kept is not None
    connection = sqlite3.connect(path.with_name("history.db"))
    count, distinct, last = connection.execute(
        "SELECT count(seq), count(DISTINCT sort_order), max(seq) FROM transfers"
    ).fetchone()
    connection.close()
    assert count == distinct == last > least
    assert (kept.mark.seq, kept.states["rates"]["total"]) == (last, count)
    minutes = [part for name, part in kept.states["rates"].items() if name.startswith("sums/60/")]
    assert sum(value for part in minutes for _, value in part["entries"]) == count
