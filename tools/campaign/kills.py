"""kill -9 of each process in turn, under clients that keep the rules: what is lost, what comes twice.

``python tools/campaign/kills.py [--rounds 10] [--clients 2000] [--rate 50]``

A supervised service with the embedded indexer; clients of :mod:`unionws.client` in some processes.
Each round kills every edge, ingest, and the supervisor, one after another; after the last the service
is started again. Every client wants every transfer. What each client's user was given is compared with
what the indexer had, which follows from its seed and the time alone.

All clients of a group get equal bytes, so a process decodes each text once for all its clients; all
else, from the handshake to the memory against repeats, is the client's own for each of them.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import multiprocessing
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import scene
from harness import note

from unionws.client import Backoff, Client, Connected, Disconnected, Gap, TransferReceived, session
from unionws.source.simulator import Simulator

BACKOFF = Backoff(base=0.25, cap=4.0)
REMEMBERED = 2_000
"""Transfers a client keeps in mind against repeats: a resume by cursor goes back about 20 s."""

BACK_WITHIN = 20.0
STILL_AFTER = 20.0
"""Seconds without another transfer after which what is missing is lost."""

READY_WITHIN = 60.0
TEXTS_KEPT = 512
"""Decoded texts a process of clients keeps for the next client that gets the same."""


# ---- clients, in processes of their own ----


@dataclass(slots=True, eq=False)
class Tally:
    """What became of one client's user.

    Attributes:
        got: one byte per key of the process, counted in the order they were first seen.
        repeated: transfers handed to the user again.
    """

    got: bytearray = field(default_factory=bytearray)
    connected: int = 0
    dropped: int = 0
    gaps: int = 0
    repeated: int = 0

    def take(self, number: int) -> None:
        """One more transfer."""
        if number >= len(self.got):
            self.got.extend(bytes(number + 1024 - len(self.got)))
        self.repeated += self.got[number]
        self.got[number] = 1


class Crowd:
    """The clients of one process, and the pipe by which it is asked."""

    def __init__(self, port: int, count: int, pipe: Connection) -> None:
        self._url = f"ws://127.0.0.1:{port}/ws"
        self._pipe = pipe
        self._numbers: dict[str, int] = {}
        self._tallies = [Tally() for _ in range(count)]

    async def run(self) -> None:
        """Follow the stream until told to stop."""
        tasks = [asyncio.ensure_future(self._follow(tally)) for tally in self._tallies]
        while (asked := await asyncio.to_thread(self._pipe.recv)) is not None:
            self._pipe.send(self._answer(asked))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, tally: Tally) -> None:
        await asyncio.sleep(random.uniform(0.0, 0.002 * len(self._tallies)))
        options: dict[str, Any] = {"channels": ("transfers",), "backoff": BACKOFF, "remember": REMEMBERED}
        async with Client(self._url, **options) as client:
            async for event in client:
                if isinstance(event, TransferReceived):
                    key = str(event.transfer["sort_order"])
                    tally.take(self._numbers.setdefault(key, len(self._numbers)))
                elif isinstance(event, Connected):
                    tally.connected += 1
                elif isinstance(event, Disconnected):
                    tally.dropped += 1
                elif isinstance(event, Gap):
                    tally.gaps += 1

    def _answer(self, keys: Sequence[str]) -> dict[str, int]:
        """Figures of all clients; ``keys``: what each has to have."""
        wanted = [self._numbers.get(key) for key in keys]
        never = wanted.count(None) * len(self._tallies)
        known = [number for number in wanted if number is not None]
        missing = sum(
            number >= len(tally.got) or not tally.got[number] for tally in self._tallies for number in known
        )
        return {
            "clients": sum(tally.connected > 0 for tally in self._tallies),
            "connections": sum(tally.connected for tally in self._tallies),
            "drops": sum(tally.dropped for tally in self._tallies),
            "gaps": sum(tally.gaps for tally in self._tallies),
            "repeated": sum(tally.repeated for tally in self._tallies),
            "lost": never + missing,
        }


def crowd(port: int, count: int, pipe: Connection) -> None:
    """A process full of clients."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    session.decode = functools.lru_cache(TEXTS_KEPT)(session.decode)
    asyncio.run(Crowd(port, count, pipe).run())


