"""chartData goes out beside the turns: the heaviest frames by far, and nobody waits for them by the second.

A chart to all clients takes many times as long as a transfer. So it is sent in small slices with
pauses between them, in which every turn that became due goes out: a transfer waits for one slice at
most, and those who read the charts do not all wake up at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic, process_time
from typing import Any

from tornado.ioloop import IOLoop

from unionws.broadcaster.groups import Group
from unionws.broadcaster.pace import Pace
from unionws.frames import Frame
from unionws.model import ChartRecord

SENDS_PER_SLICE = 100
PAUSE = 8.0
"""Length of a pause, in durations of the slice before it, while there is time."""

SHARE = 0.5
"""Part of the interval between two charts within which one is sent to everybody, if the edge can."""

CHANNEL = "chartData"


class Charts:
    """Holds the newest snapshot until its time has come, and sends it.

    Args:
        pace: how often a chart may go out.
        on_pace: called when that changed.
        release: takes a snapshot whose time has come; what is made of it comes back by :meth:`begin`.
        write: sends a frame to clients.
        busy: a turn is under way, and nothing else may be sent.
    """

    def __init__(
        self,
        pace: Pace,
        on_pace: Callable[[Pace], None] | None,
        release: Callable[[ChartRecord], None],
        write: Callable[[Sequence[Any], Frame], None],
        busy: Callable[[], bool],
    ) -> None:
        self._pace = pace
        self._on_pace = on_pace
        self._hand_over = release
        self._write = write
        self._busy = busy
        self._newest: ChartRecord | None = None
        self._timer: object | None = None
        self._targets: list[tuple[Group, list[Any], Frame]] = []
        self._left = 0
        self._deadline = 0.0
        self._scheduled = False

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is being sent."""
        return self._timer is None and not self._targets

    def submit(self, record: ChartRecord) -> None:
        """Send a snapshot when its time has come; of several that wait, the newest only."""
        self._newest = record
        self._arm()

    def stop(self) -> None:
        """Send nothing more."""
        if self._timer is not None:
            IOLoop.current().remove_timeout(self._timer)
        self._targets.clear()

    def _arm(self) -> None:
        if self._timer is None and not self._targets:
            self._timer = IOLoop.current().call_later(self._pace.wait(monotonic()), self._release)

    def _release(self) -> None:
        self._timer = None
        if self._newest is None or self._targets:
            return  # the one being sent goes to everybody first
        record, self._newest = self._newest, None
        self._hand_over(record)
        if self._pace.sent(monotonic(), process_time()) and self._on_pace is not None:
            self._on_pace(self._pace)

    def begin(self, targets: Sequence[tuple[Group, list[Any], Frame]]) -> None:
        """Send each group's members their frame, as soon as :meth:`go_on` is called."""
        self._targets = [target for target in targets if target[1]]
        self._left = sum(len(members) for _, members, _ in self._targets)
        self._deadline = monotonic() + SHARE * self._pace.interval

    def go_on(self, pause: float = 0.0) -> None:
        """The turn is over: send what waits, ``pause`` seconds from now."""
        if self._targets and not self._scheduled:
            self._scheduled = True
            IOLoop.current().call_later(pause, self._slice)

    def _slice(self) -> None:
        self._scheduled = False
        if self._busy() or not self._targets:
            return
        began, budget = monotonic(), SENDS_PER_SLICE
        while self._targets and budget > 0:
            group, members, frame = self._targets[-1]
            batch = members[-budget:]
            del members[-budget:]
            budget -= len(batch)
            self._write([member for member in batch if listens(member, group)], frame)
            if not members:
                self._targets.pop()
        self._left -= SENDS_PER_SLICE
        self.go_on(self._pause(began, monotonic()))
        if self._newest is not None:
            self._arm()

    def _pause(self, began: float, ended: float) -> float:
        """Seconds from the end of a slice to the next, so that the last one is in time."""
        slices = max(1, self._left // SENDS_PER_SLICE)
        return min(PAUSE * (ended - began), max(0.0, self._deadline - ended) / slices)


def listens(member: Any, group: Group) -> bool:
    """Whether somebody who was in a group when its frame was made still wants it."""
    now: Group | None = member.group
    return now is group or (now is not None and CHANNEL in now.key.channels)
