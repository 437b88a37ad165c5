"""What can go wrong around a service: it says so, it recovers by itself, nothing published is lost.

``python tools/campaign/faults.py [--seconds 20] [--dead 600] [--faults full,gone,…]``

Each fault in turn befalls a real service under a client: a full disk (SQLite's max_page_count),
STATE_DIR removed and something else in its place, the clock stepped by an hour forward and back,
an indexer that is not there for ``--dead`` seconds, no descriptors left. The table has, for each,
what /health said and when, what /readyz said, when all was well again, and what became of the rows
of that time, compared with what the indexer had: in the stream, and in the history on disk.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import socket
import sqlite3
import struct
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import scene

from unionws.source.simulator import Simulator

SPOILT = Path(__file__).resolve().parent / "spoilt"
HOUR = 3600.0
SAID_WITHIN = 10.0
RECOVERY = 60.0
"""Seconds after a fault within which the service has to be healthy: the longest back-off (30 s), a
request under way (8 s), and what piled up meanwhile."""

FEW_FILES = 260
STORED_WITHIN = 10.0
UPGRADE = (
    b"GET /ws?channels=status HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@dataclass(slots=True)
class Place:
    """A service and what can be done to it."""

    stage: scene.Stage
    folder: Path
    port: int
    held: ExitStack

    @property
    def state(self) -> Path:
        return self.stage.service.folder / "state"

    def step_clock(self, seconds: float) -> None:
        """Wall time of the service, compared with ours."""
        with (self.folder / "clock").open("r+b") as file:
            file.write(struct.pack("d", seconds))


class Fault:
    """One fault: how it begins, how it ends, and what ``/health`` has to say meanwhile.

    Attributes:
        keeps_history: whether all that was published has to be on the disk afterwards.
    """

    name = word = ""
    keeps_history = True

    async def begin(self, place: Place) -> None:
        raise NotImplementedError

    async def end(self, place: Place) -> None:
        """By itself, where nothing is said."""


class DiskFull(Fault):
    name, word = "disk full", "database or disk is full"

    async def begin(self, place: Place) -> None:
        (place.folder / "full").touch()

    async def end(self, place: Place) -> None:
        (place.folder / "full").unlink()


class StateGone(Fault):
    """The folder is removed, and a file in its place keeps it from being made again."""

    name, word = "STATE_DIR gone", "state folder"
    keeps_history = False

    async def begin(self, place: Place) -> None:
        shutil.rmtree(place.state, ignore_errors=True)
        while place.state.is_dir():  # the service may have made something in it meanwhile
            shutil.rmtree(place.state, ignore_errors=True)
        place.state.touch()

    async def end(self, place: Place) -> None:
        place.state.unlink()


class ClockForward(Fault):
    name, word = "clock +1 h", "set forward by 3600 s"

    async def begin(self, place: Place) -> None:
        place.step_clock(HOUR)


class ClockBack(Fault):
    name, word = "clock -1 h", "set back by 3600 s"

    async def begin(self, place: Place) -> None:
        place.step_clock(0.0)


class ClockBehind(Fault):
    """Behind the indexer's time, and then right again."""

    name, word = "clock 1 h behind", "set back by 3600 s"

    async def begin(self, place: Place) -> None:
        place.step_clock(-HOUR)

    async def end(self, place: Place) -> None:
        place.step_clock(0.0)


class Dead(Fault):
    name, word = "indexer dead", "the indexer"

    async def begin(self, place: Place) -> None:
        await place.stage.simulator.stop()

    async def end(self, place: Place) -> None:
        place.stage.simulator.start("127.0.0.1", place.port)


class NoDescriptors(Fault):
    """Clients until one is refused, then as many half-sent requests as come."""

    name, word = "no descriptors", "file descriptors"

    async def begin(self, place: Place) -> None:
        port = place.stage.service.port
        for _ in range(FEW_FILES):
            if not await self._opened(place, port, UPGRADE, wait=True):
                break
        for _ in range(FEW_FILES):
            await self._opened(place, port, b"GET /he", wait=False)

    async def _opened(self, place: Place, port: int, data: bytes, *, wait: bool) -> bool:
        one = place.held.enter_context(socket.create_connection(("127.0.0.1", port), 10))
        one.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(one, data)
        return not wait or b" 101 " in await loop.sock_recv(one, 100)

    async def end(self, place: Place) -> None:
        place.held.close()


