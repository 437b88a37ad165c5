"""A call of a plugin that keeps the loop waiting is cut short, whatever it waits for.

A thread looks, every quarter of the limit, whether the loop is still in the same call. When that was
so four times in a row it sends the process a signal, and the signal's handler raises
:class:`Overdue` in the plugin's own code: in its sleep, its socket, its lock or its endless loop.

Counting looks instead of comparing clocks keeps a plugin from being blamed for a machine that was
suspended or has no time for the process: then the thread does not look either. What cannot be cut
is a call into C that does not come back to Python, such as a slow name lookup; the plugin is left
behind it. Signals reach a process's main thread only, so a loop elsewhere (``unionws.testing``) goes
on without a limit.
"""

from __future__ import annotations

import signal
import threading
from types import CodeType, FrameType

from unionws.pluginloading import Site

LOOKS = 4
SIGNAL = signal.SIGRTMIN + 7
"""One that nothing else uses: not operators, not profilers, not asyncio."""

UNCUT = ("unionws.", "tornado.", "asyncio.", "logging.")
"""Packages whose functions a plugin may call, and which are never left halfway."""
CUT = (
    "unionws.contrib.",
    "unionws.pluginhost.",
    "unionws.pluginloading.",
    "unionws.pluginwraps.",
)
"""What of them may be left: plugins, and the few lines that lead to one."""

Call = tuple[int, int]
"""A place (by identity) and how many calls its plugin has had."""


class Overdue(BaseException):
    """Raised in a plugin that takes too long; no Exception, so that it is not caught by mistake."""


class Deadline:
    """Watches the calls of one loop.

    Args:
        guard: the function that calls plugins; outside of it nothing is cut.

    Attributes:
        site: where a plugin runs now, or None; the guard writes it.
    """

    def __init__(self, guard: CodeType) -> None:
        self.site: Site | None = None
        self._guard = guard
        self._wanted: Call | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def start(self, limit: float) -> None:
        """Cut calls of more than ``limit`` seconds from now on, where that can be done; 0: none."""
        main = threading.current_thread() is threading.main_thread()
        if limit <= 0 or self._thread is not None or not main:
            return
        signal.signal(SIGNAL, self._on_signal)
        self._stopping.clear()
        arguments = (limit / LOOKS, threading.get_ident())
        self._thread = threading.Thread(
            target=self._look, args=arguments, name="plugin-deadline", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Let calls take as long as they want."""
        if self._thread is None:
            return
        self._stopping.set()
        self._thread.join()
        self._thread = self._wanted = None
        signal.signal(SIGNAL, signal.SIG_IGN)  # one may be under way still

    def _running(self) -> Call | None:
        """The call under way, if it is one of a third party: our own plugins are not left halfway either."""
        site = self.site
        return None if site is None or site.plugin.candidate.builtin else (id(site), site.plugin.calls)

    def _look(self, pause: float, loop_thread: int) -> None:
        seen, times = None, 0
        while not self._stopping.wait(pause):
            running = self._running()
            times = times + 1 if running is not None and running == seen else 0
            seen = running
            if times >= LOOKS - 1:
                self._wanted = running
                signal.pthread_kill(loop_thread, SIGNAL)

    def _on_signal(self, _number: int, frame: FrameType | None) -> None:
        """In the loop's thread, at once or as soon as it is back in Python: the call may be over."""
        wanted, self._wanted = self._wanted, None
        if wanted is not None and wanted == self._running() and self._may_leave(frame):
            raise Overdue

    def _may_leave(self, frame: FrameType | None) -> bool:
        """Whether nothing of ours is under way inside the call; if not, the next look tries again."""
        while frame is not None and frame.f_code is not self._guard:
            name = f"{frame.f_globals.get('__name__', '')}."
            if name.startswith(UNCUT) and not name.startswith(CUT):
                return False
            frame = frame.f_back
        return frame is not None
