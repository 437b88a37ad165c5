"""What a client sends, parsed without I/O: RFC 6455 §5 frames, RFC 7692 messages, our size limit.

An Inbox exists only while a client is in the middle of a message; between messages a client has
none, which is why idle clients cost no parser memory.
"""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from unionws.errors import ProtocolError
from unionws.frames import BINARY, CLOSE, CONTINUATION, DEFLATE_TAIL, MAX_CONTROL, PING, PONG, TEXT

LAST_BLOCK = b"\x03\x00"
"""An empty DEFLATE block with BFINAL set (RFC 1951 §3.2.3)."""

RSV1 = 0x40
RSV2_RSV3 = 0x30


@dataclass(frozen=True, slots=True)
class Message:
    """A whole data message. ``data`` is text for opcode TEXT, bytes for BINARY."""

    opcode: int
    data: str | bytes


@dataclass(frozen=True, slots=True)
class Control:
    """A ping or pong."""

    opcode: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """The peer's close frame; ``code`` is 1005 when it carried none (RFC 6455 §7.1.5)."""

    code: int
    reason: str


Event = Message | Control | Close


def unmask(data: bytes, mask: bytes) -> bytes:
    """XOR ``data`` with the repeated 4-byte ``mask`` (RFC 6455 §5.3)."""
    size = len(data)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


def close_event(payload: bytes) -> Close:
    """Decode a close frame's payload.

    Raises:
        ProtocolError: 1002 for a bad length or code, 1007 for a reason that is not UTF-8.
    """
    if not payload:
        return Close(1005, "")
    if len(payload) == 1:
        raise ProtocolError(1002, "close frame with one byte")
    code = int.from_bytes(payload[:2], "big")
    if not is_valid_close_code(code):
        raise ProtocolError(1002, f"invalid close code {code}")
    try:
        return Close(code, payload[2:].decode())
    except UnicodeDecodeError:
        raise ProtocolError(1007, "close reason is not UTF-8") from None


def is_valid_close_code(code: int) -> bool:
    """Whether a peer may send this code (RFC 6455 §7.4 and the IANA registry)."""
    return (1000 <= code <= 1014 and code not in (1004, 1005, 1006)) or 3000 <= code <= 4999


