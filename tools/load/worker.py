"""One process of loadtest.py: its clients in one epoll."""

from __future__ import annotations

import errno
import os
import select
import socket
import ssl
import time
from dataclasses import dataclass
from multiprocessing.context import ForkContext
from urllib.parse import urlsplit

from .frames import CLOSE, PING, PONG, Inflater, Reader, control_frame, new_key, problem_with, request
from .tally import MessageCache, Stream, Tally

FILES_KEPT = 30
RECEIVE = 65_536
STUCK_SECONDS = 30.0
"""Opening is given up when nothing moved for so long."""
IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h; not every Python has the name
CONNECTING, SECURING, UPGRADING, OPEN, ENDED = range(5)


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect; ``address`` is resolved once, for all clients."""

    family: socket.AddressFamily
    address: tuple[str, int]
    host: str
    path: str
    tls: bool
    name: str

    @property
    def is_loopback(self) -> bool:
        return self.family == socket.AF_INET and self.address[0].startswith("127.")


def parse_target(url: str) -> Target:
    """Resolves the URL; ValueError or OSError for one that cannot be used."""
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError("not a WebSocket address (expected something like ws://127.0.0.1:8080/ws)")
    tls = parts.scheme == "wss"
    port = parts.port or (443 if tls else 80)
    found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)[0]
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    host = parts.netloc.rpartition("@")[2]
    return Target(found[0], (str(found[4][0]), int(found[4][1])), host, path, tls, parts.hostname)


@dataclass(frozen=True, slots=True)
class Plan:
    """What one process does."""

    clients: int
    at_once: int
    seconds: float
    deflate: bool = False
    headers: tuple[str, ...] = ()


class Progress:
    """Numbers in shared memory: what the workers reached, and the start signal (monotonic s)."""

    def __init__(self, context: ForkContext, processes: int) -> None:
        self._opened = context.RawArray("q", processes)
        self._failed = context.RawArray("q", processes)
        self._messages = context.RawArray("q", processes)
        self._ready = context.RawArray("b", processes)
        self._started = context.RawValue("d", 0.0)

    def note(self, index: int, tally: Tally) -> None:
        self._opened[index], self._failed[index] = tally.opened, tally.failed
        self._messages[index] = tally.messages

    def ready(self, index: int) -> None:
        self._ready[index] = 1

    def all_ready(self) -> bool:
        return all(self._ready)

    def opened(self) -> int:
        return sum(self._opened)

    def failed(self) -> int:
        return sum(self._failed)

    def messages(self) -> int:
        return sum(self._messages)

    def start(self) -> float:
        self._started.value = time.monotonic()
        return float(self._started.value)

    def started(self) -> float:
        """When measuring began; 0 before."""
        return float(self._started.value)


class Client:
    """One connection."""

    __slots__ = ("head", "key", "reader", "sock", "stage", "stream")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.stage = CONNECTING
        self.key = ""
        self.head = b""
        self.reader = Reader()
        self.stream = Stream()


class Worker:
    """Opens the plan's clients, waits for the start, counts, and answers its Tally."""

    def __init__(self, target: Target, plan: Plan, index: int, progress: Progress) -> None:
        self._target, self._plan, self._index, self._progress = target, plan, index, progress
        self._tls = ssl.create_default_context() if target.tls else None
        self._clients: dict[int, Client] = {}
        self._opening = 0
        self._measuring = False
        self._cache, self._inflater = MessageCache(), Inflater()
        self.tally = Tally()

    def run(self) -> Tally:
        with select.epoll() as self._epoll:
            try:
                self._open_all()
                self._progress.ready(self._index)
                while not self._progress.started():
                    self._poll(0.02)
                self._measuring = True
                end = self._progress.started() + self._plan.seconds
                while (left := end - time.monotonic()) > 0:
                    self._poll(min(left, 0.1))
            finally:
                for client in self._clients.values():
                    client.sock.close()
        return self.tally

    # ---- opening ----

    def _open_all(self) -> None:
        begun, moved, reached = 0, time.monotonic(), 0
        while begun < self._plan.clients or self._opening:
            while begun < self._plan.clients and self._opening < self._plan.at_once:
                self._dial(begun)
                begun += 1
            self._poll(0.05)
            if self.tally.opened + self.tally.failed > reached:
                reached, moved = self.tally.opened + self.tally.failed, time.monotonic()
            elif time.monotonic() - moved > STUCK_SECONDS:
                self._give_up(self._plan.clients - begun)
                return

    def _give_up(self, never_begun: int) -> None:
        for client in list(self._clients.values()):
            if client.stage < OPEN:
                self._end(client, "no answer")
        self.tally.failed += never_begun

    def _dial(self, number: int) -> None:
        sock = socket.socket(self._target.family, socket.SOCK_STREAM)
        sock.setblocking(False)
        if self._target.is_loopback:
            sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((source_address(self._index, number), 0))
        client = self._clients[sock.fileno()] = Client(sock)
        self._opening += 1
        code = sock.connect_ex(self._target.address)
        if code not in (0, errno.EINPROGRESS):
            self._end(client, os.strerror(code).lower())
            return
        self._epoll.register(sock.fileno(), select.EPOLLOUT)

    def _connected(self, client: Client) -> None:
        code = client.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._end(client, os.strerror(code).lower())
        elif self._tls is not None:
            fd = client.sock.fileno()
            client.sock = self._tls.wrap_socket(
                client.sock, server_hostname=self._target.name, do_handshake_on_connect=False
            )
            assert client.sock.fileno() == fd
            client.stage = SECURING
            self._secure(client)
        else:
            self._ask(client)

    def _secure(self, client: Client) -> None:
        assert isinstance(client.sock, ssl.SSLSocket)
        try:
            client.sock.do_handshake()
        except ssl.SSLWantReadError:
            self._epoll.modify(client.sock.fileno(), select.EPOLLIN)
        except ssl.SSLWantWriteError:
            self._epoll.modify(client.sock.fileno(), select.EPOLLOUT)
        except OSError as error:
            self._end(client, f"tls: {error.strerror or error}")
        else:
            self._ask(client)

    def _ask(self, client: Client) -> None:
        client.key, client.stage = new_key(), UPGRADING
        plan, target = self._plan, self._target
        if self._send(client, request(target.host, target.path, client.key, plan.headers, plan.deflate)):
            self._epoll.modify(client.sock.fileno(), select.EPOLLIN)

    def _answered(self, client: Client, data: bytes) -> bytes:
        """Takes the response head; what follows it is already frames."""
        head, end, rest = (client.head + data).partition(b"\r\n\r\n")
        if not end:
            client.head = head
            return b""
        client.head = b""
        problem = problem_with(head, client.key)
        if problem:
            self._end(client, problem)
            return b""
        client.stage = OPEN
        self._opening -= 1
        self.tally.opened += 1
        return rest

    # ---- open connections ----

    def _poll(self, seconds: float) -> None:
        for fd, _ in self._epoll.poll(seconds, 1024):
            client = self._clients.get(fd)
            if client is None:
                continue
            if client.stage == CONNECTING:
                self._connected(client)
            elif client.stage == SECURING:
                self._secure(client)
            else:
                self._readable(client)
        self._progress.note(self._index, self.tally)

    def _readable(self, client: Client) -> None:
        while client.stage != ENDED:
            try:
                data = client.sock.recv(RECEIVE)
            except (BlockingIOError, ssl.SSLWantReadError):
                return
            except OSError as error:
                self._end(client, (error.strerror or str(error)).lower())
                return
            if not data:
                self._end(client, "closed without an answer")
                return
            self._take(client, data)
            if len(data) < RECEIVE and self._tls is None:
                return  # TLS may hold decrypted bytes of which epoll knows nothing

    def _take(self, client: Client, data: bytes) -> None:
        if client.stage == UPGRADING:
            data = self._answered(client, data)
        if client.stage != OPEN or not data:
            return
        now_ms = time.time() * 1000
        if self._measuring:
            self.tally.bytes += len(data)
        for incoming in client.reader.feed(data):
            if incoming.opcode == CLOSE:
                self._closed(client, incoming.payload)
                return
            if incoming.opcode == PING:
                self.tally.pings += 1
                self._send(client, control_frame(PONG, incoming.payload))
            elif incoming.opcode < CLOSE:
                self._message(client, incoming.payload, incoming.compressed, now_ms)

    def _message(self, client: Client, payload: bytes, compressed: bool, now_ms: float) -> None:
        message = self._cache.read(self._inflater.inflate(payload) if compressed else payload)
        self.tally.position(client.stream, message)
        if self._measuring:
            self.tally.count(message, now_ms)

    def _closed(self, client: Client, payload: bytes) -> None:
        code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
        if self._send(client, control_frame(CLOSE, payload[:2])):
            self._end(client, "", str(code))

    def _send(self, client: Client, data: bytes) -> bool:
        try:
            client.sock.send(data)
        except OSError as error:
            self._end(client, (error.strerror or str(error)).lower())
            return False
        return True

    def _end(self, client: Client, failure: str, code: str = "1006") -> None:
        if client.stage < OPEN:
            self._opening -= 1
            self.tally.failed += 1
            self.tally.failures[failure] += 1
        else:
            self.tally.lost += 1
            self.tally.close_codes[code] += 1
        client.stage = ENDED
        del self._clients[client.sock.fileno()]
        client.sock.close()


def source_address(process: int, number: int) -> str:
    """A loopback address for a client: 100 clients share one, no two processes do."""
    host = number // 100
    return f"127.{1 + process}.{host // 250 % 250}.{1 + host % 250}"
