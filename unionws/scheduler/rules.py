"""How transfers are spread: the scheduling settings, and the spread at a level of activity."""

from __future__ import annotations

from dataclasses import dataclass

from unionws.settings import Settings


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings of the timeline, in seconds."""

    spread: float
    buffer: float
    jitter: float
    poll_interval: float
    age_threshold: float
    per_frame: int

    @classmethod
    def of(cls, settings: Settings) -> Rules:
        """SPREAD_MS = 0 turns buffer and jitter off too."""
        smooth = settings.SPREAD_MS > 0
        return cls(
            spread=settings.SPREAD_MS / 1000,
            buffer=settings.FUTURE_BUFFER_MS / 1000 if smooth else 0.0,
            jitter=settings.JITTER_MS / 1000 if smooth else 0.0,
            poll_interval=settings.POLL_INTERVAL / 1000,
            age_threshold=settings.TRANSFER_AGE_THRESHOLD,
            per_frame=settings.MAX_TRANSFERS_PER_FRAME,
        )

    @property
    def smooth(self) -> bool:
        """Whether transfers are spread at all."""
        return self.spread > 0

    def spread_at(self, level: float) -> float:
        """SPREAD_MS at level 0.1, falling in a straight line to POLL_INTERVAL at 1.0.

        A POLL_INTERVAL above SPREAD_MS does not lengthen it.
        """
        busiest = min(self.poll_interval, self.spread)
        return self.spread - (self.spread - busiest) * (level - 0.1) / 0.9
