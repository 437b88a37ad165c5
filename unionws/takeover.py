"""Handing a running service over to its successor: first the sockets, then the state; nobody is refused.

::

    successor                        running service
    (all loaded) connect       ──▶
                               ◀──   its process id and, as SCM_RIGHTS, its listening sockets
    ready                      ──▶   stops ingest, which seals the state; lets go of the lock
                               ◀──   released
    ingest and edges begin
    serving                    ──▶   accepts no more, closes its clients with 4200, ends

They meet at a Unix socket in the abstract namespace (unix(7)) that is named after the state folder,
so nothing is left of it after a crash, and each checks that the other runs as the same user. If the
successor ends before it serves, the running service takes its state back and goes on.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from unionws.bus.unix import peer_user
from unionws.errors import StateError
from unionws.history.statefolder import StateFolder

log = logging.getLogger("unionws.takeover")

ANSWER_SECONDS = 5.0
"""For what the other side does at once."""

STOP_SECONDS = 30.0
"""For what takes a while: stopping ingest, or starting it."""

LOCK_SECONDS = 10.0
SOCKETS_AT_ONCE = 100
"""The kernel takes at most 253 (SCM_MAX_FD)."""


def meeting_point(folder: Path) -> str:
    """Name of the abstract socket of the service that has a state folder."""
    return f"\0unionws-takeover-{hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:24]}"


class Line:
    """Words between the two services, one a line; blocking."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def say(self, word: str) -> bool:
        """Send a word; False when the other side is gone."""
        try:
            self._connection.sendall(word.encode() + b"\n")
        except OSError:
            return False
        return True

    def hear(self, seconds: float) -> str:
        """The next word; empty when the other side is gone or says nothing in time."""
        self._connection.settimeout(seconds)
        word = b""
        with contextlib.suppress(OSError):
            while (byte := self._connection.recv(1)) not in (b"", b"\n"):
                word += byte
        return word.decode("ascii", "replace")

    def send_sockets(self, sockets: Sequence[socket.socket]) -> None:
        """Hand sockets over; ours stay open."""
        for start in range(0, len(sockets), SOCKETS_AT_ONCE):
            batch = [each.fileno() for each in sockets[start : start + SOCKETS_AT_ONCE]]
            socket.send_fds(self._connection, [b"."], batch)

    def take_sockets(self, count: int) -> list[socket.socket]:
        """Receive that many sockets.

        Raises:
            OSError: they did not come.
        """
        taken: list[socket.socket] = []
        while len(taken) < count:
            data, fds, _, _ = socket.recv_fds(self._connection, 1, SOCKETS_AT_ONCE, socket.MSG_CMSG_CLOEXEC)
            taken += [socket.socket(fileno=fd) for fd in fds]
            if not data or not fds:
                raise ConnectionError("the running service hung up")
        return taken

    def close(self) -> None:
        self._connection.close()


# ------------------------------------------------------------------------- the running service


