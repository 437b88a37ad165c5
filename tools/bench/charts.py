"""chartData to deflating clients: bytes saved, deflates, and what it does to transfers' latency.

``python tools/bench/charts.py [--clients 10000] [--watchers 1000] [--intervals 0,5,2,1] [--edges 1]``

``--clients`` connections take chartData alone; ``--watchers`` others take one 1 KB transfers frame ten
times a second, and their latency is reported. One row per chart interval (0: no charts, the
reference), and one in which the chart clients do not compress. One edge by default, so that making
the snapshot is another process's work; ``--edges 0`` has all in one.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import harness

HEADINGS = (
    "charts",
    "chart clients",
    "KB a chart on the wire",
    "charts each",
    "deflates",
    "seconds between",
    "cores",
    "transfers p99 ms",
    "× without",
    "lost",
)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What chartData costs.")
    parser.add_argument("--clients", type=int, default=10_000, help="clients of chartData")
    parser.add_argument("--watchers", type=int, default=1_000, help="clients of transfers")
    parser.add_argument("--intervals", default="0,5,2,1", help="seconds between charts, by commas")
    parser.add_argument("--edges", type=int, choices=(0, 1), default=1, help="0: all in one process")
    parser.add_argument("--plain", type=float, default=5.0, help="interval of the uncompressed row; 0: none")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=10.0, help="transfers frames a second")
    return parser.parse_args(argv)


def server_counters(port: int) -> dict[str, Any]:
    """The edge's counters."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/debug", timeout=20) as answer:
        edges: dict[str, Any] = json.load(answer)["server"]["edges"]
    return edges["e0"]


def measure(args: argparse.Namespace, client: Path, interval: float, *, deflate: bool) -> dict[str, Any]:
    """Figures of one row."""
    harness.note(f"charts every {interval:g} s, {'deflated' if deflate else 'plain'}")
    argv = [sys.executable, str(harness.HERE / "publish.py"), "--rate", str(args.rate)]
    argv += ["--edges", str(args.edges)]
    argv += ["--charts", str(interval)] if interval else []
    with harness.Server(argv) as server:
        common = {"processes": 1, "seconds": args.seconds}
        charts = harness.load_command(
            client, server.port, clients=args.clients, path="/ws?channels=chartData",
            extra=["-z"] if deflate else [], **common,
        )  # fmt: skip
        watch = harness.load_command(
            client, server.port, clients=args.watchers, path="/ws?channels=transfers", **common
        )
        with harness.Child(charts) as many, harness.Child(watch) as few:
            many.line(), few.line()
            time.sleep(2)
            before, cpu = server_counters(server.port), harness.cpu_seconds(server.pids())
            many.say(), few.say()
            charted, watched = many.line(), few.line()
            after, used = server_counters(server.port), harness.cpu_seconds(server.pids()) - cpu
    return {
        "charts": charted,
        "watch": watched,
        "deflates": after["deflates"] - before["deflates"],
        "cores": used / watched["seconds"],
        "lost": charted["lost"] + watched["lost"] + charted["failed"] + watched["failed"],
    }


def row(
    interval: float, deflate: bool, args: argparse.Namespace, found: dict[str, Any], base: float
) -> list[str]:
    charts, p99 = found["charts"], found["watch"]["latencyMs"]["p99"]
    each = charts["messages"] / args.clients
    return [
        f"every {interval:g} s" if interval else "none",
        "deflating" if deflate else "plain",
        harness.figure(charts["bytes"] / charts["messages"] / 1024 if charts["messages"] else None, 1),
        harness.figure(each, 1),
        str(found["deflates"]),
        harness.figure(charts["seconds"] / each if each else None, 1),
        harness.figure(found["cores"]),
        harness.figure(p99, 1),
        harness.figure(p99 / base),
        str(found["lost"]),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    args = parse(argv)
    plans = [(float(text), True) for text in args.intervals.split(",")]
    plans += [(args.plain, False)] if args.plain else []
    rows: list[list[str]] = []
    base = 0.0
    with harness.c_programs("loadclient") as (client,):
        for interval, deflate in plans:
            found = measure(args, client, interval, deflate=deflate)
            base = base or found["watch"]["latencyMs"]["p99"]
            rows.append(row(interval, deflate, args, found, base))
    print(harness.table(HEADINGS, rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(harness.run(main))
