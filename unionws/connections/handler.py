"""The documented door: a WebSocketHandler that parks its connection after the handshake."""

from __future__ import annotations

import os
from asyncio import ensure_future
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol

from tornado.httputil import HTTPServerRequest
from tornado.iostream import IOStream, StreamClosedError
from tornado.websocket import WebSocketHandler

from unionws.connections.handshake import Accept, Refuse, Upgrade, plain_address


class Doorkeeper(Protocol):
    """Decides about handshakes and takes accepted connections: the edge."""

    def judge(self, upgrade: Upgrade) -> Any | Refuse:
        """What a request asks for; the same for all that differ in key and address alone."""

    def admit(self, plan: Any, key: str, address: str) -> Accept | Refuse:
        """Whether one more with that plan may come in now."""

    def welcome(self, fd: int, address: str, accept: Accept, plan: Any, early: bytes = b"") -> None:
        """Take an accepted connection over."""


class SocketHandler(WebSocketHandler):
    """``/ws``: decides as the fast door does, then hands the descriptor over.

    Tornado's own handshake and framing are not used: they would keep an IOStream and its buffers
    for each client, and abort on an extension offer they do not know.
    """

    def initialize(self, doorkeeper: Doorkeeper) -> None:
        self._doorkeeper = doorkeeper

    def check_xsrf_cookie(self) -> None:
        """A WebSocket carries no form."""

    async def prepare(self) -> None:
        """Answer every method here, before Tornado's own checks of methods and origins."""
        upgrade = upgrade_of(self.request)
        answer = plan = self._doorkeeper.judge(upgrade)
        if not isinstance(plan, Refuse):
            answer = self._doorkeeper.admit(
                plan, upgrade.headers.get("sec-websocket-key", ""), upgrade.address
            )
        stream: IOStream = self.detach()
        if isinstance(answer, Refuse):
            await self._refuse(stream, answer)
            return
        fd, early = release(stream)
        if fd >= 0:
            self._doorkeeper.welcome(fd, upgrade.address, answer, plan, early)

    @staticmethod
    async def _refuse(stream: IOStream, answer: Refuse) -> None:
        try:
            await stream.write(answer.response())
        except StreamClosedError:
            return
        stream.close()


def upgrade_of(request: HTTPServerRequest) -> Upgrade:
    """A Tornado request as the handshake core reads it."""
    return Upgrade(
        method=request.method or "",
        version=request.version.removeprefix("HTTP/"),
        query=request.query,
        headers=lower_headers(request.headers),
        address=plain_address(request.remote_ip or ""),
    )


def lower_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers by lower-case name."""
    return {name.lower(): value for name, value in headers.items()}


def release(stream: IOStream) -> tuple[int, bytes]:
    """Take the descriptor out of a stream, with bytes it has read but nobody has consumed.

    Returns:
        The descriptor, -1 when the peer is gone already, and those bytes.
    """
    if stream.closed():
        return -1, b""
    fd = os.dup(stream.socket.fileno())
    # A closed stream still gives what it has, and reads no more: it would meet the peer's end
    # behind the first frames, and keep more bytes than it is allowed to.
    stream.close()
    with suppress(StreamClosedError):
        return fd, ensure_future(stream.read_bytes(1 << 20, partial=True)).result()
    return fd, b""
