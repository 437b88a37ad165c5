"""The way to the HTTP server for what the fast door does not take: bounded in number and in time.

A connection has HEAD_TIMEOUT seconds for its first request head, however slowly it dribbles, and
STALL_TIMEOUT seconds to read an answer. Between two requests Tornado's own time-outs apply.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable
from time import monotonic
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream, UnsatisfiableReadError

from unionws.connections.fastdoor import last_word, refuse
from unionws.connections.handshake import Refuse
from unionws.ticker import Ticker

HEAD_TIMEOUT = 10.0
STALL_TIMEOUT = 30.0
IDLE_TIMEOUT = 30
"""Seconds a connection may be silent between two requests, and its next head may take."""

BODY_TIMEOUT = 10
MAX_BODY = 65_536
MAX_BUFFER = 131_072
MAX_HEAD = 16_384
MAX_CONNECTIONS = 1_000
"""HTTP connections of one edge at a time; a WebSocket is none once its handshake is over."""

FULL = Refuse(
    503, "too_many_requests_open", "too many HTTP connections are open here", (("Retry-After", "5"),)
)
HEAD_TOO_LARGE = Refuse(431, "head_too_large", f"a request head may have {MAX_HEAD} bytes")
TOO_SLOW = Refuse(408, "slow_request", f"the request head did not come within {HEAD_TIMEOUT:.0f} s")


class Guarded(IOStream):
    """A stream that tells its door when it is closed.

    Attributes:
        begun: monotonic time at which it was handed over, or -1 once a whole head came.
        stuck: monotonic time since which an answer waits to be read; 0: none does.
    """

    def __init__(self, connection: socket.socket, on_close: Callable[[Guarded, Any], None]) -> None:
        super().__init__(connection, max_buffer_size=MAX_BUFFER)
        self.begun = monotonic()
        self.stuck = 0.0
        self._on_close = on_close

    def close(self, exc_info: Any = False) -> None:
        if not self.closed():
            self._on_close(self, exc_info)
        super().close(exc_info)


class HttpDoor:
    """Hands connections to an HTTPServer and watches over them.

    Args:
        refused: counts refusals by reason.
        room: how many HTTP connections the process's descriptors allow at present.
    """

    def __init__(
        self, server: HTTPServer, refused: Counter[str], room: Callable[[], int] = lambda: MAX_CONNECTIONS
    ) -> None:
        self._server = server
        self._room = room
        self._refused = refused
        self._streams: dict[Guarded, None] = {}
        self._ticker = Ticker(self.sweep, 1.0)

    def __len__(self) -> int:
        return len(self._streams)

    def start(self) -> None:
        """Watch, on the running loop."""
        self._ticker.start()

    def stop(self) -> None:
        """Watch no more; connections stay."""
        self._ticker.stop()

    def enter(self, connection: socket.socket, address: Any) -> None:
        """Take a connection."""
        if len(self._streams) >= min(MAX_CONNECTIONS, self._room()) and not self._make_room():
            self._refused[FULL.code] += 1
            refuse(connection, FULL)
            return
        stream = Guarded(connection, self._on_close)
        self._streams[stream] = None
        self._server.handle_stream(stream, address)

    def _make_room(self) -> bool:
        """The oldest half-sent request gives way: nobody keeps an operator out by not asking."""
        waiting = next((stream for stream in self._streams if stream.begun >= 0), None)
        if waiting is None:
            return False
        self._tell(waiting, FULL)
        waiting.close()
        return True

    def head_came(self, stream: object) -> None:
        """A whole request head arrived on a stream."""
        if isinstance(stream, Guarded):
            stream.begun = -1.0

    def _on_close(self, stream: Guarded, reason: object) -> None:
        self._streams.pop(stream, None)
        if isinstance(reason, UnsatisfiableReadError):
            self._tell(stream, HEAD_TOO_LARGE)

    def _tell(self, stream: Guarded, reason: Refuse) -> None:
        self._refused[reason.code] += 1
        last_word(stream.socket, reason)

    def sweep(self) -> None:
        """Once a second: end what takes too long."""
        now = monotonic()
        for stream in list(self._streams):
            if stream.begun >= 0 and now - stream.begun > HEAD_TIMEOUT:
                self._tell(stream, TOO_SLOW)
                stream.close()
            else:
                self._sweep_answer(stream, now)

    def _sweep_answer(self, stream: Guarded, now: float) -> None:
        if not stream.writing():
            stream.stuck = 0.0
        elif not stream.stuck:
            stream.stuck = now
        elif now - stream.stuck > STALL_TIMEOUT:
            self._refused["slow_reader"] += 1
            stream.close()