class Handover:
    """The running service's side.

    Args:
        folder: its state, locked.
        listeners: its listening sockets.
    """

    def __init__(self, folder: StateFolder, listeners: Sequence[socket.socket]) -> None:
        self._folder = folder
        self._listeners = list(listeners)
        self._door: socket.socket | None = None
        self._line: Line | None = None

    def open(self) -> None:
        """Let successors find this service."""
        door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        door.setblocking(False)
        try:
            door.bind(meeting_point(self._folder.path))
            door.listen(1)
        except OSError as error:
            door.close()
            log.warning("this service cannot be taken over", extra={"fields": {"error": str(error)}})
            return
        self._door = door

    def fileno(self) -> int:
        """Readable when a successor knocks; -1 while closed."""
        return -1 if self._door is None else self._door.fileno()

    def close(self) -> None:
        """Not to be found any more; a conversation under way ends."""
        for end in (self._door, self._line):
            if end is not None:
                end.close()
        self._door = self._line = None

    def meet(self) -> bool:
        """Whether a successor is at the door that has the sockets now and is ready for the state."""
        if self._door is None:
            return False
        try:
            connection, _ = self._door.accept()
        except OSError:
            return False
        if peer_user(connection) != os.getuid():
            connection.close()
            log.warning("a successor of another user was refused")
            return False
        line = Line(connection)
        connection.settimeout(ANSWER_SECONDS)
        facts = {"pid": os.getpid(), "sockets": len(self._listeners)}
        with contextlib.suppress(OSError):
            if line.say(json.dumps(facts)):
                line.send_sockets(self._listeners)
        if line.hear(ANSWER_SECONDS) != "ready":
            line.close()
            log.warning("a successor came and did not start; this service goes on")
            return False
        self._line = line
        log.info("handing over to a successor")
        return True

    def release(self) -> None:
        """Ingest has stopped: the state is the successor's."""
        self._folder.release()
        line, self._line = self._line, None
        self.close()
        self._line = line
        if line is not None:
            line.say("released")

    def succeeded(self) -> bool:
        """Wait until the successor serves; False when it has failed."""
        serves = self._line is not None and self._line.hear(STOP_SECONDS) == "serving"
        self.close()
        if serves:
            log.info("the successor serves; closing clients for it")
        return serves

    def take_back(self) -> bool:
        """After a failure: go on; False when somebody else has the state."""
        try:
            acquire(self._folder)
        except StateError as error:
            log.error(
                "the successor failed and the state is not free", extra={"fields": {"error": str(error)}}
            )
            return False
        log.error("the successor failed; this service goes on")
        return True


def acquire(folder: StateFolder) -> None:
    """Take the lock of a folder that somebody is about to let go of.

    Raises:
        StateError: it was not let go of.
    """
    ends = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            folder.acquire()
            return
        except StateError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.02)


# ------------------------------------------------------------------------------- the successor


class Predecessor:
    """The successor's side: the service that runs.

    Attributes:
        listeners: copies of its listening sockets.
    """

    def __init__(self, line: Line, pid: int, listeners: list[socket.socket]) -> None:
        self._line = line
        self._pid = pid
        self.listeners = listeners

    def take_state(self, folder: StateFolder) -> None:
        """All is loaded: have its ingest stopped, and take the lock.

        Raises:
            StateError: it does not let go.
        """
        log.info("taking over from a running service", extra={"fields": {"pid": self._pid}})
        self._line.say("ready")
        self._line.hear(STOP_SECONDS)  # nothing is heard of one that ended: then the lock is free
        acquire(folder)
        os.register_at_fork(after_in_child=self.hang_up)

    def dismiss(self) -> None:
        """We serve: it may close its clients and end."""
        tell_systemd()
        self._line.say("serving")
        self.hang_up()
        log.info("took over from a running service", extra={"fields": {"pid": self._pid}})

    def hang_up(self) -> None:
        """Close this process's end: a failure for the other side, unless dismissed."""
        self._line.close()


def tell_systemd() -> None:
    """Where systemd runs the service: this is its main process from now on (sd_notify(3))."""
    place = os.environ.get("NOTIFY_SOCKET", "")
    if not place:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notice:
        notice.connect("\0" + place[1:] if place.startswith("@") else place)
        notice.send(f"MAINPID={os.getpid()}".encode())


def find(folder: StateFolder) -> Predecessor | None:
    """The service that runs on this state and can be taken over, or None."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(ANSWER_SECONDS)
    line = Line(connection)
    try:
        connection.connect(meeting_point(folder.path))
        if peer_user(connection) != os.getuid():
            log.warning("a service of another user claims this state; it is not taken over")
        else:
            facts = json.loads(line.hear(ANSWER_SECONDS))
            return Predecessor(line, int(facts["pid"]), line.take_sockets(int(facts["sockets"])))
    except (OSError, ValueError):
        pass
    line.close()
    return None


def lock(folder: StateFolder) -> Predecessor | None:
    """Lock a state folder; where a running service has it that can be taken over, meet that one.

    Raises:
        StateError: it cannot be locked.
    """
    try:
        folder.acquire()
    except StateError:
        predecessor = find(folder)
        if predecessor is None:
            raise
        return predecessor
    return None
