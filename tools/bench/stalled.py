"""Clients that stop reading, and what the others notice of them.

``python tools/bench/stalled.py [--clients 9000] [--stalled 1000] [--rate 4] [--bytes 1024] [--seconds 25]``

The bare C loop and unionws, each without and then with stalled clients, so that the price of the
kernel's buffers is seen beside that of ours. Memory is what grew during the run, per stalled client:
PSS of the server, TCP memory as /proc/net/sockstat accounts it, and RAM really gone (MemFree). The
last is more than the second: the kernel cuts small frames for many sockets out of one piece of 32 KB,
and a frame nobody reads keeps the piece.
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
    "server",
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
    "RAM KB each",
)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What stalled clients cost the others.")
    parser.add_argument("--clients", type=int, default=9_000, help="clients that read")
    parser.add_argument("--stalled", type=int, default=1_000, help="clients that stop reading")
    parser.add_argument("--rate", type=float, default=4.0, help="frames a second to each client")
    parser.add_argument("--bytes", type=int, default=1024)
    parser.add_argument("--seconds", type=float, default=25.0)
    parser.add_argument("--servers", default="c,unionws", help="which ones, by commas: c, unionws")
    return parser.parse_args(argv)


def counters(port: int) -> dict[str, Any]:
    """The edge's counters."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/debug", timeout=20) as answer:
        edges: dict[str, Any] = json.load(answer)["server"]["edges"]
    return edges["e0"]


def free_bytes() -> int:
    """Memory of the machine that nobody uses."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemFree:"):
            return int(line.split()[1]) * 1024
    raise harness.BenchError("no MemFree line in /proc/meminfo")


def memory(server: harness.Server) -> tuple[int, int, int]:
    """PSS of the server, TCP memory and memory in use of the machine; bytes."""
    return harness.pss_bytes(server.pids()), harness.tcp_bytes(), -free_bytes()


def command(name: str, args: argparse.Namespace, c_loop: Path) -> list[str]:
    """Command line of a server."""
    if name == "c":
        return [str(c_loop), "-p", "0", "-r", str(args.rate), "-b", str(args.bytes)]
    if name != "unionws":
        raise harness.BenchError(f"no server {name!r}: choose among c and unionws")
    argv = [sys.executable, str(harness.HERE / "publish.py")]
    return [*argv, "--rate", str(args.rate), "--bytes", str(args.bytes)]


def measure(name: str, args: argparse.Namespace, programs: Sequence[Path], stalled: int) -> dict[str, Any]:
    """One run."""
    harness.note(f"{name}: {args.clients} reading, {stalled} stalled, {args.seconds:g} s")
    c_loop, client = programs
    with harness.Server(command(name, args, c_loop)) as server:
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
            before = memory(server)
            running.say()
            time.sleep(args.seconds * 0.9)
            grown = [now - then for now, then in zip(memory(server), before, strict=True)]
            found = running.line()
            found["server"] = counters(server.port) if name == "unionws" else {}
    found["grown"] = grown
    return found


def row(name: str, args: argparse.Namespace, stalled: int, found: dict[str, Any], base: float) -> list[str]:
    server, p99 = found["server"], found["latencyMs"]["p99"]
    counted = [f"{server[what]:,}" if server else "-" for what in ("skipped", "givenUp", "pongTimeouts")]
    return [
        name,
        f"{args.clients:,}",
        f"{stalled:,}",
        harness.figure(p99, 1),
        harness.figure(p99 / base),
        f"{found['messages'] / (args.clients * args.rate * found['seconds']):.0%}",
        str(found["lost"] + found["failed"]),
        f"{max(found['stalled'].values()):,}",
        *counted,
        *[harness.figure(grown / 1024 / stalled if stalled else None, 1) for grown in found["grown"]],
    ]


def main(argv: Sequence[str] | None = None) -> int:
    args = parse(argv)
    rows: list[list[str]] = []
    with harness.c_programs("sendloop", "loadclient") as programs:
        for name in args.servers.split(","):
            base = 0.0
            for stalled in (0, args.stalled):
                found = measure(name, args, programs, stalled)
                base = base or found["latencyMs"]["p99"]
                rows.append(row(name, args, stalled, found, base))
    print(harness.table(HEADINGS, rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(harness.run(main))
