"""Which published transfers have no outcome yet, and which page to read again for them. Pure.

A page brings up to a hundred rows behind a cursor, so one request asks after many transfers at
once. Cursors are never built, only remembered: each open transfer keeps the greatest key known
before it, from which it can be read again.

A transfer is asked after when it has been open for FIRST, and then whenever its time open has
about doubled, at most an hour apart: outcomes come after minutes as a rule, a few after hours.
The page that goes first is the one with most transfers due; waiting adds to a transfer's weight,
so one that stands alone is not passed over for ever.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from unionws.model import JSON, Fragment, TransferUpdate
from unionws.source.decode import Outcome

MOST = 10_000
"""Open transfers remembered, about 10 MB; the oldest give way."""

KEEP = 86_400.0
"""Seconds after sending at which a transfer is given up."""

FIRST = 30.0
LONGEST = 3600.0
WEIGHT_SECONDS = 60.0
"""A transfer due for so long counts as much as two that fell due just now."""

RECEIVED = b'"transfer_recv_timestamp":'
"""In the JSON of a transfer that was received before it was published."""


@dataclass(slots=True)
class _Open:
    """An open transfer; ``sent`` and ``due`` in monotonic seconds, ``place`` in order of arrival."""

    about: Fragment
    before: str
    place: int
    sent: float
    due: float
    told: dict[str, JSON] = field(default_factory=dict)


class Openings:
    """Published transfers without an outcome.

    Args:
        limit: rows of a full page.

    Attributes:
        forgotten: transfers given up: too old, or too many.
    """

    def __init__(self, *, limit: int, most: int = MOST, keep: float = KEEP) -> None:
        self.forgotten = 0
        self._limit = limit
        self._most = most
        self._keep = keep
        self._keys: list[str] = []
        self._open: dict[str, _Open] = {}
        self._newest: str | None = None
        self._arrived = 0

    def __len__(self) -> int:
        return len(self._open)

    def add(self, transfers: Sequence[Fragment], base: str | None, wall: float, now: float) -> None:
        """Remember published transfers that were not received when they were published.

        Args:
            base: a key before them that was shown once, used where none is known that is nearer.
            wall: Unix seconds, to tell how long ago they were sent; ``now``: the same moment, monotonic.
        """
        for about in transfers[-self._most :]:
            self._arrived += 1
            age = max(0.0, wall - about.event_ms / 1000)
            before = self._before(about.sort_order, base)
            self._newest = max(self._newest or "", about.sort_order)
            wanted = age < self._keep and RECEIVED not in about.json and about.sort_order not in self._open
            if wanted and before is not None:  # of the very first row nobody knows what is before it
                self._remember(_Open(replace(about, json=b""), before, self._arrived, now - age, now + FIRST))

    def _before(self, key: str, base: str | None) -> str | None:
        """The greatest key known that is less than ``key``."""
        place = bisect_left(self._keys, key)
        known = [self._newest, base, *self._keys[max(0, place - 1) : place]]
        known += [self._open[after].before for after in self._keys[place : place + 1]]
        return max((candidate for candidate in known if candidate and candidate < key), default=None)

    def _remember(self, opening: _Open) -> None:
        insort(self._keys, opening.about.sort_order)
        self._open[opening.about.sort_order] = opening
        if len(self._keys) > self._most:
            self._forget(self._keys[0])

    def _forget(self, key: str) -> None:
        self.forgotten += 1
        self._close(key)

    def _close(self, key: str) -> None:
        del self._open[key]
        del self._keys[bisect_left(self._keys, key)]

    # -- asking ---------------------------------------------------------------------------------

    def next(self, now: float) -> str | None:
        """The cursor to read a page behind, or None while no transfer is due."""
        openings = [self._open[key] for key in self._keys]
        due = [opening for opening in openings if opening.due <= now and now - opening.sent <= self._keep]
        for opening in [opening for opening in openings if now - opening.sent > self._keep]:
            self._forget(opening.about.sort_order)
        if not due:
            return None
        first = self._heaviest(due, now)
        place = bisect_left(self._keys, first.about.sort_order)
        return max([first.before, *self._keys[max(0, place - 1) : place]])

    def _heaviest(self, due: Sequence[_Open], now: float) -> _Open:
        """The first transfer of the page that holds most of what is due, going by the order of arrival.

        What arrived between two open transfers and is settled takes room in a page too.
        """
        best, best_weight, weight, end = 0, 0.0, 0.0, 0
        places = [opening.place for opening in due]
        weights = [1.0 + (now - opening.due) / WEIGHT_SECONDS for opening in due]
        for start, place in enumerate(places):
            while end < len(due) and (end <= start or abs(places[end] - place) < self._limit):
                weight += weights[end]
                end += 1
            if weight > best_weight:
                best, best_weight = start, weight
            weight -= weights[start]
        return due[best]

    def accept(self, cursor: str, outcomes: Sequence[Outcome], size: int, now: float) -> list[TransferUpdate]:
        """Take the page behind ``cursor``; what is new in it.

        Args:
            size: rows of the answer, unusable ones included.
        """
        shown = {outcome.sort_order: outcome for outcome in outcomes if outcome.sort_order > cursor}
        first = bisect_right(self._keys, cursor)
        whole = size < self._limit or not shown
        last = len(self._keys) if whole else bisect_right(self._keys, max(shown))
        for after in self._keys[last : last + 1]:  # the page ended before it: it can be asked from there
            self._open[after].before = max(self._open[after].before, max(shown))
        updates = [self._read(key, shown.get(key), now) for key in self._keys[first:last]]
        return [update for update in updates if update is not None]

    def _read(self, key: str, outcome: Outcome | None, now: float) -> TransferUpdate | None:
        """An open transfer was within a page; a row that is not there any more tells nothing."""
        opening = self._open[key]
        opening.due = now + min(LONGEST, max(FIRST, now - opening.sent))
        if outcome is None:
            return None
        facts = {name: value for name, value in outcome.facts.items() if opening.told.get(name) != value}
        opening.told.update(facts)
        if outcome.final:
            self._close(key)
        return TransferUpdate(opening.about, outcome.packet_hash, facts) if facts else None
