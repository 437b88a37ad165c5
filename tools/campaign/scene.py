"""What the campaigns share: the service as a process, the indexer in this one, and who listens."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ujson
from tornado.httpclient import AsyncHTTPClient, HTTPError
from tornado.websocket import WebSocketClientConnection, websocket_connect

from unionws.source.simulator import Simulator

sys.path.append(str(Path(__file__).resolve().parents[1] / "bench"))

QUICK = {"POLL_INTERVAL": 250, "SPREAD_MS": 300, "FUTURE_BUFFER_MS": 0, "JITTER_MS": 50}
"""Short natural timing, so that a campaign need not wait for it."""

LATEST = 12.0
"""Seconds until a row that was visible at the end of a measurement has reached every client: the
re-scan for late rows comes every 2 s, and a burst takes some pages."""

STARTS_WITHIN = 20.0


class CampaignError(Exception):
    """A campaign cannot go on; the text says why."""


async def until(condition: Callable[[], object], within: float, what: str) -> float:
    """Wait until something is so; the seconds it took.

    Raises:
        CampaignError: it did not come about in time.
    """
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > within:
            raise CampaignError(f"not within {within:g} s: {what}")
        await asyncio.sleep(0.02)
    return time.monotonic() - began


class Service:
    """``unionws serve`` as a process of its own, on 127.0.0.1, with its state in ``folder``.

    Args:
        arguments: more of its command line.
        before: a command that runs the rest of its command line, such as ``prlimit``.

    Attributes:
        port: the one it has; kept over restarts.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], *arguments: str, before: Sequence[str] = ()
    ) -> None:
        self.folder = folder
        self._before = before
        self._settings = settings
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def pid(self) -> int:
        """The process that was started: the supervisor where there are edges."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start it, and wait until it is healthy."""
        known = len(self.log())
        self.spawn()
        await until(lambda: self._serving(known), STARTS_WITHIN, "the service listens")
        await self.until_health("healthy", STARTS_WITHIN)

    def spawn(self) -> None:
        """Start the process."""
        local = {"HOST": "127.0.0.1", "PLUGINS_DIR": "", "LOG_FORMAT": "json"}
        given = {**local, "PORT": self.port, "STATE_DIR": self.folder / "state", **self._settings}
        pairs = [word for name, value in given.items() for word in ("--set", f"{name}={value}")]
        with self._log_path.open("ab") as log:
            command = [*self._before, sys.executable, "-m", "unionws", "serve", *pairs, *self._arguments]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)

    @property
    def _log_path(self) -> Path:
        return self.folder / "log"

    def log(self) -> list[dict[str, Any]]:
        """Everything it has logged so far, over restarts."""
        lines = self._log_path.read_text("utf-8").splitlines() if self._log_path.exists() else []
        return [ujson.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def _serving(self, known: int) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise CampaignError(f"the service ended: {self._log_path.read_text('utf-8')[-2000:]}")
        found = [line for line in self.log()[known:] if line["message"] == "serving"]
        if found:
            self.port = found[0]["fields"]["port"]
        return bool(found)

    async def stop(self) -> int:
        """SIGTERM; its exit code."""
        return await self.end(signal.SIGTERM)

    async def end(self, number: signal.Signals) -> int:
        """Send a signal and wait until it is gone; its exit code."""
        process = self._process
        assert process is not None
        process.send_signal(number)
        try:
            await until(lambda: process.poll() is not None, 15.0, "the service ends")
        except CampaignError:
            process.kill()
            raise
        return process.wait()

    async def get(self, path: str) -> dict[str, Any]:
        """The JSON of an HTTP view, whatever the status; empty when nobody answers."""
        client = AsyncHTTPClient(force_instance=True)
        try:
            answer = await client.fetch(f"http://127.0.0.1:{self.port}{path}", raise_error=False)
        except (OSError, HTTPError):
            return {}
        finally:
            client.close()
        body: dict[str, Any] = ujson.loads(answer.body) if answer.body else {}
        return body

    async def until_health(self, wanted: str, within: float) -> float:
        """Wait for a status with the reasons it needs; the seconds it took."""
        began = time.monotonic()
        while True:
            found = await self.get("/health")
            status, reasons = found.get("status"), found.get("reasons")
            if status == wanted and bool(reasons) == (wanted != "healthy"):
                return time.monotonic() - began
            if time.monotonic() - began > within:
                raise CampaignError(f"/health is {status} ({reasons}) after {within:g} s, not {wanted}")
            await asyncio.sleep(0.05)


@dataclass(slots=True)
class Stage:
    """A service and the indexer it polls, which is in this process and can be spoilt."""

    service: Service
    simulator: Simulator
    started: float
    indexer_port: int

    def truth(self, start: float, end: float) -> dict[str, float]:
        """Every row sent from ``start`` on and visible at ``end``, with the moment it became visible."""
        rows = self.simulator.transfers_between(start, end)
        return {row["sort_order"]: row["visible_at"] for row in rows if row["visible_at"] <= end}


@asynccontextmanager
async def staged(
    simulator: Simulator, settings: Mapping[str, Any] = QUICK, before: Sequence[str] = ()
) -> AsyncIterator[Stage]:
    """A healthy service of one process that polls ``simulator``."""
    with TemporaryDirectory(prefix="unionws-campaign-") as folder:
        port = simulator.start("127.0.0.1", 0)
        endpoint = f"http://127.0.0.1:{port}/v1/graphql"
        given = {**settings, "PORT": 0, "GRAPHQL_ENDPOINT": endpoint}
        service = Service(Path(folder), given, before=before)
        try:
            await service.start()
            yield Stage(service, simulator, time.time(), port)
        finally:
            await service.stop()
            await simulator.stop()


class Recorder:
    """A client that de-duplicates nothing: it counts what arrives and keeps the rule about gaps.

    Attributes:
        seen: how often each ``sort_order`` arrived.
        gaps: what the rule or the server said was missing.
    """

    def __init__(self, port: int, query: str = "?channels=transfers") -> None:
        self._url = f"ws://127.0.0.1:{port}/ws{query}"
        self._connection: WebSocketClientConnection | None = None
        self._last: int | None = None
        self.seen: Counter[str] = Counter()
        self.gaps: list[str] = []
        self.closed = False

    async def open(self) -> None:
        """Connect, and wait for the greeting."""
        self._connection = await websocket_connect(self._url, on_message_callback=self._on_message)
        await until(lambda: self._last is not None, 10.0, "the greeting")

    def close(self) -> None:
        """Leave."""
        if self._connection is not None:
            self._connection.close()

    def _on_message(self, text: str | bytes | None) -> None:
        if text is None:
            self.closed = True
            return
        message = ujson.loads(text)
        if message["type"] == "transfers":
            if self._last is not None and message["prev"] > self._last:
                self.gaps.append(f"prev {message['prev']} after {self._last}")
            self._last = message["seq"]
            self.seen.update(item["sort_order"] for item in message["data"])
        elif message["type"] == "connected":
            self._last = message["data"].get("seq", 0)
        elif message["type"] == "gap":
            self.gaps.append(str(message["data"]))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the rows of an interval.

    Attributes:
        lost: never arrived.
        repeated: arrived more than once.
        invented: arrived though the indexer never had them.
    """

    rows: int
    lost: tuple[str, ...]
    repeated: tuple[str, ...]
    invented: tuple[str, ...]
    gaps: tuple[str, ...]

    @property
    def clean(self) -> bool:
        return not (self.lost or self.repeated or self.invented or self.gaps)


async def judge(stage: Stage, recorder: Recorder, start: float, end: float) -> Verdict:
    """Compare what arrived with what the indexer had, once what is under way has had its time.

    Args:
        start: the recorder was open; rows sent earlier do not count.
        end: rows visible later do not count.
    """
    expected = stage.truth(start, end)
    deadline = time.monotonic() + LATEST
    while not recorder.seen.keys() >= expected.keys() and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    known = {row["sort_order"] for row in stage.simulator.transfers_between(stage.started - 120, time.time())}
    return Verdict(
        len(expected),
        tuple(key for key in expected if key not in recorder.seen),
        tuple(key for key, count in recorder.seen.items() if count > 1),
        tuple(key for key in recorder.seen if key not in known),
        tuple(recorder.gaps),
    )
