"""The client's side of RFC 6455 for loadtest.py: handshake texts, frames out, messages in."""

from __future__ import annotations

import base64
import hashlib
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
OFFER = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_max_window_bits"


def request(host: str, path: str, key: str, headers: tuple[str, ...], deflate: bool) -> bytes:
    """The upgrade request."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        *([OFFER] if deflate else []),
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def new_key() -> str:
    """A fresh Sec-WebSocket-Key."""
    return base64.b64encode(os.urandom(16)).decode()


def problem_with(head: bytes, key: str) -> str:
    """Why a response head is no upgrade; empty when it is one."""
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if words[1:2] != ["101"]:
        return f"HTTP {words[1]}" if len(words) > 1 else "no HTTP answer"
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
    return "" if headers.get("sec-websocket-accept") == accept else "wrong Sec-WebSocket-Accept"


def control_frame(opcode: int, payload: bytes) -> bytes:
    """A masked control frame; the payload is at most 125 bytes."""
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + masked


@dataclass(frozen=True, slots=True)
class Incoming:
    """A control frame or a whole message; ``compressed`` payloads are still deflated."""

    opcode: int
    payload: bytes
    compressed: bool = False


class Reader:
    """Turns received bytes into messages, however they were cut."""

    __slots__ = ("_buffer", "_opcode", "_parts")

    def __init__(self) -> None:
        self._buffer = b""
        self._opcode = 0
        self._parts: list[bytes] = []

    def feed(self, data: bytes) -> Iterator[Incoming]:
        """What became whole with these bytes."""
        buffer = self._buffer + data if self._buffer else data
        at = 0
        while (ends := frame_bounds(buffer, at)) is not None:
            start, end = ends
            message = self._frame(buffer[at], buffer[start:end])
            at = end
            if message is not None:
                yield message
        self._buffer = buffer[at:]

    def _frame(self, first: int, payload: bytes) -> Incoming | None:
        opcode, final = first & 15, first & 0x80
        if opcode >= CLOSE:
            return Incoming(opcode, payload)
        if final and opcode:
            return Incoming(opcode, payload, bool(first & 0x40))
        if opcode:
            self._opcode, self._parts = first, []
        self._parts.append(payload)
        if not final:
            return None
        whole, self._parts = b"".join(self._parts), []
        return Incoming(self._opcode & 15, whole, bool(self._opcode & 0x40))


def frame_bounds(buffer: bytes, at: int) -> tuple[int, int] | None:
    """Start and end of the payload of the frame at ``at``; None while it is incomplete."""
    size = len(buffer)
    if size - at < 2:
        return None
    length, start = buffer[at + 1] & 127, at + 2
    if length >= 126:
        start += 2 if length == 126 else 8
        if size < start:
            return None
        length = int.from_bytes(buffer[at + 2 : start], "big")
    return (start, start + length) if start + length <= size else None


class Inflater:
    """Inflates messages deflated without context; equal ones only once."""

    def __init__(self, remember: int = 256) -> None:
        self._remember = remember
        self._known: dict[bytes, bytes] = {}

    def inflate(self, payload: bytes) -> bytes:
        """The message; empty when it cannot be inflated on its own."""
        found = self._known.get(payload)
        if found is None:
            if len(self._known) >= self._remember:
                del self._known[next(iter(self._known))]
            found = self._known[payload] = _inflate(payload)
        return found


def _inflate(payload: bytes) -> bytes:
    try:
        return zlib.decompressobj(-15).decompress(payload + b"\x00\x00\xff\xff")
    except zlib.error:
        return b""
