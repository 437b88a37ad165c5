"""Transfers per window: ``currentRates`` (TransferRates of the contract)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from unionws.model import JSON, EnrichedTransfer
from unionws.stats.coverage import Coverage
from unionws.stats.figures import carried, change
from unionws.stats.parts import Parts, below, under
from unionws.stats.span import spans
from unionws.stats.sums import Sums
from unionws.stats.windows import WINDOWS, place

FIELDS = {
    "30s": "txPer30Seconds",
    "1m": "txPerMinute",
    "5m": "txPer5Minutes",
    "1h": "txPerHour",
    "1d": "txPerDay",
    "7d": "txPer7Days",
    "14d": "txPer14Days",
    "30d": "txPer30Days",
}

_ALL = ""
_BUDGET = 10_000


class Rates:
    """Counts transfers; exact.

    Args:
        short: window that ``txPerMinute`` carries.
    """

    def __init__(self, short: str) -> None:
        self._short = short
        self._coverage: Coverage | None = None
        self._sums: Sums[str] = Sums(spans(WINDOWS), budget=_BUDGET)
        self._total = 0

    def use_coverage(self, coverage: Coverage) -> None:
        """Tell changes only where this says both windows are covered."""
        self._coverage = coverage

    def observe(self, batch: Sequence[EnrichedTransfer], now: float) -> None:
        self._total += len(batch)
        for item in batch:
            if (time := place(item.event_time, now)) is not None:
                self._sums.add(time, _ALL)

    def state(self, *, whole: bool) -> Parts:
        """Counts by bucket, and the total."""
        parts = under("sums", self._sums.state(str, whole=whole))
        return {**parts, "total": self._total}

    def restore(self, parts: Mapping[str, JSON]) -> None:
        """Take ``state`` back."""
        self._sums.restore(below("sums", parts), str)
        self._total = int(parts.get("total", 0))

    def snapshot(self, now: float) -> Mapping[str, JSON]:
        self._sums.advance(now)
        rates: dict[str, JSON] = {}
        for window in WINDOWS:
            source = carried(window, self._short)
            count = self._sums.current(source).get(_ALL, 0)
            rates[FIELDS[window.key]] = count
            if self._coverage is not None and self._coverage.comparable(source, now):
                before = self._sums.previous(source).get(_ALL, 0)
                rates[FIELDS[window.key] + "Change"] = change(count, before)
        rates["totalTracked"] = self._total
        return {"currentRates": rates}
