"""Finds a dead connection: one on which nothing comes, not even the answer to a ping."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tornado.websocket import WebSocketClientConnection, WebSocketClosedError


class Watch:
    """Watches one connection while somebody waits for its next message.

    Only waiting counts: Tornado reads nothing while a message is not fetched, so a pong could not
    arrive then. A quiet connection is pinged after ``interval`` seconds and cut ``timeout`` seconds
    later unless it answered.
    """

    def __init__(self, connection: WebSocketClientConnection, interval: float, timeout: float) -> None:
        self._connection = connection
        self._stream = connection.protocol.stream if connection.protocol is not None else None
        self._interval, self._timeout = interval, timeout
        self._timer: asyncio.TimerHandle | None = None
        self._answered = False
        self.dead = False
        """The connection was cut because it did not answer."""
        connection.on_pong = self._on_pong  # type: ignore[method-assign]

    def begin(self) -> None:
        """Somebody waits from now on."""
        self._arm(self._interval, self._ask)

    def end(self) -> None:
        """Nobody waits any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def cut(self) -> None:
        """Ends the connection without a word."""
        if self._stream is not None:
            self._stream.close()

    def _arm(self, seconds: float, action: Callable[[], None]) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, action)

    def _on_pong(self, data: bytes) -> None:
        self._answered = True

    def _ask(self) -> None:
        self._answered = False
        try:
            self._connection.ping()
        except WebSocketClosedError:
            return
        self._arm(self._timeout, self._judge)

    def _judge(self) -> None:
        if self._answered:
            self._arm(self._interval, self._ask)
            return
        self.dead = True
        self.cut()
