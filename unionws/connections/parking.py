"""Where connections live after their handshake: descriptors in one epoll.

The IOLoop watches a single descriptor, the epoll's own. A quiet client costs a small object and an
entry in a dict; parsing state and a queue exist only while they are needed. What clients send is
understood in reading.py.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable, Iterator

from tornado.ioloop import IOLoop

from unionws import frames
from unionws.clock import Clock
from unionws.connections import eventstream
from unionws.connections.budget import Budget
from unionws.connections.client import Backlog, Client
from unionws.connections.inbox import Message
from unionws.connections.inflow import WINDOW
from unionws.connections.limits import Counters, Limits
from unionws.connections.reading import Reader
from unionws.frames import Frame
from unionws.ticker import Ticker

READ_BYTES = 2_048
"""Taken from a client at a time: a flood comes in small bites, with everybody else's turn between them."""

EVENTS_AT_ONCE = 4
"""Asked of the kernel at a time, so that few are told of in vain once the budget is spent: those would
go to the end of its queue."""

CLOSE_TIMEOUT = 3.0
"""Seconds a peer has to answer a close frame (RFC 6455 §7.1.1 leaves it to the endpoint)."""

PONG_TIMEOUT = 10
"""Seconds a peer has to answer a ping."""

READABLE = select.EPOLLIN | select.EPOLLRDHUP
GONE = 1006
PING = Frame(frames.PING_FRAME)


