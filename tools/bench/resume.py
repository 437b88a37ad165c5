"""A storm of clients that resume, and what those who follow live notice of it.

``python tools/bench/resume.py [--clients 10000] [--history 300] [--rate 5] [--live 1000] [--edges N]``

Live clients of the C load client are measured alone first, then while all the others connect at once,
each with a position ``--history`` transfers back: 300 are 60 s at 5 a second. A client has caught up
when it is told so (``caughtUp``); what it got until then is counted, and one in a hundred of them keeps
all the rules of :mod:`unionws.client`. Times count from the first connection's opening.
"""

from __future__ import annotations

import argparse
import select
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
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

ITEM, DONE, GAP = b'"sort_order":', b'"type":"caughtUp"', b'"type":"gap"'
REQUEST = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@dataclass(slots=True, eq=False)
class Resumer:
    """One client that comes back.

    Attributes:
        rest: last bytes read, in which something looked for may begin.
        items: transfers it got.
        caught_up: when it was told so, monotonic; 0: not yet.
        kept: all it read, of those that are checked.
    """

    connection: socket.socket
    rest: bytes = b""
    items: int = 0
    caught_up: float = 0.0
    told_gap: bool = False
    kept: bytearray | None = None

    def take(self, data: bytes) -> None:
        """Some more bytes from the server. Nothing is decoded: the marks stand in every message."""
        text = self.rest + data
        self.items += text.count(ITEM)
        self.told_gap = self.told_gap or GAP in text
        if self.kept is not None:
            self.kept += data
        if DONE in text[-400:]:
            self.caught_up = time.monotonic()
        self.rest = text[1 - len(DONE) :].rpartition(ITEM)[2]  # what was counted is not looked at again


class Storm:
    """Opens the connections and reads until all have caught up."""

    def __init__(self, port: int, path: str) -> None:
        self._port = port
        self._request = REQUEST.format(path=path).encode()
        self._poll = select.epoll()
        self._open: dict[int, Resumer] = {}
        self._greeted: set[int] = set()

    def run(self, count: int) -> list[Resumer]:
        """The clients, once all have caught up.

        Raises:
            BenchError: a connection was lost, or they did not in GIVE_UP seconds.
        """
        clients: list[Resumer] = []
        ends, done = time.monotonic() + GIVE_UP, 0
        while done < count:
            while len(clients) < count and len(clients) - len(self._greeted) < AT_ONCE:
                clients.append(self._dial(len(clients)))
            for fd, _ in self._poll.poll(0.1):
                done += self._read(fd, self._open[fd])
            if time.monotonic() > ends:
                raise harness.BenchError(f"{count - done:,} clients did not catch up in {GIVE_UP:g} s")
        self._poll.close()
        return clients

    def _dial(self, number: int) -> Resumer:
        connection = socket.create_connection(("127.0.0.1", self._port))
        connection.sendall(self._request)
        connection.setblocking(False)
        self._poll.register(connection, select.EPOLLIN)
        resumer = Resumer(connection, kept=None if number % CHECKED else bytearray())
        self._open[connection.fileno()] = resumer
        return resumer

    def _read(self, fd: int, resumer: Resumer) -> bool:
        """Whether that made it catch up; it stays connected and is read no more."""
        data = resumer.connection.recv(1 << 18)
        if not data:
            raise harness.BenchError(f"the server closed a connection that had {resumer.items} transfers")
        self._greeted.add(fd)
        resumer.take(data)
        if resumer.caught_up:
            self._poll.unregister(fd)
        return resumer.caught_up > 0


def texts(data: bytes) -> list[str]:
    """The text messages behind a handshake's answer (RFC 6455 §5.2: the server masks nothing)."""
    found, at = [], data.index(b"\r\n\r\n") + 4
    while at + 2 <= len(data):
        size, start = data[at + 1], at + 2
        wide = {126: 2, 127: 8}.get(size, 0)
        if wide:
            size, start = int.from_bytes(data[start : start + wide], "big"), start + wide
        if data[at] == 0x81:
            found.append(data[start : start + size].decode())
        at = start + size
    return found


