"""What each client of an edge is subscribed to, and how it gets back what it missed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from unionws.broadcaster import envelopes
from unionws.broadcaster.fanout import Fanout
from unionws.broadcaster.filters import MATCH_ALL, FilterFields
from unionws.broadcaster.groups import Group, GroupKey, Groups
from unionws.broadcaster.replay import Job, Replayer
from unionws.connections.client import Client
from unionws.errors import RequestError
from unionws.frames import Frame
from unionws.history.ring import Ring
from unionws.model import JSON, TransfersRecord

MAX_SNAPSHOT = 100
MAX_SEARCHED = 2_000
"""Newest transfers a snapshot under a filter is looked for in."""

TRANSFERS = "transfers"
Reply = Callable[[Mapping[str, JSON]], None]


class Archive(Protocol):
    """History on disk, read in a thread.

    Attributes:
        lowest: lowest position it holds, as far as known; None when it holds nothing.
    """

    lowest: int | None

    async def between(self, first: int, last: int) -> TransfersRecord:
        """Transfers by position; those that have expired are missing at the front."""

    async def position_before(self, cursor: str, back_ms: int) -> int | None:
        """Position behind which all stands that was published from ``back_ms`` before ``cursor`` on.

        None when nothing up to ``cursor`` is held.
        """


@dataclass(frozen=True, slots=True)
class Resume:
    """Where a client wants to go on: a position, a cursor, or both (the position goes first)."""

    epoch: str = ""
    seq: int = 0
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class Start:
    """Where a replay starts.

    Attributes:
        position: accounted for up to here.
        lost: first and last position that cannot be replayed, and why; None: nothing is missing.
    """

    position: int
    lost: tuple[int, int, str] | None = None


def parse_resume(given: JSON) -> Resume | None:
    """The ``resume`` of a subscribe.

    Raises:
        RequestError: ``invalid_message``.
    """
    if given is None:
        return None
    if isinstance(given, Mapping):
        epoch, seq, cursor = given.get("epoch", ""), given.get("seq", 0), given.get("cursor", "")
        texts = isinstance(epoch, str) and isinstance(cursor, str)
        number = isinstance(seq, int) and not isinstance(seq, bool) and 0 <= seq < 1 << 62
        if texts and number and (epoch or cursor):
            return Resume(epoch, seq, cursor)
    raise RequestError("invalid_message", "resume must be {epoch, seq} or {cursor}")


def parse_snapshot(given: JSON) -> int:
    """The ``snapshot`` of a subscribe: how many of the newest transfers to send first.

    Raises:
        RequestError: ``invalid_message``.
    """
    if given is None:
        return 0
    if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given <= MAX_SNAPSHOT:
        raise RequestError("invalid_message", f"snapshot must be a whole number from 0 to {MAX_SNAPSHOT}")
    return given


def _without_transfers(key: GroupKey) -> GroupKey:
    """What a client gets while it is replayed to; its filter matters to plugins' messages only."""
    channels = key.channels - {TRANSFERS}
    filtered = any("." in channel for channel in channels)
    return replace(key, channels=channels, filter=key.filter if filtered else MATCH_ALL)


