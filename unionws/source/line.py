"""The one TCP connection to the indexer, and how to cut it from another thread.

A thread blocked in ``connect``, a TLS handshake or ``recv`` is not woken by closing the response
or the socket: the kernel keeps the open file until the call returns. What wakes it at once is
``shutdown()`` on the TCP socket. TLS takes over the file descriptor of the socket it wraps, so a
duplicate of the descriptor is kept: shutting it down works in every phase.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Sequence
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


class Line:
    """Opens connections for one worker thread and cuts them for anybody.

    Attributes:
        opened: connections opened so far.
    """

    def __init__(self) -> None:
        self.opened = 0
        self._lock = threading.Lock()
        self._handle: socket.socket | None = None
        self._connection: HTTPConnection | None = None
        self._refusing = False

    def connect(self, connection: HTTPConnection) -> socket.socket:
        """A connected TCP socket; OSError when no address answers or the line was cut."""
        self._connection = connection
        problem: OSError = ConnectionAbortedError("the request was given up")
        for family, kind, protocol, _, address in self.resolve(connection):
            sock = socket.socket(family, kind, protocol)
            try:
                self._dial(sock, address, connection.timeout)
            except OSError as error:
                sock.close()
                problem = error
            else:
                return sock
        raise problem

    def resolve(self, connection: HTTPConnection) -> Sequence[Any]:
        """The addresses to try, as getaddrinfo answers them; OSError when there are none."""
        return socket.getaddrinfo(connection.host, connection.port, type=socket.SOCK_STREAM)

    def _dial(self, sock: socket.socket, address: Any, timeout: Any) -> None:
        self._adopt(sock)
        # Head and body of a request are two sends: Nagle would hold the second back for 40 ms.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(timeout)
        sock.connect(address)
        self.opened += 1

    def _adopt(self, sock: socket.socket) -> None:
        with self._lock:
            if self._refusing:
                raise ConnectionAbortedError("the request was given up")
            self._drop()
            self._handle = sock.dup()

    def allow(self) -> None:
        """A new request begins."""
        with self._lock:
            self._refusing = False

    def cut(self) -> None:
        """End the request under way, wherever it blocks; none can begin before ``allow``."""
        with self._lock:
            self._refusing = True
            if self._handle is not None:
                with contextlib.suppress(OSError):
                    self._handle.shutdown(socket.SHUT_RDWR)

    def settle(self) -> None:
        """A request has ended: unless its connection is kept for the next, let go of it.

        The duplicate would keep a closed connection open on the wire.
        """
        with self._lock:
            if self._connection is None or self._connection.sock is None:
                self._drop()

    def release(self) -> None:
        """No request will follow."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        if self._handle is not None:
            self._handle.close()
            self._handle = None


def _pools(line: Line) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return line.connect(self)

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return line.connect(self)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


class LineAdapter(HTTPAdapter):
    """A requests adapter whose connections are those of a Line."""

    def __init__(self, line: Line) -> None:
        self._pools = _pools(line)
        super().__init__(pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = self._pools
        return manager
