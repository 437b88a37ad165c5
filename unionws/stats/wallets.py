"""Active wallets: distinct ones per window, and the busiest senders and receivers.

A wallet is its canonical bytes, whatever the chain; it is shown as in its newest transfer. Rows
whose address is missing or not hex count no wallet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from datasketches import hll_sketch

from unionws.model import JSON, EnrichedTransfer
from unionws.stats import packing
from unionws.stats.book import Book
from unionws.stats.coverage import Coverage
from unionws.stats.dropping import COUNTS
from unionws.stats.figures import TOP, carried, change, clip, rfc3339
from unionws.stats.leaders import RankedSpan
from unionws.stats.parts import Parts, below, under
from unionws.stats.sketches import Distinct
from unionws.stats.sums import Sums
from unionws.stats.tallies import Growing, Tally, at_least, tally
from unionws.stats.windows import SCALES, WINDOWS, Window, place

SUFFIXES = {
    "30s": "Last30s",
    "1m": "LastMin",
    "5m": "Last5m",
    "1h": "LastHour",
    "1d": "LastDay",
    "7d": "Last7d",
    "14d": "Last14d",
    "30d": "Last30d",
}

BUDGET = 60_000
"""Wallets counted one by one per role and bucket width, each once per bucket it appears in."""

_BOOK = 8_192
_LONGEST = 130
_NAMES = ("senders", "receivers", "total")
_TOTALS = ("uniqueSendersTotal", "uniqueReceiversTotal", "uniqueTotalWallets")


def wallet_key(canonical: str | None) -> bytes | None:
    """The bytes of a canonical ``0x`` address, or None when there are none to tell it by."""
    if not canonical or not canonical.startswith(("0x", "0X")) or len(canonical) > _LONGEST:
        return None
    try:
        return bytes.fromhex(canonical[2:]) or None
    except ValueError:
        return None


class Role:
    """Wallets in one role, sender or receiver."""

    def __init__(self) -> None:
        self.distinct = Distinct()
        self._ranked = {window: RankedSpan(window.buckets) for window in SCALES}
        self._counts: Sums[bytes] = Sums(self._ranked, budget=BUDGET)
        self._book: Book[bytes] = Book(_BOOK)

    def count(self, canonical: str | None, display: str, time: float | None) -> None:
        """Count one transfer of this wallet; ``time`` None: in the total only."""
        key = wallet_key(canonical)
        if key is None:
            return
        self.distinct.add(time, key.hex())
        if time is not None:
            self._counts.add(time, key)
            self._book.note(key, time, display)

    def follow(self, now: float) -> None:
        """Move windows of counts by the bucket that has just begun, if one has."""
        self._counts.follow(now)

    def advance(self, now: float) -> None:
        """Move all windows to ``now``."""
        self.distinct.advance(now)
        self._counts.advance(now)

    def state(self, *, whole: bool) -> Parts:
        """Sketches, counts and names, by bucket."""
        return {
            **under("distinct", self.distinct.state(whole=whole)),
            **under("counts", self._counts.state(bytes.hex, whole=whole)),
            **under("book", self._book.state(bytes.hex, whole=whole)),
        }

    def restore(self, parts: Mapping[str, JSON]) -> None:
        """Take ``state`` back."""
        self.distinct.restore(below("distinct", parts))
        self._counts.restore(below("counts", parts), bytes.fromhex)
        self._book.restore(below("book", parts), bytes.fromhex)

    def busiest(self, window: Window) -> list[dict[str, JSON]]:
        """The contract's Wallet list; a count may be too low by ``missing(window)``."""
        leaders = self._ranked[window].leaders.top(TOP)
        return [self._wallet(key, count, window) for key, count in leaders]

    def missing(self, window: Window) -> int:
        """The most a listed count can be too low; 0 while the budget holds every wallet."""
        return packing.count(self._counts.missing(window).get(COUNTS, 0))

    def _wallet(self, key: bytes, count: int, window: Window) -> dict[str, JSON]:
        address = "0x" + key.hex()
        time, display = self._book.find(key) or (self._counts.last_seen(key, window), "")
        wallet: dict[str, JSON] = {"count": count, "address": address}
        wallet["displayAddress"] = clip(display, _LONGEST) or address
        if time is not None:
            wallet["lastActivity"] = rfc3339(time)
        return wallet


