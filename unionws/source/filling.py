"""How far back-filling is, and what is new to it in a page. Pure.

Pages are asked for from the newest row down. Exactly those rows count that polling never hands out
(:class:`unionws.source.window.Origin`), so the two never meet: a row is in one or the other, whatever
is published or becomes visible while pages are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unionws.model import JSON, Transfer
from unionws.source.decode import Page
from unionws.source.window import Origin

UNSURE = 1.0
"""Seconds: cursors order by whole seconds, so the second that a page ends in may go on."""

LOWEST = 5
"""Rows at the end of a page whose newest time counts: a single wrong time must not promise too much."""


@dataclass(frozen=True, slots=True)
class Past:
    """Transfers from before the stream, each with the time it counts at (Unix seconds)."""

    rows: Sequence[tuple[Transfer, float]]


class Filling:
    """The position of back-filling.

    Args:
        origin: what polling leaves out.
        upper: Unix seconds when that was found out: no row of it was sent later.

    Attributes:
        cursor: rows at or above it were read; None: none yet.
        reached: all rows sent since then (Unix seconds) were read; None: that cannot be said yet.
        rows: rows counted.
        exhausted: there are no older rows.
    """

    def __init__(self, origin: Origin, upper: float) -> None:
        self.origin = origin
        self.upper = upper
        self.cursor: str | None = None
        self.reached: float | None = None
        self.rows = 0
        self.exhausted = False

    def done(self, since: float) -> bool:
        """Whether everything sent since then was read, as far as it exists."""
        return self.exhausted or (self.reached is not None and self.reached <= since)

    def accept(self, page: Page) -> Past:
        """Take the page before ``cursor``: the rows to count, newest first.

        Nothing is changed yet; see :meth:`advance`.
        """
        below = self.cursor
        rows = [row for row in page.transfers if below is None or row.sort_order < below]
        wanted = [row for row in rows if self.origin.has(row.sort_order)]
        return Past(self._timed(sorted(wanted, key=lambda row: row.sort_order, reverse=True)))

    def advance(self, page: Page, past: Past) -> None:
        """The rows of ``accept`` were taken: go on below this page."""
        below = [key for key in page.keys if self.cursor is None or key < self.cursor]
        self.rows += len(past.rows)
        if not below:
            self.exhausted = True
            return
        self.cursor = min(below)
        self._reach(page.transfers)

    def _timed(self, rows: Sequence[Transfer]) -> list[tuple[Transfer, float]]:
        """Rows without a send time count at that of the row before them, which is no older."""
        time = self.upper if self.reached is None else self.reached
        timed = []
        for row in rows:
            time = time if row.send_time is None else row.send_time
            timed.append((row, time))
        return timed

    def _reach(self, transfers: Sequence[Transfer]) -> None:
        lowest = sorted((row.sort_order, row.send_time) for row in transfers if row.send_time is not None)
        if lowest:
            reached = max(time for _, time in lowest[:LOWEST]) + UNSURE
            self.reached = min(reached, self.upper if self.reached is None else self.reached)

    def state(self) -> dict[str, JSON]:
        """The position as JSON."""
        above = self.origin.base is not None and self.cursor is not None and self.cursor <= self.origin.base
        return {
            "base": self.origin.base,
            "keys": [] if above else sorted(self.origin.keys),  # below the base they never matter again
            "upper": self.upper,
            "cursor": self.cursor,
            "reached": self.reached,
            "rows": self.rows,
            "exhausted": self.exhausted,
        }

    @classmethod
    def of(cls, state: Mapping[str, JSON]) -> Filling:
        """The position that ``state`` answered."""
        filling = cls(Origin(state["base"], frozenset(state["keys"])), float(state["upper"]))
        filling.cursor, filling.reached = state["cursor"], state["reached"]
        filling.rows, filling.exhausted = int(state["rows"]), bool(state["exhausted"])
        return filling
