"""How much of a loop turn may go to what clients and strangers send: deliveries come first.

What is left over stays in the kernel's buffers, and who floods an edge waits there by himself.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, thread_time

IN_PEACE = 0.004
"""Seconds of a loop turn for what arrives: a delivery that falls due waits for no more."""

WHILE_DELIVERING = 0.0005
"""Seconds between two slices of a delivery: less would let pongs wait for as long as an edge is busy."""

ACCEPTING = 0.001
"""Seconds of CPU between two slices for new clients. Clock time would not do where more processes than
cores are at work: another one runs in between, and an edge is left with one client per slice."""


class Budget:
    """Says until when a loop turn may be used.

    Args:
        delivering: whether a delivery is under way or due.
        now: monotonic seconds.
        share: seconds of a turn while a delivery is under way.
    """

    def __init__(
        self,
        delivering: Callable[[], bool] = lambda: False,
        now: Callable[[], float] = monotonic,
        share: float = WHILE_DELIVERING,
    ) -> None:
        self._delivering = delivering
        self._now = now
        self._share = share
        self._until = 0.0

    def begin(self) -> None:
        """A loop turn begins."""
        self._until = self._now() + (self._share if self._delivering() else IN_PEACE)

    @property
    def spent(self) -> bool:
        """Whether the rest has to wait for the next loop turn."""
        return self._now() >= self._until


def for_newcomers(delivering: Callable[[], bool]) -> Budget:
    """The one that clients are accepted within: of CPU, so that a busy machine does not shut the door."""
    return Budget(delivering, thread_time, ACCEPTING)