class Parking:
    """All connections of one edge.

    Args:
        on_message: called with a client and each whole data message.
        on_gone: called once with a client whose connection ended, and the close code.
        make_gap: see :class:`Backlog`.
        ping_interval: whole seconds between two pings to the same client.
        budget: how long a loop turn may be spent on what clients send.

    Attributes:
        reason: while ``on_gone`` is called, why: what the close frame says.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        on_message: Callable[[Client, Message], None],
        on_gone: Callable[[Client, int], None],
        make_gap: Callable[[Client, int, int], Frame],
        ping_interval: int,
        clock: Clock,
        budget: Budget | None = None,
    ) -> None:
        self._limits = limits
        self._budget = budget or Budget()
        self._on_gone = on_gone
        self._make_gap = make_gap
        self._clock = clock
        # One dict per second of the ping interval: the sweep pings one of them each second.
        self._slots: list[dict[int, Client]] = [{} for _ in range(max(1, ping_interval))]
        self._closing: dict[Client, float] = {}
        self._events: set[Client] = set()
        self._as_events = eventstream.Rewrapper()
        self._epoll = select.epoll()
        self._tick = 0
        self._numbers = 0
        self._open = 0
        self._sweeper = Ticker(self.sweep, 1.0)
        self.counters = Counters()
        self._reader = Reader(self, limits, self.counters, on_message=on_message, clock=clock)
        self.reason = ""

    def set_limits(self, limits: Limits) -> None:
        """Other bounds from now on; a queue that exists keeps its own."""
        self._limits = limits
        self._reader.set_limits(limits)

    def __len__(self) -> int:
        return self._open

    def __iter__(self) -> Iterator[Client]:
        for slot in self._slots:
            yield from [client for client in slot.values() if client not in self._closing]

    @property
    def closing(self) -> int:
        """Connections whose closing handshake is under way."""
        return len(self._closing)

    @property
    def backlogged(self) -> Iterator[Client]:
        """Clients with bytes waiting in a queue."""
        return (client for client in self if client.backlog)

    def start(self) -> None:
        """Begin to watch, on the current IOLoop."""
        IOLoop.current().add_handler(self._epoll.fileno(), self._on_events, IOLoop.READ)
        self._sweeper.start()

    def stop(self) -> None:
        """Close every descriptor at once; call :meth:`close` on clients first, to be polite."""
        self._sweeper.stop()
        IOLoop.current().remove_handler(self._epoll.fileno())
        for client in [*self, *self._closing]:
            self._drop(client, GONE)
        self._epoll.close()

    # -- coming and going -----------------------------------------------------------------------

    def park(self, fd: int, address: str, *, deflate: bool, events: bool = False) -> Client:
        """Take over a connected, non-blocking socket descriptor."""
        self._numbers += 1
        client = Client(fd, self._numbers, address, deflate=deflate, seen=self._tick)
        self._epoll.register(fd, READABLE)
        self._slot(fd)[fd] = client
        if events:
            client.events, client.backlog = True, self._new_backlog(client)
            self._events.add(client)
        self.counters.opened += 1
        self._open += 1
        return client

    def _slot(self, fd: int) -> dict[int, Client]:
        return self._slots[fd % len(self._slots)]

    def close(self, client: Client, code: int, reason: str, last_words: bytes = b"") -> None:
        """Start the closing handshake: ``last_words`` and a close frame, then wait for the peer's.

        Whatever waits in the client's queue is dropped, but for a frame that is partly out.
        """
        if client.fd < 0 or client in self._closing:
            return
        if client.backlog is not None:
            client.backlog.forget()
        self._closing[client] = self._clock.monotonic() + CLOSE_TIMEOUT
        self._leave(client, code, reason)
        last = Frame(last_words + frames.close(code, reason))
        if client.events:
            last = self._as_events(Frame(last_words))  # its end is the end of the connection
        if client.backlog:
            client.backlog.append(last)
        else:
            self._write(client, last)
        self._half_close(client)

    def is_closing(self, client: Client) -> bool:
        """Whether its closing handshake is under way."""
        return client in self._closing

    def answer_close(self, client: Client, code: int) -> None:
        """The peer's close frame came: the last one, or one to echo.

        The server closes TCP first (RFC 6455 §7.1.1).
        """
        if client in self._closing:
            self._drop(client, GONE)
            return
        self.close(client, code, "")
        if not client.backlog:
            self._drop(client, code)

    def _half_close(self, client: Client) -> None:
        """After the last byte, say so: a reset would destroy what the peer has not read yet."""
        if client.fd >= 0 and client in self._closing and not client.backlog:
            handle = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, client.fd)
            try:
                handle.shutdown(socket.SHUT_WR)
            except OSError:
                self._drop(client, GONE)
            finally:
                handle.detach()

    def _leave(self, client: Client, code: int, reason: str = "") -> None:
        self.counters.closed += 1
        self._open -= 1
        self.reason = reason
        self._on_gone(client, code)
        self.reason = ""

    def _drop(self, client: Client, code: int) -> None:
        """Close the descriptor; the client is told of nothing."""
        fd, client.fd = client.fd, -1
        if fd < 0:
            return
        self._slot(fd).pop(fd, None)
        client.backlog = None
        self._reader.forget(client)
        self._events.discard(client)
        os.close(fd)  # which takes it out of the epoll too (epoll(7)): nobody else holds it
        if self._closing.pop(client, None) is None:
            self._leave(client, code)

    # -- sending --------------------------------------------------------------------------------

    def send(self, client: Client, frame: Frame, head: bytes = b"") -> None:
        """Send a frame now, or queue what the socket does not take; never behind a close frame.

        Args:
            head: bytes that go before it as they are.
        """
        if client.fd < 0 or client in self._closing:
            return
        if client.events:
            frame = self._as_events(frame)
        if head:
            frame = Frame(head + frame.data)
        if client.backlog:
            self._queue(client, frame, 0)
        else:
            self._write(client, frame)

    def _write(self, client: Client, frame: Frame) -> None:
        try:
            sent = os.write(client.fd, frame.data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._drop(client, GONE)
            return
        if sent < len(frame.data):
            self.blocked(client, frame, sent)

    def blocked(self, client: Client, frame: Frame, sent: int) -> None:
        """A socket took only ``sent`` bytes of a frame: keep the rest until it takes more."""
        if client.fd < 0:
            return
        self.counters.blocked += 1
        if client.backlog is None:
            client.backlog = self._new_backlog(client)
        self._epoll.modify(client.fd, READABLE | select.EPOLLOUT)
        self._queue(client, frame, sent)

    def _new_backlog(self, client: Client) -> Backlog:
        limits = self._limits
        return Backlog(limits.backlog_bytes, limits.backlog_frames, lambda a, b: self._gap(client, a, b))

    def _gap(self, client: Client, first: int, last: int) -> Frame:
        self.counters.skipped += 1
        frame = self._make_gap(client, first, last)
        return self._as_events(frame) if client.events else frame

    def _queue(self, client: Client, frame: Frame, sent: int) -> None:
        """Queue a frame; one that nothing is out of yet by its parts, which can be skipped singly."""
        now = self._clock.monotonic()
        for part in (frame,) if sent else frame.parts or (frame,):
            if client.backlog is not None and not client.backlog.push(part, now, sent):
                self.counters.given_up += 1
                self.close(client, 4103, "slow consumer")
                return

    def broken(self, client: Client) -> None:
        """A write of the fan-out failed: the peer is gone, or we said goodbye since the turn began."""
        if client not in self._closing:
            self._drop(client, GONE)

    def _flush(self, client: Client) -> None:
        backlog = client.backlog
        while backlog is not None and (data := backlog.head()) is not None:
            try:
                backlog.advance(os.write(client.fd, data))
            except BlockingIOError:
                return
            except OSError:
                self._drop(client, GONE)
                return
            client.seen = self._tick  # a peer that reads is alive, though no pong came yet
        self._epoll.modify(client.fd, READABLE)
        forget = backlog is None or not backlog.recently_skipped(self._clock.monotonic())
        if forget and not client.events:
            client.backlog = None
        self._half_close(client)

    # -- receiving ------------------------------------------------------------------------------

    def _on_events(self, _fd: int, _events: int) -> None:
        self._budget.begin()
        while True:
            events = self._epoll.poll(0, EVENTS_AT_ONCE)
            for fd, event in events:
                self._on_event(fd, event)
            if len(events) < EVENTS_AT_ONCE or self._budget.spent:
                return

    def _on_event(self, fd: int, event: int) -> None:
        client = self._slot(fd).get(fd)
        if client is None:
            return
        if event & select.EPOLLOUT:
            self._flush(client)
        if event & ~select.EPOLLOUT and client.fd == fd:
            self._read(client)

    def _read(self, client: Client) -> None:
        try:
            data = os.read(client.fd, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(client, GONE)
        else:
            self.receive(client, data)

    def receive(self, client: Client, data: bytes) -> None:
        """Take bytes that arrived from a client (also those that came behind its handshake)."""
        heard, client.seen = client.seen, self._tick
        if not client.events:
            self._reader.take(client, data, again=heard == self._tick)

    # -- keep-alive -----------------------------------------------------------------------------

    def sweep(self) -> None:
        """Once a second: ping one slot, end those of an earlier slot that did not answer."""
        self._tick += 1
        if self._tick % WINDOW == 0:
            self._reader.next_window()
        slots = self._slots
        asked = self._tick - min(PONG_TIMEOUT, len(slots))
        if asked > 0:
            self._end_silent(list(slots[asked % len(slots)].values()), asked)
        for client in list(slots[self._tick % len(slots)].values()):
            # One with a queue is judged by its reading: a ping would wait behind all of it.
            if client not in self._closing and not client.backlog and not client.events:
                self.send(client, PING)
        if self._tick % eventstream.COMMENT_INTERVAL == 0:
            self._comment()
        self._end_closing()

    def _comment(self) -> None:
        """A word to all who read events."""
        for client in list(self._events):
            if client not in self._closing and not client.backlog:
                self._write(client, eventstream.COMMENT)

    def _end_silent(self, clients: list[Client], asked: int) -> None:
        for client in clients:
            if client.seen < asked and client not in self._closing and not client.events:
                self.counters.pong_timeouts += 1
                self.close(client, 4201, "no answer to a ping")

    def _end_closing(self) -> None:
        now = self._clock.monotonic()
        for client in [client for client, deadline in self._closing.items() if deadline <= now]:
            self._drop(client, GONE)
