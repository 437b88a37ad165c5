"""The whole service under the embedded indexer, its processes killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from unionws.source.simulator import Simulator

RATE = "40"


class Running:
    """A service in processes of its own."""

    def __init__(self, state: Path) -> None:
        sets = ["EDGE_PROCESSES=2", "PORT=0", "HOST=127.0.0.1", f"STATE_DIR={state}", "SPREAD_MS=300"]
        sets += ["FUTURE_BUFFER_MS=100", "LOG_FORMAT=json", "PLUGINS_DIR="]
        command = [sys.executable, "-m", "unionws", "serve", "--simulate", RATE]
        for item in sets:
            command += ["--set", item]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        self.pids: dict[str, int] = {}

    def lines(self) -> Iterator[dict[str, object]]:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            yield json.loads(line)

    def wait_for_port(self) -> int:
        for line in self.lines():
            fields = line.get("fields")
            if isinstance(fields, dict) and line["message"] == "process started":
                self.pids[fields["process"]] = fields["pid"]
            if isinstance(fields, dict) and line["message"] == "serving":
                return int(fields["port"])
        raise AssertionError("the service did not start")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.stderr is not None
        self.process.stderr.read()
        code = self.process.wait()
        self.process.stderr.close()
        return code


class Follower:
    """A client that only writes down what it gets."""

    def __init__(self) -> None:
        self.connected: dict[str, object] = {}
        self.frames: list[dict[str, object]] = []
        self.orders: list[str] = []
        self.closed = False

    async def follow(self, connection: WebSocketClientConnection) -> None:
        while (text := await connection.read_message()) is not None:
            message = json.loads(text)
            if message["type"] == "connected":
                self.connected = message["data"]
            if message["type"] == "transfers" and not message.get("replay"):
                self.frames.append(message)
                self.orders += [item["sort_order"] for item in message["data"]]
        self.closed = True

    async def until(self, count: int) -> None:
        while len(self.orders) < count:
            assert not self.closed
            await asyncio.sleep(0.05)

    def check(self) -> None:
        """Nothing is missing, nothing came twice, one numbering throughout."""
        seq = self.connected["seq"]
        for frame in self.frames:
            assert frame["prev"] == seq
            seq = frame["seq"]
        assert int(str(seq)) - int(str(self.connected["seq"])) == len(self.orders)
        assert len(set(self.orders)) == len(self.orders)
        assert {frame["epoch"] for frame in self.frames} == {self.connected["epoch"]}


async def position(port: int, least: int) -> tuple[str, int]:
    """Epoch and number that a new client is told, once the number is above ``least``."""
    while True:
        follower = Follower()
        connection = await websocket_connect(f"ws://127.0.0.1:{port}/ws")
        task = asyncio.ensure_future(follower.follow(connection))
        await asyncio.sleep(0.1)
        connection.close()
        await task
        if int(str(follower.connected.get("seq", -1))) > least:
            return str(follower.connected["epoch"]), int(str(follower.connected["seq"]))


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path / "state")
    yield running
    running.stop()


def test_ingest_killed_twice_is_not_noticed_by_clients(service: Running) -> None:
    """They stay connected; numbers go on; every transfer of the indexer comes once."""
    port = service.wait_for_port()

    async def play() -> tuple[Follower, list[str]]:
        await position(port, -1)  # before ingest was heard of, an edge knows no numbers
        follower = Follower()
        connection = await websocket_connect(f"ws://127.0.0.1:{port}/ws")
        began = int(time.time()) + 2  # what was sent before may have been published before, too
        task = asyncio.ensure_future(follower.follow(connection))
        for _ in range(2):
            await follower.until(len(follower.orders) + 40)
            os.kill(await ingest_of(service), signal.SIGKILL)
            killed = time.time()
            await asyncio.sleep(0.3)
        await follower.until(len(follower.orders) + 60)
        await asyncio.sleep(max(0.0, killed + 4 - time.time()))  # what is wanted reaches past the kills
        while len(wanted := sent_between(began, int(time.time()) - 2)) <= 40:
            await asyncio.sleep(0.5)
        while not set(wanted) <= set(follower.orders):  # some are only found by the next re-scan
            assert not follower.closed
            await asyncio.sleep(0.1)
        connection.close()
        await task
        return follower, wanted

    follower, wanted = asyncio.run(asyncio.wait_for(play(), 60))
    follower.check()
    got = [order for order in sorted(follower.orders) if wanted[0] <= order <= wanted[-1]]
    assert got == wanted


def sent_between(start: int, end: int) -> list[str]:
    """All there were in these seconds: the embedded indexer's follow from seed and time alone."""
    rows = Simulator(rate=float(RATE), seed=1).indexer.between(start, end)
    return sorted(row["sort_order"] for row in rows)


async def ingest_of(service: Running) -> int:
    """The child that is ingest now: the one that edges were not started as."""
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children")
    edges = {pid for name, pid in service.pids.items() if name.startswith("edge")}
    for _ in range(100):
        found = [int(pid) for pid in children.read_text().split() if int(pid) not in edges]
        if len(found) == 1:
            return found[0]
        await asyncio.sleep(0.05)
    raise AssertionError("ingest is not there")


def test_a_stopped_service_goes_on_under_the_same_numbering(tmp_path: Path) -> None:
    """The state on disk is enough to go on with the next number."""

    first = Running(tmp_path / "state")
    epoch, seq = asyncio.run(asyncio.wait_for(position(first.wait_for_port(), 0), 20))
    assert first.stop() == 0
    second = Running(tmp_path / "state")
    try:
        assert asyncio.run(asyncio.wait_for(position(second.wait_for_port(), seq), 20))[0] == epoch
    finally:
        assert second.stop() == 0
