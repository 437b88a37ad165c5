"""A storm of clients that resume, and what those who follow live notice of it.

``python tools/bench/resume.py [--clients 10000] [--history 300] [--rate 5] [--live 1000] [--edges N]``

Live clients of the C load client are measured three times: alone; while all the others connect at once,
each with a position ``--history`` transfers back (300 are 60 s at 5 a second); and when those have caught
up and follow live too, which is what is normal with so many clients. A client has caught up when it is
told so (``caughtUp``); what it got until then is counted, and one in a hundred of them keeps all the
rules of :mod:`unionws.client`. Times count from the first connection's opening.
"""

from __future__ import annotations

import argparse
import json
import select
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import harness

from unionws.client import Backoff, Gap, TransferReceived
from unionws.client.address import Query
from unionws.client.session import Session

AT_ONCE = 500
"""Connections whose handshake is under way at a time, so that the kernel's queue holds them all."""

GIVE_UP = 120.0
CHECKED = 100
"""One in so many keeps the rules of the Python client too."""

READ_EVERY = 5.0
"""Seconds between two looks at a client that has caught up: pings are answered in time, and what came
meanwhile fits into the kernel's buffers."""

READ_AT_ONCE = 50

TEXT, PING, PONG = 1, 9, b"\x8a\x80\0\0\0\0"  # the server's pings are empty
ITEM, DONE, GAP = b'"sort_order":', b'"type":"caughtUp"', b'"type":"gap"'
REQUEST = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@dataclass(slots=True, eq=False)
class Resumer:
    """One client that comes back.

    Attributes:
        head: the answer to the handshake, or a frame's head, as far as it came.
        left: bytes of the present frame still to come.
        rest: last bytes read of it, in which something looked for may begin.
        items: transfers it got.
        caught_up: when it was told so, monotonic; 0: not yet.
        kept: all it read, of those that are checked.
    """

    connection: socket.socket
    open: bool = False
    head: bytes = b""
    left: int = 0
    rest: bytes = b""
    items: int = 0
    caught_up: float = 0.0
    told_gap: bool = False
    kept: bytearray | None = None

    def take(self, data: bytes) -> None:
        """Some more bytes from the server."""
        if self.kept is not None:
            self.kept += data
        data, self.head = self.head + data, b""
        at = 0 if self.open else self._answer(data)
        while at < len(data):
            if not self.left:
                start, self.left, opcode = frame_at(data, at)
                if not start:
                    self.head = data[at:]
                    return
                at, self.rest = start, b""
                if opcode == PING:
                    self.connection.send(PONG)
            piece = data[at : at + self.left]
            self.left -= len(piece)
            at += len(piece)
            self._look(self.rest + piece)

    def _answer(self, data: bytes) -> int:
        """Where the frames begin, behind the answer to the handshake."""
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self.head = data
            return len(data)
        if not data.startswith(b"HTTP/1.1 101 "):
            raise harness.BenchError(f"the server refused a connection: {data[:end].decode('latin-1')}")
        self.open = True
        return end + 4

    def _look(self, text: bytes) -> None:
        """Nothing is decoded: the marks stand in every message."""
        self.items += text.count(ITEM)
        self.told_gap = self.told_gap or GAP in text
        if DONE in text:
            self.caught_up = time.monotonic()
        self.rest = text[1 - len(DONE) :].rpartition(ITEM)[2]  # what was counted is not looked at again


def frame_at(data: bytes, at: int) -> tuple[int, int, int]:
    """Where a frame's payload begins, its size, and the opcode; begins at 0 while the head is not whole."""
    size = data[at + 1] if at + 2 <= len(data) else 126
    wide = {126: 2, 127: 8}.get(size, 0)
    if at + 2 + wide > len(data):
        return 0, 0, 0
    start = at + 2 + wide
    return start, int.from_bytes(data[at + 2 : start], "big") if wide else size, data[at] & 15


