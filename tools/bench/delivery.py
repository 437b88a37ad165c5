"""What one delivery costs: unionws beside a bare C send() loop and naive Tornado, in one run.

``python tools/bench/delivery.py [--clients 10000] [--rate 10] [--bytes 1024] [--seconds 10]
[--edges N] [--silence S] [--reads-every MS] [--rounds N]``

Each server in turn gets the same clients from the same load client and sends each of them one
frame of the same size at the same rate. CPU is the server's processes alone, user and system,
divided by the messages that arrived. Memory is (PSS with the clients - PSS before) / clients.
With ``--edges`` both unionws and the C loop are as many processes that share the port. ``--silence``
delivers nothing for the first seconds, so that the time to open is that of opening alone.

Over loopback the sender pays for waking the process that waits for the frame, which with clients
elsewhere is the work of their machines. With ``--reads-every`` the load waits for no frame: it reads
what has come every so many milliseconds, which are part of the latencies then. With ``--rounds`` the
servers are measured in turn that often, and the table shows medians.

"missing" are gaps that clients are told of and transfers whose ``prev`` lies beyond the last ``seq``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import median

import harness

HEADINGS = (
    "server",
    "open s",
    "cores",
    "µs CPU per delivery",
    "× C loop",
    "p50 ms",
    "p99 ms",
    "p99 × C loop",
    "KB per client",
    "TCP KB per client",
    "delivered",
    "lost",
    "missing",
)


@dataclass(frozen=True, slots=True)
class Result:
    """One server's figures; times in µs and ms, memory in bytes per client."""

    name: str
    open_s: float
    cores: float
    cpu_us: float
    p50_ms: float | None
    p99_ms: float | None
    client_bytes: float
    tcp_bytes: float
    delivered: float
    lost: int  # connections that failed or ended
    missing: int  # gaps told, and transfers whose prev lies beyond the last seq


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="CPU, latency and memory per delivery.")
    parser.add_argument("--clients", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=10.0, help="frames a second to each client")
    parser.add_argument("--bytes", type=int, default=1024, help="size of a frame")
    parser.add_argument("--seconds", type=float, default=10.0, help="measured time of each server")
    parser.add_argument("--warm", type=float, default=2.0, help="seconds between opening and measuring")
    parser.add_argument("--load-processes", type=int, default=2)
    parser.add_argument("--edges", type=int, default=0, help="edge processes of unionws; 0: one process")
    parser.add_argument("--silence", type=float, default=0.0, help="seconds before the first frame")
    parser.add_argument("--reads-every", type=float, default=0.0, help="ms; 0: woken by each frame")
    parser.add_argument("--rounds", type=int, default=1, help="times each server is measured")
    parser.add_argument(
        "--servers", default="c,unionws,naive", help="which ones, by commas, out of c, unionws and naive"
    )
    return parser.parse_args(argv)


def command(name: str, args: argparse.Namespace, c_loop: Path) -> list[str]:
    """Command line that starts the named server on a free port."""
    if name == "c":
        argv = [str(c_loop), "-p", "0", "-r", str(args.rate), "-b", str(args.bytes)]
        return [*argv, "-P", str(args.edges or 1), "-w", str(args.silence)]
    scripts = {"unionws": "publish.py", "naive": "naive.py"}
    if name not in scripts:
        raise harness.BenchError(f"no server {name!r}: choose among c, unionws and naive")
    script = harness.HERE / scripts[name]
    argv = [sys.executable, str(script), "--port", "0", "--rate", str(args.rate), "--bytes", str(args.bytes)]
    if name == "unionws":
        argv += ["--edges", str(args.edges), "--silence", str(args.silence)]
    return argv


def measure(name: str, args: argparse.Namespace, c_loop: Path, client: Path) -> Result:
    """Starts the server, loads it, and takes its figures."""
    harness.note(f"{name}: {args.clients:,} clients, {args.bytes} bytes, {args.rate:g} Hz")
    with harness.Server(command(name, args, c_loop)) as server:
        loud = time.monotonic() + args.silence
        time.sleep(args.warm)
        idle, idle_tcp = harness.pss_bytes(server.pids()), harness.tcp_bytes()
        load = harness.Child(
            harness.load_command(
                client,
                server.port,
                clients=args.clients,
                processes=args.load_processes,
                seconds=args.seconds,
                path="/ws?channels=transfers",
                extra=["-i", str(args.reads_every)],
            )
        )
        with load:
            ready = load.line()
            time.sleep(max(0.0, loud - time.monotonic()) + args.warm)
            full, full_tcp = harness.pss_bytes(server.pids()), harness.tcp_bytes()
            before = harness.cpu_seconds(server.pids())
            load.say()
            found = load.line()
            used = harness.cpu_seconds(server.pids()) - before
    if ready["failed"]:
        harness.note(f"{name}: {ready['failed']} connections failed")
    latency, opened = found["latencyMs"], max(1, found["opened"])
    due = found["opened"] * args.rate * found["seconds"]
    return Result(
        name=name,
        open_s=ready["openSeconds"],
        cores=used / max(0.001, found["seconds"]),
        cpu_us=used / max(1, found["messages"]) * 1e6,
        p50_ms=latency.get("p50"),
        p99_ms=latency.get("p99"),
        client_bytes=(full - idle) / opened,
        tcp_bytes=(full_tcp - idle_tcp) / opened,
        delivered=found["messages"] / max(1, due),
        lost=found["lost"] + found["failed"],
        missing=found["gaps"] + found["holes"],
    )


def middle(results: Sequence[Result]) -> Result:
    """The median of each figure of one server; what was lost and missing in all rounds."""
    figures = {}
    for field in fields(Result):
        values = [getattr(result, field.name) for result in results]
        known = [value for value in values if value is not None]
        if field.name in ("lost", "missing"):
            figures[field.name] = sum(values)
        elif field.name != "name":
            figures[field.name] = median(known) if known else None
    return Result(name=results[0].name, **figures)


def row(result: Result, base: Result | None) -> list[str]:
    """The result as a table's cells, held against the C loop when that was measured."""
    p99_ratio = None
    if base and base.p99_ms and result.p99_ms is not None:
        p99_ratio = result.p99_ms / base.p99_ms
    return [
        result.name,
        harness.figure(result.open_s, 1),
        harness.figure(result.cores),
        harness.figure(result.cpu_us),
        harness.figure(result.cpu_us / base.cpu_us if base and base.cpu_us else None),
        harness.figure(result.p50_ms, 1),
        harness.figure(result.p99_ms, 1),
        harness.figure(p99_ratio),
        harness.figure(result.client_bytes / 1024),
        harness.figure(result.tcp_bytes / 1024),
        f"{result.delivered:.0%}",
        str(result.lost),
        str(result.missing),
    ]


def report(results: Sequence[Result]) -> str:
    base = next((result for result in results if result.name == "c"), None)
    return harness.table(HEADINGS, [row(result, base) for result in results])


def main(argv: Sequence[str] | None = None) -> int:
    args = parse(argv)
    harness.check_files(args.clients, args.load_processes)
    with harness.c_programs("sendloop", "loadclient") as (c_loop, client):
        names = args.servers.split(",")
        rounds = [[measure(name, args, c_loop, client) for name in names] for _ in range(args.rounds)]
    results = [middle(found) for found in zip(*rounds, strict=True)]
    print(report(results))
    return 1 if any(result.lost or result.missing for result in results) else 0


if __name__ == "__main__":
    raise SystemExit(harness.run(main))
