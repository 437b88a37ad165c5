"""What clients send: bytes become messages, and what RFC 6455 wants answered is answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from unionws import frames
from unionws.clock import Clock
from unionws.connections.client import Client
from unionws.connections.inbox import Close, Control, Event, Inbox, Message
from unionws.connections.inflow import TOO_MUCH, Inflow
from unionws.connections.limits import Counters, Limits
from unionws.errors import ProtocolError
from unionws.frames import PING, Frame

EMPTY_PONG = b"\x8a\x80"
"""First bytes of a masked pong without payload: the answer to our pings."""

NO_CODE = 1005
"""What a close frame without a code is read as (RFC 6455 §7.1.5)."""


class Line(Protocol):
    """The way back to clients: the parking."""

    def send(self, client: Client, frame: Frame) -> None:
        """Send a frame now or as soon as the socket takes it."""

    def close(self, client: Client, code: int, reason: str, last_words: bytes = b"") -> None:
        """Start the closing handshake."""

    def is_closing(self, client: Client) -> bool:
        """Whether the closing handshake was started."""

    def answer_close(self, client: Client, code: int) -> None:
        """The peer's close frame came; the code to echo."""


class Reader:
    """Understands what the clients of one parking send.

    Args:
        on_message: called with a client and each whole data message.
    """

    def __init__(
        self,
        line: Line,
        limits: Limits,
        counters: Counters,
        *,
        on_message: Callable[[Client, Message], None],
        clock: Clock,
    ) -> None:
        self._line = line
        self._limits = limits
        self._inflow = Inflow(limits.inbound_messages, limits.inbound_bytes)
        self._counters = counters
        self._on_message = on_message
        self._clock = clock
        self._muted: set[Client] = set()

    def set_limits(self, limits: Limits) -> None:
        """Other bounds from now on."""
        self._limits = limits
        self._inflow.set_limits(limits.inbound_messages, limits.inbound_bytes)

    def next_window(self) -> None:
        """Count anew how much each client sends."""
        self._inflow.next_window()

    def forget(self, client: Client) -> None:
        """A client is gone."""
        client.inbox = None
        self._muted.discard(client)

    def take(self, client: Client, data: bytes, *, again: bool) -> None:
        """Take bytes of a client.

        Args:
            again: it was heard within this second already.
        """
        if client in self._muted:
            return
        # The answer to our ping; more than one a second is none, and counted like any message.
        if client.inbox is None and len(data) == 6 and data[:2] == EMPTY_PONG and not again:
            return
        inbox = client.inbox = client.inbox or Inbox(self._limits.max_message, deflate=client.deflate)
        try:
            self._inflow.bytes(client, len(data))
            for event in inbox.feed(data):
                self._inflow.message(client)
                self._handle(client, event)
                if client.fd < 0:
                    return
        except ProtocolError as error:
            self._reject(client, error)
        else:
            client.inbox = None if inbox.idle else inbox

    def _handle(self, client: Client, event: Event) -> None:
        if isinstance(event, Close):
            self._line.answer_close(client, 1000 if event.code == NO_CODE else event.code)
        elif self._line.is_closing(client):
            return  # after our close frame only the peer's matters
        elif isinstance(event, Message):
            self._on_message(client, event)
        elif isinstance(event, Control) and event.opcode == PING:
            self._line.send(client, Frame(frames.pong(event.payload)))

    def _reject(self, client: Client, error: ProtocolError) -> None:
        """Close for a violation; the broken inbox stays and swallows what still arrives."""
        if self._line.is_closing(client):
            return
        if error.close_code == TOO_MUCH:
            self._muted.add(client)  # what it still sends is not even looked at
        self._counters.protocol_errors += 1
        words = b"" if error.error_code is None else self._error_frame(error)
        self._line.close(client, error.close_code, error.reason, words)

    def _error_frame(self, error: ProtocolError) -> bytes:
        now = int(self._clock.time() * 1000)
        message = (
            f'{{"type":"error","code":"{error.error_code}","message":"{error.reason}","timestamp":{now}}}'
        )
        return frames.text(message.encode())
