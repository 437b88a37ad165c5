"""Keeps statistics over restarts: when to write, and what a file at the start is worth.

The history is the journal of what was published, so the file only has to be right, not new: it says
up to which number its figures count, and whoever starts from it counts again what was published
since. A crash thus loses nothing that was published, however long ago the last save was.

A save copies on the loop what changed since the last one; a thread makes bytes of it and writes.
Saves are SAVE_SECONDS apart, further where one takes long. After one that failed the next writes
everything.
"""

from __future__ import annotations

import logging
import sqlite3
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from unionws.clock import Clock, milliseconds
from unionws.errors import StateError
from unionws.model import JSON
from unionws.stats.collector import Collector
from unionws.stats.statefile import Change, Kept, Mark, StateFile

log = logging.getLogger("unionws.stats")

SAVE_SECONDS = 10.0
SHARE = 20
"""A save is followed by a pause so many times as long as it took."""

RETRY_SECONDS = 30.0
"""Pause after a save that failed: the next one writes everything."""

REFUSALS = (sqlite3.Error, OSError, StateError)


class Keeper:
    """Loads, and saves off the loop.

    Args:
        path: the file; its folder exists.

    Attributes:
        problem: why figures are not being saved, in words; None when they are.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self.problem: str | None = None
        self._file = StateFile(path)
        self._clock = clock
        self._thread: ThreadPoolExecutor | None = None
        self._running: Future[float] | None = None
        self._whole = True
        self._next = clock.monotonic() + SAVE_SECONDS
        self._saves = 0
        self._seconds = 0.0

    def load(self) -> Kept | None:
        """What the file holds; blocking. One that cannot be used is set aside, and None the answer."""
        try:
            kept = self._file.load()
        except (sqlite3.OperationalError, OSError) as error:
            self._refused(error)  # the disk, not the file: it may be right when it can be read again
            return None
        except (sqlite3.Error, StateError) as error:
            self.set_aside(str(error))
            return None
        self._whole = kept is None
        return kept

    def set_aside(self, reason: str) -> None:
        """Begin a new file; the old one is kept under another name. Blocking."""
        self._whole = True
        try:
            aside = self._file.set_aside(f"aside-{milliseconds(self._clock.time())}")
        except OSError as error:
            self._refused(error)
            return
        log.error("statistics set aside", extra={"fields": {"as": str(aside), "reason": reason}})

    def due(self) -> bool:
        """Whether it is time for a save; also ends the one that was under way."""
        if self._running is not None:
            if not self._running.done():
                return False
            self._finish()
        return self._clock.monotonic() >= self._next

    def hurry(self) -> None:
        """The next save is due now: something was settled that figures cannot be told from later."""
        self._next = self._clock.monotonic()

    def save(self, collector: Collector, mark: Mark) -> None:
        """Begin to write what changed since the last save, as of now. Only when ``due``."""
        whole = self._whole or self._file.is_lost()
        changes = _changes(collector, whole=whole)
        self._whole = False
        self._thread = self._thread or ThreadPoolExecutor(1, "statistics-writer")
        self._running = self._thread.submit(self._write, changes, mark, whole)

    def close(self, collector: Collector, mark: Mark | None) -> None:
        """Write the last state, if ``mark`` is given, and let go of the file. Blocking."""
        if self._thread is not None:
            self._thread.shutdown()
        if self._running is not None:
            self._finish()
        try:
            if mark is not None:
                self._write(_changes(collector, whole=self._whole), mark, self._whole)
            self._file.close()
        except REFUSALS as error:
            self._refused(error)

    def _write(self, changes: list[Change], mark: Mark, whole: bool) -> float:
        began = self._clock.monotonic()
        self._file.write(changes, mark, whole=whole, on_bad=_tell_bad)
        return self._clock.monotonic() - began

    def _finish(self) -> None:
        assert self._running is not None
        running, self._running = self._running, None
        error = running.exception()
        now = self._clock.monotonic()
        if error is not None:
            self._refused(error)
            if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
                self.set_aside(str(error))
            self._whole, self._next = True, now + RETRY_SECONDS
            return
        if self.problem is not None:
            log.warning("statistics are being saved again")
        self.problem = None
        self._saves += 1
        self._seconds += running.result()
        self._next = now + max(SAVE_SECONDS, SHARE * running.result())

    def _refused(self, error: BaseException) -> None:
        if self.problem is None:
            log.error("statistics are not being saved", extra={"fields": {"error": str(error)}})
        self.problem = str(error)

    def view(self) -> dict[str, JSON]:
        """Fields for operators; ``problem`` is left out while there is none."""
        data: dict[str, JSON] = {
            "saves": self._saves,
            "saveMillis": round(self._seconds / max(1, self._saves) * 1e3, 1),
        }
        return data if self.problem is None else {**data, "problem": self.problem}


def _changes(collector: Collector, *, whole: bool) -> list[Change]:
    states = collector.state(whole=whole)
    return [(statistic, part, value) for statistic, parts in states.items() for part, value in parts.items()]


def _tell_bad(statistic: str, error: Exception) -> None:
    fields = {"statistic": statistic, "error": str(error)[:200]}
    log.error("a statistic's state cannot be saved", extra={"fields": fields})
