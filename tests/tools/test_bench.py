"""The benches in small: the C programs against each other, and the tables they end in."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tools.bench import harness

BENCH = Path(harness.__file__).parent

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc: apt-get install gcc libc6-dev")


@pytest.fixture(scope="module", name="programs")
def fixture_programs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The send loop and the load client, compiled."""
    folder = tmp_path_factory.mktemp("programs")
    return harness.compile_c("sendloop", folder), harness.compile_c("loadclient", folder)


@pytest.fixture(name="server")
def fixture_server(programs: tuple[Path, Path]) -> Iterator[harness.Server]:
    """A send loop of 20 frames of 500 bytes a second."""
    with harness.Server([str(programs[0]), "-p", "0", "-r", "20", "-b", "500"]) as server:
        yield server


def load(program: Path, port: int, *options: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the load client says when all is open, and when it has measured."""
    argv = [str(program), "-p", str(port), *options]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True)
    ready, measured = (json.loads(text) for text in done.stdout.splitlines())
    return ready, measured


def test_every_frame_reaches_every_client(programs: tuple[Path, Path], server: harness.Server) -> None:
    """50 clients in 2 processes get 20 frames a second, and the latency of each is known."""
    ready, found = load(programs[1], server.port, "-n", "50", "-P", "2", "-d", "1", "-w", "0.2")
    assert (ready["event"], ready["opened"], ready["failed"]) == ("ready", 50, 0)
    assert (found["event"], found["opened"], found["failed"], found["lost"]) == ("measured", 50, 0, 0)
    assert 50 * 15 <= found["messages"] <= 50 * 25
    assert found["messages"] == found["transfers"] == found["latencyMs"]["n"]
    assert found["latencyMs"]["p50"] <= found["latencyMs"]["p99"] <= found["latencyMs"]["max"]
    sent = json.loads(server.stop())
    assert sent["sends"] >= found["messages"]
    assert sent["cpuSeconds"] > 0


@pytest.mark.parametrize("size", [100, 126, 65_535, 300_000])
def test_frames_of_every_length_form(programs: tuple[Path, Path], size: int) -> None:
    """The three forms of a frame's length are written and read; the timestamp is found in each."""
    with harness.Server([str(programs[0]), "-p", "0", "-r", "20", "-b", str(size)]) as server:
        _, found = load(programs[1], server.port, "-n", "3", "-d", "0.2", "-w", "0.1")
    assert found["messages"] > 0
    assert found["latencyMs"]["n"] == found["messages"]
    assert found["bytes"] >= (found["messages"] - 6) * size


def test_load_waits_for_its_start(programs: tuple[Path, Path], server: harness.Server) -> None:
    """The load client measures only after a line on its standard input."""
    argv = harness.load_command(programs[1], server.port, clients=4, processes=1, seconds=0.3, path="/ws")
    with harness.Child(argv) as child:
        assert child.line()["opened"] == 4
        child.say()
        assert 0 < child.line()["messages"] < 4 * 20


def test_handshakes_are_counted(programs: tuple[Path, Path], server: harness.Server) -> None:
    """In handshake mode each connection is reset and opened again; a browser's headers fit."""
    _, found = load(programs[1], server.port, "-n", "5", "-d", "0.5", "-w", "0.1", "-H", "-b", "-z")
    assert found["handshakes"] > 5
    assert (found["failed"], found["lost"]) == (0, 0)


def test_stalled_clients_read_nothing_until_the_end(
    programs: tuple[Path, Path], server: harness.Server
) -> None:
    """Stalled connections count no messages while measuring."""
    _, all_read = load(programs[1], server.port, "-n", "20", "-d", "0.5", "-w", "0.1")
    _, found = load(programs[1], server.port, "-n", "20", "-d", "0.5", "-w", "0.1", "-s", "15", "-D", "0.2")
    assert 0 < found["messages"] < all_read["messages"] / 2
    assert found["stalled"]["ended"] == 0


def test_lost_and_refused_connections_are_counted(programs: tuple[Path, Path]) -> None:
    """A server that goes away loses the clients; one that is not there fails them."""
    with harness.Server([str(programs[0]), "-p", "0"]) as server:
        argv = harness.load_command(programs[1], server.port, clients=5, processes=1, seconds=0.5, path="/ws")
        with harness.Child(argv) as child:
            child.line()
            child.say()
            server.stop()
            assert child.line()["lost"] == 5
    _, found = load(programs[1], server.port, "-n", "5", "-d", "0.1", "-w", "0")
    assert (found["opened"], found["failed"]) == (0, 5)


def test_refused_upgrade_fails() -> None:
    """The send loop answers a request that is no WebSocket with 400."""
    import http.client

    with harness.c_programs("sendloop") as (program,), harness.Server([str(program), "-p", "0"]) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        connection.request("GET", "/")
        assert connection.getresponse().status == 400
        connection.close()


def run_bench(script: str, *options: str) -> list[list[str]]:
    """The rows of the table a bench prints."""
    argv = [sys.executable, str(BENCH / script), *options]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in text.strip("| ").split("|")] for text in done.stdout.splitlines()]
    assert len({len(row) for row in rows}) == 1
    return rows[:1] + rows[2:]


