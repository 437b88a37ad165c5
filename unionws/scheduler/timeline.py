"""When each transfer is published: the pure core, without clock, loop or socket.

A poll brings transfers in lumps; they are spread so that the stream looks as alive as it is. For
the i-th of n transfers of a batch in send-time order::

    due = max(last due of its route, now + buffer + (i / n) * spread + jitter)

The spread shrinks as activity grows (``Rules.spread_at``). Taking the later of two times, never
their sum, keeps every due time within ``now + buffer + longest spread + jitter``: waiting cannot
add up however long the input lasts.

Publishing goes in *turns*, at least 10 ms apart while smoothing is on: at most a hundred wake-ups
a second, and transfers due within one turn share a frame. A turn emits one frame; what does not
fit follows 10 ms later. Once more than a second's worth waits (500 due transfers at 5 a frame), a
turn emits as many frames as it takes to clear the backlog in about a second, so the delay stays
near a second whatever the input, at no cost for clients: frames of one turn leave in one ``send``.

Transfers that are old when added (after an outage) skip all this: they are due at once, in frames
of their own, at most one of them in a turn. SPREAD_MS = 0 makes everything due at once; then only
what did not fit a frame waits 10 ms.

``now`` is monotonic seconds throughout; ``wall`` is Unix seconds and gives ages only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from math import ceil, inf
from operator import attrgetter
from random import Random

from unionws.model import EnrichedTransfer
from unionws.scheduler.activity import Activity
from unionws.scheduler.rules import Rules

TURN = 0.010
TURNS_PER_SECOND = 100
LATE_FRAME = 100
TURN_LIMIT = 100
"""Transfers in one turn, as many as a page of the indexer: 10,000 a second, more than one request
at a time can bring."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Transfers that go out together, in publishing order."""

    items: tuple[EnrichedTransfer, ...]
    late: bool


class Timeline:
    """The queue between polling and publishing. Nothing that is added is dropped.

    Args:
        rules: see Rules.
        random: source of the jitter.
    """

    def __init__(self, rules: Rules, random: Random) -> None:
        self.activity = Activity()
        self._rules = rules
        self._random = random
        self._waiting: dict[int, EnrichedTransfer] = {}
        self._next = 0
        self._heap: list[tuple[float, int]] = []
        self._ready: deque[int] = deque()
        self._late: deque[int] = deque()
        self._orders: list[tuple[str, int]] = []
        self._last_due: dict[str, float] = {}
        self._free_at = -inf
        self._behind = False

    def __len__(self) -> int:
        return len(self._waiting)

    # ------------------------------------------------------------------------------------ adding

    def add(
        self, batch: Iterable[EnrichedTransfer], *, now: float, wall: float, urgent: Container[str] = ()
    ) -> None:
        """Queue a poll's transfers; the ones already due still wait for ``turn``.

        Args:
            urgent: keys of transfers that are due now, before what their routes still have queued.
        """
        items = sorted(batch, key=attrgetter("event_time"))
        self.activity.add((wall - item.event_time for item in items), now)
        newest_late = wall - self._rules.age_threshold
        late = [item for item in items if item.event_time < newest_late]
        self._late.extend(self._keep(item) for item in late)
        recent = items[len(late) :]
        for item in recent:
            if item.transfer.sort_order in urgent:
                heappush(self._heap, (now, self._keep(item)))
        self._spread([item for item in recent if item.transfer.sort_order not in urgent], now)

    def _keep(self, item: EnrichedTransfer) -> int:
        number = self._next
        self._next += 1
        self._waiting[number] = item
        heappush(self._orders, (item.transfer.sort_order, number))
        return number

    def _spread(self, items: Sequence[EnrichedTransfer], now: float) -> None:
        if not items:
            return
        rules = self._rules
        step = rules.spread_at(self.activity.level(now)) / len(items)
        start = now + rules.buffer
        for i, item in enumerate(items):
            wanted = start + i * step + rules.jitter * self._random.random()
            due = max(self._last_due.get(item.route_key, wanted), wanted)
            self._last_due[item.route_key] = due
            heappush(self._heap, (due, self._keep(item)))

    # ---------------------------------------------------------------------------------- emitting

    def next_due(self) -> float | None:
        """When the next turn has something to publish; a past time means now, None never."""
        if self._ready or self._late:
            return self._free_at
        return max(self._heap[0][0], self._free_at) if self._heap else None

    def turn(self, now: float) -> Iterator[Frame]:
        """The frames to publish now; a transfer leaves the queue when its frame is handed out."""
        if now < self._free_at:
            return
        self._collect(now)
        count, late_count = self._quota(), min(LATE_FRAME, len(self._late))
        if count or late_count:
            self._pace(now, len(self._ready) > count or len(self._late) > late_count)
        yield from self._frames(self._late, late_count, LATE_FRAME, late=True)
        yield from self._frames(self._ready, count, self._rules.per_frame, late=False)

    def drain(self) -> Iterator[Frame]:
        """Frames with all that is queued, due or not, in the order they would have had."""
        self._collect(inf)
        yield from self._frames(self._late, len(self._late), LATE_FRAME, late=True)
        yield from self._frames(self._ready, len(self._ready), self._rules.per_frame, late=False)

    def _collect(self, now: float) -> None:
        """Move what is due from the heap to the ready line, which keeps the order of due times."""
        while self._heap and self._heap[0][0] <= now:
            due, number = heappop(self._heap)
            self._ready.append(number)
            route = self._waiting[number].route_key
            # The route's later transfers come behind in the line anyway: forgetting it here is
            # what bounds the map to routes that are queued.
            if self._last_due.get(route) == due:
                del self._last_due[route]

    def _quota(self) -> int:
        """How many ready transfers this turn publishes; see the module's text."""
        per_frame = self._rules.per_frame
        frames = ceil(len(self._ready) / (per_frame * TURNS_PER_SECOND))
        return min(len(self._ready), min(frames, max(1, TURN_LIMIT // per_frame)) * per_frame)

    def _pace(self, now: float, behind: bool) -> None:
        """Set when the next turn may be. One that came a little late does not slow the queue."""
        began = self._free_at if self._behind else now
        self._behind = behind
        self._free_at = max(began + TURN, now) if behind or self._rules.smooth else now

    def _frames(self, line: deque[int], count: int, size: int, *, late: bool) -> Iterator[Frame]:
        # Whoever got the frame before this one may have drained the queue.
        while line and count > 0:
            numbers = [line.popleft() for _ in range(min(size, count, len(line)))]
            count -= len(numbers)
            items = tuple(self._waiting.pop(number) for number in numbers)
            self._forget_orders()
            yield Frame(items, late)

    # ----------------------------------------------------------------------------------- looking

    def _forget_orders(self) -> None:
        while self._orders and self._orders[0][1] not in self._waiting:
            heappop(self._orders)

    def lowest(self) -> str | None:
        """The lowest ``sort_order`` still queued: no stored poll position may pass it."""
        return self._orders[0][0] if self._orders else None

    def pending(self) -> Iterable[EnrichedTransfer]:
        """All that is queued, in the order it was added."""
        return self._waiting.values()
