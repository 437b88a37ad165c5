"""Drives the timeline on the IOLoop: one timer, set to when something is due."""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterable, Sequence
from random import Random

from tornado.ioloop import IOLoop

from unionws.clock import Clock, SystemClock
from unionws.model import JSON, EnrichedTransfer
from unionws.scheduler.rules import Rules
from unionws.scheduler.timeline import Frame, Timeline
from unionws.settings import Settings

log = logging.getLogger("unionws.scheduler")


class Scheduler:
    """Publishes transfers when they fall due.

    Args:
        settings: see ``Rules``.
        on_due: called with the transfers of one frame, in order, and whether they are late. It
            has them from then on: when it raises, that is logged and the next frame follows.
        clock: where the time comes from; default the machine's.
        random: source of the jitter; default a fresh one.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        on_due: Callable[[Sequence[EnrichedTransfer], bool], None],
        clock: Clock | None = None,
        random: Random | None = None,
    ) -> None:
        rules = Rules.of(settings)
        self._smooth = rules.smooth
        self._timeline = Timeline(rules, random or Random())
        self._on_due = on_due
        self._clock: Clock = clock or SystemClock()
        self._loop: IOLoop | None = None
        self._timer: object | None = None
        self._timer_due = 0.0

    def start(self) -> None:
        """Publish on the current IOLoop from now on."""
        self._loop = IOLoop.current()
        self._arm()

    def stop(self) -> None:
        """Publish no more; what is queued, or added later, waits for ``start`` or ``drain``."""
        self._disarm()
        self._loop = None

    def add(self, batch: Sequence[EnrichedTransfer], urgent: Container[str] = ()) -> None:
        """Queue a poll's transfers. Nothing is published before this returns.

        Args:
            urgent: ``sort_order`` of those that shall not wait for the smoothing.
        """
        self._timeline.add(batch, now=self._clock.monotonic(), wall=self._clock.time(), urgent=urgent)
        self._arm()

    def drain(self) -> list[EnrichedTransfer]:
        """Publish all that is queued now, due or not, and answer it in the same order."""
        self._disarm()
        drained: list[EnrichedTransfer] = []
        for frame in self._timeline.drain():
            self._publish(frame)
            drained.extend(frame.items)
        return drained

    def pending(self) -> Iterable[EnrichedTransfer]:
        """What is queued, in the order it was added; during ``on_due`` without the frame in hand."""
        return self._timeline.pending()

    def lowest(self) -> str | None:
        """The lowest ``sort_order`` still queued: no stored poll position may pass it."""
        return self._timeline.lowest()

    def view(self) -> dict[str, JSON]:
        """Fields of ``/scheduler``.

        ``nextDueMs`` is the wait in milliseconds until the next transfer, 0 when one is due; left
        out while the queue is empty.
        """
        now = self._clock.monotonic()
        activity = self._timeline.activity
        data: dict[str, JSON] = {
            "enhancedSchedulerEnabled": self._smooth,
            "activityStats": {
                "last30s": activity.within(30, now),
                "last5min": activity.within(300, now),
                "last1hr": activity.within(3600, now),
                "totalTracked": activity.total,
                "activityLevel": round(activity.level(now), 3),
            },
            "queued": len(self._timeline),
        }
        due = self._timeline.next_due()
        if due is not None:
            data["nextDueMs"] = round(max(0.0, due - now) * 1000)
        return data

    def _arm(self) -> None:
        """Have the one timer at the next due time; no timer while nothing is queued."""
        due = self._timeline.next_due()
        if self._loop is None or (self._timer is not None and due == self._timer_due):
            return
        self._disarm()
        if due is not None:
            self._timer_due = due
            self._timer = self._loop.call_later(max(0.0, due - self._clock.monotonic()), self._wake)

    def _disarm(self) -> None:
        if self._timer is not None and self._loop is not None:
            self._loop.remove_timeout(self._timer)
        self._timer = None

    def _wake(self) -> None:
        self._timer = None
        for frame in self._timeline.turn(self._clock.monotonic()):
            self._publish(frame)
        self._arm()

    def _publish(self, frame: Frame) -> None:
        try:
            self._on_due(frame.items, frame.late)
        except Exception:
            log.exception(
                "publishing due transfers failed",
                extra={"fields": {"transfers": len(frame.items), "late": frame.late}},
            )
