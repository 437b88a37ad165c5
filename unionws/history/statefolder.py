"""Where a service keeps what must outlive it: a folder per source of transfers, one writer each.

::

    STATE_DIR/
      staging.graphql.union.build-1f2e3d4c/    one (endpoint, MAINNET_ONLY)
        lock          held by the service that writes here; holds its process id
        history.db    published transfers, numbering, poll position (SQLite)
        statistics.db figures of chartData, and how far the past was read (SQLite)
        continuity    proof that history.db has everything that was published

The lock is flock(2): it belongs to the open file, so children inherit it, it can be handed to
another process with the descriptor, and it is gone when the last process that has it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from unionws.errors import StateError

LONGEST_NAME = 60


def endpoint_folder(state_dir: str, endpoint: str, mainnet_only: bool) -> Path:
    """The folder of an indexer. User name and password of the URL do not count."""
    parts = urlsplit(endpoint)
    host = parts.netloc.rpartition("@")[2].lower()
    return _folder(state_dir, host, f"{parts.scheme}://{host}{parts.path}?{parts.query}", mainnet_only)


def simulated_folder(state_dir: str, seed: int, rate: float, mainnet_only: bool) -> Path:
    """The folder of the embedded indexer, whose transfers follow from seed and rate."""
    name = f"simulated-seed{seed}-rate{rate:g}"
    return _folder(state_dir, name, name, mainnet_only)


def source_folder(state_dir: str, name: str) -> Path:
    """The folder of a source that a plugin adds."""
    return _folder(state_dir, f"source-{name.lower()}", f"source {name}", False)


def _folder(state_dir: str, name: str, identity: str, mainnet_only: bool) -> Path:
    digest = hashlib.sha256(f"{identity} {mainnet_only}".encode()).hexdigest()[:8]
    readable = re.sub(r"[^a-z0-9.]+", "-", name)[:LONGEST_NAME].strip("-.")
    return Path(state_dir) / f"{readable}{'-mainnet' if mainnet_only else ''}-{digest}"


class StateFolder:
    """One folder and its lock.

    Attributes:
        database: path of the SQLite file.
        continuity: path of the proof of continuity.
        statistics: path of the statistics' file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = path / "history.db"
        self.continuity = path / "continuity"
        self.statistics = path / "statistics.db"
        self._lock_path = path / "lock"
        self._lock = -1

    def acquire(self) -> None:
        """Make the folder and take its lock, unless it is ours already.

        A folder that was removed and made again has a new lock, which is taken then.

        Raises:
            StateError: another service has it, or it cannot be made or written.
        """
        if self._is_held():
            return
        self.release()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            self._take()
        except OSError as error:
            self.release()
            raise StateError(f"the state folder {self.path} cannot be used: {error.strerror}") from error

    def release(self) -> None:
        """Let go of this process's hold; other processes that inherited it still have it."""
        if self._lock >= 0:
            os.close(self._lock)
        self._lock = -1

    def _is_held(self) -> bool:
        if self._lock < 0:
            return False
        try:
            return os.path.samestat(os.fstat(self._lock), self._lock_path.stat())
        except OSError:
            return False

    def _take(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._lock, 20, 0).decode("ascii", "replace").strip() or "unknown"
            self.release()
            raise StateError(
                f"the state folder {self.path} is in use by process {holder}: only one service at a time "
                "may poll and number there; stop it, or give this one another STATE_DIR"
            ) from None
        with contextlib.suppress(OSError):  # a full disk: the lock holds without the number too
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)
