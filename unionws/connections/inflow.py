"""How much clients may send: messages and bytes of each within a window.

Only clients that sent something within the window are known, so quiet ones cost nothing.
"""

from __future__ import annotations

from unionws.connections.client import Client
from unionws.errors import ProtocolError

WINDOW = 10
"""Seconds over which what a client sends is counted."""


TOO_MUCH = 4102
"""Close code of a client that sends more than it may."""


class Inflow:
    """Counts one edge's clients.

    Args:
        messages, size: messages (control frames too) and bytes a client may send within WINDOW;
            0: any number.
    """

    def __init__(self, messages: int, size: int) -> None:
        self.set_limits(messages, size)
        self._messages: dict[Client, int] = {}
        self._bytes: dict[Client, int] = {}

    def set_limits(self, messages: int, size: int) -> None:
        """Other limits from now on."""
        self._most_messages = messages
        self._most_bytes = size

    def bytes(self, client: Client, size: int) -> None:
        """A client sent that many bytes.

        Raises:
            ProtocolError: it sends too much (4102).
        """
        if self._most_bytes:
            taken = self._bytes[client] = self._bytes.get(client, 0) + size
            if taken > self._most_bytes:
                raise _too_much(f"more than {self._most_bytes} bytes")

    def message(self, client: Client) -> None:
        """A client sent a message or a control frame.

        Raises:
            ProtocolError: it sends too many (4102).
        """
        if self._most_messages:
            count = self._messages[client] = self._messages.get(client, 0) + 1
            if count > self._most_messages:
                raise _too_much(f"more than {self._most_messages} messages")

    def __len__(self) -> int:
        return len(self._bytes) + len(self._messages)

    def next_window(self) -> None:
        """Count anew."""
        self._messages.clear()
        self._bytes.clear()


def _too_much(what: str) -> ProtocolError:
    return ProtocolError(TOO_MUCH, f"{what} within {WINDOW} s", "rate_limited")
