"""When to connect again, and when not to: the close codes of the protocol, without a clock or socket.

=========== ==========================================================================
4000-4099   stop: connecting again unchanged would end the same way
4100-4199   back off, at least half of the step
4200-4299   at once, inside the announced window
otherwise   back off with full jitter
=========== ==========================================================================
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from unionws.errors import ClientError
from unionws.model import JSON

MAX_WINDOW_MS = 600_000.0
MAX_RETRY_AFTER = 3600.0
TRY_AGAIN_STATUS = frozenset({408, 425, 429})
OVER_CAPACITY_STEP = 2
"""Attempt whose step (1 s by default) is the shortest for codes 4100-4199."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Full jitter: a delay is drawn from 0 to ``base`` · 2ⁿ, at most ``cap``, all in seconds.

    Attributes:
        stable: a connection that lasted this long makes the next failure count as the first.
        draw: a number between its two arguments; ``random.uniform`` outside tests.
    """

    base: float = 0.25
    cap: float = 30.0
    stable: float = 10.0
    draw: Callable[[float, float], float] = random.uniform

    def step(self, attempt: int) -> float:
        """Longest delay of the attempt (0 is the first)."""
        return min(self.cap, self.base * 2.0 ** min(attempt, 32))


@dataclass(frozen=True, slots=True)
class Ending:
    """How a connection, or the attempt to make one, ended.

    Attributes:
        code: WebSocket close code; None without a close frame.
        status: HTTP status when the upgrade was refused.
        retry_after: seconds asked for by ``Retry-After``.
    """

    code: int | None = None
    reason: str = ""
    status: int | None = None
    retry_after: float = 0.0


class Reconnect:
    """Counts attempts and turns endings into delays."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._attempt = 0
        self._opened: float | None = None
        self._window: tuple[float, float] | None = None

    @property
    def is_open(self) -> bool:
        """An upgrade succeeded and has not ended since."""
        return self._opened is not None

    def opened(self, now: float) -> None:
        """The upgrade succeeded at ``now`` (monotonic seconds)."""
        self._opened = now
        self._window = None

    def announced(self, data: JSON) -> None:
        """Remembers the window of a ``serverShutdown``; one that makes no sense is not used."""
        window = data.get("reconnect") if isinstance(data, dict) else None
        if not isinstance(window, dict):
            return
        low, high = _milliseconds(window.get("minMs")), _milliseconds(window.get("maxMs"))
        if 0 <= low <= high <= MAX_WINDOW_MS:
            self._window = (low / 1000, high / 1000)

    def delay(self, ending: Ending, now: float) -> float:
        """Seconds until the next attempt; raises ClientError when there must be none."""
        _stop_if_final(ending)
        if self._opened is not None and now - self._opened >= self._backoff.stable:
            self._attempt = 0
        wait = self._draw(ending) + min(ending.retry_after, MAX_RETRY_AFTER)
        self._attempt += 1
        self._opened = self._window = None
        return wait

    def _draw(self, ending: Ending) -> float:
        draw, step = self._backoff.draw, self._backoff.step
        if ending.code is not None and 4100 <= ending.code <= 4199:
            self._attempt = max(self._attempt, OVER_CAPACITY_STEP)
            longest = step(self._attempt)
            return longest / 2 + draw(0.0, longest / 2)
        if self._window is None:
            return draw(0.0, step(self._attempt))
        wait = draw(*self._window)
        # A server that goes on announcing is not allowed to make a hot loop of its window.
        return max(wait, draw(0.0, step(self._attempt))) if self._attempt else wait


def _milliseconds(value: JSON) -> float:
    """A number as it is, anything else as -1, which no window contains."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else -1.0


def _stop_if_final(ending: Ending) -> None:
    reason = f" {ending.reason}" if ending.reason else ""
    if ending.code is not None and 4000 <= ending.code <= 4099:
        raise ClientError(
            f"the server closed the connection for good: {ending.code}{reason}", close_code=ending.code
        )
    status = ending.status
    if status is not None and 300 <= status < 500 and status not in TRY_AGAIN_STATUS:
        raise ClientError(f"the server refused the connection: HTTP {status}{reason}", status=status)
