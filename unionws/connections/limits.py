"""What one client may use, and counts of what became of clients."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one client; bytes and frames.

    Attributes:
        inbound_messages, inbound_bytes: what it may send within inflow.WINDOW seconds; 0: any number.
    """

    max_message: int
    backlog_bytes: int
    backlog_frames: int
    inbound_messages: int = 0
    inbound_bytes: int = 0


@dataclass(slots=True)
class Counters:
    """What happened since the start."""

    opened: int = 0
    closed: int = 0
    blocked: int = 0
    skipped: int = 0
    given_up: int = 0
    pong_timeouts: int = 0
    protocol_errors: int = 0
