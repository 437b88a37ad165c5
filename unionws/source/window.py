"""Which page to ask for next, and what is new in an answer. Pure: ``now`` is passed in.

Two things are read in turn, one request at a time:

* the **head**: rows after the newest cursor, ascending; a full page is followed at once;
* the **re-scan** for late rows, every 2 s from ``Trail.base`` up to what was the newest key when
  it started. A window that fits one page also brings the head, so that request replaces a poll.

A window of many pages (after a burst) must not delay fresh rows, nor wait for ever: while the
head is behind, one re-scan page follows four head pages; else four re-scan pages follow a poll.
When MAX_SEEN keys are remembered the head waits until a re-scan has settled some of them: memory
stays bounded and nothing is forgotten too early.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from unionws.model import Transfer
from unionws.source.decode import Page
from unionws.source.trail import SLACK, Trail

RESCAN_EVERY = 2.0
PAGES_IN_A_ROW = 4
BASELINE_PAGES = 50
MAX_SEEN = 50_000
"""Keys, about 12 MB: over 2,000 new rows a second for the seconds that a re-scan covers."""


class Part(Enum):
    """What a page is asked for."""

    BASELINE = "baseline"
    HEAD = "head"
    RESCAN = "rescan"


@dataclass(frozen=True, slots=True)
class Ask:
    """One page: rows after ``cursor`` ascending, or before it descending; None: the newest rows."""

    part: Part
    cursor: str | None
    ascending: bool


@dataclass(frozen=True, slots=True)
class News:
    """What an answer brought: new transfers in send-time order, and how many of them were late."""

    transfers: tuple[Transfer, ...] = ()
    late: int = 0


@dataclass(frozen=True, slots=True)
class Origin:
    """What polling leaves out: rows at or before ``base`` (None: there are none), and these keys."""

    base: str | None
    keys: frozenset[str]

    def has(self, key: str) -> bool:
        """Whether the row of this key is never handed out."""
        return (self.base is not None and key <= self.base) or key in self.keys


@dataclass(frozen=True, slots=True)
class _Scan:
    """A re-scan under way; ``until`` None: to the indexer's first row, descending."""

    started: float
    cursor: str | None
    until: str | None
    ascending: bool


def in_send_order(transfers: Sequence[Transfer]) -> tuple[Transfer, ...]:
    """Sorted by send time, ties by key; rows without a send time last."""
    unknown = float("inf")
    return tuple(
        sorted(transfers, key=lambda t: (unknown if t.send_time is None else t.send_time, t.sort_order))
    )


