"""Abuse under well-behaved clients: what they notice, and how each refusal is counted.

``python tools/campaign/abuse.py [--clients 5000] [--seconds 20] [--floods 20000]``

Starts the service with the embedded indexer, measures the clients in peace, then again under all
attacks at once: slow request heads, many connections from one address, malformed and oversized
frames, message and filter floods, giant headers, half-open sockets. The table shows delivery
latency and what was lost in both runs, memory, and refusals and closes by reason.

The attackers share the machine with the server; they run at a low priority, as if they were elsewhere.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import itertools
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RATE = 2
"""Transfers a second: 5,000 clients get 10,000 messages a second, which leaves room to see a difference."""

MASK = b"\x01\x02\x03\x04"
ATTACKER = "203.0.113.{}"
"""Addresses the attackers have, named by the (trusted) loopback proxy they come through."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What the clients noticed, and the server's memory in MB."""

    opened: int
    lost: int
    gaps: int
    p50: float
    p99: float
    memory: float


@contextmanager
def service(*overrides: str) -> Iterator[int]:
    """A server of two edges on a free port; the port."""
    with tempfile.TemporaryDirectory() as folder:
        settings = ["PORT=0", "HOST=127.0.0.1", f"STATE_DIR={folder}", "PLUGINS_DIR=", *overrides]
        arguments = [part for setting in settings for part in ("--set", setting)]
        command = [sys.executable, "-m", "unionws", "serve", "--simulate", str(RATE), *arguments]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        try:
            assert process.stderr is not None
            fields = next(json.loads(line)["fields"] for line in process.stderr if '"port"' in line)
            drain = asyncio.new_event_loop().run_in_executor(None, process.stderr.read)
            yield fields["port"]
        finally:
            process.terminate()
            process.wait(20)
            del drain


