"""What surrounds a takeover: starting a successor, knowing when it serves, and doing so on a loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time

from unionws.pluginhost import PluginHost
from unionws.takeover import Handover

log = logging.getLogger("unionws.takeover")

READY_SECONDS = 20.0
"""In which all processes of a successor have to serve."""


class Readiness:
    """A pipe by which children tell their parent that they serve."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def tell(self) -> None:
        """In a child. Where the parent does not read any more, nothing happens."""
        with contextlib.suppress(OSError):
            os.write(self._write, b".")

    def wait(self, count: int) -> bool:
        """In the parent: whether that many serve in time."""
        ends, told = time.monotonic() + READY_SECONDS, 0
        while told < count and time.monotonic() < ends:
            try:
                told += len(os.read(self._read, count))
            except BlockingIOError:
                time.sleep(0.01)
        return told >= count


class Launcher:
    """Starts this program again, as it was started; the new one takes over by itself."""

    def __init__(self) -> None:
        self._pid = 0

    def start(self) -> None:
        """Start a successor, unless one is just starting."""
        if self._pid:
            log.warning("a successor is starting already", extra={"fields": {"pid": self._pid}})
            return
        try:
            self._pid = os.posix_spawn(
                sys.executable,
                [sys.executable, *sys.orig_argv[1:]],
                os.environ,
                setsigmask=[],
                setsigdef=[signal.SIGINT, signal.SIGCHLD, signal.SIGHUP],
            )
        except OSError as error:
            log.error("no successor could be started", extra={"fields": {"error": str(error)}})
            return
        log.info("successor started", extra={"fields": {"pid": self._pid}})

    def reap(self) -> None:
        """Tell when the successor ended instead of taking over."""
        if self._pid:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                fields = {"pid": pid, "exit": os.waitstatus_to_exitcode(status)}
                log.error("the successor ended; this service goes on", extra={"fields": fields})
                self._pid = 0


class LoopHandover:
    """A handover by a service of one process, on its loop. SIGUSR2 starts a successor."""

    def __init__(self, handover: Handover, host: PluginHost) -> None:
        self._handover = handover
        self._host = host
        self._launcher = Launcher()
        self._ready = asyncio.Event()
        self._meeting: asyncio.Task[None] | None = None

    def _open(self) -> None:
        self._handover.open()
        loop = asyncio.get_running_loop()
        if self._handover.fileno() >= 0:
            loop.add_reader(self._handover.fileno(), self._knocked)
        loop.add_signal_handler(signal.SIGUSR2, self._launcher.start)
        loop.add_signal_handler(signal.SIGCHLD, self._launcher.reap)

    def _ignore(self) -> None:
        if self._handover.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._handover.fileno())

    def _knocked(self) -> None:
        self._ignore()
        self._meeting = asyncio.ensure_future(self._meet())

    async def _meet(self) -> None:
        if await asyncio.to_thread(self._handover.meet):
            self._ready.set()
        elif self._handover.fileno() >= 0:
            asyncio.get_running_loop().add_reader(self._handover.fileno(), self._knocked)

    async def wait(self, stopping: asyncio.Event) -> None:
        """Be found; return when the service is to stop, or a successor is ready for the state."""
        self._open()
        waits = [asyncio.ensure_future(event.wait()) for event in (stopping, self._ready)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if not self._ready.is_set():
            self._ignore()
            self._handover.close()

    async def is_done(self) -> bool:
        """Ingest has stopped for a successor: whether that one serves, or this service goes on."""
        self._ready.clear()
        self._host.save()
        self._host.doors.role = "edge"  # what plugins keep is the successor's to write
        self._handover.release()
        if await asyncio.to_thread(self._handover.succeeded):
            return True
        self._host.doors.role = "single"
        return not await asyncio.to_thread(self._handover.take_back)
