"""All statistics together: batches in, one encoded snapshot out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unionws.clock import milliseconds
from unionws.extensions import Statistic
from unionws.model import JSON, EnrichedTransfer
from unionws.settings import Settings
from unionws.stats.coverage import Coverage
from unionws.stats.guard import Guarded
from unionws.stats.parts import Parts
from unionws.stats.shape import empty_chart
from unionws.stats.sketches import EXACT_UP_TO, PERCENT_95
from unionws.stats.trim import CHART_BYTES, fit, join
from unionws.stats.windows import SCALES

logger = logging.getLogger("unionws.stats")

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
        self._parts: Mapping[str, bytes] = {}
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
        data, encoded = self._figures(now)
        parts = self._fitted(data, encoded)
        changed = parts != self._parts
        rev = self._last.rev + changed
        self._stamp(data, rev, now)
        if changed:
            self._parts = parts
            stamped = self._stamped(parts, data)
            self._last = Snapshot(rev, data, join(stamped), stamped["currentRates"])
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

    def prepare(self, now: float) -> None:
        """Add up what was restored, which takes long, so that the first snapshot takes no longer than others.

        May run in another thread as long as nobody counts.
        """
        for guarded in self._guarded:
            if guarded.own:
                guarded.snapshot(now)

    def failures(self) -> dict[str, dict[str, JSON]]:
        """Per statistic that ever failed: how often, and whether it is switched off."""
        return {g.name: {"failures": g.failures, "off": g.off} for g in self._guarded if g.failures}

    def _figures(self, now: float) -> tuple[dict[str, JSON], dict[str, bytes]]:
        """All figures, and those of our own as they were encoded when they were checked."""
        data, encoded = empty_chart(), dict[str, bytes]()
        extensions: dict[str, JSON] = {}
        for guarded in self._guarded:
            figures = guarded.snapshot(now)
            if figures is None:
                continue
            if guarded.own:
                data.update(figures)
                encoded |= guarded.encoded
            else:
                extensions[guarded.name] = figures
        data["dataAvailability"] = self.coverage.availability(now)
        data["coverage"] = {
            "since": milliseconds(self.coverage.since),
            "complete": self.coverage.complete(now),
            "distinctWallets": {"exactUpTo": EXACT_UP_TO, "percent95": PERCENT_95},
            "tooLowBy": self._too_low_by(),
        }
        data["ext"] = extensions
        return data, encoded

    def _fitted(self, data: dict[str, JSON], encoded: Mapping[str, bytes]) -> dict[str, bytes]:
        """Filled and encoded; without what is in lists' items where that cannot be made."""
        try:
            inners = [inner for guarded in self._guarded for inner in guarded.inner()]
            return fit(data, encoded, inners, self._limit)
        except Exception:
            logger.exception("Lists in lists failed")
            return fit(data, {}, (), self._limit)

    def _too_low_by(self) -> dict[str, JSON]:
        """By window, what its figures may lack where they are not exact."""
        found = {
            window.key: {kind: lost for g in self._guarded for kind, lost in g.too_low_by(window).items()}
            for window in SCALES
        }
        return {key: kinds for key, kinds in found.items() if kinds}

    def _stamp(self, data: dict[str, JSON], rev: int, now: float) -> None:
        uptime = self.coverage.uptime(now)
        for key in _WITH_UPTIME:
            data[key]["serverUptimeSeconds"] = uptime
        for key in _WITH_AVAILABILITY:
            data[key]["dataAvailability"] = data["dataAvailability"]
        data["rev"] = rev

    def _stamped(self, parts: Mapping[str, bytes], data: Mapping[str, JSON]) -> dict[str, bytes]:
        """The encoded values as ``_stamp`` left them."""
        stamped = {**parts, "rev": b"%d" % data["rev"]}
        for key in _WITH_UPTIME:
            stamp = b',"serverUptimeSeconds":%d' % data[key]["serverUptimeSeconds"]
            if key in _WITH_AVAILABILITY:
                stamp += b',"dataAvailability":' + parts["dataAvailability"]
            stamped[key] = parts[key][:-1] + stamp + b"}"
        return stamped