def broken_rules(resumer: Resumer, url: str, position: str, wanted: int) -> int:
    """Transfers a user of :mod:`unionws.client` would miss or get twice, gaps included."""
    session = Session(url, Query(channels=("transfers",)), Backoff())
    epoch, seq = position.split(":")
    before = {"protocol": 1, "features": ["resume"], "epoch": epoch, "seq": int(seq)}
    session.received(_json({"type": "connected", "data": before}))
    session.next_url()
    assert resumer.kept is not None
    events = [event for text in texts(bytes(resumer.kept)) for event in session.received(text)]
    numbers = [
        int(str(event.transfer["sort_order"])) for event in events if isinstance(event, TransferReceived)
    ]
    gaps = sum(isinstance(event, Gap) for event in events)
    start = int(seq) + 1
    return gaps + len(set(range(start, start + wanted)) - set(numbers)) + len(numbers) - len(set(numbers))


def _json(message: dict[str, Any]) -> str:
    import json

    return json.dumps(message)


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
    import json

    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(REQUEST.format(path="/ws?channels=transfers").encode())
        data = b""
        while b'"seq":' not in data:
            data += connection.recv(1 << 16)
        greeting = json.loads(texts(data)[0])["data"]
    return f"{greeting['epoch']}:{greeting['seq']}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it; ``normal`` and ``meanwhile`` are the load client's latencies in ms."""

    normal: dict[str, float]
    meanwhile: dict[str, float]
    seconds: float
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
        normal = watchers.line()
        watchers = stack.enter_context(live(args, client, server.port, GIVE_UP))
        watchers.line()
        epoch, seq = head(server.port).split(":")
        position = f"{epoch}:{int(seq) - args.history}"
        cpu, began = harness.cpu_seconds(server.pids()), time.monotonic()
        watchers.say()
        path = f"/ws?channels=transfers&resume={position}"
        clients = Storm(server.port, path).run(args.clients)
        meanwhile = measured(watchers)
        used = harness.cpu_seconds(server.pids()) - cpu
        checked = [each for each in clients if each.kept is not None]
        url = f"ws://127.0.0.1:{server.port}/ws"
        for each in clients:
            each.connection.close()
    return Outcome(
        normal["latencyMs"],
        meanwhile["latencyMs"],
        max(each.caught_up for each in clients) - began,
        used,
        tuple(sorted(each.caught_up - began for each in clients)),
        sum(each.items < args.history or each.told_gap for each in clients),
        sum(broken_rules(each, url, position, args.history) for each in checked),
        normal["lost"] + meanwhile["lost"],
    )


def show(args: argparse.Namespace, outcome: Outcome) -> str:
    figure = harness.figure
    middle = outcome.caught_up[len(outcome.caught_up) // 2]
    p99, normal = outcome.meanwhile["p99"], outcome.normal["p99"]
    rows = [
        ("clients that resume", f"{args.clients:,}"),
        ("transfers for each", f"{args.history:,}"),
        ("half caught up after s", figure(middle, 1)),
        ("all caught up after s", figure(outcome.seconds, 1)),
        ("CPU s of the server", figure(outcome.cpu_seconds, 1)),
        ("got less, or were told of a gap", str(outcome.short)),
        ("missed or repeated by the client's rules", str(outcome.broken)),
        ("clients that follow live", f"{args.live:,}"),
        ("their p50 ms, alone", figure(outcome.normal["p50"], 1)),
        ("their p50 ms, meanwhile", figure(outcome.meanwhile["p50"], 1)),
        ("their p99 ms, alone", figure(normal, 1)),
        ("their p99 ms, meanwhile", figure(p99, 1)),
        ("× alone", figure(p99 / normal)),
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
