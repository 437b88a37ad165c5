"""The fast door: plain upgrades of the WebSocket path are answered straight from accept.

What arrives is looked at without taking it (MSG_PEEK). A whole, well-formed ``GET`` upgrade of up
to 4 KB is decided and answered with one ``send``; everything else, silent connections included,
goes untouched to Tornado's HTTPServer, whose WebSocketHandler decides by the same rules.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httptools
from tornado.ioloop import IOLoop

from unionws.connections.budget import Budget
from unionws.connections.handler import Doorkeeper
from unionws.connections.handshake import Refuse, Upgrade, plain_address

log = logging.getLogger("unionws.connections")

HEAD_BYTES = 4096
KEY_HEADER = b"\r\nSec-WebSocket-Key: "
KEY_BYTES = 24
SHAPES_KEPT = 512
"""Requests that differ only in their key are read once; at most 2 MB are kept for that."""

ACCEPTS_PER_TURN = 64
NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)
OUT_OF_MEMORY = (errno.ENOBUFS, errno.ENOMEM)

FULL = Refuse(503, "over_capacity", "no more connections are taken here just now", (("Retry-After", "5"),))


class Head:
    """A request head as llhttp reads it; repeated headers are joined (RFC 9110 §5.3)."""

    __slots__ = ("headers", "url")

    def __init__(self) -> None:
        self.url = b""
        self.headers: dict[str, str] = {}

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self.headers[key] = f"{self.headers[key]},{text}" if key in self.headers else text


def parse(data: bytes) -> tuple[Upgrade, int] | None:
    """A whole upgrade request at the start of ``data``, and its length; None: not one for this door."""
    head = Head()
    parser = httptools.HttpRequestParser(head)
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade as upgrade:
        method = parser.get_method().decode("latin-1")
        _, _, query = head.url.decode("latin-1").partition("?")
        return Upgrade(method, parser.get_http_version(), query, head.headers, ""), upgrade.args[0]
    except httptools.HttpParserError:
        return None
    return None


def cut_key(data: bytes) -> tuple[bytes, str]:
    """A request's shape, its bytes without the 24 of the key, and the key.

    Requests of one shape differ in nothing else, so what one asks for is decided once. The shape is
    empty when there is no key as every client writes it.
    """
    start = data.find(KEY_HEADER) + len(KEY_HEADER)
    end = start + KEY_BYTES
    if start < len(KEY_HEADER) or data[end : end + 2] != b"\r\n":
        return b"", ""
    return data[:start] + data[end:], data[start:end].decode("latin-1")


class FastDoor:
    """Accepts on listening sockets.

    Args:
        path: such as ``/ws``.
        otherwise: takes a connected socket and its address: the HTTP server.
        refused: counts refusals by reason.
        budget: how long a loop turn may be spent on accepting.
    """

    def __init__(
        self,
        path: str,
        doorkeeper: Doorkeeper,
        otherwise: Callable[[socket.socket, Any], None],
        refused: Counter[str] | None = None,
        budget: Budget | None = None,
    ) -> None:
        self._budget = budget or Budget()
        self._refused = Counter() if refused is None else refused
        self._starts = (f"GET {path} ".encode(), f"GET {path}?".encode())
        self._doorkeeper = doorkeeper
        self._otherwise = otherwise
        self._listeners: list[socket.socket] = []
        self._known: dict[bytes, tuple[int, Any]] = {}
        self._spare = -1
        self.accepted = 0
        self.refused_full = 0

    def open(self, listeners: list[socket.socket]) -> None:
        """Accept on the current IOLoop."""
        self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        for listener in listeners:
            self._listeners.append(listener)
            IOLoop.current().add_handler(listener, self._on_connections, IOLoop.READ)

    def close(self) -> None:
        """Accept no more, and close the listening sockets."""
        for listener in self._listeners:
            IOLoop.current().remove_handler(listener)
            listener.close()
        self._listeners.clear()
        if self._spare >= 0:
            os.close(self._spare)
            self._spare = -1

    def _on_connections(self, listener: socket.socket, _events: int) -> None:
        self._budget.begin()
        for _ in range(ACCEPTS_PER_TURN):
            try:
                connection, address = listener.accept()
            except BlockingIOError:
                return
            except ConnectionError:
                continue  # it was gone before we came
            except OSError as error:
                if not self._without_descriptors(listener, error):
                    return
                continue
            connection.setblocking(False)
            self._enter(connection, address)
            if self._budget.spent:
                return

    def _enter(self, connection: socket.socket, address: Any) -> None:
        try:
            data = connection.recv(HEAD_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            data = b""
        except OSError:
            connection.close()
            return
        shape, key = cut_key(data)
        known = self._known.get(shape)
        if known is None:
            known = self._learn(data, shape)
            if known is None:
                self._otherwise(connection, address)
                return
        size, plan = known
        connection.recv(size)  # what came behind it is read in its turn
        source = plain_address(address[0])
        answer = plan if isinstance(plan, Refuse) else self._doorkeeper.admit(plan, key, source)
        if isinstance(answer, Refuse):
            refuse(connection, answer)
            return
        self.accepted += 1
        self._doorkeeper.welcome(connection.detach(), source, answer, plan)

    def _learn(self, data: bytes, shape: bytes) -> tuple[int, Any] | None:
        """Read a request of a shape not seen lately; its size and what it asks for."""
        found = parse(data) if shape and data.startswith(self._starts) else None
        if found is None or len(found[0].headers.get("sec-websocket-key", "")) != KEY_BYTES:
            return None  # a second key stands elsewhere
        upgrade, size = found
        known = size, self._doorkeeper.judge(upgrade)
        if len(data) == size and not isinstance(known[1], Refuse):
            if len(self._known) >= SHAPES_KEPT:
                self._known.clear()
            self._known[shape] = known
        return known

    def forget(self) -> None:
        """What was learnt no longer holds: settings changed."""
        self._known.clear()

    def _without_descriptors(self, listener: socket.socket, error: OSError) -> bool:
        """Refuse the next connection with the descriptor kept for that.

        A listener left readable would wake the loop at once, over and over.

        Returns:
            Whether to go on accepting.
        """
        if error.errno not in NO_DESCRIPTORS + OUT_OF_MEMORY or self._spare < 0:
            log.warning("accept failed", extra={"fields": {"error": str(error)}})
            return False
        os.close(self._spare)
        try:
            connection, _ = listener.accept()
            connection.setblocking(False)
            self.refused_full += 1
            self._refused["no_descriptors"] += 1
            if self.refused_full % 1000 == 1:
                log.warning("out of file descriptors", extra={"fields": {"refused": self.refused_full}})
            refuse(connection, FULL)
        except OSError:
            return False
        finally:
            self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        return True


def refuse(connection: socket.socket, answer: Refuse) -> None:
    """Answer and close."""
    last_word(connection, answer)
    connection.close()


def last_word(connection: socket.socket, answer: Refuse) -> None:
    """Answer as far as that goes at once, and end our half of the connection.

    What the peer sent is read first: unread bytes would turn the close into a reset.
    """
    with suppress(OSError):
        connection.send(answer.response())
        connection.shutdown(socket.SHUT_WR)
        connection.recv(65_536)
