"""All statistics together: batches in, one encoded snapshot out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unionws.clock import milliseconds
from unionws.extensions import Statistic
from unionws.model import JSON, EnrichedTransfer
from unionws.settings import Settings
from unionws.stats.coverage import Coverage
from unionws.stats.guard import Guarded, encode
from unionws.stats.parts import Parts
from unionws.stats.shape import empty_chart
from unionws.stats.trim import CHART_BYTES, fit

_WITH_UPTIME = ("currentRates", "activeWalletRates", "chainFlowData", "assetVolumeData")
_WITH_AVAILABILITY = ("currentRates", "activeWalletRates")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The figures of one moment.

    Attributes:
        rev: +1 whenever a figure differs from the snapshot before.
        data: chartData's ``data`` as of now; not to be changed.
        chart: the same, encoded (UTF-8), as of the moment ``rev`` was given.
        rates: TransferRates alone, encoded, of the same moment as ``chart``.
    """

    rev: int
    data: Mapping[str, JSON]
    chart: bytes
    rates: bytes


class Collector:
    """Owns the statistics, calls them one by one, and encodes what they say.

    A statistic's name without a dot contributes top-level keys; ``vendor.name`` appears as
    ``ext["vendor.name"]``. One that fails is left out of that snapshot (the keys of a built-in
    one are then there, but empty) and switched off after five failures in a row.

    Args:
        settings: SHORT_WINDOW is read.
        statistics: in the order they are to be called.
        now: Unix seconds when counting begins.
        limit: most bytes of ``chart``.

    Attributes:
        coverage: spans of time that are covered; to be extended by what loads or fills in more.
    """

    def __init__(
        self,
        settings: Settings,
        statistics: Sequence[Statistic],
        *,
        now: float,
        limit: int = CHART_BYTES,
    ) -> None:
        self.coverage = Coverage(now, settings.SHORT_WINDOW)
        self._guarded = [Guarded(statistic, self.coverage) for statistic in statistics]
        self._limit = limit
        self._body = b""
        self._last = Snapshot(0, {}, b"{}", b"{}")

    def observe(self, batch: Sequence[EnrichedTransfer], now: float) -> None:
        """Count transfers just published (or filled in), each once, in any order of time."""
        for guarded in self._guarded:
            guarded.observe(batch, now)

    def snapshot(self, now: float) -> Snapshot:
        """The figures as of ``now``.

        Uptime alone is no change: while all else is the same, ``rev`` and the encoded bytes stay.
        Windows that roll on over a quiet time do change, until they are empty.
        """
        data = self._figures(now)
        expected = sum(guarded.size for guarded in self._guarded if not guarded.off)
        body = fit(data, self._limit, expected)
        changed = body != self._body or not self._last.rev
        rev = self._last.rev + changed
        self._stamp(data, rev, now)
        if changed:
            self._body = body
            self._last = Snapshot(rev, data, encode(data), encode(data["currentRates"]))
        else:
            self._last = Snapshot(rev, data, self._last.chart, self._last.rates)
        return self._last

    def changed(self, since_rev: int) -> bool:
        """Whether the last snapshot has other figures than the one numbered ``since_rev``."""
        return self._last.rev != since_rev

    def state(self, *, whole: bool) -> dict[str, Parts]:
        """By statistic, the parts of its state that changed since the last call, or all."""
        found = {guarded.name: guarded.state(whole=whole) for guarded in self._guarded}
        return {name: parts for name, parts in found.items() if parts}

    def restore(self, states: Mapping[str, Parts]) -> bool:
        """Take all of ``state`` back, before anything is counted.

        Returns:
            False when a statistic of our own would not take it: then no figure can be relied on.
        """
        taken = [(g.own, g.restore(states[g.name])) for g in self._guarded if g.name in states]
        return all(good for own, good in taken if own)

    def failures(self) -> dict[str, dict[str, JSON]]:
        """Per statistic that ever failed: how often, and whether it is switched off."""
        return {g.name: {"failures": g.failures, "off": g.off} for g in self._guarded if g.failures}

    def _figures(self, now: float) -> dict[str, JSON]:
        data = empty_chart()
        extensions: dict[str, JSON] = {}
        for guarded in self._guarded:
            figures = guarded.snapshot(now)
            if figures is None:
                continue
            if guarded.own:
                data.update(figures)
            else:
                extensions[guarded.name] = figures
        complete = self.coverage.complete(now)
        data["dataAvailability"] = self.coverage.availability(now)
        data["coverage"] = {"since": milliseconds(self.coverage.since), "complete": complete}
        data["ext"] = extensions
        return data

    def _stamp(self, data: dict[str, JSON], rev: int, now: float) -> None:
        uptime = self.coverage.uptime(now)
        for key in _WITH_UPTIME:
            data[key]["serverUptimeSeconds"] = uptime
        for key in _WITH_AVAILABILITY:
            data[key]["dataAvailability"] = data["dataAvailability"]
        data["rev"] = rev
