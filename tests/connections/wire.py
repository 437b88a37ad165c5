"""The client's side of the wire for tests: frames as bytes, and a blocking socket that reads them."""

from __future__ import annotations

import base64
import os
import socket
from dataclasses import dataclass

from unionws.connections.handshake import accept_key

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
CONTINUATION = 0x0
PATIENCE = 10.0
"""Seconds after which a socket that should have said something fails its test."""

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
REQUEST = (
    "GET /ws{query} HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{extra}\r\n"
)


def masked(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes = b"\x11\x22\x33\x44",
    length: int | None = None,
    form: int = 0,
) -> bytes:
    """A client's frame.

    Args:
        rsv: the three reserved bits, RSV1 is 4.
        length: announced instead of the true one.
        form: bytes of the extended length, 2 or 8, instead of the shortest.
    """
    size = len(payload) if length is None else length
    form = form or (0 if size < 126 else 2 if size < 0x10000 else 8)
    short = {0: size, 2: 126, 8: 127}[form]
    head = bytes(((0x80 if fin else 0) | rsv << 4 | opcode, 0x80 | short))
    extended = size.to_bytes(form, "big") if form else b""
    body = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return head + extended + mask + body


def close_frame(code: int | None = 1000, reason: bytes = b"") -> bytes:
    """A client's close frame; None: without a code."""
    return masked(CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason)


def upgrade(query: str = "", *, key: str = KEY, **headers: str) -> bytes:
    """A plain handshake; ``headers`` are added, ``_`` in their names standing for ``-``."""
    extra = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return REQUEST.format(query=query, key=key, extra=extra).encode()


@dataclass(frozen=True)
class Got:
    """A frame of the server."""

    opcode: int
    payload: bytes
    fin: bool = True
    rsv: int = 0

    @property
    def code(self) -> int | None:
        """Close code of a close frame."""
        return int.from_bytes(self.payload[:2], "big") if self.payload else None


class Peer:
    """A connected client socket. Reading answers None at the end of the stream.

    Args:
        pings: show keep-alive pings too, which come at any time.
    """

    def __init__(self, connection: socket.socket, *, pings: bool = False) -> None:
        self._pings = pings
        connection.settimeout(PATIENCE)
        self.socket = connection
        self._buffer = b""

    @classmethod
    def connect(cls, port: int) -> Peer:
        return cls(socket.create_connection(("127.0.0.1", port), PATIENCE))

    @classmethod
    def open(cls, port: int, query: str = "", **headers: str) -> Peer:
        """Connect and go through the handshake."""
        peer = cls.connect(port)
        key = base64.b64encode(os.urandom(16)).decode()
        peer.send(upgrade(query, key=key, **headers))
        status, answer, _ = peer.response()
        assert status == 101, answer
        assert answer["sec-websocket-accept"] == accept_key(key)
        return peer

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def _more(self) -> bool:
        try:
            data = self.socket.recv(65_536)
        except ConnectionResetError:
            return False
        self._buffer += data
        return bool(data)

    def take(self, size: int) -> bytes | None:
        """Exactly ``size`` bytes."""
        while len(self._buffer) < size:
            if not self._more():
                return None
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def response(self) -> tuple[int, dict[str, str], bytes]:
        """An HTTP answer: status, headers by lower-case name, body."""
        while b"\r\n\r\n" not in self._buffer:
            assert self._more(), self._buffer
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = [line.split(":", 1) for line in lines]
        headers = {name.strip().lower(): value.strip() for name, value in pairs}
        size = int(headers.get("content-length", "0"))
        return int(first.split()[1]), headers, self.take(size) or b""

    def frame(self) -> Got | None:
        """The server's next frame."""
        while (got := self._frame()) is not None and got.opcode == PING and not self._pings:
            continue
        return got

    def _frame(self) -> Got | None:
        head = self.take(2)
        if head is None:
            return None
        assert not head[1] & 0x80, "a server must not mask"
        size = head[1] & 0x7F
        if size > 125:
            extended = self.take(2 if size == 126 else 8)
            assert extended is not None
            size = int.from_bytes(extended, "big")
        payload = self.take(size)
        assert payload is not None, "the stream ends inside a frame"
        return Got(head[0] & 0x0F, payload, bool(head[0] & 0x80), head[0] >> 4 & 7)

    def frames(self) -> list[Got]:
        """All frames until the server closes."""
        found = []
        while (got := self.frame()) is not None:
            found.append(got)
        return found

    def ended(self) -> bool:
        """Whether the server closes TCP, with nothing before it."""
        return self.take(1) is None

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