def test_delivery_table_has_every_server() -> None:
    """CPU and latency of each server, held against the C loop."""
    small = ("--clients", "50", "--seconds", "0.5", "--warm", "0.1", "--bytes", "300", "--rate", "50")
    headings, *rows = run_bench("delivery.py", *small, "--load-processes", "1")
    assert headings[:4] == ["server", "open s", "cores", "µs CPU per delivery"]
    assert [row[0] for row in rows] == ["c", "unionws", "naive"]
    assert all(float(cell.replace(",", "")) >= 0 for row in rows for cell in (row[2], row[3], row[6]))
    assert all(row[-2:] == ["0", "0"] and int(row[-3].rstrip("%")) > 50 for row in rows)


def test_load_that_reads_at_intervals_gets_every_frame(
    programs: tuple[Path, Path], server: harness.Server
) -> None:
    """Nobody waits for frames then, and the time between two readings is part of the latencies."""
    _, found = load(programs[1], server.port, "-n", "4", "-d", "1", "-w", "0.1", "-i", "200")
    assert found["messages"] >= 4 * 10
    assert (found["lost"], found["holes"], found["gaps"]) == (0, 0, 0)
    assert found["latencyMs"]["max"] > 50


def test_handshake_table_has_every_path() -> None:
    """A rate for the C loop and for the path of unionws."""
    small = ("--seconds", "0.3", "--warm", "0.1", "--at-once", "10", "--load-processes", "1")
    headings, *rows = run_bench("handshakes.py", *small, "--path", "/ws?channels=transfers")
    assert headings[2] == "handshakes/s per core"
    assert [row[:2] for row in rows] == [["c", "/ws"], ["unionws", "/ws?channels=transfers"]]
    assert all(float(row[3].replace(",", "")) > 0 and row[-1] == "0" for row in rows)


def test_unknown_server_is_one_clear_line() -> None:
    """A misspelt server is named, without a traceback."""
    argv = [sys.executable, str(BENCH / "delivery.py"), "--servers", "cc", "--clients", "1"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "error: no server 'cc': choose among c, unionws and naive\n" in done.stderr
    assert "Traceback" not in done.stderr


def test_process_tree_and_its_figures() -> None:
    """A process and its children are found, and have memory and CPU time."""
    code = "import os, time; os.fork(); os.write(1, b'{}\\n'); time.sleep(30)"
    with harness.Child([sys.executable, "-c", code]) as child:
        child.line(), child.line()
        pids = harness.tree([child.process.pid])
        assert len(pids) == 2
        assert harness.pss_bytes(pids) > 1_000_000
        assert harness.cpu_seconds(pids) >= 0
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
    assert harness.tree([child.process.pid]) == []


def test_child_that_says_nothing_is_an_error() -> None:
    """A server that dies at start is reported with its status."""
    with pytest.raises(harness.BenchError, match="ended early with status 3"):
        harness.Server([sys.executable, "-c", "raise SystemExit(3)"]).__enter__()


def test_a_bench_that_is_told_to_end_ends_its_children() -> None:
    """As `timeout` tells it: a server left behind would burden whatever is measured next."""
    code = (
        "import harness, sys, time\n"
        "def main():\n"
        "    with harness.Child(['sleep', '60']) as child:\n"
        "        print(child.process.pid, flush=True)\n"
        "        time.sleep(60)\n"
        "harness.run(main)\n"
    )
    argv = [sys.executable, "-c", code]
    with subprocess.Popen(argv, cwd=BENCH, stdout=subprocess.PIPE, text=True) as bench:
        assert bench.stdout is not None
        child = int(bench.stdout.readline())
        bench.terminate()
        assert bench.wait(30) == 128 + signal.SIGTERM
    assert not Path(f"/proc/{child}").exists()


def test_broken_c_is_an_error_with_the_compilers_words(tmp_path: Path) -> None:
    """What gcc says about a source that is not there reaches the user."""
    with pytest.raises(harness.BenchError, match=r"gcc cannot compile missing\.c"):
        harness.compile_c("missing", tmp_path)


def test_table_lines_up() -> None:
    """Names to the left, figures to the right, every line of the same width."""
    lines = harness.table(("server", "µs"), [("c", "1.00"), ("unionws", "12.50")]).splitlines()
    assert lines == [
        "| server  |    µs |",
        "| ------- | ----- |",
        "| c       |  1.00 |",
        "| unionws | 12.50 |",
    ]
    assert (harness.figure(None), harness.figure(1234.5, 1)) == ("-", "1,234.5")


def test_kernel_memory_of_sockets_is_known() -> None:
    """The figure is whole pages."""
    assert harness.tcp_bytes() % harness.PAGE == 0


def test_scrape_table_tells_of_all_clients() -> None:
    """With nothing sent, without and with scrapes; every edge's clients are in what is scraped."""
    small = ("--clients", "60", "--edges", "2", "--load-processes", "1", "--rate", "20", "--warm", "2.5")
    _, *rows = run_bench("scrape.py", *small, "--seconds", "1", "--every", "0.2")
    silent, without, scraped = rows
    assert [row[1] for row in rows] == ["60", "60", "60"]
    assert (without[2], without[3], silent[6]) == ("0", "-", "-")
    for row in (silent, scraped):
        assert int(row[2]) >= 2
        assert float(row[4]) >= float(row[3]) > 0
    assert [row[-1] for row in rows] == ["0", "0", "0"]
