"""The proof that the database has everything that was published under its epoch.

A small file beside the database says ``<epoch> <boot id>``. It is removed before the first
transfer is published that could not be stored, and written again when all are stored: so whoever
finds it after a crash may go on with the epoch and the next number.

SQLite in WAL mode with ``synchronous=NORMAL`` keeps every commit through the end of a process, but
may lose the newest through the end of the machine. Hence the boot id: after another boot only a
file that says ``clean``, written once everything was synced, proves anything.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

CLEAN = "clean"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Names this run of the machine (random(4)); where there is none, never the same twice."""
    try:
        return BOOT_ID.read_text("ascii").strip()
    except OSError:
        return secrets.token_hex(8)


class Continuity:
    """The proof in a file.

    Args:
        boot: this run of the machine; default :func:`boot_id`.
    """

    def __init__(self, path: Path, boot: str | None = None) -> None:
        self._path = path
        self._boot = boot or boot_id()

    def holds(self, epoch: str) -> bool:
        """Whether everything published under ``epoch`` is stored."""
        return self._read() in (f"{epoch} {self._boot}", f"{epoch} {CLEAN}")

    def prove(self, epoch: str) -> None:
        """From now on everything published is stored first.

        Raises:
            OSError: it cannot be written; then nothing is proved.
        """
        self._write(epoch, self._boot)

    def seal(self, epoch: str) -> None:
        """All is stored and on the disk itself, and nothing more will be published.

        Raises:
            OSError: it cannot be written; then nothing is proved.
        """
        self._write(epoch, CLEAN)

    def withdraw(self) -> bool:
        """Something is about to be published unstored; False when the old proof cannot be removed."""
        try:
            self._path.unlink(missing_ok=True)
        except NotADirectoryError:
            return True
        except OSError:
            return False
        return True

    def _read(self) -> str:
        try:
            return self._path.read_text("utf-8", errors="replace").strip()
        except OSError:
            return ""

    def _write(self, epoch: str, run: str) -> None:
        text = f"{epoch} {run}"
        if self._read() == text:
            return
        try:
            with self._path.open("w", encoding="ascii") as file:
                file.write(f"{text}\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            # What is left may be an older proof, and that one must not count any more.
            with contextlib.suppress(OSError):
                self._path.unlink()
            raise
