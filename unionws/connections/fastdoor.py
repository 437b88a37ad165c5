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
from collections.abc import Callable
from typing import Any

import httptools
from tornado.ioloop import IOLoop

from unionws.connections.handler import Doorkeeper
from unionws.connections.handshake import Refuse, Upgrade, plain_address

log = logging.getLogger("unionws.connections")

HEAD_BYTES = 4096
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


def parse(data: bytes, address: str) -> tuple[Upgrade, int] | None:
    """A whole upgrade request at the start of ``data``, and its length; None: not one for this door."""
    head = Head()
    parser = httptools.HttpRequestParser(head)
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade as upgrade:
        method = parser.get_method().decode("latin-1")
        _, _, query = head.url.decode("latin-1").partition("?")
        return Upgrade(method, parser.get_http_version(), query, head.headers, address), upgrade.args[0]
    except httptools.HttpParserError:
        return None
    return None


class FastDoor:
    """Accepts on listening sockets.

    Args:
        path: such as ``/ws``.
        otherwise: takes a connected socket and its address: the HTTP server.
    """

    def __init__(
        self, path: str, doorkeeper: Doorkeeper, otherwise: Callable[[socket.socket, Any], None]
    ) -> None:
        self._starts = (f"GET {path} ".encode(), f"GET {path}?".encode())
        self._doorkeeper = doorkeeper
        self._otherwise = otherwise
        self._listeners: list[socket.socket] = []
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

    def _enter(self, connection: socket.socket, address: Any) -> None:
        try:
            data = connection.recv(HEAD_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            data = b""
        except OSError:
            connection.close()
            return
        found = parse(data, plain_address(address[0])) if data.startswith(self._starts) else None
        if found is None:
            self._otherwise(connection, address)
            return
        upgrade, size = found
        answer = self._doorkeeper.admit(upgrade)
        early = connection.recv(HEAD_BYTES)[size:]
        if isinstance(answer, Refuse):
            refuse(connection, answer)
            return
        self.accepted += 1
        accept, choice = answer
        self._doorkeeper.welcome(connection.detach(), upgrade.address, accept, choice, early)

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
            if self.refused_full % 1000 == 1:
                log.warning("out of file descriptors", extra={"fields": {"refused": self.refused_full}})
            refuse(connection, FULL)
        except OSError:
            return False
        finally:
            self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        return True


def refuse(connection: socket.socket, answer: Refuse) -> None:
    """Answer and close. What the peer sent is read first: unread bytes would turn the close into a reset."""
    try:
        connection.send(answer.response())
        connection.shutdown(socket.SHUT_WR)
        connection.recv(65_536)
    except OSError:
        pass
    finally:
        connection.close()
