"""Handshakes per second and server core: unionws beside the bare C loop.

``python tools/bench/handshakes.py [--seconds 5] [--at-once 200] [--load-processes 2] [--plain]``

The load client opens a connection, reads the 101 answer, resets it and opens the next, with a
browser's whole header unless ``--plain``. The rate per core is handshakes divided by the CPU
seconds the server's processes used, so it does not depend on how busy the machine is. The greeting
of the last row has a chartData of full size, compressed for all at once.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import harness

HEADINGS = ("server", "path", "handshakes/s per core", "handshakes/s", "µs CPU each", "failed")
PATHS = ("/ws?channels=transfers", "/ws")
WITH_CHART = "/ws, chartData there"


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Handshakes per second and server core.")
    parser.add_argument("--seconds", type=float, default=5.0, help="measured time of each row")
    parser.add_argument("--at-once", type=int, default=200, help="connections being opened at a time")
    parser.add_argument("--warm", type=float, default=0.5, help="seconds before measuring")
    parser.add_argument("--load-processes", type=int, default=2)
    parser.add_argument("--plain", action="store_true", help="only the headers every client needs")
    parser.add_argument("--path", action="append", help=f"of unionws; default {' and '.join(PATHS)}")
    parser.add_argument("--servers", default="c,unionws", help="which ones, by commas: c, unionws, naive")
    return parser.parse_args(argv)


def command(name: str, path: str, c_loop: Path) -> list[str]:
    """Command line of a server that has next to nothing to send but greetings."""
    if name == "c":
        return [str(c_loop), "-p", "0", "-r", "0.1"]
    scripts = {"unionws": "publish.py", "naive": "naive.py"}
    if name not in scripts:
        raise harness.BenchError(f"no server {name!r}: choose among c, unionws and naive")
    charts = ["--charts", "3600"] if path == WITH_CHART else []
    return [sys.executable, str(harness.HERE / scripts[name]), "--port", "0", "--rate", "0.1", *charts]


def measure(name: str, path: str, args: argparse.Namespace, c_loop: Path, client: Path) -> list[str]:
    """One row of the table."""
    harness.note(f"{name} {path}: {args.seconds:g} s")
    extra = ["-H", "-w", str(args.warm)] + ([] if args.plain else ["-b", "-z"])
    with harness.Server(command(name, path, c_loop)) as server:
        time.sleep(args.warm)
        argv = harness.load_command(
            client,
            server.port,
            clients=args.at_once,
            processes=args.load_processes,
            seconds=args.seconds,
            path=path.partition(",")[0],
            extra=extra,
        )
        with harness.Child(argv) as load:
            load.line()
            before = harness.cpu_seconds(server.pids())
            load.say()
            found = load.line()
            used = harness.cpu_seconds(server.pids()) - before
    count = found["handshakes"]
    return [
        name,
        path,
        harness.figure(count / used if used else None, 0),
        harness.figure(count / found["seconds"], 0),
        harness.figure(used / count * 1e6 if count else None, 1),
        str(found["failed"]),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    args = parse(argv)
    with harness.c_programs("sendloop", "loadclient") as (c_loop, client):
        rows = [
            measure(name, path, args, c_loop, client)
            for name in args.servers.split(",")
            for path in ((args.path or (*PATHS, WITH_CHART)) if name == "unionws" else ("/ws",))
        ]
    print(harness.table(HEADINGS, rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(harness.run(main))
