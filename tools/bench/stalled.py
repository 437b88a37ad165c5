"""Clients that stop reading, and what the others notice of them.

``python tools/bench/stalled.py [--clients 9000] [--stalled 1000] [--rate 10] [--seconds 60]``

The first row is the reference, without stalled clients. Memory is what grew from the first to the
last second of the run: PSS of the server and TCP memory of the machine, per stalled client.
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
    "reading",
    "stalled",
    "p99 ms",
    "× without",
    "delivered",
    "lost readers",
    "stalled told",
    "skipped",
    "given up (4103)",
    "pong time-outs",
    "server KB each",
    "TCP KB each",
)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What stalled clients cost the others.")
    parser.add_argument("--clients", type=int, default=9_000, help="clients that read")
    parser.add_argument("--stalled", type=int, default=1_000, help="clients that stop reading")
    parser.add_argument("--rate", type=float, default=10.0)
    parser.add_argument("--bytes", type=int, default=1024)
    parser.add_argument("--seconds", type=float, default=60.0)
    return parser.parse_args(argv)


def counters(port: int) -> dict[str, Any]:
    """The edge's counters."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/debug", timeout=20) as answer:
        edges: dict[str, Any] = json.load(answer)["server"]["edges"]
    return edges["e0"]


def measure(args: argparse.Namespace, client: Path, stalled: int) -> dict[str, Any]:
    """One run."""
    harness.note(f"{args.clients} reading, {stalled} stalled, {args.seconds:g} s")
    argv = [sys.executable, str(harness.HERE / "publish.py")]
    argv += ["--rate", str(args.rate), "--bytes", str(args.bytes)]
    with harness.Server(argv) as server:
        load = harness.load_command(
            client,
            server.port,
            clients=args.clients + stalled,
            processes=2,
            seconds=args.seconds,
            path="/ws?channels=transfers",
            extra=["-s", str(stalled)],
        )
        with harness.Child(load) as running:
            running.line()
            memory = harness.pss_bytes(server.pids()), harness.tcp_bytes()
            running.say()
            time.sleep(args.seconds * 0.9)
            grown = harness.pss_bytes(server.pids()) - memory[0], harness.tcp_bytes() - memory[1]
            found = running.line()
            found["server"] = counters(server.port)
    found["grown"] = grown
    return found


def row(args: argparse.Namespace, stalled: int, found: dict[str, Any], base: float) -> list[str]:
    server, p99 = found["server"], found["latencyMs"]["p99"]
    return [
        f"{args.clients:,}",
        f"{stalled:,}",
        harness.figure(p99, 1),
        harness.figure(p99 / base),
        f"{found['messages'] / (args.clients * args.rate * found['seconds']):.0%}",
        str(found["lost"] + found["failed"]),
        f"{max(found['stalled'].values()):,}",
        f"{server['skipped']:,}",
        f"{server['givenUp']:,}",
        f"{server['pongTimeouts']:,}",
        *[harness.figure(grown / 1024 / stalled if stalled else None, 1) for grown in found["grown"]],
    ]


def main(argv: Sequence[str] | None = None) -> int:
    args = parse(argv)
    rows: list[list[str]] = []
    base = 0.0
    with harness.c_programs("loadclient") as (client,):
        for stalled in (0, args.stalled):
            found = measure(args, client, stalled)
            base = base or found["latencyMs"]["p99"]
            rows.append(row(args, stalled, found, base))
    print(harness.table(HEADINGS, rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(harness.run(main))