class Storm:
    """Opens the connections and reads until all have caught up."""

    def __init__(self, port: int, path: str) -> None:
        self._port = port
        self._request = REQUEST.format(path=path).encode()
        self._poll = select.epoll()
        self._clients: dict[int, Resumer] = {}
        self._greeted = 0
        self._later: deque[tuple[float, Resumer]] = deque()

    def run(self, count: int) -> list[Resumer]:
        """The clients, once all have caught up.

        Raises:
            BenchError: a connection was lost, or they did not in GIVE_UP seconds.
        """
        ends, done = time.monotonic() + GIVE_UP, 0
        while done < count:
            while len(self._clients) < count and len(self._clients) - self._greeted < AT_ONCE:
                self._dial(len(self._clients))
            for fd, _ in self._poll.poll(0.1):
                done += self._read(self._clients[fd])
            if time.monotonic() > ends:
                raise harness.BenchError(f"{count - done:,} clients did not catch up in {GIVE_UP:g} s")
            self._read_the_caught_up()
        return list(self._clients.values())

    def follow(self, seconds: float) -> None:
        """Go on reading for a while."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self._read_the_caught_up()
            time.sleep(0.005)

    def close(self) -> None:
        """Leave."""
        self._poll.close()
        for client in self._clients.values():
            client.connection.close()

    def _dial(self, number: int) -> None:
        connection = socket.create_connection(("127.0.0.1", self._port))
        connection.sendall(self._request)
        connection.setblocking(False)
        self._poll.register(connection, select.EPOLLIN)
        kept = None if number % CHECKED else bytearray()
        self._clients[connection.fileno()] = Resumer(connection, kept=kept)

    def _read(self, resumer: Resumer) -> bool:
        """Whether that made it catch up; it is read now and then from there on."""
        data = resumer.connection.recv(1 << 18)
        if not data:
            raise harness.BenchError(
                f"the server closed a connection that had {resumer.items} transfers: {resumer.rest!r}"
            )
        before = resumer.open
        resumer.take(data)
        self._greeted += resumer.open - before
        if resumer.caught_up:
            self._poll.unregister(resumer.connection)
            self._later.append((time.monotonic() + READ_EVERY, resumer))
        return resumer.caught_up > 0

    def _read_the_caught_up(self) -> None:
        """Those who follow live again; their reading shall cost the machine little."""
        now = time.monotonic()
        for _ in range(READ_AT_ONCE):
            if not self._later or self._later[0][0] > now:
                return
            _, resumer = self._later.popleft()
            self._later.append((now + READ_EVERY, resumer))
            with suppress(BlockingIOError):
                data = resumer.connection.recv(1 << 18)
                if not data:
                    raise harness.BenchError("the server closed a connection that had caught up")
                resumer.take(data)


def texts(data: bytes) -> list[str]:
    """The text messages behind a handshake's answer (RFC 6455 §5.2: the server masks nothing)."""
    found, at = [], data.index(b"\r\n\r\n") + 4
    while at < len(data):
        start, size, opcode = frame_at(data, at)
        if not start or start + size > len(data):
            break
        if opcode == TEXT:
            found.append(data[start : start + size].decode())
        at = start + size
    return found


def broken_rules(resumer: Resumer, url: str, position: str, wanted: int) -> int:
    """Transfers a user of :mod:`unionws.client` would miss or get twice, gaps included."""
    session = Session(url, Query(channels=("transfers",)), Backoff())
    epoch, seq = position.split(":")
    before = {"protocol": 1, "features": ["resume"], "epoch": epoch, "seq": int(seq)}
    session.received(json.dumps({"type": "connected", "data": before}))
    session.next_url()
    assert resumer.kept is not None
    events = [event for text in texts(bytes(resumer.kept)) for event in session.received(text)]
    numbers = [
        int(str(event.transfer["sort_order"])) for event in events if isinstance(event, TransferReceived)
    ]
    gaps = sum(isinstance(event, Gap) for event in events)
    start = int(seq) + 1
    return gaps + len(set(range(start, start + wanted)) - set(numbers)) + len(numbers) - len(set(numbers))


# ---- the bench ----


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A storm of clients that resume.")
    parser.add_argument("--clients", type=int, default=10_000, help="clients that resume at once")
    parser.add_argument("--history", type=int, default=300, help="transfers each has missed")
    parser.add_argument("--rate", type=float, default=5.0, help="transfers a second, live")
    parser.add_argument("--bytes", type=int, default=1024, help="size of a live frame")
    parser.add_argument("--live", type=int, default=1_000, help="clients that follow live")
    parser.add_argument("--seconds", type=float, default=20.0, help="time the live ones are measured alone")
    parser.add_argument("--edges", type=int, default=0, help="edge processes; 0: one process for all")
    return parser.parse_args(argv)


def server_command(args: argparse.Namespace) -> list[str]:
    """Command line of the service, its history already there."""
    numbers = {"rate": args.rate, "bytes": args.bytes, "history": args.history, "edges": args.edges}
    options = [word for name, value in numbers.items() for word in (f"--{name}", str(value))]
    unlimited = ["--set", "MAX_CLIENTS_PER_IP=0", "--set", "MAX_HANDSHAKES_PER_IP=0"]
    return [sys.executable, str(harness.HERE / "publish.py"), *options, *unlimited]


def live(args: argparse.Namespace, client: Path, port: int, seconds: float) -> harness.Child:
    """Clients that follow live, not yet started."""
    sizes = {"clients": args.live, "processes": 1, "seconds": seconds}
    return harness.Child(harness.load_command(client, port, path="/ws?channels=transfers", **sizes))