FAULTS: dict[str, type[Fault]] = {
    "full": DiskFull,
    "gone": StateGone,
    "forward": ClockForward,
    "back": ClockBack,
    "behind": ClockBehind,
    "dead": Dead,
    "files": NoDescriptors,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """One fault.

    Attributes:
        said_after: seconds from its begin until /health named it; None: it never did.
        reason, not_ready: what /health and /readyz said.
        healthy_after: seconds from its end until /health was healthy.
        unstored: rows of that time that are not in the history at the end.
        errors: unexpected lines of the log.
    """

    fault: Fault
    lasted: float
    said_after: float | None
    reason: str
    not_ready: str
    healthy_after: float
    verdict: scene.Verdict
    unstored: int
    errors: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Named in time, in both places, and nothing lost."""
        named = self.said_after is not None and self.fault.word in self.not_ready
        stored = not self.unstored or not self.fault.keeps_history
        return named and stored and self.verdict.clean and not self.errors


@asynccontextmanager
async def placed(rate: float, files: int = 0) -> AsyncIterator[Place]:
    """A healthy service; ``files``: descriptors it may have."""
    simulator = Simulator(rate=rate)
    with TemporaryDirectory(prefix="unionws-faults-") as name, ExitStack() as held:
        (Path(name) / "clock").write_bytes(struct.pack("d", 0.0))
        before = ["env", f"PYTHONPATH={SPOILT}", f"CAMPAIGN_FOLDER={name}"]
        before += ["prlimit", f"--nofile={files}:{files}"] if files else []
        async with scene.staged(simulator, scene.QUICK, before) as stage:
            yield Place(stage, Path(name), stage.indexer_port, held)


async def befall(place: Place, fault: Fault, seconds: float) -> Outcome:
    """One fault for some seconds, and what came of it."""
    service, recorder = place.stage.service, scene.Recorder(place.stage.service.port)
    await recorder.open()
    known, start = len(service.log()), time.time()
    await fault.begin(place)
    said_after, reason = await named(service, fault.word)
    not_ready = "; ".join((await service.get("/readyz")).get("reasons", ()))
    await asyncio.sleep(max(0.0, start + seconds - time.time()))
    lasted = time.time() - start
    await fault.end(place)
    healthy_after = await service.until_health("healthy", RECOVERY)
    end = time.time()
    verdict = await scene.judge(place.stage, recorder, start, end)
    unstored = await missing_on_disk(place, start, end)
    recorder.close()
    errors = tuple({line["message"] for line in service.log()[known:] if is_unexpected(line["message"])})
    return Outcome(fault, lasted, said_after, reason, not_ready, healthy_after, verdict, unstored, errors)


async def named(service: scene.Service, word: str) -> tuple[float | None, str]:
    """Seconds until /health is degraded with a reason that has the word, and the reason."""
    began, reasons = time.monotonic(), ""
    while time.monotonic() - began < SAID_WITHIN:
        told = await service.get("/health")
        reasons = "; ".join(told.get("reasons", ()))
        if told.get("status") == "degraded" and word in reasons:
            return time.monotonic() - began, reasons
        await asyncio.sleep(0.05)
    return None, reasons


async def missing_on_disk(place: Place, start: float, end: float) -> int:
    """Rows of an interval that are not in the history's file, once it has had its time."""
    expected = place.stage.truth(start, end).keys()
    deadline = time.monotonic() + STORED_WITHIN
    while True:
        missing = len(expected - stored(place.state))
        if not missing or time.monotonic() > deadline:
            return missing
        await asyncio.sleep(0.5)


def stored(state: Path) -> set[str]:
    """Keys of published transfers in the file."""
    found = list(state.glob("*/history.db"))
    if not found:
        return set()
    connection = sqlite3.connect(f"file:{found[0]}?mode=ro", uri=True)
    try:
        return {key for (key,) in connection.execute("SELECT sort_order FROM transfers WHERE seq > 0")}
    finally:
        connection.close()


def is_unexpected(message: str) -> bool:
    """Something failed that nobody had thought of."""
    return message in ("a periodic task failed", "request failed") or "Traceback" in message


async def campaign(names: Sequence[str], seconds: float, dead: float, rate: float) -> list[Outcome]:
    """The faults one after the other, in one run of the service; no descriptors in one of its own."""
    outcomes = []
    async with placed(rate) as place:
        for name in names:
            if name != "files":
                outcomes.append(await befall(place, FAULTS[name](), dead if name == "dead" else seconds))
                print(outcomes[-1].fault.name, file=sys.stderr, flush=True)
    if "files" in names:
        async with placed(rate, FEW_FILES) as place:
            outcomes.append(await befall(place, NoDescriptors(), seconds))
    return outcomes


def show(outcomes: Sequence[Outcome]) -> str:
    """The outcomes as a table."""
    from harness import figure, table

    headings = ("fault", "lasted s", "named after s", "healthy again s", "rows", "lost", "repeated")
    rows = [
        (
            outcome.fault.name,
            figure(outcome.lasted, 0),
            figure(outcome.said_after, 1),
            figure(outcome.healthy_after, 1),
            str(outcome.verdict.rows),
            str(len(outcome.verdict.lost) + len(outcome.verdict.gaps)),
            str(len(outcome.verdict.repeated)),
            str(outcome.unstored),
            "; ".join([outcome.reason, *outcome.errors]),
        )
        for outcome in outcomes
    ]
    return table((*headings, "not on disk", "reason"), rows)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="A service while everything around it fails.")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each fault lasts")
    parser.add_argument("--dead", type=float, default=600.0, help="how long the indexer is dead")
    parser.add_argument("--rate", type=float, default=20.0, help="transfers a second")
    parser.add_argument("--faults", default=",".join(FAULTS), help="by commas: " + ", ".join(FAULTS))
    args = parser.parse_args(argv)
    outcomes = asyncio.run(campaign(args.faults.split(","), args.seconds, args.dead, args.rate))
    print(show(outcomes))
    return 0 if all(outcome.clean for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