class Inbox:
    """Incremental parser of one client's bytes. After a ProtocolError nothing more is understood.

    Args:
        max_bytes: largest whole message, after inflation.
        deflate: permessage-deflate was negotiated (``client_no_context_takeover``).
    """

    __slots__ = (
        "_broken",
        "_buffer",
        "_control",
        "_deflate",
        "_fin",
        "_frame_left",
        "_frame_opcode",
        "_header_done",
        "_inflate",
        "_mask",
        "_max",
        "_message",
        "_opcode",
        "_packed",
        "_size",
        "_utf8",
    )  # fmt: skip

    def __init__(self, max_bytes: int, *, deflate: bool) -> None:
        self._max = max_bytes
        self._deflate = deflate
        self._buffer = b""
        self._broken = False
        self._header_done = False
        self._frame_opcode = 0
        self._fin = False
        self._mask = b""
        self._frame_left = 0
        self._control = b""
        self._opcode = 0
        self._message: list[str | bytes] = []
        self._size = 0
        self._packed = 0
        self._utf8: codecs.IncrementalDecoder | None = None
        self._inflate: zlib._Decompress | None = None

    @property
    def idle(self) -> bool:
        """Between messages, with nothing buffered: the object may be dropped."""
        return not (self._buffer or self._header_done or self._opcode)

    def feed(self, data: bytes) -> Iterator[Event]:
        """Parse ``data``; yields events as soon as they are whole.

        Raises:
            ProtocolError: the peer broke the rules; events before it were yielded. What is fed
                from then on is ignored: nobody can tell where a frame begins.
        """
        if self._broken:
            return
        self._buffer += data
        try:
            yield from self._events()
        except ProtocolError:
            self._broken, self._buffer, self._message = True, b"", []
            raise

    def _events(self) -> Iterator[Event]:
        while True:
            if not self._header_done and not self._read_header():
                return
            if self._frame_opcode >= CLOSE:
                event = self._read_control()
            else:
                event = self._read_data()
            if event is not None:
                yield event
            if self._header_done:
                return

    # -- header ---------------------------------------------------------------------------------

    def _read_header(self) -> bool:
        buffer = self._buffer
        if not buffer:
            return False
        self._check_first_byte(buffer[0])
        if len(buffer) < 2:
            return False
        if not buffer[1] & 0x80:
            raise ProtocolError(1002, "frame is not masked")
        short = buffer[1] & 0x7F
        if buffer[0] & 0x08 and short > MAX_CONTROL:
            raise ProtocolError(1002, "control frame over 125 bytes")
        extra = {126: 2, 127: 8}.get(short, 0)
        if len(buffer) < 2 + extra:
            return False
        size = self._frame_size(short, buffer[2 : 2 + extra])
        self._check_size(buffer[0], size)
        if len(buffer) < 6 + extra:
            return False
        self._start_frame(buffer[0], size, buffer[2 + extra : 6 + extra])
        self._buffer = buffer[6 + extra :]
        return True

    def _check_first_byte(self, first: int) -> None:
        opcode, fin = first & 0x0F, first & 0x80
        if first & RSV2_RSV3:
            raise ProtocolError(1002, "reserved bits set")
        if opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
            raise ProtocolError(1002, f"unknown opcode {opcode}")
        if first & RSV1 and not (self._deflate and opcode in (TEXT, BINARY)):
            raise ProtocolError(1002, "RSV1 set where nothing is compressed")
        if opcode >= CLOSE:
            if not fin:
                raise ProtocolError(1002, "fragmented control frame")
        elif (opcode == CONTINUATION) != bool(self._opcode):
            problem = "message inside a message" if self._opcode else "continuation of nothing"
            raise ProtocolError(1002, problem)

    @staticmethod
    def _frame_size(short: int, extended: bytes) -> int:
        """Payload length; RFC 6455 §5.2 wants the shortest of its three forms."""
        if short < 126:
            return short
        size = int.from_bytes(extended, "big")
        if size < (126 if short == 126 else 0x10000) or size >> 63:
            raise ProtocolError(1002, "frame length not in its shortest form")
        return size

    def _check_size(self, first: int, size: int) -> None:
        """Refuse by the announced length already, before any of it arrives."""
        if first & 0x0F >= CLOSE:
            return
        if self._inflate is not None or first & RSV1:
            # The true bound is on what comes out; a wasteful compressor may add to what it packs.
            if self._packed + size > 2 * self._max + 64:
                raise self._too_large()
        elif self._size + size > self._max:
            raise self._too_large()

    def _too_large(self) -> ProtocolError:
        return ProtocolError(1009, f"message over {self._max} bytes", "message_too_large")

    def _start_frame(self, first: int, size: int, mask: bytes) -> None:
        self._header_done = True
        self._frame_opcode = first & 0x0F
        self._fin = bool(first & 0x80)
        self._frame_left = size
        self._mask = mask
        if self._frame_opcode in (TEXT, BINARY):
            self._opcode = self._frame_opcode
            if self._opcode == TEXT:
                self._utf8 = codecs.getincrementaldecoder("utf-8")("strict")
            if first & RSV1:
                self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)

    # -- payload --------------------------------------------------------------------------------

    def _take(self) -> bytes:
        """Unmasked payload bytes at hand; turns the mask for what is still to come."""
        raw = self._buffer[: self._frame_left]
        self._buffer = self._buffer[len(raw) :]
        self._frame_left -= len(raw)
        data = unmask(raw, self._mask)
        turn = len(raw) % 4
        self._mask = self._mask[turn:] + self._mask[:turn]
        return data

    def _read_control(self) -> Event | None:
        self._control += self._take()
        if self._frame_left:
            return None
        payload, self._control = self._control, b""
        self._header_done = False
        if self._frame_opcode == CLOSE:
            return close_event(payload)
        return Control(self._frame_opcode, payload)

    def _read_data(self) -> Event | None:
        data = self._take()
        done = not self._frame_left
        if self._inflate is not None:
            self._packed += len(data)
            self._inflate_some(data + DEFLATE_TAIL if done and self._fin else data)
            if done and self._fin and self._packed:
                self._check_inflated()
        else:
            self._accept(data)
        if not done:
            return None
        self._header_done = False
        return self._finish() if self._fin else None

    def _inflate_some(self, data: bytes) -> None:
        """Inflate a piece in bounded steps, so that a bomb never unfolds (RFC 7692 §7.2.2)."""
        while data and self._inflate is not None:
            room = self._max - self._size
            try:
                plain = self._inflate.decompress(data, room + 1)
            except zlib.error:
                raise ProtocolError(1007, "compressed data is not valid") from None
            if len(plain) > room:
                raise self._too_large()
            data = self._inflate.unconsumed_tail
            if self._inflate.eof:  # a block with BFINAL set; others may follow (§7.2.3.4)
                data = self._inflate.unused_data
                self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
            self._accept(plain)

    def _check_inflated(self) -> None:
        """Refuse data cut in the middle of a block: only between blocks can a last one follow."""
        assert self._inflate is not None
        try:
            self._inflate.decompress(LAST_BLOCK)
        except zlib.error:
            raise ProtocolError(1007, "compressed data is not valid") from None
        if not self._inflate.eof:
            raise ProtocolError(1007, "compressed data is cut short")

    def _accept(self, plain: bytes) -> None:
        if not plain:
            return  # else empty fragments without end would pile up
        self._size += len(plain)
        if self._utf8 is None:
            self._message.append(plain)
            return
        try:
            self._message.append(self._utf8.decode(plain))
        except UnicodeDecodeError:
            raise ProtocolError(1007, "text is not UTF-8") from None
        cut = self._utf8.getstate()[0]
        if cut[:1] == b"\xed" and cut[1:] >= b"\xa0":  # a surrogate: Python waits for its third byte
            raise ProtocolError(1007, "text is not UTF-8")

    def _finish(self) -> Message:
        opcode, parts = self._opcode, self._message
        if self._utf8 is not None:
            try:
                parts.append(self._utf8.decode(b"", True))
            except UnicodeDecodeError:
                raise ProtocolError(1007, "text is not UTF-8") from None
        self._opcode, self._message, self._size, self._packed = 0, [], 0, 0
        self._utf8 = self._inflate = None
        if opcode == TEXT:
            return Message(opcode, "".join(parts))  # type: ignore[arg-type]
        return Message(opcode, b"".join(parts))  # type: ignore[arg-type]
