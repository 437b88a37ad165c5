"""Distinct senders, receivers, and wallets that are either, from sketches. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from datasketches import hll_sketch

from unionws.stats.sketches import estimate, merge

Tally: TypeAlias = tuple[int, int, int]
"""Distinct senders, receivers, and both together."""


class Growing:
    """Unions that grow from one window to the next longer one of the same step, which begins alike."""

    def __init__(self) -> None:
        self._sent, self._received, self._both = merge([]), merge([]), merge([])
        self._reached = 0

    def reach(self, sent: Sequence[hll_sketch], received: Sequence[hll_sketch]) -> None:
        """Take in what these have beyond what was reached before; both are equally long."""
        for sketches, union in ((sent, self._sent), (received, self._received)):
            for sketch in sketches[self._reached :]:
                union.update(sketch)
                self._both.update(sketch)
        self._reached = len(sent)

    def tally(self) -> Tally:
        """The figures so far, rounded."""
        sent, received, both = (u.get_estimate() for u in (self._sent, self._received, self._both))
        return _consistent(round(sent), round(received), round(both))


def tally(sent: list[hll_sketch], received: list[hll_sketch]) -> Tally:
    """The figures of these sketches."""
    return _consistent(estimate(sent), estimate(received), estimate([*sent, *received]))


def at_least(tally: Tally, least: Tally) -> Tally:
    """``tally``, but no figure lower than in ``least``: a longer window never has fewer wallets."""
    senders, receivers, total = map(max, tally, least)
    return senders, receivers, total


def _consistent(senders: int, receivers: int, total: int) -> Tally:
    """Both together are no fewer than either and no more than their sum, whatever an estimate says."""
    return senders, receivers, min(max(total, senders, receivers), senders + receivers)
