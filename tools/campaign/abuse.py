"""Abuse under well-behaved clients: what they notice, and how each refusal is counted.

``python tools/campaign/abuse.py [--clients 5000] [--seconds 15] [--floods 20000] [--rounds 1]``

The same clients listen in peace, then while all attacks of attacks.py go on at once: first against
another instance of the service on this machine, then against theirs. The attackers stand for machines
elsewhere, so they get only what the cores have left over; what they, the kernel and the answers cost
the machine is the same in both runs, and what differs is what an attack does to the service that is
under it. The tables show delivery latency, what was lost, the most memory the
service took and its CPU; what was sent at it; and refusals and closes by reason.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tools" / "bench"))

RATE = 2
"""Transfers a second: 5,000 clients get 10,000 messages a second, which leaves room to see a difference."""

PEACE, ELSEWHERE, HERE = "in peace", "attack on another instance", "under attack"
SETTINGS = ("EDGE_PROCESSES=2", "SPREAD_MS=0", "PING_INTERVAL=5", "LOG_FORMAT=json")
LEAD = 2.0
"""Seconds of attack before measuring begins."""


# ---- the service ----


@contextmanager
def started(*overrides: str) -> Iterator[tuple[int, int]]:
    """A server on a free port; its port and the process that was started."""
    with tempfile.TemporaryDirectory() as folder:
        settings = ["PORT=0", "HOST=127.0.0.1", f"STATE_DIR={folder}", "PLUGINS_DIR=", *overrides]
        arguments = [part for setting in settings for part in ("--set", setting)]
        command = [sys.executable, "-m", "unionws", "serve", "--simulate", str(RATE), *arguments]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        try:
            assert process.stderr is not None
            fields = next(json.loads(line)["fields"] for line in process.stderr if '"port"' in line)
            threading.Thread(target=process.stderr.read, daemon=True).start()
            yield fields["port"], process.pid
        finally:
            process.terminate()
            process.wait(20)


@contextmanager
def service(*overrides: str) -> Iterator[int]:
    """A server on a free port; the port."""
    with started(*overrides) as (port, _):
        yield port


def get(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
        text: str = answer.read().decode()
    return text


def by_label(metrics: str, name: str) -> dict[str, int]:
    """Values of a metric by its only label."""
    lines = [line for line in metrics.splitlines() if line.startswith(name + "{")]
    return {line.split('"')[1]: int(float(line.rsplit(" ", 1)[1])) for line in lines}


# ---- measuring ----


@dataclass(frozen=True, slots=True)
class Figures:
    """What the clients noticed in one run, and what it cost.

    Attributes:
        gaps: told by the server, or found by the rule about ``prev``.
        memory: most the service took at a time, in MB (PSS).
        cores: CPU of the service and of its attackers, in cores.
        sent: what the attackers did.
    """

    opened: int
    lost: int
    gaps: int
    transfers: int
    p50: float
    p99: float
    memory: float
    cores: float
    attackers: float
    sent: dict[str, int] = field(default_factory=dict)


class Watch(threading.Thread):
    """The most memory some processes have at a time."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._over = threading.Event()
        self.most = 0

    def run(self) -> None:
        from harness import pss_bytes, tree

        while not self._over.wait(1.0):
            self.most = max(self.most, pss_bytes(tree([self._pid])))

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything, and the compiled load client."""

    client: Path
    clients: int
    seconds: float
    floods: int
    restless: int


def run(plan: Plan, port: int, pid: int, target: int | None) -> Figures:
    """The clients on a service, and the attackers on a port, if any."""
    import harness

    command = harness.load_command(
        plan.client,
        port,
        clients=plan.clients,
        processes=1,
        seconds=plan.seconds,
        path="/ws?channels=transfers",
    )
    with harness.Child(command) as load, Watch(pid) as watch:
        ready = load.line()
        with nullcontext() if target is None else attackers(plan, target) as enemy:
            time.sleep(LEAD)
            before, spent = harness.cpu_seconds(harness.tree([pid])), spent_by(enemy)
            load.say()
            found = load.line()
            used, theirs = harness.cpu_seconds(harness.tree([pid])) - before, spent_by(enemy) - spent
            sent = {} if enemy is None else json.loads(enemy.communicate(timeout=60)[0])
    latency, seconds = found["latencyMs"], found["seconds"]
    return Figures(
        ready["opened"],
        found["lost"] + ready["failed"],
        found["gaps"] + found["holes"],
        found["transfers"],
        latency["p50"],
        latency["p99"],
        watch.most / 1e6,
        used / seconds,
        theirs / seconds,
        sent,
    )


def spent_by(process: subprocess.Popen[str] | None) -> float:
    """CPU seconds of a process."""
    from harness import cpu_seconds

    return 0.0 if process is None else cpu_seconds([process.pid])


@contextmanager
def attackers(plan: Plan, port: int) -> Iterator[subprocess.Popen[str]]:
    """The attacks in a process of their own, somewhat longer than the clients listen."""
    numbers = (port, plan.floods, plan.restless, plan.seconds + LEAD + 1)
    command = [sys.executable, __file__, "--attack", *map(str, numbers)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@dataclass(frozen=True, slots=True)
class Outcome:
    """All runs by name, and what the service under attack counted."""

    runs: dict[str, list[Figures]]
    refused: dict[str, int]
    closed: dict[str, int]


def measure(plan: Plan, rounds: int) -> Outcome:
    with started(*SETTINGS) as (port, pid), started(*SETTINGS) as (other, _):
        time.sleep(3)
        runs: dict[str, list[Figures]] = {PEACE: [], ELSEWHERE: [], HERE: []}
        for _ in range(rounds):
            for name, target in ((PEACE, None), (ELSEWHERE, other), (HERE, port)):
                runs[name].append(run(plan, port, pid, target))
                print(name, runs[name][-1], file=sys.stderr, flush=True)
                time.sleep(3)
        metrics = get(port, "/metrics")
    refused, closed = (
        by_label(metrics, f"unionws_connections_{name}_total") for name in ("refused", "closed")
    )
    return Outcome(runs, refused, closed)


# ---- report ----


def show(outcome: Outcome, clients: int) -> str:
    """The outcome as tables."""
    from harness import figure, table

    peace = middle(outcome.runs[PEACE], "p99")
    headings = (f"{clients:,} clients", "opened", "lost", "gaps", "transfers", "p50 ms", "p99 ms")
    rows = [
        (
            name,
            f"{min(one.opened for one in runs):,}",
            str(sum(one.lost for one in runs)),
            str(sum(one.gaps for one in runs)),
            f"{sum(one.transfers for one in runs):,}",
            figure(middle(runs, "p50"), 1),
            figure(middle(runs, "p99"), 1),
            figure(middle(runs, "p99") / peace),
            figure(max(one.memory for one in runs), 0),
            figure(middle(runs, "cores")),
            figure(middle(runs, "attackers")),
        )
        for name, runs in outcome.runs.items()
    ]
    told = table((*headings, "× peace", "most MB", "cores", "attackers' cores"), rows)
    sent = sum((Counter(one.sent) for one in outcome.runs[HERE]), Counter[str]())
    tables = (("sent at the service", sent), ("refused", outcome.refused), ("closed", outcome.closed))
    return "\n\n".join([told, *(counts(name, values) for name, values in tables)])


def middle(runs: Sequence[Figures], name: str) -> float:
    """The median of one figure over the rounds."""
    return median(getattr(one, name) for one in runs)


def counts(heading: str, values: dict[str, int]) -> str:
    from harness import table

    return table((heading, "times"), [(name, f"{value:,}") for name, value in sorted(values.items())])


def parse(argv: Sequence[str] | None) -> Any:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clients", type=int, default=5_000)
    parser.add_argument("--seconds", type=float, default=15.0, help="each run")
    parser.add_argument("--floods", type=int, default=20_000, help="connections from one address")
    parser.add_argument("--restless", type=int, default=200, help="clients that change filters within limits")
    parser.add_argument("--rounds", type=int, default=1, help="each run so often; the table has medians")
    parser.add_argument("--attack", nargs=4, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def attack(port: int, floods: int, restless: int, seconds: float) -> int:
    """What the process of the attackers does."""
    from attacks import Attackers

    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    print(json.dumps(asyncio.run(Attackers(port).all_at_once(floods, restless, seconds))))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    options = parse(argv)
    if options.attack:
        port, floods, restless, seconds = options.attack
        return attack(int(port), int(floods), int(restless), float(seconds))
    from harness import c_programs

    with c_programs("loadclient") as (client,):
        plan = Plan(client, options.clients, options.seconds, options.floods, options.restless)
        outcome = measure(plan, options.rounds)
    print(show(outcome, options.clients))
    return 1 if any(one.lost or one.gaps for runs in outcome.runs.values() for one in runs) else 0


if __name__ == "__main__":
    sys.exit(main())
