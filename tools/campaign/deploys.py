"""Takeovers under load: what is refused, lost or repeated while one service follows on another.

``python tools/campaign/deploys.py [--times 5] [--clients 2000] [--rate 50]``

A supervised service with the embedded indexer and clients of :mod:`unionws.client`, as in ``kills.py``;
besides, connections are opened one after another all the time. The service is taken over at SIGUSR2 and
by a second start in turn. What each client's user was given is compared with what the indexer had.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import kills
import scene
from harness import figure, note, table

from unionws.source.simulator import Simulator

GONE_WITHIN = 30.0
ANSWERED_WITHIN = 10.0
REQUEST = (
    b"GET /ws?channels=status HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@dataclass(slots=True)
class Knocks:
    """Connections opened one after another.

    Attributes:
        refused: what became of those that were not let in.
        slowest: seconds until one was answered.
    """

    port: int
    opened: int = 0
    slowest: float = 0.0
    refused: list[str] = field(default_factory=list)
    ended: bool = False

    async def run(self) -> None:
        """Until ``ended``: a cancellation can get lost in wait_for."""
        while not self.ended:
            began = time.monotonic()
            try:
                await asyncio.wait_for(self._knock(), ANSWERED_WITHIN)
            except (OSError, EOFError, asyncio.TimeoutError) as error:
                self.refused.append(repr(error))
            self.slowest = max(self.slowest, time.monotonic() - began)
            await asyncio.sleep(0.005)

    async def _knock(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(REQUEST)
            answer = await reader.readuntil(b"\r\n\r\n")
            self.opened += 1
            if not answer.startswith(b"HTTP/1.1 101 "):
                self.refused.append(answer.decode("latin-1").partition("\r\n")[0])
        finally:
            writer.close()


@dataclass(frozen=True, slots=True)
class Deploy:
    """One takeover; seconds from its start until the new service serves, and until the old one is gone."""

    how: str
    serves: float
    gone: float


class Deployed(scene.Service):
    """A service whose main process changes."""

    main = 0

    async def start(self) -> None:
        await super().start()
        self.main = self.pid

    def found(self, message: str) -> list[dict[str, int]]:
        """The fields of a message in the log, each time it was logged."""
        return [line["fields"] for line in self.log() if line["message"] == message]

    async def take_over(self, how: str) -> Deploy:
        """Have it taken over once, and wait until the old one is gone."""
        old, ours = self.main, self._process
        known = len(self.found("took over from a running service"))
        began = time.monotonic()
        if how == "SIGUSR2":
            os.kill(old, signal.SIGUSR2)
        else:
            self.spawn()
            self.main = self.pid
        await scene.until(
            lambda: len(self.found("took over from a running service")) > known, GONE_WITHIN, "it takes over"
        )
        serves = time.monotonic() - began
        if how == "SIGUSR2":
            self.main = self.found("successor started")[-1]["pid"]
        await scene.until(lambda: not kills.is_alive(old), GONE_WITHIN, "the old one is gone")
        gone = time.monotonic() - began
        if ours is not None and ours.pid == old:
            ours.wait()
        await self.until_health("healthy", GONE_WITHIN)
        return Deploy(how, serves, gone)

    async def finish(self) -> None:
        """End the one that runs now."""
        with suppress(ProcessLookupError):
            os.kill(self.main, signal.SIGTERM)
        await scene.until(lambda: not kills.is_alive(self.main), GONE_WITHIN, "the service ends")
        if self.main == self.pid:
            assert self._process is not None
            self._process.wait()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it; ``figures`` and ``rows`` as in ``kills.py``."""

    deploys: tuple[Deploy, ...]
    knocks: Knocks
    rows: int
    figures: dict[str, int]

    @property
    def clean(self) -> bool:
        return not (self.knocks.refused or any(self.figures[name] for name in ("lost", "repeated", "gaps")))


async def campaign(
    *, times: int, clients: int, processes: int, rate: float, edges: int, pause: float
) -> Outcome:
    """Run it all."""
    indexer = Simulator(rate=rate)  # the same seed as the service's: the same rows
    with TemporaryDirectory(prefix="unionws-campaign-") as folder:
        service = Deployed(Path(folder), kills.settings(edges), "--simulate", str(rate))
        await service.start()
        crowds, knocks = kills.Crowds(service.port, clients, processes), Knocks(service.port)
        try:
            await crowds.until_ready()
            knocking = asyncio.ensure_future(knocks.run())
            start, deploys = time.time(), []
            for number in range(times):
                await asyncio.sleep(pause)
                deploys.append(await service.take_over("second start" if number % 2 else "SIGUSR2"))
                note(f"{number + 1} of {times}: {deploys[-1]}")
            await asyncio.sleep(pause)
            end = time.time()
            knocks.ended = True
            await knocking
            keys = kills.rows_between(indexer, start, end)
            return Outcome(tuple(deploys), knocks, len(keys), await kills.caught_up(crowds, keys))
        finally:
            crowds.close()
            await service.finish()


def show(outcome: Outcome) -> str:
    """The outcome as two tables."""
    taken = table(
        ("taken over by", "new one serves after s", "old one gone after s"),
        [(each.how, figure(each.serves, 1), figure(each.gone, 1)) for each in outcome.deploys],
    )
    knocks = outcome.knocks
    sums = [
        ("connections opened meanwhile", f"{knocks.opened:,}"),
        ("of these refused", str(len(knocks.refused))),
        ("slowest of these, ms", figure(knocks.slowest * 1000, 0)),
        ("rows for each client", str(outcome.rows)),
        *((name, str(count)) for name, count in outcome.figures.items()),
    ]
    return taken + "\n\n" + table(("all clients", "count"), sums)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Takeovers, under clients and new connections.")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--clients", type=int, default=2_000)
    parser.add_argument("--processes", type=int, default=2, help="processes the clients are spread over")
    parser.add_argument("--rate", type=float, default=50.0, help="transfers a second")
    parser.add_argument("--edges", type=int, default=2, help="0: one process for all")
    parser.add_argument("--pause", type=float, default=5.0, help="seconds between two takeovers")
    args = parser.parse_args(argv)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    outcome = asyncio.run(campaign(**vars(args)))
    print(show(outcome))
    return 0 if outcome.clean else 1


if __name__ == "__main__":
    sys.exit(main())
