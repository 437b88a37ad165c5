"""Ingest's side of the history: numbers what falls due, stores it, then lets it be published.

The order is what makes a crash harmless. A transfer is committed before it is published, so a
number is never given twice. The poll position is stored only while nothing at or before it waits
to be published, so a restart finds again what was not; what was, it knows by key.

While the disk refuses, transfers are published from memory and kept to be written later; the proof
of continuity is withdrawn before the first of them is published (:mod:`unionws.history.continuity`).
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from unionws.clock import Clock, milliseconds
from unionws.errors import StateError
from unionws.history.checkpoints import Checkpoints
from unionws.history.continuity import Continuity
from unionws.history.database import Database, Saved, is_damage
from unionws.history.positions import Numbering, Progress, draw_epoch, nothing_settled
from unionws.history.retention import CHUNK, Bounds
from unionws.history.statefolder import StateFolder
from unionws.history.waiting import Waiting, transfers
from unionws.model import JSON, Fragment, TransfersRecord
from unionws.settings import Settings

log = logging.getLogger("unionws.history")

MOST_UNSTORED = 100_000
"""Transfers kept in memory while the disk refuses, about 200 MB."""

RETRY_ROWS = 4_000
"""Transfers written in one go when it works again; ingest's loop stands still for about 0.1 s."""

PRUNE_SECONDS = 10.0

Frames = Iterable[tuple[Sequence[Fragment], bool]]
"""Transfers that fell due together, and whether they are late, in publishing order."""

REFUSALS = (sqlite3.Error, OSError, StateError)


