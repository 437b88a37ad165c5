"""WebSocket frames a server sends (RFC 6455 §5, RFC 7692 §7), and the unit that fan-out shares.

Server frames are never masked (RFC 6455 §5.1) and never fragmented here, so one encoding serves
every client of a group.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

PING_FRAME = b"\x89\x00"
DEFLATE_TAIL = b"\x00\x00\xff\xff"
MAX_CONTROL = 125


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One or more whole WebSocket frames, encoded once and sent to many clients.

    Attributes:
        data: bytes on the wire.
        prev, seq: positions of the transfers inside; ``seq`` 0 when there are none.
        messages: number of messages inside.
        chart: a chartData frame: a newer one replaces it while it waits.
        start: says where transfers go on from here, which may be earlier or in another epoch:
            positions before it and behind it do not make one gap.
        parts: the frames this one was joined from; empty when it is a single one.
    """

    data: bytes
    prev: int = 0
    seq: int = 0
    messages: int = 1
    chart: bool = False
    start: bool = False
    parts: tuple[Frame, ...] = ()


def encode(opcode: int, payload: bytes, *, compressed: bool = False) -> bytes:
    """One whole unmasked frame; ``compressed`` sets RSV1 (RFC 7692 §6)."""
    head = 0x80 | opcode | (0x40 if compressed else 0)
    size = len(payload)
    if size <= MAX_CONTROL:
        return bytes((head, size)) + payload
    if size <= 0xFFFF:
        return bytes((head, 126)) + size.to_bytes(2, "big") + payload
    return bytes((head, 127)) + size.to_bytes(8, "big") + payload


def text(payload: bytes) -> bytes:
    """A text frame of a UTF-8 payload."""
    return encode(TEXT, payload)


def deflate(payload: bytes, level: int) -> bytes:
    """A payload as permessage-deflate sends it without context takeover (RFC 7692 §7.2.1)."""
    compressor = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return packed[: -len(DEFLATE_TAIL)]


def text_deflated(payload: bytes, level: int) -> bytes:
    """A compressed text frame, or a plain one where compression would not make it smaller."""
    packed = deflate(payload, level)
    if len(packed) >= len(payload):
        return text(payload)
    return encode(TEXT, packed, compressed=True)


def close(code: int, reason: str = "") -> bytes:
    """A close frame; the reason is cut to what a control frame holds (RFC 6455 §5.5.1)."""
    packed = reason.encode()[: MAX_CONTROL - 2].decode(errors="ignore").encode()
    return encode(CLOSE, code.to_bytes(2, "big") + packed)


def pong(payload: bytes) -> bytes:
    """The answer to a ping, with its payload (RFC 6455 §5.5.3)."""
    return encode(PONG, payload)
