"""The newest published transfers, in memory, by position."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from unionws.model import Fragment, TransfersRecord


class Ring:
    """A circular list of transfers of one epoch; slot ``seq % size`` holds the transfer ``seq``.

    Args:
        size: transfers to keep.

    Attributes:
        epoch: the numbering; another one empties the ring.
        lowest, highest: positions held; ``lowest`` is ``highest + 1`` while the ring is empty.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: list[Fragment | None] = [None] * size
        self._published: list[int] = [0] * size
        self._cursors: list[str] = [""] * size
        self.epoch = ""
        self.lowest = 1
        self.highest = 0

    def __len__(self) -> int:
        return self.highest - self.lowest + 1

    def append(self, record: TransfersRecord) -> None:
        """Add the newest record. One that does not follow on the last starts anew."""
        first = record.seq - len(record.items) + 1
        if record.epoch != self.epoch or first != self.highest + 1:
            self.epoch = record.epoch
            self.lowest, self.highest = first, first - 1
        for seq, item in enumerate(record.items, first):
            self._items[seq % self._size] = item
            self._published[seq % self._size] = record.timestamp
            self._cursors[seq % self._size] = record.cursor
        self.highest = record.seq
        self.lowest = max(self.lowest, self.highest - self._size + 1)

    def between(self, first: int, last: int, timestamp: int) -> TransfersRecord | None:
        """Transfers ``first`` to ``last``, both included, as one record; None unless all are held."""
        if not self.lowest <= first <= last <= self.highest:
            return None
        slots = [self._items[seq % self._size] for seq in range(first, last + 1)]
        items = tuple([item for item in slots if item is not None])
        return TransfersRecord(self.epoch, last, self._cursors[last % self._size], False, timestamp, items)

    def since(self, timestamp: int, most: int) -> list[Fragment]:
        """At most ``most`` transfers published at or after Unix milliseconds, newest first."""
        return list(islice((item for _, item in self._newest_first(timestamp)), most))

    def position_at(self, timestamp: int) -> int:
        """The position behind which everything published at or after ``timestamp`` stands."""
        position = self.highest
        for seq, _ in self._newest_first(timestamp):
            position = seq - 1
        return position

    def reaches(self, timestamp: int) -> bool:
        """Whether everything published since ``timestamp`` is held."""
        return len(self) > 0 and self._published[self.lowest % self._size] < timestamp

    def published_at(self, cursor: str) -> int | None:
        """When the transfer with the greatest ``sort_order`` up to ``cursor`` was published, in ms.

        None when the ring holds none that old.
        """
        held = ((seq, item) for seq, item in self._newest_first(0) if item.sort_order <= cursor)
        best = max(held, key=lambda entry: entry[1].sort_order, default=None)
        return None if best is None else self._published[best[0] % self._size]

    def _newest_first(self, timestamp: int) -> Iterator[tuple[int, Fragment]]:
        for seq in range(self.highest, self.lowest - 1, -1):
            item = self._items[seq % self._size]
            if item is None or self._published[seq % self._size] < timestamp:
                return
            yield seq, item
