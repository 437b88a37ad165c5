"""Where a service stands: in the numbers it gives, and in what it polls."""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from unionws.model import Fragment, TransfersRecord

EPOCH_LETTERS = string.ascii_lowercase + string.digits
EPOCH_LENGTH = 12


def draw_epoch() -> str:
    """A new name for a numbering."""
    return "".join(secrets.choice(EPOCH_LETTERS) for _ in range(EPOCH_LENGTH))


class Numbering:
    """Numbers of transfers: +1 each, whatever the epoch.

    Attributes:
        epoch, seq, cursor: up to the last transfer that was given a number; ``cursor`` is the
            greatest ``sort_order`` among them.
    """

    def __init__(self, epoch: str = "", seq: int = 0, cursor: str = "") -> None:
        self.epoch, self.seq, self.cursor = epoch, seq, cursor

    def number(self, items: Sequence[Fragment], late: bool, timestamp: int) -> TransfersRecord:
        """A record of the next transfers."""
        self.seq += len(items)
        self.cursor = max(self.cursor, *(item.sort_order for item in items))
        return TransfersRecord(self.epoch, self.seq, self.cursor, late, timestamp, tuple(items))


@dataclass(frozen=True, slots=True)
class Progress:
    """How far polling is settled.

    Attributes:
        position: a restart that polls from here finds everything that is not stored.
        handled: keys after it that need no publishing; asked for only where the file lacks them.
    """

    position: str
    handled: Callable[[], Iterable[str]]


def nothing_settled() -> Progress | None:
    """The progress of a source that has none."""
    return None
