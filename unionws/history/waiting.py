"""Records that are numbered and not stored, oldest first."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from unionws.model import TransfersRecord


def transfers(records: Iterable[TransfersRecord]) -> int:
    """How many transfers some records have."""
    return sum(len(record.items) for record in records)


class Waiting:
    """A queue that knows its length in transfers."""

    def __init__(self) -> None:
        self._records: deque[TransfersRecord] = deque()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def extend(self, records: Sequence[TransfersRecord]) -> None:
        """Add the newest."""
        self._records.extend(records)
        self._count += transfers(records)

    def replace(self, records: Sequence[TransfersRecord]) -> None:
        """Have these instead of all."""
        self._records.clear()
        self._count = 0
        self.extend(records)

    def oldest(self, most: int) -> list[TransfersRecord]:
        """The records with the oldest ``most`` transfers, or slightly more."""
        batch: list[TransfersRecord] = []
        for record in self._records:
            if most <= 0:
                break
            batch.append(record)
            most -= len(record.items)
        return batch

    def drop(self, batch: Sequence[TransfersRecord]) -> None:
        """Forget what ``oldest`` answered."""
        for _ in batch:
            self._records.popleft()
        self._count -= transfers(batch)