def measured(child: harness.Child) -> dict[str, Any]:
    """What the load client measured up to now."""
    child.process.send_signal(signal.SIGTERM)
    return child.line()


def head(port: int) -> str:
    """The position of the service now, as a client gives it: ``epoch:seq``."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(REQUEST.format(path="/ws?channels=transfers").encode())
        data = b""
        while b"\r\n\r\n" not in data or not texts(data):
            data += connection.recv(1 << 16)
        greeting = json.loads(texts(data)[0])["data"]
    return f"{greeting['epoch']}:{greeting['seq']}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it; ``alone``, ``meanwhile`` and ``afterwards`` are the load client's latencies in ms."""

    alone: dict[str, float]
    meanwhile: dict[str, float]
    afterwards: dict[str, float]
    cpu_seconds: float
    caught_up: tuple[float, ...]
    short: int
    broken: int
    lost: int


def measure(args: argparse.Namespace, client: Path) -> Outcome:
    """Run it all."""
    with ExitStack() as stack:
        server = stack.enter_context(harness.Server(server_command(args)))
        time.sleep(1.0)
        watchers = stack.enter_context(live(args, client, server.port, args.seconds))
        watchers.line()
        watchers.say()
        alone = watchers.line()
        watchers = stack.enter_context(live(args, client, server.port, GIVE_UP))
        watchers.line()
        epoch, seq = head(server.port).split(":")
        position = f"{epoch}:{int(seq) - args.history}"
        cpu, began = harness.cpu_seconds(server.pids()), time.monotonic()
        watchers.say()
        storm = Storm(server.port, f"/ws?channels=transfers&resume={position}")
        stack.callback(storm.close)
        clients = storm.run(args.clients)
        meanwhile = measured(watchers)
        used = harness.cpu_seconds(server.pids()) - cpu
        watchers = stack.enter_context(live(args, client, server.port, GIVE_UP))
        watchers.line()
        watchers.say()
        storm.follow(args.seconds)
        afterwards = measured(watchers)
        checked = [each for each in clients if each.kept is not None]
        url = f"ws://127.0.0.1:{server.port}/ws"
    return Outcome(
        alone["latencyMs"],
        meanwhile["latencyMs"],
        afterwards["latencyMs"],
        used,
        tuple(sorted(each.caught_up - began for each in clients)),
        sum(each.items < args.history or each.told_gap for each in clients),
        sum(broken_rules(each, url, position, args.history) for each in checked),
        alone["lost"] + meanwhile["lost"] + afterwards["lost"],
    )


def ratio(part: float | None, whole: float | None) -> float | None:
    """None where either is not known: a short storm may end before a live frame comes."""
    return part / whole if part is not None and whole else None


def show(args: argparse.Namespace, outcome: Outcome) -> str:
    figure = harness.figure
    alone, meanwhile, normal = (
        each.get("p99") for each in (outcome.alone, outcome.meanwhile, outcome.afterwards)
    )
    rows = [
        ("clients that resume", f"{args.clients:,}"),
        ("transfers for each", f"{args.history:,}"),
        ("half caught up after s", figure(outcome.caught_up[len(outcome.caught_up) // 2], 1)),
        ("all caught up after s", figure(outcome.caught_up[-1], 1)),
        ("CPU s of the server", figure(outcome.cpu_seconds, 1)),
        ("got less, or were told of a gap", str(outcome.short)),
        ("missed or repeated by the client's rules", str(outcome.broken)),
        ("clients that follow live", f"{args.live:,}"),
        ("their p50 ms, alone", figure(outcome.alone.get("p50"), 1)),
        ("their p50 ms, meanwhile", figure(outcome.meanwhile.get("p50"), 1)),
        ("their p50 ms, afterwards with all", figure(outcome.afterwards.get("p50"), 1)),
        ("their p99 ms, alone", figure(alone, 1)),
        ("their p99 ms, meanwhile", figure(meanwhile, 1)),
        ("their p99 ms, afterwards with all", figure(normal, 1)),
        ("meanwhile × alone", figure(ratio(meanwhile, alone))),
        ("meanwhile × afterwards", figure(ratio(meanwhile, normal))),
        ("live connections lost", str(outcome.lost)),
    ]
    return harness.table(("resuming at once", ""), rows)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse(argv)
    harness.check_files(args.clients, 1)
    with harness.c_programs("loadclient") as (client,):
        outcome = measure(args, client)
    print(show(args, outcome))
    return 1 if outcome.short or outcome.broken or outcome.lost else 0


if __name__ == "__main__":
    raise SystemExit(harness.run(main))