class Wallets:
    """``activeWalletRates`` and the lists of senders and receivers.

    Args:
        short: window that ``…LastMin`` and the un-scaled lists carry.
    """

    def __init__(self, short: str) -> None:
        self._short = short
        self._coverage: Coverage | None = None
        self.senders = Role()
        self.receivers = Role()
        self._remembered: dict[Window, tuple[list[hll_sketch], list[hll_sketch], Tally]] = {}

    def use_coverage(self, coverage: Coverage) -> None:
        """Tell changes only where this says both windows are covered."""
        self._coverage = coverage

    def observe(self, batch: Sequence[EnrichedTransfer], now: float) -> None:
        self.senders.follow(now)
        self.receivers.follow(now)
        for item in batch:
            time = place(item.event_time, now)
            self.senders.count(item.transfer.sender_canonical, item.sender_display, time)
            self.receivers.count(item.transfer.receiver_canonical, item.receiver_display, time)

    def state(self, *, whole: bool) -> Parts:
        """Both roles."""
        return {
            **under("senders", self.senders.state(whole=whole)),
            **under("receivers", self.receivers.state(whole=whole)),
        }

    def restore(self, parts: Mapping[str, JSON]) -> None:
        """Take ``state`` back."""
        self.senders.restore(below("senders", parts))
        self.receivers.restore(below("receivers", parts))

    def too_low_by(self, window: Window) -> Mapping[str, JSON]:
        """What the count of a listed wallet can be too low by at most, by role, where it can be."""
        lost = {"senders": self.senders.missing(window), "receivers": self.receivers.missing(window)}
        return {role: {"count": missing} for role, missing in lost.items() if missing}

    def snapshot(self, now: float) -> Mapping[str, JSON]:
        self.senders.advance(now)
        self.receivers.advance(now)
        data: dict[str, JSON] = {"activeWalletRates": self._rates(now)}
        for name, role in (("activeSenders", self.senders), ("activeReceivers", self.receivers)):
            scale = {window.key: role.busiest(window) for window in SCALES}
            data |= {name: scale[self._short], f"{name}TimeScale": scale}
        return data

    def _rates(self, now: float) -> dict[str, JSON]:
        tallies = self._tallies()
        rates: dict[str, JSON] = {}
        for window in WINDOWS:
            source = carried(window, self._short)
            current, previous = tallies[source.key]
            comparable = self._coverage is not None and self._coverage.comparable(source, now)
            for name, count, before in zip(_NAMES, current, previous, strict=True):
                rates[name + SUFFIXES[window.key]] = count
                if comparable:
                    rates[f"{name}{SUFFIXES[window.key]}Change"] = change(count, before)
        ever = tally(self.senders.distinct.ever(), self.receivers.distinct.ever())
        return rates | dict(zip(_TOTALS, ever, strict=True))

    def _tallies(self) -> dict[str, tuple[Tally, Tally]]:
        """Per window, the figures of it and of the one before; a longer window never has fewer."""
        tallies: dict[str, tuple[Tally, Tally]] = {}
        least: Tally = (0, 0, 0)
        for _, windows in groupby(WINDOWS, lambda window: window.step):
            growing = Growing()
            for window in windows:
                sent, received = self.senders.distinct.pair(window), self.receivers.distinct.pair(window)
                growing.reach(sent.current, received.current)
                least = at_least(growing.tally(), least)
                tallies[window.key] = (least, self._before(window, sent.previous, received.previous))
        return tallies

    def _before(self, window: Window, sent: list[hll_sketch], received: list[hll_sketch]) -> Tally:
        """Of a preceding window; remembered, for nothing but late rows and its edge change it."""
        known = self._remembered.get(window)
        if known is None or known[:2] != (sent, received):
            known = self._remembered[window] = (sent, received, tally(sent, received))
        return known[2]