def get(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
        text: str = answer.read().decode()
    return text


def by_label(metrics: str, name: str) -> dict[str, int]:
    """Values of a metric by its only label."""
    lines = [line for line in metrics.splitlines() if line.startswith(name + "{")]
    return {line.split('"')[1]: int(float(line.rsplit(" ", 1)[1])) for line in lines}


def memory(port: int) -> float:
    """Megabytes of all processes."""
    return sum(by_label(get(port, "/metrics"), "unionws_process_resident_memory_bytes").values()) / 1e6


def load(port: int, clients: int, seconds: float) -> Figures:
    """Well-behaved clients for some seconds."""
    arguments = ["--clients", str(clients), "--seconds", str(seconds), "--processes", "1", "--quiet"]
    command = [sys.executable, str(ROOT / "tools/loadtest.py"), f"ws://127.0.0.1:{port}/ws", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout:
        raise SystemExit(done.stderr)
    told = json.loads(done.stdout)
    latency = told["latencyMs"]
    return Figures(
        told["opened"], told["lost"], told["positions"]["gaps"], latency["p50"], latency["p99"], memory(port)
    )


# ------------------------------------------------------------------------------------- attacks


def upgrade(address: str, extra: str = "") -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nX-Forwarded-For: {address}\r\n{extra}\r\n"
    ).encode()


def frame(opcode: int, payload: bytes = b"", head: int = 0x80) -> bytes:
    """A masked frame; ``head``: its upper bits."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack(">H", size)
    body = bytes(byte ^ MASK[index % 4] for index, byte in enumerate(payload))
    return bytes([head | opcode]) + length + MASK + body


@asynccontextmanager
async def connect(port: int, data: bytes) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection on which ``data`` was sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        yield reader, writer
    finally:
        writer.transport.abort()


async def swallow(reader: asyncio.StreamReader) -> None:
    """Read until the server ends it."""
    with suppress(OSError):
        while await reader.read(65_536):
            pass


async def again(attack: Callable[[int, int], Awaitable[None]], port: int, number: int, until: float) -> None:
    """Repeat an attack until it is time."""
    while time.monotonic() < until:
        with suppress(OSError, asyncio.IncompleteReadError):
            await attack(port, number)
        await asyncio.sleep(0.05)


async def slow_head(port: int, number: int) -> None:
    """A request that never ends, byte by byte."""
    async with connect(port, b"GET /health HTTP/1.1\r\n") as (reader, writer):
        ended = asyncio.ensure_future(swallow(reader))
        while not ended.done():
            writer.write(b"X-A: b\r\n")
            await asyncio.wait([ended], timeout=1.0)


async def giant_head(port: int, number: int) -> None:
    async with connect(port, b"GET /health HTTP/1.1\r\nX-A: " + b"x" * 60_000) as (reader, _):
        await swallow(reader)


BROKEN = (
    frame(1, b"\xff\xfe not UTF-8"),
    frame(3, b"a reserved opcode"),
    frame(9, b"ping", head=0),  # a control frame in fragments
    b"\x81\x05hello",  # not masked
    b"\x81\xff" + struct.pack(">Q", 1 << 40) + MASK,  # a terabyte is announced
    frame(1, b"x" * 60_000),
    frame(8, b"\x03"),
)


async def malformed(port: int, number: int) -> None:
    for data in BROKEN:
        async with connect(port, upgrade(ATTACKER.format(number)) + data) as (reader, _):
            await swallow(reader)


async def pour(port: int, number: int, burst: Callable[[], bytes]) -> None:
    """Send bursts as fast as the socket takes them, until the server ends it."""
    async with connect(port, upgrade(ATTACKER.format(number))) as (reader, writer):
        ended = asyncio.ensure_future(swallow(reader))
        while not ended.done():
            writer.write(burst())
            sent = asyncio.ensure_future(writer.drain())
            await asyncio.wait([sent, ended], timeout=0.5)
            sent.cancel()
            await asyncio.gather(sent, return_exceptions=True)


async def flood(port: int, number: int) -> None:
    """Messages."""
    pings = frame(9, b"x") * 1000
    await pour(port, number, lambda: pings)


async def filter_flood(port: int, number: int) -> None:
    """Filter changes, all different."""
    counter = itertools.count()

    def change() -> bytes:
        wanted = {"channel": "transfers", "filter": {"wallets": [f"0x{number:02x}{next(counter):038x}"]}}
        return frame(1, json.dumps({"type": "setFilter", "data": wanted}).encode())

    await pour(port, number, lambda: b"".join(change() for _ in range(500)))


async def one_address(port: int, floods: int, until: float) -> Counter[str]:
    """Connections from one address, kept open as long as the server lets them."""
    statuses = Counter[str]()
    async with AsyncExitStack() as held:
        for number in range(floods):
            if time.monotonic() > until:
                break
            with suppress(OSError):
                async with AsyncExitStack() as one:
                    opened = connect(port, upgrade(ATTACKER.format(250)))
                    reader, _ = await one.enter_async_context(opened)
                    line = await reader.readline()
                    statuses[line.split()[1].decode() if line else "closed"] += 1
                    if b" 101 " in line:
                        held.push_async_exit(one.pop_all())
            if number % 50 == 0:
                await asyncio.sleep(0)
    return statuses


def half_open(port: int, count: int) -> list[socket.socket]:
    """Clients that shake hands and are never heard of again: no reads, no pongs."""
    made = []
    for number in range(count):
        one = socket.create_connection(("127.0.0.1", port), 10)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.sendall(upgrade(ATTACKER.format(number % 200)))
        made.append(one)
    return made


async def attack(port: int, floods: int, seconds: float) -> Counter[str]:
    """All at once."""
    until, gone = time.monotonic() + seconds, half_open(port, 200)
    tasks = [again(slow_head, port, number, until) for number in range(200)]
    tasks += [again(giant_head, port, number, until) for number in range(5)]
    tasks += [again(malformed, port, 100 + number, until) for number in range(5)]
    tasks += [again(flood, port, 120 + number, until) for number in range(5)]
    tasks += [again(filter_flood, port, 140 + number, until) for number in range(5)]
    running = [asyncio.ensure_future(task) for task in tasks]
    statuses = await one_address(port, floods, until)
    await asyncio.sleep(max(0.0, until - time.monotonic()))
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    for one in gone:
        one.close()
    return statuses


def attackers(port: int, floods: int, seconds: float) -> subprocess.Popen[str]:
    """The attacks in a process of their own."""
    command = [sys.executable, __file__, "--attack", str(port), str(floods), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


# -------------------------------------------------------------------------------------- report


@dataclass(frozen=True, slots=True)
class Outcome:
    """Both runs, and what the server counted."""

    calm: Figures
    abused: Figures
    refused: dict[str, int]
    closed: dict[str, int]
    statuses: dict[str, int]


def measure(clients: int, seconds: float, floods: int) -> Outcome:
    settings = ("EDGE_PROCESSES=2", "SPREAD_MS=0", "PING_INTERVAL=5", "LOG_FORMAT=json")
    with service(*settings) as port:
        time.sleep(3)
        calm = load(port, clients, seconds)
        enemy = attackers(port, floods, seconds + 8)
        try:
            abused = load(port, clients, seconds)
        finally:
            said, _ = enemy.communicate(timeout=seconds + 60)
        time.sleep(3)
        metrics = get(port, "/metrics")
    return Outcome(
        calm,
        abused,
        by_label(metrics, "unionws_connections_refused_total"),
        by_label(metrics, "unionws_connections_closed_total"),
        json.loads(said),
    )


def show(outcome: Outcome, clients: int) -> str:
    """The outcome as tables."""
    lines = [
        f"| {clients:,} clients | opened | lost | gaps | p50 ms | p99 ms | memory MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, told in (("in peace", outcome.calm), ("under attack", outcome.abused)):
        figures = (told.opened, told.lost, told.gaps, told.p50, told.p99, round(told.memory))
        lines.append("| " + " | ".join(map(str, (name, *figures))) + " |")
    lines += ["", "| refused, by reason | |", "|---|---|"]
    lines += [f"| {reason} | {count:,} |" for reason, count in sorted(outcome.refused.items())]
    lines += ["", "| closed, by code | |", "|---|---|"]
    lines += [f"| {code} | {count:,} |" for code, count in sorted(outcome.closed.items())]
    lines += ["", f"one address was answered: {outcome.statuses}"]
    return "\n".join(lines)


def parse(argv: Sequence[str] | None) -> Any:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clients", type=int, default=5_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--floods", type=int, default=20_000, help="connections from one address")
    parser.add_argument("--attack", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    options = parse(argv)
    if options.attack:
        os.nice(15)
        port, floods, seconds = options.attack
        print(json.dumps(asyncio.run(attack(int(port), int(floods), float(seconds)))))
        return 0
    outcome = measure(options.clients, options.seconds, options.floods)
    print(show(outcome, options.clients))
    return 1 if outcome.abused.lost or outcome.abused.gaps else 0


if __name__ == "__main__":
    sys.exit(main())
