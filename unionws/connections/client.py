"""What an edge keeps of one client, and the queue of one that does not keep up."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from unionws.connections.inbox import Inbox
from unionws.frames import Frame

SKIP_WINDOW = 60.0
SKIPS_ALLOWED = 10


class Client:
    """One parked connection: a descriptor and the little that delivery needs.

    The object itself is the generation of the descriptor: a closed client has ``fd`` -1, so
    whoever still holds it can never write to a reused descriptor.

    Attributes:
        fd: non-blocking socket descriptor, or -1 once closed.
        number: counts up per edge; the client's name in logs.
        address: IP address as limits and logs see it.
        deflate: permessage-deflate was agreed on.
        events: reads an event stream, and says nothing; it always has a backlog, so that the
            fan-out leaves its writes to the parking.
        group: set by the edge: whose frames this client gets.
        origin: set by the edge: the page it is part of, or "".
        seen: keep-alive tick at which the peer was last heard.
        inbox: parser, only while in the middle of a message.
        backlog: queue, only while the socket does not take more.
    """

    __slots__ = (
        "address",
        "backlog",
        "deflate",
        "events",
        "fd",
        "group",
        "inbox",
        "number",
        "origin",
        "seen",
    )

    def __init__(self, fd: int, number: int, address: str, *, deflate: bool, seen: int) -> None:
        self.fd = fd
        self.number = number
        self.address = address
        self.deflate = deflate
        self.events = False
        self.group: Any = None
        self.origin = ""
        self.seen = seen
        self.inbox: Inbox | None = None
        self.backlog: Backlog | None = None


class Backlog:
    """Frames waiting for one slow socket, within bounds.

    What does not fit makes the client skip to the head: queued transfer frames are dropped and one
    gap frame takes their place. Frames are shared, so a queue costs references, not copies.

    Args:
        max_bytes, max_frames: bounds; a frame larger than them is taken when nothing waits.
        make_gap: builds the frame that tells positions ``from`` (exclusive) to ``to`` are missing.

    Attributes:
        size: bytes that wait, chartData not counted.
        skipped: how often the client was skipped to the head.
        skips: monotonic times of the latest of these.
    """

    __slots__ = (
        "_chart",
        "_gap",
        "_gap_from",
        "_make_gap",
        "_max_bytes",
        "_max_frames",
        "_offset",
        "_queue",
        "size",
        "skipped",
        "skips",
    )

    def __init__(self, max_bytes: int, max_frames: int, make_gap: Callable[[int, int], Frame]) -> None:
        self._max_bytes = max_bytes
        self._max_frames = max_frames
        self._make_gap = make_gap
        self._queue: deque[Frame] = deque()
        self._offset = 0
        self._chart: Frame | None = None
        self._gap: Frame | None = None
        self._gap_from = 0
        self.skips: deque[float] = deque(maxlen=SKIPS_ALLOWED)
        self.skipped = 0
        self.size = 0

    def __len__(self) -> int:
        return len(self._queue) + (self._chart is not None)

    def push(self, frame: Frame, now: float, sent: int = 0) -> bool:
        """Queue a frame of which ``sent`` bytes are out already.

        Returns:
            False when the client has to be given up (4103): it was skipped too often, or frames
            that cannot be skipped alone exceed the bounds.
        """
        if frame.chart and not sent:
            self._chart = frame  # the newest replaces the one that waits
            return True
        if not self._queue:
            self._offset = sent
        elif not self._fits(frame):
            return self._skip(frame, now)
        self.append(frame, sent)
        return True

    def append(self, frame: Frame, sent: int = 0) -> None:
        """Queue a frame whatever the bounds."""
        self._queue.append(frame)
        self.size += len(frame.data) - sent

    def _fits(self, frame: Frame) -> bool:
        return self.size + len(frame.data) <= self._max_bytes and len(self._queue) < self._max_frames

    def _skip(self, frame: Frame, now: float) -> bool:
        """Put one gap in the place of all transfers that wait, those of ``frame`` included.

        It goes before the messages that are kept: a position in one of those would else tell a
        client that leaves in between that it has what was dropped. Only a message that transfers
        begin anew with stays before it.
        """
        begun = 1 if self._offset else 0
        waiting = [*self._queue, frame]
        started, waiting = waiting[:begun], waiting[begun:]
        first, last = self._skippable(waiting)
        part = waiting[first:last]
        dropped = [queued for queued in part if queued.seq and queued is not self._gap]
        if not dropped:
            return False
        if self._gap is None or self._gap not in part:
            self._gap_from = dropped[0].prev
        self._gap = self._make_gap(self._gap_from, dropped[-1].seq)
        kept = [*waiting[:first], *(queued for queued in part if not queued.seq), *waiting[last:]]
        self._queue = deque([*started, *kept[:first], self._gap, *kept[first:]])
        self.size = sum(len(queued.data) for queued in self._queue) - self._offset
        self.skips.append(now)
        self.skipped += 1
        often = len(self.skips) == SKIPS_ALLOWED and now - self.skips[0] < SKIP_WINDOW
        return not often and sum(len(queued.data) for queued in kept) <= self._max_bytes

    def _skippable(self, waiting: Sequence[Frame]) -> tuple[int, int]:
        """Bounds of the newest transfers that make one gap: those between two starts."""
        last = len(waiting)
        while last > 0:
            first = last
            while first and not waiting[first - 1].start:
                first -= 1
            if any(queued.seq and queued is not self._gap for queued in waiting[first:last]):
                return first, last
            last = first - 1
        return 0, 0

    def head(self) -> bytes | memoryview | None:
        """The bytes to send next, or None when nothing waits."""
        if not self._queue:
            if self._chart is None:
                return None
            self._queue.append(self._chart)
            self.size = len(self._chart.data)
            self._chart = None
        data = self._queue[0].data
        return memoryview(data)[self._offset :] if self._offset else data

    def advance(self, sent: int) -> None:
        """``sent`` bytes of :meth:`head` are out."""
        self.size -= sent
        self._offset += sent
        if self._offset == len(self._queue[0].data):
            done = self._queue.popleft()
            self._offset = 0
            if done is self._gap:
                self._gap = None

    def forget(self) -> None:
        """Drop all that waits but the rest of a frame that is partly out."""
        started = [self._queue[0]] if self._offset else []
        self._queue = deque(started)
        self.size = len(started[0].data) - self._offset if started else 0
        self._chart = self._gap = None

    def recently_skipped(self, now: float) -> bool:
        """Whether this queue still has to remember a skip."""
        return bool(self.skips) and now - self.skips[-1] < SKIP_WINDOW
