"""Transfers, folders and a stand-in for polling."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from unionws.clock import ManualClock
from unionws.history.positions import Progress
from unionws.history.statefolder import StateFolder
from unionws.history.store import Store
from unionws.model import Fragment, TransfersRecord
from unionws.settings import Settings

NOW_MS = 1_760_000_000_000


def key(number: int) -> str:
    return f"{number:08d}"


def transfer(number: int, **changes: object) -> Fragment:
    """A transfer whose ``sort_order`` tells its number."""
    fields: dict[str, object] = {
        "sort_order": key(number),
        "source": "union.union-1",
        "destination": "ethereum.1",
        "sender": "0xaa",
        "receiver": "0xbb",
        "symbol": "u",
        "token": "0x01",
        "amount": "1.5",
        "testnet": False,
        "event_ms": NOW_MS,
        "json": f'{{"sort_order":"{key(number)}"}}'.encode(),
    }
    return Fragment(**{**fields, **changes})  # type: ignore[arg-type]


def orders(records: Iterable[TransfersRecord]) -> list[str]:
    return [item.sort_order for record in records for item in record.items]


class Service:
    """A store under a source whose position is whatever the test says."""

    def __init__(self, folder: Path, clock: ManualClock | None = None, **settings: object) -> None:
        self.clock = clock or ManualClock()
        self.settings = Settings(**settings)  # type: ignore[arg-type]
        self.folder = StateFolder(folder)
        self.store = Store(self.folder, self.settings, self.clock)
        self.store.progress = self.progress
        self.position: str | None = key(0)
        self.handled: set[str] = set()

    def progress(self) -> Progress | None:
        return None if self.position is None else Progress(self.position, lambda: self.handled)

    def open(self) -> Service:
        self.store.open()
        return self

    def publish(self, *numbers: int, late: bool = False) -> list[TransfersRecord]:
        """Publish transfers, each in a frame of its own."""
        frames = [((transfer(number),), late) for number in numbers]
        self.handled |= {key(number) for number in numbers}
        return self.store.append(frames, int(self.clock.time() * 1000))

    def second(self) -> None:
        self.clock.advance(1.0)
        self.store.tick()

    def kill(self) -> None:
        """What the end of the process does: descriptors are closed, nothing is written."""
        self.store._database.close()
        self.folder.release()

    def stop(self) -> None:
        self.store.close()
        self.folder.release()
