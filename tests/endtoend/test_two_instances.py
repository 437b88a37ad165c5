"""Two services on one indexer: a position of the one is good for the other, by its cursor."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import scene

from unionws.client import Backoff, Client, Connected, Gap, TransferReceived
from unionws.source.simulator import Faults, Simulator

AWAY = (2.0, 2.0, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2)
"""Seconds between the two services, each time: what is sent meanwhile has to be made up for."""

LATE = 0.2
"""Of the rows become visible 2 to 8 s late, behind the cursor: one service may lack what the other has."""


class Switch:
    """Stands where a load balancer would: forwards to ``target``, or hangs up while that is 0."""

    def __init__(self) -> None:
        self.target = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Switch:
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *exit: object) -> None:
        assert self._server is not None
        self._server.close()
        self.turn(0)
        await scene.until(lambda: not self._ends, 5.0, "all connections ended")

    def turn(self, target: int) -> None:
        """Forward to another service from now on; present connections are cut."""
        self.target = target
        for end in self._ends:
            end.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = {writer}
        self._ends |= ends
        with suppress(OSError):
            if self.target:
                onward, there = await asyncio.open_connection("127.0.0.1", self.target)
                ends.add(there)
                self._ends.add(there)
                await asyncio.gather(self._copy(reader, there), self._copy(onward, writer))
        for end in ends:
            end.close()
        self._ends -= ends

    @staticmethod
    async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()


class User:
    """What the user of a Python client is told."""

    def __init__(self) -> None:
        self.got: Counter[str] = Counter()
        self.epochs: list[Any] = []
        self.gaps: list[Gap] = []

    async def follow(self, port: int) -> None:
        """Until cancelled."""
        backoff = Backoff(base=0.1, cap=0.2)
        async with Client(f"ws://127.0.0.1:{port}/ws", channels=("transfers",), backoff=backoff) as client:
            async for event in client:
                if isinstance(event, TransferReceived):
                    self.got[str(event.transfer["sort_order"])] += 1
                elif isinstance(event, Connected):
                    self.epochs.append(event.data["epoch"])
                elif isinstance(event, Gap):
                    self.gaps.append(event)


async def travel(folder: Path) -> tuple[User, set[str], int]:
    """From one service to another and back, again and again: the user, all rows, how many while away."""
    simulator = Simulator(rate=20.0, faults=Faults(late=LATE))
    endpoint = f"http://127.0.0.1:{simulator.start('127.0.0.1', 0)}/v1/graphql"
    user, away = User(), 0
    async with AsyncExitStack() as stack:
        stack.push_async_callback(simulator.stop)
        services = []
        for name in ("one", "other"):
            (folder / name).mkdir()
            service = scene.Service(folder / name, {**scene.QUICK, "PORT": 0, "GRAPHQL_ENDPOINT": endpoint})
            await service.start()
            stack.push_async_callback(service.stop)
            services.append(service)
        switch = await stack.enter_async_context(Switch())
        switch.turn(services[0].port)
        following = asyncio.ensure_future(user.follow(switch.port))
        await scene.until(lambda: user.epochs, 10.0, "the first greeting")
        start = time.time()
        for number, seconds in enumerate(AWAY, 1):
            before = len(user.got)
            await scene.until(lambda: len(user.got) > before + 20, 10.0, "transfers come")  # noqa: B023
            switch.turn(0)
            left = time.time()
            await asyncio.sleep(seconds)
            away += len(simulator.transfers_between(left, time.time()))
            switch.turn(services[number % 2].port)
        await asyncio.sleep(1.0)
        rows = simulator.transfers_between(start, end := time.time())
        wanted = {row["sort_order"] for row in rows if row["visible_at"] <= end}
        with suppress(scene.CampaignError):
            await scene.until(lambda: user.got.keys() >= wanted, scene.LATEST, "all rows")
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    return user, wanted, away


def test_a_client_that_is_moved_to_another_instance_misses_nothing(tmp_path: Path) -> None:
    """The other numbers differently, so the client resumes there by its cursor: each row once, no gap."""
    user, wanted, away = asyncio.run(travel(tmp_path))
    assert len(set(user.epochs)) == 2
    assert away > 40
    assert not wanted - user.got.keys()
    assert max(user.got.values()) == 1
    assert user.gaps == []
