"""What each client of an edge is subscribed to, and how it gets back what it missed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

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
from unionws.resuming import Archive, Resume, Start, parse_resume, parse_snapshot

log = logging.getLogger("unionws.edge")

MAX_SEARCHED = 2_000
"""Newest transfers a snapshot under a filter is looked for in."""

TRANSFERS = "transfers"
Reply = Callable[[Mapping[str, JSON]], None]


@dataclass(slots=True, eq=False)
class Lookup:
    """A client whose place is being looked up on disk; ``key``: the group it joins in the end."""

    key: GroupKey


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
        self._lookups: dict[Client, Lookup] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.replayer = Replayer(
            fanout,
            fields,
            self,
            send=send,
            tell_gap=self._tell_gap,
            hand_over=self._hand_over,
            settle=groups.settle,
        )

    # -- groups ---------------------------------------------------------------------------------

    def join(self, client: Client, key: GroupKey) -> None:
        """Put a client into the group of ``key``, from the next record on."""
        self._forget(client)
        self._groups.join(client, key, self._fanout.seq)

    def leave(self, client: Client) -> None:
        """Take a client out of everything."""
        self._forget(client)
        self._groups.leave(client)

    def _forget(self, client: Client) -> None:
        self.replayer.cancel(client)
        self._lookups.pop(client, None)

    def set_filter(self, client: Client, fields: Mapping[str, JSON], *, replace_all: bool) -> None:
        """Give a client another filter; a replay under way goes on with it."""
        key = self.key(client)
        wanted = self._fields.parse(fields, MATCH_ALL if replace_all else key.filter)
        self._check_room(replace(key, filter=wanted))
        self._change(client, replace(key, filter=wanted))

    def key(self, client: Client) -> GroupKey:
        """What a client is subscribed to; while it is replayed to, what it will be."""
        waiting = self.replayer.job(client) or self._lookups.get(client)
        if waiting is not None:
            return waiting.key
        group: Group = client.group
        return group.key

    def unsubscribe(self, client: Client, channel: str) -> None:
        """Leave a channel."""
        self._known(channel)
        key = self.key(client)
        self._change(client, replace(key, channels=key.channels - {channel}))

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

    def _change(self, client: Client, key: GroupKey) -> None:
        """Into another group; a replay under way, or about to be, goes on for that one."""
        waiting = self.replayer.job(client) or self._lookups.get(client)
        if waiting is None or TRANSFERS not in key.channels:
            self.join(client, key)
            return
        waiting.key = key
        self._groups.join(client, _without_transfers(key), self._fanout.seq)

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
        self._change(client, key)
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
        lookup = self._lookups[client] = Lookup(key)
        task = asyncio.ensure_future(self._begin_later(client, lookup, wanted, reply))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _begin_later(self, client: Client, lookup: Lookup, wanted: Resume, reply: Reply) -> None:
        epoch = self._fanout.epoch
        position = await self._look_up(wanted.cursor)

        def go_on() -> None:
            if self._lookups.get(client) is not lookup:  # gone, or it has asked for something else
                return
            if self._fanout.epoch != epoch or self._ring.epoch not in ("", epoch):
                head = self._fanout.seq
                start = Start(head, (wanted.seq + 1, head, "epoch_changed"))
            else:
                start = self._expired(0) if position is None else Start(min(position, self._fanout.seq))
            self._begin_at(client, lookup.key, start, reply)

        self._fanout.between(go_on)

    async def _look_up(self, cursor: str) -> int | None:
        assert self._archive is not None
        try:
            return await self._archive.position_before(cursor, self._back_ms)
        except Exception:
            log.exception("history cannot be read")
            return None

    def _begin_at(self, client: Client, key: GroupKey, start: Start, reply: Reply) -> None:
        behind = start.position < self._fanout.seq
        self.join(client, _without_transfers(key) if behind else key)
        if behind:
            self.replayer.start(client, key, start.position)
        reply(self._subscribed(TRANSFERS, key, recovered=start.lost is None, replaying=behind))
        if start.lost is not None:
            self._send_gap(client, *start.lost)

    def _locate(self, wanted: Resume) -> Start | None:
        """Where to start, or None when the disk has to be asked."""
        head = self._fanout.seq
        if len(self._ring) and self._ring.epoch != self._fanout.epoch:  # about to be delivered
            return Start(head, (wanted.seq + 1, head, "epoch_changed"))
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
        return self._expired(0) if self._archive is None else None

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
        if self._ring.epoch != self._fanout.epoch:  # what it holds is about to be delivered
            return
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
        """Transfers from disk; none where it cannot be read, or has another numbering."""
        nothing = TransfersRecord(self._fanout.epoch, last, self._fanout.cursor, False, self._now_ms(), ())
        if self._archive is None:
            return nothing
        try:
            record = await self._archive.between(first, last)
        except Exception:
            log.exception("history cannot be read")
            return nothing
        return record if record.epoch == self._fanout.epoch else nothing

    def _tell_gap(self, job: Job, first: int, last: int) -> None:
        reason = "history_expired" if job.epoch == self._fanout.epoch else "epoch_changed"
        self._send_gap(job.client, first, last, reason)
        job.told = last

    def _hand_over(self, job: Job) -> None:
        """The last chunk is out and nothing is being delivered: the client goes live."""
        client, epoch = job.client, self._fanout.epoch
        self._groups.join_late(client, job.key, self._fanout.seq)
        data = {"channel": TRANSFERS, "epoch": epoch, "seq": job.position, "count": job.count}
        self._tell(client, "caughtUp", data, epoch=epoch, seq=job.position)

    def _send_gap(self, client: Client, first: int, last: int, reason: str) -> None:
        """No gap for being slow may swallow this one: it says something else, perhaps of another epoch."""
        self._send(client, replace(self.gap(client, first, last, reason), start=True))

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
