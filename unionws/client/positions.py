"""The gap rule and the memory against repeats, as protocol.md §2 has them.

A client has a gap exactly when ``prev > last``; then ``last = seq``. Late rows get a new ``seq``
with an older ``sort_order``, so repeats are told by ``sort_order``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from unionws.client.events import Gap
from unionws.model import JSON


@dataclass(frozen=True, slots=True)
class Position:
    """How far the stream was followed; None where the server did not say."""

    epoch: str | None = None
    seq: int | None = None
    cursor: str | None = None


def read_position(fields: Mapping[str, JSON]) -> Position:
    """The position in a message or its ``data``; a field of the wrong type counts as missing."""
    epoch, seq, cursor = fields.get("epoch"), fields.get("seq"), fields.get("cursor")
    return Position(
        epoch if isinstance(epoch, str) else None,
        seq if _is_seq(seq) else None,
        cursor if isinstance(cursor, str) and cursor else None,
    )


def read_seq(fields: Mapping[str, JSON], name: str) -> int | None:
    """A sequence number by name, or None."""
    value = fields.get(name)
    return value if _is_seq(value) else None


def _is_seq(value: JSON) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


class Tracker:
    """Follows the numbering and notices what is missing."""

    def __init__(self) -> None:
        self.position = Position()

    def jump(self, to: Position, reason: str) -> Gap | None:
        """The stream goes on at ``to`` without a replay; the gap that leaves, if any."""
        before = self.position
        gap = self._epoch_gap(to) or self._missed(before.seq, to.seq, reason)
        self._move(to)
        return gap

    def frame(self, at: Position, prev: int | None) -> Gap | None:
        """A frame of transfers arrived; the gap before it, if any."""
        before = self.position
        gap = self._epoch_gap(at) or self._missed(before.seq, prev, "missed")
        self._move(at)
        return gap

    def mark(self, at: Position) -> Gap | None:
        """A message without transfers accounts for everything up to ``at``."""
        gap = self._epoch_gap(at)
        self._move(at)
        return gap

    def adopt(self, at: Position) -> None:
        """Takes over a position of which the server has told the gap itself."""
        self._move(at)

    def forget_seq(self, epoch: str | None) -> None:
        """The next frame says where the numbering stands: a replay by cursor follows."""
        self.position = Position(epoch, None, self.position.cursor)

    def _epoch_gap(self, at: Position) -> Gap | None:
        known = self.position.epoch
        if known is None or at.epoch is None or at.epoch == known:
            return None
        return Gap(None, None, "epoch_changed")

    @staticmethod
    def _missed(last: int | None, prev: int | None, reason: str) -> Gap | None:
        if last is None or prev is None or prev <= last:
            return None
        return Gap(last + 1, prev, reason)

    def _move(self, to: Position) -> None:
        known = self.position
        self.position = Position(
            known.epoch if to.epoch is None else to.epoch,
            known.seq if to.seq is None else to.seq,
            known.cursor if to.cursor is None else to.cursor,
        )


class Seen:
    """The last ``limit`` keys; older ones are forgotten."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._order: deque[str] = deque()
        self._keys: set[str] = set()

    def add(self, key: str) -> bool:
        """False when the key is remembered already."""
        if key in self._keys:
            return False
        self._keys.add(key)
        self._order.append(key)
        if len(self._order) > self._limit:
            self._keys.discard(self._order.popleft())
        return True
