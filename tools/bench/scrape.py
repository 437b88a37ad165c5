"""What a scrape of /metrics takes when all clients are there, and whether they notice.

``python tools/bench/scrape.py [--clients 100000] [--edges 7] [--rate 0.5] [--every 1]
[--reads-every MS] [--rounds 1]``

First all clients are connected and nothing is sent, so that the time of a scrape is its own. Then they
listen to frames of 1 KB without, and with, a scrape every so many seconds, each time of whichever edge
the kernel chooses: one that comes while its edge delivers waits for some slices of sends, like
everybody, the longer the more processes share a core. Prometheus asks every 15 s; once a second shows
more. ``--reads-every`` as in ``delivery.py``: the service does not pay for waking the load.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import harness

HEADINGS = (
    "run",
    "clients",
    "scrapes",
    "median ms",
    "longest ms",
    "KB",
    "p50 ms",
    "p99 ms",
    "× without",
    "lost",
)
TOLD = "unionws_clients{"


class Scraper(threading.Thread):
    """Asks for /metrics again and again.

    Attributes:
        took: seconds of each answer, until its last byte.
        last: the newest answer.
    """

    def __init__(self, port: int, every: float) -> None:
        super().__init__(daemon=True)
        self._url, self._every = f"http://127.0.0.1:{port}/metrics", every
        self._over = threading.Event()
        self.took: list[float] = []
        self.last = ""

    def run(self) -> None:
        while not self._over.wait(self._every):
            self.scrape()

    def scrape(self) -> None:
        """Once."""
        begun = time.monotonic()
        with urllib.request.urlopen(self._url, timeout=30) as answer:
            self.last = answer.read().decode()
        self.took.append(time.monotonic() - begun)

    def stop(self) -> None:
        self._over.set()
        self.join()

    def clients(self) -> int:
        """How many the newest answer tells of, over all edges."""
        lines = [line for line in self.last.splitlines() if line.startswith(TOLD)]
        return sum(int(float(line.rsplit(" ", 1)[1])) for line in lines)


@dataclass(slots=True)
class Phase:
    """Runs with, or without, scrapes; times in ms."""

    name: str
    every: float
    clients: int = 0
    took: list[float] = field(default_factory=list)
    size: int = 0
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    lost: int = 0


def run(args: argparse.Namespace, port: int, program: Any, phase: Phase) -> None:
    """All clients once."""
    command = harness.load_command(
        program,
        port,
        clients=args.clients,
        processes=args.load_processes,
        seconds=args.seconds,
        path="/ws?channels=transfers",
        extra=["-i", str(args.reads_every)],
    )
    with harness.Child(command) as load:
        ready = load.line()
        time.sleep(args.warm)
        scraper = Scraper(port, phase.every)
        scraper.scrape()
        phase.clients = scraper.clients()
        if phase.every:
            scraper.took.clear()
            scraper.start()
        load.say()
        found = load.line()
        if phase.every:
            scraper.stop()
            phase.took += [1000 * seconds for seconds in scraper.took]
            phase.size = len(scraper.last)
    if found["transfers"]:  # heartbeats alone are no deliveries
        phase.p50.append(found["latencyMs"]["p50"])
        phase.p99.append(found["latencyMs"]["p99"])
    phase.lost += found["lost"] + ready["failed"] + found["gaps"] + found["holes"]


def row(phase: Phase, base: Phase) -> list[str]:
    """A phase as cells of the table."""
    took, p99 = phase.took, middle(phase.p99)
    return [
        phase.name,
        f"{phase.clients:,}",
        str(len(took)),
        harness.figure(middle(took), 1),
        harness.figure(max(took) if took else None, 1),
        harness.figure(phase.size / 1000 if took else None, 0),
        harness.figure(middle(phase.p50), 1),
        harness.figure(p99, 1),
        harness.figure(p99 / median(base.p99) if p99 else None),
        str(phase.lost),
    ]


def middle(values: Sequence[float]) -> float | None:
    """The median, where there is one."""
    return median(values) if values else None


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="What a scrape takes, and whether clients notice.")
    parser.add_argument("--clients", type=int, default=100_000)
    parser.add_argument("--edges", type=int, default=7)
    parser.add_argument("--load-processes", type=int, default=7)
    parser.add_argument("--rate", type=float, default=0.5, help="frames a second to each client")
    parser.add_argument("--seconds", type=float, default=20.0, help="each run")
    parser.add_argument("--warm", type=float, default=3.0, help="seconds between opening and measuring")
    parser.add_argument("--every", type=float, default=1.0, help="seconds between two scrapes")
    parser.add_argument("--reads-every", type=float, default=0.0, help="ms; 0: woken by each frame")
    parser.add_argument("--rounds", type=int, default=1)
    args = parser.parse_args(argv)
    harness.check_files(args.clients, args.load_processes)
    server = [sys.executable, str(harness.HERE / "publish.py"), "--port", "0"]
    server += ["--rate", str(args.rate), "--edges", str(args.edges)]
    silent = Phase("nothing is sent", args.every)
    without, scraped = Phase("no scrapes", 0.0), Phase("scrapes", args.every)
    with harness.c_programs("loadclient") as (program,):
        with harness.Server([*server, "--silence", "3600"]) as running:
            time.sleep(2)
            run(args, running.port, program, silent)
        with harness.Server(server) as running:
            time.sleep(2)
            for _ in range(args.rounds):
                for phase in (without, scraped):
                    run(args, running.port, program, phase)
    phases = (silent, without, scraped)
    print(harness.table(HEADINGS, [row(phase, without) for phase in phases]))
    return 1 if any(phase.lost for phase in phases) else 0


if __name__ == "__main__":
    raise SystemExit(harness.run(main))
