"""A recording as a feed: what came then comes again now, at any speed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from unionws.clock import milliseconds
from unionws.errors import UnionwsError
from unionws.extensions import Intake
from unionws.model import JSON, Transfer
from unionws.source import recording

log = logging.getLogger("unionws.source")

MOST_AT_ONCE = 20
"""Moments handed on before others get a turn, where the speed leaves no pause."""
BETWEEN_PASSES = 0.25
"""Seconds: a short recording without pauses must not drown the service, and passes have names of
their own."""


class Replay:
    """A :class:`unionws.Feed` of a recording.

    Times are moved to now, and keys get the start of the pass in front, so that every pass is
    news: the same file may be played again, and twice.

    Args:
        speed: how many times as fast as it was recorded; 0: without any pause.
        loop: begin again at the end.
    """

    def __init__(self, intake: Intake, path: Path, speed: float, loop: bool) -> None:
        self._intake, self._path, self._speed, self._loop = intake, path, speed, loop
        self._task: asyncio.Task[None] | None = None
        self._counts = dict.fromkeys(("moments", "rows", "passes"), 0)
        self._problem = ""
        self._cursor: str | None = None

    @property
    def position(self) -> str | None:
        """None: a restart begins at the beginning."""
        return None

    @property
    def seen(self) -> Collection[str]:
        return ()

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def stats(self) -> dict[str, JSON]:
        """``moments``: lines played; ``rows``: transfers handed on; ``passes``: ends of the file reached."""
        now = milliseconds(self._intake.clock.time())
        error = {"lastError": {"kind": "recording", "message": self._problem}} if self._problem else {}
        return {
            **self._counts,
            **error,
            "state": "down" if self._problem else "ok",
            "lastSuccess": None if self._problem else now,
            "consecutiveFailures": int(bool(self._problem)),
            "cursor": self._cursor,
            "isInitialFetch": not self._counts["moments"],
        }

    async def _run(self) -> None:
        try:
            await self._pass()
            while self._loop:
                await asyncio.sleep(BETWEEN_PASSES)
                await self._pass()
        except UnionwsError as error:
            self._problem = str(error)
            log.error("the recording cannot be played", extra={"fields": {"error": str(error)}})
        else:
            log.info("the recording is over", extra={"fields": dict(self._counts)})

    async def _pass(self) -> None:
        clock = self._intake.clock
        begun, name, first = clock.monotonic(), f"{milliseconds(clock.time())}-", 0.0
        for number, moment in enumerate(recording.read(self._path)):
            first = first if number else moment.at
            wait = begun + (moment.at - first) / self._speed - clock.monotonic() if self._speed else 0.0
            if wait > 0 or number % MOST_AT_ONCE == 0:
                await asyncio.sleep(max(0.0, wait))
            self._play(moment, name)
        self._counts["passes"] += 1

    def _play(self, moment: recording.Moment, name: str) -> None:
        shift = self._intake.clock.time() - moment.at
        if moment.chains:
            self._intake.on_chains(moment.chains)
        if moment.transfers:
            moved = [_moved(transfer, name, shift) for transfer in moment.transfers]
            self._cursor = max(self._cursor or "", *(transfer.sort_order for transfer in moved))
            self._intake.on_transfers(moved)
        self._counts["moments"] += 1
        self._counts["rows"] += len(moment.transfers)


def _moved(transfer: Transfer, name: str, shift: float) -> Transfer:
    return replace(
        transfer,
        sort_order=name + transfer.sort_order,
        send_time=None if transfer.send_time is None else transfer.send_time + shift,
        recv_time=None if transfer.recv_time is None else transfer.recv_time + shift,
        transfer_send_timestamp=None,  # those texts told the old times
        transfer_recv_timestamp=None,
    )
