"""What a client is told, in the order it happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from unionws.model import JSON


@dataclass(frozen=True, slots=True)
class Connected:
    """The server greeted.

    Attributes:
        data: ``connected.data``; empty from a server that has none.
        resuming: the server replays what was published since the last connection.
    """

    data: Mapping[str, JSON]
    resuming: bool = False


@dataclass(frozen=True, slots=True)
class TransferReceived:
    """One transfer, never seen before by this client.

    Attributes:
        transfer: the contract's transfer object.
        seq: number of the newest transfer in the same frame; None from a server without positions.
        late: published long after it was sent, unsmoothed.
        replay: part of what the server replays after a reconnect.
    """

    transfer: Mapping[str, JSON]
    seq: int | None = None
    late: bool = False
    replay: bool = False


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """Any other message, types unknown to this client included; ``data`` may be missing (None)."""

    type: str
    data: JSON
    message: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class Gap:
    """Transfers between the two numbers, both included, may have been missed.

    Attributes:
        from_seq, to_seq: None where the numbering does not say.
        reason: ``missed`` (the numbers jumped), ``reconnected`` (the server could not resume),
            or the server's own: ``slow_consumer``, ``history_expired``, ``epoch_changed``.
    """

    from_seq: int | None
    to_seq: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection ended or could not be made; the client tries again by itself.

    Attributes:
        code: WebSocket close code, or None without a close frame.
        reason: short text.
        retry_in: seconds until the next attempt.
        established: there was a connection; otherwise it could not be made.
    """

    code: int | None
    reason: str
    retry_in: float
    established: bool = True


Event: TypeAlias = Connected | TransferReceived | MessageReceived | Gap | Disconnected