class Window:
    """The polling decisions.

    Args:
        limit: rows of a full page.
        overlap: seconds a row may be late.
        resume_from: cursor to start after; None: a baseline is taken and rows that it shows are
            not handed out.
        known: keys after it that are not handed out either.

    Attributes:
        origin: what is never handed out; None until the baseline is taken.
    """

    def __init__(
        self, *, limit: int, overlap: float, resume_from: str | None = None, known: Iterable[str] = ()
    ) -> None:
        self.trail = Trail(resume_from, overlap)
        self.trail.remember(known)
        self.origin = None if resume_from is None else Origin(resume_from, frozenset(self.trail.seen))
        self._limit = limit
        self._overlap = overlap
        self._baseline: list[Transfer] | None = [] if resume_from is None else None
        self._baseline_keys: set[str] = set()
        self._baseline_pages = 0
        self._due = False
        self._behind = False
        self._scan: _Scan | None = None
        self._next_scan = float("-inf")
        self._head_row = 0
        self._scan_row = 0
        self._head_first = False

    @property
    def initial(self) -> bool:
        """Whether the baseline is still being taken."""
        return self._baseline is not None

    @property
    def known(self) -> set[str]:
        """Keys that need no decoding."""
        return self.trail.seen

    def tick(self) -> None:
        """A poll interval has passed."""
        self._due = True
        self._scan_row = 0

    def next(self, now: float) -> Ask | None:
        """The page to ask for, or None until the next tick."""
        if self._baseline is not None:
            return self._ask_baseline() if self._due else None
        self._start_scan(now)
        head = (self._due or self._behind) and not self._full
        if self._scan is not None and self._scan_goes_next(head):
            return self._ask_scan(self._scan)
        return self._ask_head() if head else None

    @property
    def _full(self) -> bool:
        """Whether nothing more may be remembered; also before the first row, when only re-scans help."""
        return self.trail.newest is None or len(self.trail.seen) >= MAX_SEEN

    def _start_scan(self, now: float) -> None:
        trail = self.trail
        nothing_to_scan = trail.base is not None and trail.base == trail.newest
        if self._scan is not None or nothing_to_scan or not (self._due or self._behind):
            return
        if now >= self._next_scan or trail.newest is None:
            until = trail.newest if trail.base is not None else None
            self._scan = _Scan(now, trail.base, until, ascending=trail.base is not None)
            self._next_scan = now + RESCAN_EVERY

    def _scan_goes_next(self, head: bool) -> bool:
        """Whether a re-scan page is asked for now; ``head``: the head wants a page too."""
        if self._full:
            return True
        if not head:
            return self._scan_row < PAGES_IN_A_ROW
        if self._head_first or self.trail.base is None:
            return False  # without a base a re-scan descends: its rows would come out of order
        brings_head = not self._behind and not self._scan_row and len(self.trail.seen) < self._limit
        return brings_head or self._head_row >= PAGES_IN_A_ROW

    def _ask_baseline(self) -> Ask:
        return Ask(Part.BASELINE, min(self._baseline_keys, default=None), ascending=False)

    def _ask_head(self) -> Ask:
        self._head_row += 1
        return Ask(Part.HEAD, self.trail.newest, ascending=True)

    def _ask_scan(self, scan: _Scan) -> Ask:
        self._head_row = 0
        self._scan_row += 1
        return Ask(Part.RESCAN, scan.cursor, scan.ascending)

    def accept(self, ask: Ask, page: Page, now: float) -> News:
        """Take the answer to ``ask``, received at ``now``."""
        if ask.part is Part.BASELINE:
            self._extend_baseline(page, now)
            return News()
        keys = [key for key in page.keys if _is_within(ask, key)]
        news = self._news(ask, page.transfers)
        if keys and (self.trail.newest is None or max(keys) > self.trail.newest):
            self.trail.advance(max(keys), now)
        full = page.size >= self._limit and bool(keys)
        if ask.part is Part.HEAD:
            self._due, self._behind, self._head_first = False, full, False
        else:
            self._continue_scan(keys, full)
        return news

    def failed(self, ask: Ask) -> None:
        """There was no answer to ``ask``: it will be asked again, after the head if a re-scan failed."""
        self._head_first = ask.part is Part.RESCAN

    def _news(self, ask: Ask, transfers: Sequence[Transfer]) -> News:
        """The transfers inside what was asked for: keys before it may have been forgotten."""
        new = [transfer for transfer in transfers if _is_within(ask, transfer.sort_order)]
        newest = self.trail.newest
        late = sum(newest is not None and transfer.sort_order < newest for transfer in new)
        self.trail.remember(transfer.sort_order for transfer in new)
        return News(in_send_order(new), late)

    def _continue_scan(self, keys: Sequence[str], full: bool) -> None:
        scan = self._scan
        assert scan is not None
        done = not keys
        if keys and scan.ascending:
            scan = replace(scan, cursor=max(keys))
            done = scan.until is None or max(keys) >= scan.until
        elif keys:
            scan = replace(scan, cursor=min(keys))
        if not done:
            self._scan = scan
            return
        self._scan = None
        self._due = False
        self._behind = full
        self.trail.settle(scan.started)

    def _extend_baseline(self, page: Page, now: float) -> None:
        assert self._baseline is not None
        before = len(self._baseline_keys)
        self._baseline.extend(page.transfers)
        self._baseline_keys.update(page.keys)
        self._baseline_pages += 1
        at_the_end = len(self._baseline_keys) == before
        base = self._baseline_base()
        if base is None and not at_the_end and self._baseline_pages >= BASELINE_PAGES:
            base = min(self._baseline_keys)
        if base is not None or at_the_end:
            self._end_baseline(base, now)

    def _baseline_base(self) -> str | None:
        """The newest row old enough to re-scan from, or None.

        Nobody saw when the rows of a baseline were first shown, only their send times are known:
        a row may itself have been late by the overlap, hence twice the overlap. Of a row without
        a send time nothing is known, so none of them will do.
        """
        assert self._baseline is not None
        times = [(row.send_time, row.sort_order) for row in self._baseline if row.send_time is not None]
        old = max(times, default=(0.0, ""))[0] - 2 * self._overlap - SLACK
        oldest_young = min((key for sent, key in times if sent > old), default="")
        return max((key for sent, key in times if sent <= old and key < oldest_young), default=None)

    def _end_baseline(self, base: str | None, now: float) -> None:
        self.trail = Trail(base, self._overlap)
        self.trail.remember(key for key in self._baseline_keys if base is None or key > base)
        self.origin = Origin(base, frozenset(self.trail.seen))
        if self._baseline_keys:
            self.trail.advance(max(self._baseline_keys), now)
        self._baseline = None
        self._baseline_keys = set()
        self._due = False


def _is_within(ask: Ask, key: str) -> bool:
    if ask.cursor is None:
        return True
    return key > ask.cursor if ask.ascending else key < ask.cursor