class Subscriptions:
    """Moves clients between groups, and replays to those that resume.

    Args:
        send: sends a frame to one client.
        now_ms: Unix milliseconds.
        archive: history on disk; None where none is kept.
        back_ms: how long before a cursor a replay starts, since rows can be late and are spread.
    """

    def __init__(
        self,
        fanout: Fanout,
        groups: Groups,
        fields: FilterFields,
        ring: Ring,
        *,
        channels: frozenset[str],
        send: Callable[[Any, Frame], None],
        now_ms: Callable[[], int],
        archive: Archive | None,
        back_ms: int,
    ) -> None:
        self._fanout = fanout
        self._groups = groups
        self._fields = fields
        self._ring = ring
        self._channels = channels
        self._send = send
        self._now_ms = now_ms
        self._archive = archive
        self._back_ms = back_ms
        self._tasks: set[asyncio.Task[None]] = set()
        self.replayer = Replayer(
            fanout, fields, self, send=send, tell_gap=self._tell_expired, hand_over=self._hand_over
        )

    # -- groups ---------------------------------------------------------------------------------

    def join(self, client: Client, key: GroupKey) -> None:
        """Put a client into the group of ``key``, from the next record on."""
        self.replayer.cancel(client)
        self._groups.join(client, key, self._fanout.seq)

    def leave(self, client: Client) -> None:
        """Take a client out of everything."""
        self.replayer.cancel(client)
        self._groups.leave(client)

    def set_filter(self, client: Client, fields: Mapping[str, JSON], *, replace_all: bool) -> None:
        """Give a client another filter; a replay under way goes on with it."""
        key = self.key(client)
        wanted = self._fields.parse(fields, MATCH_ALL if replace_all else key.filter)
        job = self.replayer.job(client)
        self._check_room(replace(key, filter=wanted))
        self._move(client, replace(key, filter=wanted), job.position if job else None)

    def key(self, client: Client) -> GroupKey:
        """What a client is subscribed to; while it is replayed to, what it will be."""
        job = self.replayer.job(client)
        if job is not None:
            return job.key
        group: Group = client.group
        return group.key

    def unsubscribe(self, client: Client, channel: str) -> None:
        """Leave a channel."""
        self._known(channel)
        key = self.key(client)
        job = self.replayer.job(client)
        position = job.position if job is not None and channel != TRANSFERS else None
        self._move(client, replace(key, channels=key.channels - {channel}), position)

    def _check_room(self, key: GroupKey) -> None:
        if not self._groups.has_room(key):
            most = self._groups.most
            raise RequestError(
                "too_many_keys", f"this server holds {most} different filters, its limit; try later"
            )

    def _known(self, channel: str) -> None:
        if channel not in self._channels:
            known = ", ".join(sorted(self._channels))
            raise RequestError("unknown_channel", f"unknown channel {channel[:60]!r}; known: {known}")

    def _move(self, client: Client, key: GroupKey, replay_from: int | None) -> None:
        """Into another group; with ``replay_from`` without transfers, until the replay is over."""
        if replay_from is None or TRANSFERS not in key.channels:
            self.join(client, key)
            return
        self.join(client, _without_transfers(key))
        self.replayer.start(client, key, replay_from)

    # -- subscribing and resuming ---------------------------------------------------------------

    def subscribe(
        self, client: Client, channel: str, wanted: JSON, resume: JSON, snapshot: JSON, reply: Reply
    ) -> None:
        """Subscribe to a channel anew; ``reply`` is called with ``data`` of ``subscribed``, then follows
        what is replayed."""
        self._known(channel)
        key = self.key(client)
        key = replace(key, channels=key.channels | {channel})
        if channel == TRANSFERS:
            start, newest = parse_resume(resume), parse_snapshot(snapshot)
            key = replace(key, filter=MATCH_ALL if wanted is None else self._fields.parse(wanted))
            self._check_room(key)
            self.begin(client, key, start, newest, reply)
            return
        if wanted is not None or resume is not None or snapshot is not None:
            raise RequestError(
                "invalid_message", "filter, resume and snapshot are for the channel 'transfers'"
            )
        job = self.replayer.job(client)
        self._move(client, key, job.position if job else None)
        reply(self._subscribed(channel, key, recovered=True, replaying=False))

    def begin(
        self, client: Client, key: GroupKey, wanted: Resume | None, snapshot: int, reply: Reply
    ) -> None:
        """Start a client's transfers live, or where it wants to go on."""
        if wanted is None:
            self.join(client, key)
            reply(self._subscribed(TRANSFERS, key, recovered=True, replaying=False))
            self._send_snapshot(client, key, snapshot)
            return
        start = self._locate(wanted)
        if start is not None:
            self._begin_at(client, key, start, reply)
            return
        # What is on disk is looked up first; meanwhile the client gets everything but transfers.
        self.join(client, _without_transfers(key))
        task = asyncio.ensure_future(self._begin_later(client, key, wanted, reply))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _begin_later(self, client: Client, key: GroupKey, wanted: Resume, reply: Reply) -> None:
        group = client.group
        assert self._archive is not None
        position = await self._archive.position_before(wanted.cursor, self._back_ms)
        start = self._expired(0) if position is None else Start(position)

        def go_on() -> None:
            if client.fd >= 0 and client.group is group:  # not if it has asked for something else
                self._begin_at(client, key, start, reply)

        self._fanout.between(go_on)

    def _begin_at(self, client: Client, key: GroupKey, start: Start, reply: Reply) -> None:
        behind = start.position < self._fanout.seq
        self._move(client, key, start.position if behind else None)
        reply(self._subscribed(TRANSFERS, key, recovered=start.lost is None, replaying=behind))
        if start.lost is not None:
            self._send(client, self.gap(client, *start.lost))

    def _locate(self, wanted: Resume) -> Start | None:
        """Where to start, or None when the disk has to be asked."""
        head = self._fanout.seq
        if wanted.epoch and wanted.epoch == self._fanout.epoch:
            if wanted.seq + 1 < self._lowest():
                return self._expired(wanted.seq + 1)
            return Start(min(wanted.seq, head))
        if not wanted.cursor:
            return Start(head, (wanted.seq + 1, head, "epoch_changed"))
        published = self._ring.published_at(wanted.cursor)
        since = (published or 0) - self._back_ms
        if published is not None and self._ring.reaches(since):
            return Start(min(self._ring.position_at(since), head))
        if self._archive is not None:
            return None
        return Start(min(self._ring.position_at(since), head)) if published else self._expired(0)

    def _expired(self, first: int) -> Start:
        lowest = self._lowest()
        return Start(lowest - 1, (first, lowest - 1, "history_expired"))

    def _lowest(self) -> int:
        """Lowest position that can be replayed."""
        held = [self._ring.lowest] if len(self._ring) else [self._fanout.seq + 1]
        if self._archive is not None and self._archive.lowest is not None:
            held.append(self._archive.lowest)
        return min(held)

    def _subscribed(
        self, channel: str, key: GroupKey, *, recovered: bool, replaying: bool
    ) -> dict[str, JSON]:
        fanout = self._fanout
        filtered = {"filter": self._fields.dump(key.filter)} if channel == TRANSFERS else {}
        return {
            "channel": channel,
            **filtered,
            "epoch": fanout.epoch,
            "seq": fanout.seq,
            "cursor": fanout.cursor,
            "recovered": recovered,
            "replaying": replaying,
        }

    def _send_snapshot(self, client: Client, key: GroupKey, count: int) -> None:
        """The newest transfers the filter passes, as one replayed frame that accounts for no new position."""
        head = self._fanout.seq
        first = max(self._ring.lowest, head - MAX_SEARCHED + 1)
        record = self._ring.between(first, head, self._now_ms()) if count and first <= head else None
        if record is None:
            return
        wanted = [index for index, item in enumerate(record.items) if self._fields.matches(key.filter, item)]
        if wanted:
            messages = envelopes.transfers(record, wanted[-count:], head, key.form, replay=True)
            self._send(client, self._fanout.frame(messages, client.deflate))

    # -- the replayer's doors -------------------------------------------------------------------

    def at_hand(self, first: int, last: int) -> TransfersRecord | None:
        """Transfers from memory; those that are nowhere any more are missing at the front."""
        if self._archive is None:
            first = max(first, self._ring.lowest)
        return self._ring.between(first, last, self._now_ms())

    async def fetch(self, first: int, last: int) -> TransfersRecord:
        """Transfers from disk."""
        if self._archive is None:
            return TransfersRecord(self._fanout.epoch, last, self._fanout.cursor, False, self._now_ms(), ())
        return await self._archive.between(first, last)

    def _tell_expired(self, job: Job, first: int, last: int) -> None:
        self._send(job.client, self.gap(job.client, first, last, "history_expired"))
        job.told = last

    def _hand_over(self, job: Job) -> None:
        """The last chunk is out and nothing is being delivered: the client goes live."""
        client, epoch = job.client, self._fanout.epoch
        self._groups.join(client, job.key, self._fanout.seq)
        data = {"channel": TRANSFERS, "epoch": epoch, "seq": job.position, "count": job.count}
        self._tell(client, "caughtUp", data, epoch=epoch, seq=job.position)

    def gap(self, client: Client, first: int, last: int, reason: str) -> Frame:
        """Tell a client which positions it does not get; both included."""
        epoch = self._fanout.epoch
        data = {"channel": TRANSFERS, "fromSeq": first, "toSeq": last, "reason": reason, "epoch": epoch}
        payload = envelopes.message("gap", self._now_ms(), data=data, epoch=epoch, seq=last)
        return Frame(self._fanout.frame([payload], client.deflate).data, max(0, first - 1), last)

    def _tell(self, client: Client, type: str, data: JSON, **envelope: JSON) -> None:
        payload = envelopes.message(type, self._now_ms(), data=data, **envelope)
        self._send(client, self._fanout.frame([payload], client.deflate))

    def stop(self) -> None:
        """Forget all replays."""
        self.replayer.stop()
        for task in self._tasks:
            task.cancel()
