"""Replay: a client that resumes gets what it missed, in chunks, and is handed over to live.

Chunks end at multiples of CHUNK, so all who resume from about the same place share their frames.
The hand-over happens between two turns of the fan-out: what was replayed ends exactly where live
begins. Live delivery goes first: a replay takes short slices of the loop and waits for slow sockets.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol

from unionws.broadcaster import envelopes
from unionws.broadcaster.fanout import Fanout
from unionws.broadcaster.filters import FilterFields
from unionws.broadcaster.groups import GroupKey
from unionws.frames import Frame
from unionws.model import TransfersRecord

log = logging.getLogger("unionws.broadcaster")

CHUNK = 100
SLICE_SECONDS = 0.005
"""Longest stretch of loop time one slice of replaying takes."""

PAUSE_SECONDS = 0.002
TURNS_FIRST = 10
"""Pauses a slice waits for a turn of live delivery to end: where one follows on the other, replays go on
slowly beside them."""

WAIT_SECONDS = 0.05
"""Pause while every replay waits for a slow socket or for the disk."""

CACHED_FRAMES = 128


class Past(Protocol):
    """Where transfers of earlier positions come from."""

    def at_hand(self, first: int, last: int) -> TransfersRecord | None:
        """Transfers by position as one record, or None when they must be fetched."""

    def fetch(self, first: int, last: int) -> Awaitable[TransfersRecord]:
        """The same from disk; it holds fewer when some have expired meanwhile."""


@dataclass(slots=True, eq=False)
class Job:
    """One client's replay.

    Attributes:
        key: the group it joins when done.
        epoch, position: accounted for so far.
        told: position of the last frame it was sent.
        count: transfers it was sent.
    """

    client: Any
    key: GroupKey
    epoch: str
    position: int
    told: int
    count: int = 0


class Replayer:
    """Runs all replays of an edge, round about.

    Args:
        send: sends a frame to one client.
        tell_gap: tells a client that positions, both included, are not to be had any more.
        hand_over: puts a client into its group, as a late one, and tells it that it caught up.
        settle: called when the last has caught up: nobody is late any more.
    """

    def __init__(
        self,
        fanout: Fanout,
        fields: FilterFields,
        past: Past,
        *,
        send: Callable[[Any, Frame], None],
        tell_gap: Callable[[Job, int, int], None],
        hand_over: Callable[[Job], None],
        settle: Callable[[], None],
    ) -> None:
        self._fanout = fanout
        self._fields = fields
        self._past = past
        self._send = send
        self._hand_over = hand_over
        self._settle = settle
        self._tell_gap = tell_gap
        self._jobs: dict[Any, Job] = {}
        self._frames: OrderedDict[object, tuple[Frame | None, int]] = OrderedDict()
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._jobs)

    def start(self, client: Any, key: GroupKey, position: int) -> None:
        """Replay to ``client`` all behind ``position`` that ``key`` wants, then hand it over."""
        self._jobs[client] = Job(client, key, self._fanout.epoch, position, position)
        if self._task is None:
            self._task = asyncio.ensure_future(self._run())

    def job(self, client: Any) -> Job | None:
        """A client's replay under way."""
        return self._jobs.get(client)

    def cancel(self, client: Any) -> None:
        """Forget a client's replay, if there is one."""
        if self._jobs.pop(client, None) is not None:
            self._settle_if_last()

    def stop(self) -> None:
        """Forget all."""
        self._jobs.clear()
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        try:
            while self._jobs:
                moved = await self._round()
                await asyncio.sleep(PAUSE_SECONDS if moved else WAIT_SECONDS)
        finally:
            self._task = None

    async def _round(self) -> bool:
        """One chunk for each client that can take one; whether anything moved."""
        moved = False
        began = 0.0
        for job in sorted(self._jobs.values(), key=lambda job: job.position):
            if began == 0.0:
                await self._let_live_go_first()
                began = perf_counter()
            if self._jobs.get(job.client) is not job or job.client.backlog:
                continue
            moved = await self._step(job) or moved
            if perf_counter() - began > SLICE_SECONDS:
                await asyncio.sleep(PAUSE_SECONDS)
                began = 0.0
        return moved

    async def _let_live_go_first(self) -> None:
        for _ in range(TURNS_FIRST):
            if not self._fanout.busy:
                return
            await asyncio.sleep(PAUSE_SECONDS)

    async def _step(self, job: Job) -> bool:
        if job.epoch != self._fanout.epoch:
            self._tell_gap(job, job.position + 1, self._fanout.seq)
            job.epoch, job.position = self._fanout.epoch, self._fanout.seq
        if job.position >= self._fanout.seq:
            self._fanout.between(lambda: self._finish(job))
            return self._jobs.get(job.client) is not job
        first, last = job.position + 1, min((job.position // CHUNK + 1) * CHUNK, self._fanout.seq)
        record = self._past.at_hand(first, last)
        if record is None:
            record = await self._past.fetch(first, last)
            if self._jobs.get(job.client) is not job:
                return True
        if record.epoch != job.epoch:
            return False  # the new epoch is about to be delivered
        expired = last - first + 1 - len(record.items)
        if expired > 0:
            self._tell_gap(job, first, first + expired - 1)
        self._deliver(job, record)
        return True

    def _deliver(self, job: Job, record: TransfersRecord) -> None:
        key = (
            record.epoch,
            job.told,
            job.position,
            record.seq,
            job.key.filter,
            job.key.form,
            job.key.deflate,
        )
        if key not in self._frames:
            self._make(key, job, record)
        frame, count = self._frames[key]
        self._frames.move_to_end(key)
        job.position = record.seq
        if frame is not None:
            job.told = record.seq
            job.count += count
            self._send(job.client, frame)

    def _make(self, key: object, job: Job, record: TransfersRecord) -> None:
        wanted = [
            index for index, item in enumerate(record.items) if self._fields.matches(job.key.filter, item)
        ]
        frame = None
        if wanted:
            messages = envelopes.transfers(record, wanted, job.told, job.key.form, replay=True)
            frame = self._fanout.frame(messages, job.key.deflate, prev=job.told, seq=record.seq)
        self._frames[key] = frame, len(wanted)
        if len(self._frames) > CACHED_FRAMES:
            self._frames.popitem(last=False)

    def _finish(self, job: Job) -> None:
        """Between two turns: the client joins live exactly where its replay ended."""
        if self._jobs.get(job.client) is job and job.position == self._fanout.seq and not self._fanout.busy:
            del self._jobs[job.client]
            self._hand_over(job)
            self._settle_if_last()

    def _settle_if_last(self) -> None:
        """Who follows live comes before those who caught up, until the last of these has: a storm of
        clients that resume costs the others no more than the slices of its replays."""
        if not self._jobs:
            self._settle()