class Store:
    """The writer. One per folder at a time: the folder's lock sees to it.

    Attributes:
        numbering: epoch and numbers, those of transfers that are not stored yet included.
        position: the stored poll position, or None.
        problem: why transfers are not being stored, in words; None when they are.
        given_up: transfers that will never be stored.
        progress: asked how far polling is settled, everything numbered so far counted as
            published; answers None while that cannot be said or must not move.
    """

    def __init__(self, folder: StateFolder, settings: Settings, clock: Clock) -> None:
        self.numbering = Numbering()
        self.position: str | None = None
        self.problem: str | None = None
        self.given_up = 0
        self.progress: Callable[[], Progress | None] = nothing_settled
        self._folder = folder
        self._clock = clock
        self._settings = settings
        self._continuity = Continuity(folder.continuity)
        self._database = Database(folder.database)
        self._checkpoints = Checkpoints(folder.database)
        self._stored: Saved | None = None
        self._complete_from = 1
        self._damaged = False
        self._proved = False
        self._needs_known = True
        self._waiting = Waiting()
        self._next_prune = 0.0
        self._commits = 0
        self._commit_seconds = 0.0

    # -- opening and closing --------------------------------------------------------------------

    def open(self) -> None:
        """Take the folder and go on where the last run ended.

        Raises:
            StateError: the folder is in use, not writable, or from a newer version.
        """
        self._folder.acquire()
        try:
            self._open_file()
            self._go_on()
        except (sqlite3.Error, OSError) as error:
            self._refused(error)
            self._distrust()

    def _open_file(self) -> None:
        try:
            self._database.open()
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            self._set_aside(str(error))
            self._database.open()

    def _set_aside(self, reason: str) -> None:
        """A file that cannot be used is kept for a look, under another name."""
        self._database.close()
        aside = self._database.set_aside(f"aside-{milliseconds(self._clock.time())}")
        log.error("history set aside", extra={"fields": {"as": str(aside), "reason": reason}})
        self._damaged = False

    def _go_on(self) -> None:
        """Load the numbering; where its continuity is not proved, begin a new epoch."""
        saved = self._stored = self._database.load()
        if saved is not None:
            self.numbering = Numbering(saved.epoch, saved.seq, saved.cursor)
            self._complete_from, self.position = saved.complete_from, saved.position
        self._needs_known = self.position is None
        if saved is None or not self._continuity.holds(saved.epoch):
            self._new_epoch()
            self._commit([], None)
        self._prove()

    def _new_epoch(self) -> None:
        before, self.numbering.epoch = self.numbering.epoch, draw_epoch()
        log.info("new epoch", extra={"fields": {"epoch": self.numbering.epoch, "before": before}})

    def _distrust(self) -> None:
        """What comes is published unstored: no proof, or an epoch that no proof speaks of."""
        self._proved = False
        if not self._continuity.withdraw() or not self.numbering.epoch:
            self._new_epoch()

    def close(self) -> None:
        """Write what can be written, and prove that nothing is missing. Let go of the file."""
        self._checkpoints.stop()
        try:
            if self.problem is not None:
                self._recover(MOST_UNSTORED)
            if self.problem is None:
                self._database.sync_from_now()
                self._commit([], self.progress())
                self._continuity.seal(self.numbering.epoch)
        except REFUSALS as error:
            self._refused(error)
        self._database.close()

    # -- reading at the start -------------------------------------------------------------------

    def known(self) -> list[str]:
        """Keys after the stored position that need no publishing; none while the disk refuses."""
        if self.position is None or self.problem is not None:
            return []
        return self._database.known(self.position)

    def tail(self, most: int) -> list[TransfersRecord]:
        """The newest published transfers of this epoch, oldest first, each a record of its own.

        So an edge that got any part of them before a crash is sent exactly the rest.
        """
        return (
            []
            if self.problem is not None
            else self._database.after(self.numbering.seq - most, self.numbering.epoch)
        )

    # -- publishing -----------------------------------------------------------------------------

    def append(self, frames: Frames, timestamp: int) -> list[TransfersRecord]:
        """Number and store transfers; the records may be published as soon as this returns.

        What the disk does raises nothing here; see ``problem``.

        Args:
            timestamp: Unix milliseconds.
        """
        records = [self.numbering.number(items, late, timestamp) for items, late in frames]
        self._waiting.extend(records)
        if self.problem is None:
            try:
                self._write(MOST_UNSTORED)
            except (sqlite3.Error, OSError) as error:
                self._refused(error)
        if self.problem is not None and self._proved:
            records = self._distrusted(records)
        if (excess := len(self._waiting) - MOST_UNSTORED) > 0:
            self._give_up(self._waiting.oldest(excess), "too many were waiting for the disk")
        return records

    def _distrusted(self, records: Sequence[TransfersRecord]) -> list[TransfersRecord]:
        """The first records that could not be stored, in the epoch that they have to have."""
        self._distrust()
        renamed = [replace(record, epoch=self.numbering.epoch) for record in records]
        if self._waiting:
            self._waiting.replace(renamed)
        return renamed

    def _give_up(self, batch: Sequence[TransfersRecord], reason: str) -> None:
        """The oldest records that wait will never be in the history."""
        if not self.given_up:
            log.error("transfers given up for the history", extra={"fields": {"reason": reason}})
        self._waiting.drop(batch)
        self._complete_from = batch[-1].seq + 1
        self.given_up += transfers(batch)
        self._needs_known = True  # their keys are in no row

    # -- writing --------------------------------------------------------------------------------

    def _write(self, most: int) -> None:
        """Commit about ``most`` of the transfers that wait, oldest first."""
        batch = self._waiting.oldest(most)
        if not batch:
            return
        began = time.perf_counter()
        count = transfers(batch)
        whole = count == len(self._waiting)
        try:
            self._commit(batch, self.progress() if whole and self._needs_known else None)
        except (ValueError, OverflowError) as error:  # a value no column takes must not stop the rest
            self._give_up(batch, str(error))
            self._commit([], None)
            return
        self._waiting.drop(batch)
        self._checkpoints.wrote(count)
        self._commits += 1
        self._commit_seconds += time.perf_counter() - began

    def _commit(self, batch: Sequence[TransfersRecord], progress: Progress | None) -> None:
        """Store records and the state after them; with ``progress`` the position too."""
        now = self.numbering
        saved = Saved(now.epoch, now.seq, now.cursor, self._complete_from, self.position)
        if batch:
            last = batch[-1]
            saved = replace(saved, epoch=last.epoch, seq=last.seq, cursor=last.cursor)
        known: Iterable[str] = ()
        if progress is not None:
            saved = replace(saved, position=progress.position)
            if self._needs_known:
                known = [key for key in progress.handled() if key > progress.position]
        self._database.write(batch, saved, known, moved=progress is not None)
        self._stored = saved
        if progress is not None:
            self.position, self._needs_known = progress.position, False

    # -- once a second --------------------------------------------------------------------------

    def tick(self) -> None:
        """Once a second: save the position and keep the bounds, or try again what was refused."""
        try:
            if self.problem is None and self._database.is_lost():
                self._refused(StateError("the state folder was removed or replaced"))
            if self.problem is not None:
                self._recover(RETRY_ROWS)
            else:
                self._keep_house()
        except REFUSALS as error:
            self._refused(error)

    def _keep_house(self) -> None:
        self._save_progress()
        now = self._clock.monotonic()
        self._checkpoints.tick(self._database.connection, now)
        if now >= self._next_prune:
            bounds = Bounds.of(self._settings, self._clock.time())
            gone = self._database.prune(bounds, self.position)
            self._checkpoints.wrote(gone)
            self._next_prune = now + (0 if gone >= CHUNK else PRUNE_SECONDS)

    def _save_progress(self) -> None:
        progress = self.progress()
        if progress is not None and (self._needs_known or progress.position != self.position):
            self._commit([], progress)

    def _prove(self) -> None:
        self._continuity.prove(self.numbering.epoch)
        self._proved = True

    # -- trouble --------------------------------------------------------------------------------

    def _refused(self, error: Exception) -> None:
        if self.problem is None:
            log.error("transfers are not being stored", extra={"fields": {"error": str(error)}})
        self.problem = str(error)
        self._damaged = self._damaged or is_damage(error)

    def _recover(self, most: int) -> None:
        """Open anew, and write in order what waits; when all is stored, prove it."""
        self._reopen()
        self._write(most)
        if self._waiting:
            return
        self._save_progress()
        if self._needs_known:
            return  # a restart from this file could not tell what was published
        self._prove()
        self.problem = None
        log.warning("transfers are being stored again", extra={"fields": {"givenUp": self.given_up}})

    def _reopen(self) -> None:
        self._database.close()
        self._folder.acquire()
        if self._damaged:
            self._set_aside(self.problem or "")
        self._open_file()
        found = self._database.load()
        if found is not None and not self._is_ours(found):
            self._set_aside("another numbering is in it")
            self._database.open()
            found = None
        if found is None:
            self._begin_file()

    def _is_ours(self, found: Saved) -> bool:
        stored = self._stored
        return stored is not None and found.epoch == stored.epoch and found.seq >= stored.seq

    def _begin_file(self) -> None:
        """A new file under a numbering that goes on: its history begins with what waits."""
        self._continuity.withdraw()
        self._proved, self._needs_known = False, True
        self.position = None
        first = self._complete_from = self.numbering.seq - len(self._waiting) + 1
        self._stored = Saved(self.numbering.epoch, first - 1, self.numbering.cursor, first, None)
        self._database.write([], self._stored)

    # -- back-fill and figures ------------------------------------------------------------------

    def add_backfilled(self, items: Sequence[Fragment]) -> None:
        """Store transfers from before the stream: without numbers, and only where not there yet.

        Raises:
            sqlite3.Error: the disk refuses; nothing was stored.
        """
        self._database.add_backfilled(items)
        self._checkpoints.wrote(len(items))

    def view(self) -> dict[str, JSON]:
        """Fields for operators; ``problem`` and ``position`` are left out while there is none."""
        data: dict[str, JSON] = {
            "folder": str(self._folder.path),
            "fileBytes": self._database.size(),
            "logBytes": self._database.size("-wal"),
            "commits": self._commits,
            "commitMicros": round(self._commit_seconds / max(1, self._commits) * 1e6),
            "unstored": len(self._waiting),
            "givenUp": self.given_up,
        }
        optional = {"position": self.position, "problem": self.problem}
        return data | {name: value for name, value in optional.items() if value is not None}
