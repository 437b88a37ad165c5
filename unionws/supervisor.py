"""One ingest and N edges as processes, kept alive by a parent that does nothing else.

The parent opens one listening socket per edge (SO_REUSEPORT) and the bus's socket before it forks,
so what waits in the queue of a process that died is served by its successor. It runs no event loop:
each child starts from a clean state. A pipe whose writing end only the parent holds tells the
children when the parent is gone, whatever the reason.
"""

from __future__ import annotations

import fcntl
import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from unionws.succession import Launcher
from unionws.takeover import Handover

log = logging.getLogger("unionws.supervisor")

FIRST_DELAY, LONGEST_DELAY = 0.1, 30.0
"""Seconds before a process that died is started again: doubling while it keeps dying young."""

YOUNG = 10.0
"""A process that lived longer than this many seconds is restarted without punishment."""

INGEST_STOPS_WITHIN = 2.0
STOP_WITHIN = 9.0
POLL_SECONDS = 0.05
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP, signal.SIGUSR2, signal.SIGIO)


@dataclass(slots=True)
class Child:
    """One process to keep alive.

    Attributes:
        run: what it does, given the reading end of the parent's pipe; its exit code.
        pid: 0 while it does not run.
        start_at: monotonic time of the next start.
    """

    name: str
    run: Callable[[int], int]
    pid: int = 0
    started: float = 0.0
    start_at: float = 0.0
    delay: float = FIRST_DELAY
    restarts: int = field(default=0)


class Supervisor:
    """Starts children, restarts what dies, stops all in order.

    Args:
        first: stopped first (ingest), so that what it still publishes reaches the others.
        others: stopped after it.
        listeners: closed in ``first``, which serves no clients.
        on_hangup: called at SIGHUP, before the children get it too.
        handover: lets a successor take over; SIGUSR2 starts one. None: not possible.
    """

    def __init__(
        self,
        first: Child,
        others: Sequence[Child],
        listeners: Sequence[socket.socket],
        on_hangup: Callable[[], None] = lambda: None,
        handover: Handover | None = None,
    ) -> None:
        self._first = first
        self._handover = handover
        self._launcher = Launcher()
        self._on_hangup = on_hangup
        self._others = list(others)
        self._listeners = list(listeners)
        self._alive_read, self._alive_write = os.pipe()
        self._stopping = False

    @property
    def children(self) -> list[Child]:
        """All, ingest first."""
        return [self._first, *self._others]

    @property
    def pids(self) -> list[int]:
        """Process ids of the children that run."""
        return [child.pid for child in self.children if child.pid]

    def start(self) -> None:
        """Start every child. Signals are blocked from here on and taken by :meth:`wait`."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        gc.collect()
        gc.freeze()  # what the children share with the parent stays shared
        self._open_handover()
        for child in self.children:
            self._fork(child)

    def wait(self) -> None:
        """Keep the children alive until SIGTERM or SIGINT, or until a successor serves; then stop them."""
        while True:
            got = signal.sigtimedwait(SIGNALS, self._pause())
            if got is not None and got.si_signo in (signal.SIGTERM, signal.SIGINT):
                break
            if got is not None and got.si_signo == signal.SIGHUP:
                self._hang_up()
            if got is not None and got.si_signo == signal.SIGUSR2 and self._handover is not None:
                self._launcher.start()
            self._reap()
            if self._handover is not None and self._hand_over(self._handover):
                break
            for child in self.children:
                if not child.pid and child.start_at <= time.monotonic():
                    child.restarts += 1
                    self._fork(child)
        self.stop()

    def _hang_up(self) -> None:
        """Settings are to be read again: here, for children to come, and in each child."""
        self._on_hangup()
        for child in self.children:
            if child.pid:
                os.kill(child.pid, signal.SIGHUP)

    def _open_handover(self) -> None:
        """Be found by successors; SIGIO tells that one knocks (there is no event loop here)."""
        if self._handover is None:
            return
        self._handover.open()
        door = self._handover.fileno()
        if door >= 0:
            fcntl.fcntl(door, fcntl.F_SETOWN, os.getpid())
            fcntl.fcntl(door, fcntl.F_SETFL, fcntl.fcntl(door, fcntl.F_GETFL) | os.O_ASYNC)

    def _hand_over(self, handover: Handover) -> bool:
        """Let a successor take over if there is one; whether it serves now."""
        if not handover.meet():
            return False
        self._stopping = True
        self._end([self._first], time.monotonic() + STOP_WITHIN)
        self._kill([self._first])
        handover.release()
        if handover.succeeded() or not handover.take_back():
            return True
        self._stopping = False
        self._open_handover()
        self._first.start_at = time.monotonic()
        return False

    def _pause(self) -> float:
        waiting = [child.start_at - time.monotonic() for child in self.children if not child.pid]
        return max(0.0, min([*waiting, 60.0]))

    def stop(self) -> None:
        """SIGTERM to ingest, then to the edges; SIGKILL to what has not ended in time."""
        self._stopping = True
        deadline = time.monotonic() + STOP_WITHIN
        self._end([self._first], min(deadline, time.monotonic() + INGEST_STOPS_WITHIN))
        self._end(self._others, deadline)
        self._kill(self.children)
        if self._handover is not None:
            self._handover.close()
        os.close(self._alive_write)
        os.close(self._alive_read)

    def _end(self, children: Sequence[Child], deadline: float) -> None:
        for child in children:
            if child.pid:
                os.kill(child.pid, signal.SIGTERM)
        self._await(children, deadline)

    def _kill(self, children: Sequence[Child]) -> None:
        for child in children:
            if child.pid:
                log.warning("process did not stop in time", extra={"fields": {"process": child.name}})
                os.kill(child.pid, signal.SIGKILL)
        self._await(children, time.monotonic() + 1.0)

    def _await(self, children: Sequence[Child], deadline: float) -> None:
        while any(child.pid for child in children) and time.monotonic() < deadline:
            self._reap()
            time.sleep(POLL_SECONDS)
        self._reap()

    # -- processes ------------------------------------------------------------------------------

    def _fork(self, child: Child) -> None:
        child.started = time.monotonic()
        pid = os.fork()
        if pid == 0:
            self._become(child)
        child.pid = pid
        log.info("process started", extra={"fields": {"process": child.name, "pid": pid}})

    def _become(self, child: Child) -> None:
        """In the child: run it and exit, never returning into the parent's code."""
        code = 1
        try:
            os.close(self._alive_write)
            if self._handover is not None:
                self._handover.close()
            if child is self._first:
                for listener in self._listeners:
                    listener.close()
            # A terminal's Ctrl-C goes to the whole group; only the parent acts on it.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for number in (signal.SIGHUP, signal.SIGUSR2, signal.SIGIO):  # until the child listens to it
                signal.signal(number, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            code = child.run(self._alive_read)
        except BaseException:
            log.exception("process failed", extra={"fields": {"process": child.name}})
        finally:
            logging.shutdown()
            os._exit(code)

    def _reap(self) -> None:
        self._launcher.reap()
        for child in self.children:
            if not child.pid:
                continue
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                self._ended(child, status)

    def _ended(self, child: Child, status: int) -> None:
        now = time.monotonic()
        lived = now - child.started
        child.delay = FIRST_DELAY if lived > YOUNG else min(child.delay * 2, LONGEST_DELAY)
        child.pid, child.start_at = 0, now + child.delay
        facts = {"process": child.name, "exit": os.waitstatus_to_exitcode(status), "lived": round(lived, 1)}
        log.log(logging.INFO if self._stopping else logging.WARNING, "process ended", extra={"fields": facts})
