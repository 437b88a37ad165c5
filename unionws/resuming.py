"""Where a client goes on after a drop: what it may ask for, and where that is looked up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from unionws.errors import RequestError
from unionws.model import JSON, TransfersRecord

MAX_SNAPSHOT = 100


class Archive(Protocol):
    """History on disk, read in a thread.

    Attributes:
        lowest: lowest position it holds, as far as known; None when it holds nothing.
    """

    lowest: int | None

    async def between(self, first: int, last: int) -> TransfersRecord:
        """Transfers by position; those that have expired are missing at the front."""

    async def position_before(self, cursor: str, back_ms: int) -> int | None:
        """Position behind which all stands that was published from ``back_ms`` before ``cursor`` on.

        None when nothing up to ``cursor`` is held.
        """


@dataclass(frozen=True, slots=True)
class Resume:
    """Where a client wants to go on: a position, a cursor, or both (the position goes first)."""

    epoch: str = ""
    seq: int = 0
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class Start:
    """Where a replay starts.

    Attributes:
        position: accounted for up to here.
        lost: first and last position that cannot be replayed, and why; None: nothing is missing.
    """

    position: int
    lost: tuple[int, int, str] | None = None


def parse_resume(given: JSON) -> Resume | None:
    """The ``resume`` of a subscribe.

    Raises:
        RequestError: ``invalid_message``.
    """
    if given is None:
        return None
    if isinstance(given, Mapping):
        epoch, seq, cursor = given.get("epoch", ""), given.get("seq", 0), given.get("cursor", "")
        texts = isinstance(epoch, str) and isinstance(cursor, str)
        number = isinstance(seq, int) and not isinstance(seq, bool) and 0 <= seq < 1 << 62
        if texts and number and (epoch or cursor):
            return Resume(epoch, seq, cursor)
    raise RequestError("invalid_message", "resume must be {epoch, seq} or {cursor}")


def parse_snapshot(given: JSON) -> int:
    """The ``snapshot`` of a subscribe: how many of the newest transfers to send first.

    Raises:
        RequestError: ``invalid_message``.
    """
    if given is None:
        return 0
    if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given <= MAX_SNAPSHOT:
        raise RequestError("invalid_message", f"snapshot must be a whole number from 0 to {MAX_SNAPSHOT}")
    return given
