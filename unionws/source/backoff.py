"""How long to wait after a failure of the indexer. Pure: the driver does the waiting."""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST = 1.0
MOST = 30.0
MOST_ASKED = 300.0
"""Longest ``Retry-After`` believed: a wrong header must not silence the stream for a day."""


class Backoff:
    """1 s doubling to 30 s, each wait shortened by up to a quarter at random.

    The jitter keeps services that failed together from returning together. It never gives up
    and one success brings it back to the first step.

    Args:
        draw: a random number in [0, 1).
    """

    def __init__(self, draw: Callable[[], float] = random.random) -> None:
        self._draw = draw
        self._step = FIRST

    def succeeded(self) -> None:
        """The indexer answered: the next failure waits the first step again."""
        self._step = FIRST

    def failed(self, retry_after: float | None = None) -> float:
        """Seconds to wait after one more failure.

        Args:
            retry_after: seconds the indexer asked for; never undercut up to MOST_ASKED, and
                passed by up to a second so that not everybody returns at the same moment.
        """
        wait = self._step * (1.0 - self._draw() / 4)
        self._step = min(self._step * 2, MOST)
        if retry_after is None:
            return wait
        return max(wait, min(max(retry_after, 0.0), MOST_ASKED) + self._draw())
