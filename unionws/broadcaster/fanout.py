"""Delivery: records become frames once per group, and each client gets one ``send`` per turn.

A *turn* takes every record that became due, renders it for the groups that want it, and writes to
the members. Long turns are cut into slices so that the loop also serves other things; what would
change a membership waits for the end of the turn (:meth:`Fanout.between`).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from time import monotonic, time
from typing import Any, Protocol

from tornado.ioloop import IOLoop

from unionws import frames
from unionws.broadcaster import envelopes
from unionws.broadcaster.charts import CHANNEL, Charts
from unionws.broadcaster.groups import Group, Groups
from unionws.broadcaster.pace import Pace
from unionws.frames import Frame
from unionws.measure import Histogram
from unionws.model import (
    ChainsRecord,
    ChartRecord,
    MessageRecord,
    Record,
    StatusRecord,
    TransfersRecord,
)

log = logging.getLogger("unionws.broadcaster")

SENDS_PER_SLICE = 250
"""About 2 ms of a loop turn. What comes in between, an accept or a probe of /readyz, takes some five turns,
and where more processes than cores deliver at once each of them lasts that many times longer."""

HEARTBEAT = 15
"""Seconds without another frame after which a heartbeat goes out."""


class Sockets(Protocol):
    """Where frames go that a plain write could not finish."""

    def blocked(self, client: Any, frame: Frame, sent: int) -> None: ...

    def send(self, client: Any, frame: Frame) -> None: ...

    def broken(self, client: Any) -> None: ...


class Fanout:
    """Delivers records to groups, in order.

    Args:
        compress_from: bytes from which a message is compressed for clients that agreed to it.
        compress_level: zlib level.
        pace: how often chartData may go out; None: whenever it changes.
        on_pace: called when that changed.

    Attributes:
        epoch, seq, cursor: position of the last record delivered (or being delivered).
        delivery: from publishing a record of transfers to the last write of its turn.
        turn: from its begin to its last write, slices of others included.
        encode: making the frames of a turn.
    """

    def __init__(
        self,
        groups: Groups,
        sockets: Sockets,
        *,
        compress_from: int,
        compress_level: int,
        pace: Pace | None = None,
        on_pace: Callable[[Pace], None] | None = None,
    ) -> None:
        self._groups = groups
        self._sockets = sockets
        self._compress_from = compress_from
        self._compress_level = compress_level
        self._charts = Charts(
            pace or Pace(0.0), on_pace, release=self._take, write=self._write, busy=lambda: self.busy
        )
        self._due: list[Record] = []
        self._scheduled = False
        self._targets: list[tuple[list[Any], Frame]] = []
        self._waiting: list[Callable[[], None]] = []
        self._rotation = 0
        self.epoch = ""
        self.seq = 0
        self.cursor = ""
        self.sends = 0
        self.frames = 0
        self.deflates = 0
        self.delivery, self.turn, self.encode = Histogram(), Histogram(), Histogram()
        self._published: list[int] = []
        self._turn_began = 0.0

    @property
    def busy(self) -> bool:
        """In the middle of a turn."""
        return bool(self._targets)

    @property
    def sending(self) -> bool:
        """Something other than chartData is not with all its clients yet."""
        return bool(self._targets or self._due)

    def position(self, epoch: str, seq: int, cursor: str) -> None:
        """Take over a position. A new epoch counts anew, so every group starts there."""
        if epoch != self.epoch:
            for group in self._groups:
                group.seq = seq
        self.epoch, self.seq, self.cursor = epoch, seq, cursor

    def submit(self, record: Record) -> None:
        """Deliver a record in the next turn; chartData when its pace allows, the newest only."""
        if isinstance(record, ChartRecord):
            self._charts.submit(record)
        else:
            self._take(record)

    def _take(self, record: Record) -> None:
        self._due.append(record)
        self._schedule()

    @property
    def idle(self) -> bool:
        """Nothing is being sent, and nothing waits to be."""
        return not self._targets and not self._due and self._charts.idle

    def stop(self) -> None:
        """Deliver nothing more."""
        self._charts.stop()

    def between(self, action: Callable[[], None]) -> None:
        """Run ``action`` when no turn is under way: now, or at the end of this one."""
        if self._targets:
            self._waiting.append(action)
        else:
            action()

    def heartbeat(self, payload: bytes) -> None:
        """Once a second: send ``payload`` to groups that were sent nothing for HEARTBEAT seconds.

        It accounts for all up to the present position, so their next frame follows on it.
        """
        self._groups.second += 1
        quiet = self._groups.second - HEARTBEAT
        if self._targets or self._due:
            return
        frame = self.frame([payload], False)
        for group in self._groups:
            if group.heard <= quiet:
                group.heard, group.seq = self._groups.second, self.seq
                self._targets.append((list(group.in_order()), frame))
        if self._targets:
            self._slice()

    def _schedule(self) -> None:
        if not self._scheduled and not self._targets:
            self._scheduled = True
            IOLoop.current().add_callback(self._turn)

    # -- a turn ---------------------------------------------------------------------------------

    def _turn(self) -> None:
        self._scheduled = False
        if self._targets:
            return
        due, self._due = self._due, []
        self._turn_began = monotonic()
        per_group: dict[Group, list[Frame]] = {}
        cache: dict[object, Frame] = {}
        for record in due:
            for group, frame in self._render(record, cache):
                per_group.setdefault(group, []).append(frame)
        joined: dict[tuple[Frame, ...], Frame] = {}
        first: list[tuple[list[Any], Frame]] = []
        for group, made in per_group.items():
            group.heard = self._groups.second
            key = tuple(made)
            if key not in joined:
                joined[key] = join(key)
            members, late = group.by_rank()
            if members:
                first.append((self._rotated(members), joined[key]))
            if late:
                self._targets.append((self._rotated(late), joined[key]))
        self._targets += first  # from whose end is taken what is sent next
        self._rotation += 1
        self._published = [record.timestamp for record in due if isinstance(record, TransfersRecord)]
        self.encode.observe(monotonic() - self._turn_began)
        self._slice()

    def _rotated(self, members: list[Any]) -> list[Any]:
        """A copy of the members, starting elsewhere each turn: nobody is always last."""
        start = self._rotation * 7919 % len(members)
        return members[start:] + members[:start]

    def _slice(self) -> None:
        budget = SENDS_PER_SLICE
        while self._targets and budget > 0:
            members, frame = self._targets[-1]
            if len(members) <= budget:
                self._targets.pop()
                batch = members
            else:
                batch = members[-budget:]
                del members[-budget:]
            budget -= len(batch)
            self._write(batch, frame)
        if self._targets:
            IOLoop.current().add_callback(self._slice)
        else:
            self._finish()

    def _write(self, members: Sequence[Any], frame: Frame) -> None:
        write, data, size = os.write, frame.data, len(frame.data)
        self.sends += len(members)
        for member in members:
            if member.backlog is not None:
                self._sockets.send(member, frame)
                continue
            try:
                sent = write(member.fd, data)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._sockets.broken(member)
                continue
            if sent != size:
                self._sockets.blocked(member, frame, sent)

    def _measure(self) -> None:
        if self._turn_began:
            self.turn.observe(monotonic() - self._turn_began)
        now = time()
        for timestamp in self._published:
            self.delivery.observe(now - timestamp / 1000)
        self._turn_began, self._published = 0.0, []

    def _finish(self) -> None:
        self._measure()
        waiting, self._waiting = self._waiting, []
        for action in waiting:
            action()
        if self._due:
            self._schedule()
        self._charts.go_on()

    # -- rendering ------------------------------------------------------------------------------

    def _render(self, record: Record, cache: dict[object, Frame]) -> list[tuple[Group, Frame]]:
        if isinstance(record, TransfersRecord):
            return self._render_transfers(record, cache)
        if isinstance(record, ChartRecord):
            self._begin_chart(record)
            return self._broadcast("rates", "rates", record.rates, record.timestamp)
        if isinstance(record, ChainsRecord):
            return self._broadcast("chains", "chains", record.data, record.timestamp)
        if isinstance(record, StatusRecord):
            return self._broadcast("status", "status", record.data, record.timestamp)
        if isinstance(record, MessageRecord):
            about = record.about
            concerned = None if about is None else self._groups.concerned(record.channel, about)
            return self._broadcast(
                record.channel, record.type, record.data, record.timestamp, concerned=concerned
            )
        return []

    def _begin_chart(self, record: ChartRecord) -> None:
        targets = []
        for group, frame in self._broadcast(CHANNEL, CHANNEL, record.chart, record.timestamp, chart=True):
            group.heard = self._groups.second
            targets.append((group, self._rotated(group.in_order()), frame))
        self._charts.begin(targets)

    def _render_transfers(
        self, record: TransfersRecord, cache: dict[object, Frame]
    ) -> list[tuple[Group, Frame]]:
        before = record.seq - len(record.items)
        if record.epoch != self.epoch:
            self.position(record.epoch, before, record.cursor)
        rendered = self._render_hole(before, record.timestamp) if before > self.seq else []
        self.seq, self.cursor = record.seq, record.cursor
        for group, indices in self._groups.index.match(record.items).items():
            key = (record.seq, tuple(indices), group.seq, group.key.form, group.key.deflate)
            frame = cache.get(key)
            if frame is None:
                messages = envelopes.transfers(record, indices, group.seq, group.key.form)
                frame = cache[key] = self.frame(messages, group.key.deflate, prev=group.seq, seq=record.seq)
            group.seq = record.seq
            rendered.append((group, frame))
        return rendered

    def _render_hole(self, last: int, timestamp: int) -> list[tuple[Group, Frame]]:
        """The bus has lost what lies between the position and ``last``: a gap for every group, in order."""
        data = {"channel": "transfers", "fromSeq": self.seq + 1, "toSeq": last, "reason": "history_expired"}
        payload = envelopes.message("gap", timestamp, data=data, epoch=self.epoch, seq=last)
        made = {deflate: self.frame([payload], deflate).data for deflate in (False, True)}
        rendered = []
        for group in self._groups.listening("transfers"):
            rendered.append((group, Frame(made[group.key.deflate], group.seq, last)))
            group.seq = last
        return rendered

    def _broadcast(
        self,
        channel: str,
        type: str,
        data: bytes,
        timestamp: int,
        *,
        chart: bool = False,
        concerned: Iterable[Group] | None = None,
    ) -> list[tuple[Group, Frame]]:
        """One message for a channel's groups, or for those ``concerned`` alone."""
        made: dict[bool, Frame] = {}
        rendered = []
        for group in self._groups.listening(channel) if concerned is None else concerned:
            deflate = group.key.deflate
            if deflate not in made:
                made[deflate] = self.frame([envelopes.envelope(type, data, timestamp)], deflate, chart=chart)
            rendered.append((group, made[deflate]))
        return rendered

    def frame(
        self, messages: Sequence[bytes], deflate: bool, *, prev: int = 0, seq: int = 0, chart: bool = False
    ) -> Frame:
        """Encode messages once for all who get them."""
        parts = []
        for payload in messages:
            if deflate and len(payload) >= self._compress_from:
                parts.append(frames.text_deflated(payload, self._compress_level))
                self.deflates += 1
            else:
                parts.append(frames.text(payload))
        self.frames += len(parts)
        return Frame(b"".join(parts), prev, seq, len(parts), chart)


def join(made: tuple[Frame, ...]) -> Frame:
    """Several frames of one turn as one, for one ``send``; it spans all their positions."""
    if len(made) == 1:
        return made[0]
    positioned = [frame for frame in made if frame.seq]
    return Frame(
        b"".join([frame.data for frame in made]),
        positioned[0].prev if positioned else 0,
        positioned[-1].seq if positioned else 0,
        sum(frame.messages for frame in made),
        parts=made,
    )
