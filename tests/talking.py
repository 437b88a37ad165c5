"""A WebSocket client for tests that speaks JSON over a raw socket."""

from __future__ import annotations

import json
import zlib
from typing import Any

from tests.connections.wire import BINARY, CLOSE, TEXT, Peer, masked


class Talker:
    """One connection."""

    def __init__(self, port: int, query: str = "", **headers: str) -> None:
        self.peer = Peer.open(port, query, **headers)

    def next(self) -> dict[str, Any]:
        """The next message; fails at anything but a text frame with one JSON object, timestamp last."""
        got = self.peer.frame()
        assert got is not None, "the connection ended"
        assert got.opcode == TEXT, got
        payload = got.payload
        if got.rsv:
            payload = zlib.decompressobj(-15).decompress(payload + b"\0\0\xff\xff")
        message = json.loads(payload)
        assert isinstance(message, dict)
        assert next(iter(message)) == "type"
        assert list(message)[-1] == "timestamp"
        assert isinstance(message["timestamp"], int)
        return message

    def several(self, count: int) -> list[dict[str, Any]]:
        return [self.next() for _ in range(count)]

    def until(self, type: str) -> dict[str, Any]:
        """The next message of a type."""
        while (message := self.next())["type"] != type:
            continue
        return message

    def say(self, message: Any) -> None:
        """Send JSON, a text as it is, or bytes as a binary message."""
        if isinstance(message, bytes):
            self.peer.send(masked(BINARY, message))
        else:
            text = message if isinstance(message, str) else json.dumps(message)
            self.peer.send(masked(TEXT, text.encode()))

    def ask(self, message: Any) -> dict[str, Any]:
        """Send, and return the next message."""
        self.say(message)
        return self.next()

    def end(self) -> tuple[list[dict[str, Any]], int | None, str]:
        """All messages up to the close frame, its code and its reason; the stream ends behind it."""
        messages = []
        while (got := self.peer.frame()) is not None and got.opcode != CLOSE:
            messages.append(json.loads(got.payload))
        assert got is not None, "no close frame"
        assert self.peer.ended()
        return messages, got.code, got.payload[2:].decode()

    def close(self) -> None:
        self.peer.close()

    def __enter__(self) -> Talker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
