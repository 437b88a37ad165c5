"""The newest published transfers, in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice

from unionws.model import Fragment, TransfersRecord


class Ring:
    """Records of the newest transfers, oldest first.

    Args:
        size: transfers to keep; whole records are dropped, so slightly more may be held.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._records: deque[TransfersRecord] = deque()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, record: TransfersRecord) -> None:
        """Add the newest record."""
        self._records.append(record)
        self._count += len(record.items)
        while self._count - len(self._records[0].items) >= self._size:
            self._count -= len(self._records.popleft().items)

    def since(self, timestamp: int, most: int) -> list[Fragment]:
        """At most ``most`` transfers published at or after Unix milliseconds, newest first."""
        return list(islice(self._newest_first(timestamp), most))

    def _newest_first(self, timestamp: int) -> Iterator[Fragment]:
        for record in reversed(self._records):
            if record.timestamp < timestamp:
                return
            yield from reversed(record.items)