class Crowds:
    """Several processes of clients."""

    def __init__(self, port: int, clients: int, processes: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.clients = clients
        self._pipes: list[Connection] = []
        self._processes = []
        for index in range(processes):
            ours, theirs = context.Pipe()
            count = clients // processes + (index < clients % processes)
            process = context.Process(target=crowd, args=(port, count, theirs), daemon=True)
            process.start()
            self._pipes.append(ours)
            self._processes.append(process)

    async def ask(self, keys: Sequence[str] = ()) -> dict[str, int]:
        """The figures of all clients together."""
        for pipe in self._pipes:
            pipe.send(list(keys))
        answers = [await asyncio.to_thread(pipe.recv) for pipe in self._pipes]
        return {name: sum(answer[name] for answer in answers) for name in answers[0]}

    async def until_ready(self) -> None:
        """Wait until every client was greeted."""
        began = time.monotonic()
        while (await self.ask())["clients"] < self.clients:
            if time.monotonic() - began > READY_WITHIN:
                raise scene.CampaignError("not all clients could connect")
            await asyncio.sleep(0.1)

    def close(self) -> None:
        """End the processes."""
        for pipe in self._pipes:
            pipe.send(None)
        for process in self._processes:
            process.join(10.0)
            process.kill()


# ---- killing ----


@dataclass(slots=True)
class Kill:
    """One kill: what, and how many seconds until the service was as before."""

    victim: str
    back_after: float


def running(service: scene.Service) -> dict[str, int]:
    """Process ids by name, as the log has them."""
    lines = [line["fields"] for line in service.log() if line["message"] == "process started"]
    return {fields["process"]: fields["pid"] for fields in lines}


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def served(service: scene.Service, edge: str) -> int:
    """How often an edge has begun to serve, as the log has it."""
    lines = [line["fields"] for line in service.log() if line["message"] == "serving"]
    return sum(f"edge{fields['edge'].removeprefix('e')}" == edge for fields in lines)


async def kill_edge(service: scene.Service, name: str) -> Kill:
    """kill -9 of an edge, which is back when it serves; the supervisor starts it again."""
    pid, before = running(service)[name], served(service, name)
    os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    await scene.until(lambda: served(service, name) > before, BACK_WITHIN, f"{name} serves")
    await service.until_health("healthy", BACK_WITHIN)
    return Kill("edge", time.monotonic() - began)


async def kill_ingest(service: scene.Service) -> Kill:
    """kill -9 of ingest, which is back when a client gets the next transfer."""
    pid, watcher = running(service)["ingest"], scene.Recorder(service.port)
    await watcher.open()
    os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    await scene.until(lambda: running(service)["ingest"] != pid, BACK_WITHIN, "ingest is started again")
    got = len(watcher.seen)
    await scene.until(lambda: len(watcher.seen) > got, BACK_WITHIN, "the stream goes on")
    watcher.close()
    return Kill("ingest", time.monotonic() - began)


async def kill_supervisor(service: scene.Service) -> Kill:
    """kill -9 of the supervisor; everything ends, and the service is started again."""
    pids = running(service).values()
    began = time.monotonic()
    await service.end(signal.SIGKILL)
    await scene.until(lambda: not any(map(is_alive, pids)), BACK_WITHIN, "nothing is orphaned")
    await service.start()
    return Kill("supervisor", time.monotonic() - began)


async def kill_rounds(service: scene.Service, rounds: int, pause: float) -> list[Kill]:
    """Each process in turn, some seconds apart."""
    kills = []
    for number in range(rounds):
        edges = sorted(name for name in running(service) if name.startswith("edge"))
        for victim in (*edges, "ingest", "supervisor"):
            if victim == "supervisor":
                kills.append(await kill_supervisor(service))
            elif victim == "ingest":
                kills.append(await kill_ingest(service))
            else:
                kills.append(await kill_edge(service, victim))
            await asyncio.sleep(pause)
        times = ", ".join(f"{kill.victim} {kill.back_after:.1f} s" for kill in kills[-len(edges) - 2 :])
        note(f"round {number + 1} of {rounds}: back after {times}")
    return kills


# ---- the campaign ----


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it.

    Attributes:
        rows: transfers each client had to get.
        figures: sums over all clients: lost, repeated, gaps, drops, connections.
    """

    kills: tuple[Kill, ...]
    rows: int
    figures: dict[str, int]

    @property
    def clean(self) -> bool:
        return not (self.figures["lost"] or self.figures["repeated"] or self.figures["gaps"])


def settings(edges: int) -> dict[str, Any]:
    """Of the service: no limits per address, and nothing that takes time from the clients beside it."""
    return {
        "EDGE_PROCESSES": edges,
        "MAX_CLIENTS_PER_IP": 0,
        "MAX_HANDSHAKES_PER_IP": 0,
        "BACKFILL_DAYS": 0,
        "NODE_PROBES": False,
        "SPREAD_MS": 0,
        "MAX_TRANSFERS_PER_FRAME": 25,
    }


def rows_between(indexer: Simulator, start: float, end: float) -> list[str]:
    """Keys of what was sent from ``start`` on and could be seen at ``end``; Unix seconds."""
    return [row["sort_order"] for row in indexer.transfers_between(start, end) if row["visible_at"] <= end]


async def campaign(
    *, rounds: int, clients: int, processes: int, rate: float, edges: int, pause: float
) -> Outcome:
    """Run it all."""
    indexer = Simulator(rate=rate)  # the same seed as the service's: the same rows
    with TemporaryDirectory(prefix="unionws-campaign-") as folder:
        service = scene.Service(Path(folder), settings(edges), "--simulate", str(rate))
        await service.start()
        crowds = Crowds(service.port, clients, processes)
        try:
            await crowds.until_ready()
            start = time.time()
            kills = await kill_rounds(service, rounds, pause)
            end = time.time()
            keys = rows_between(indexer, start, end)
            return Outcome(tuple(kills), len(keys), await caught_up(crowds, keys))
        finally:
            crowds.close()
            await service.stop()


async def caught_up(crowds: Crowds, keys: Sequence[str]) -> dict[str, int]:
    """The figures once nothing is missing any more, or when no more of it comes."""
    figures = await crowds.ask(keys)
    moved = time.monotonic()
    while figures["lost"] and time.monotonic() - moved < STILL_AFTER:
        await asyncio.sleep(1.0)
        before, figures = figures, await crowds.ask(keys)
        if figures["lost"] < before["lost"]:
            moved = time.monotonic()
    return figures


def show(outcome: Outcome) -> str:
    """The outcome as two tables."""
    from harness import figure, table

    names = sorted({kill.victim for kill in outcome.kills})
    times = {name: [kill.back_after for kill in outcome.kills if kill.victim == name] for name in names}
    killed = table(
        ("killed", "times", "back after s, mean", "longest"),
        [
            (name, str(len(each)), figure(sum(each) / len(each), 1), figure(max(each), 1))
            for name, each in times.items()
        ],
    )
    sums = [("rows for each client", outcome.rows), *outcome.figures.items()]
    return killed + "\n\n" + table(("all clients", "count"), [(name, str(count)) for name, count in sums])


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="kill -9 of each process in turn, under clients.")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--clients", type=int, default=2_000)
    parser.add_argument("--processes", type=int, default=2, help="processes the clients are spread over")
    parser.add_argument("--rate", type=float, default=50.0, help="transfers a second")
    parser.add_argument("--edges", type=int, default=2)
    parser.add_argument("--pause", type=float, default=5.0, help="seconds between two kills")
    args = parser.parse_args(argv)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    outcome = asyncio.run(campaign(**vars(args)))
    print(show(outcome))
    return 0 if outcome.clean else 1


if __name__ == "__main__":
    sys.exit(main())
