"""Calls into plugins: none can stop the caller, and each is counted, timed and judged.

A call *fails* when it raises, answers what it must not, or keeps the loop waiting until it is cut
short (:mod:`unionws.plugindeadline`) or, where that cannot be, for BLOCKED seconds; waiting counts
for three, since nothing else runs meanwhile. FAILURES_IN_A_ROW at one place switch the plugin off
until the next start, and so does holding too much memory (:mod:`unionws.pluginmemory`).
Calls slower than SLOW seconds are warned about.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic, perf_counter
from typing import Any

from unionws.errors import UnionwsError
from unionws.model import JSON
from unionws.plugindeadline import Deadline, Overdue
from unionws.pluginloading import ACTIVE, SWITCHED_OFF, Plugin, Site, described

log = logging.getLogger("unionws.pluginhost")

FAILURES_IN_A_ROW = 5
SLOW = 0.1
BLOCKED = 1.0
BLOCK_WEIGHT = 3
FORGET_AFTER = 60.0
"""Seconds within which a second call that has to be cut short, wherever it is, ends the plugin."""
WARN_EVERY = 60.0
"""Seconds between two warnings about one slow plugin."""


class BlockedError(UnionwsError):
    """A plugin kept the loop waiting."""


class LeakError(UnionwsError):
    """A plugin keeps more and more."""


class FailedError(UnionwsError):
    """A plugin raised what is no Exception, such as SystemExit."""


@dataclass(slots=True)
class Place:
    """A place that is not a hook itself: a function of something the plugin registered."""

    plugin: Plugin
    hook: str
    failures_in_a_row: int = 0


class Guard:
    """Calls plugins and remembers how that went.

    Attributes:
        trace: log every call, with its time.
        deadline: cuts short what takes too long, once it is started.
        on_switched_off: called with the detail of a ``fault`` when a plugin was switched off.
    """

    def __init__(self) -> None:
        self.trace = False
        self.deadline = Deadline(Guard.attempt.__code__)
        self.on_switched_off: Callable[[Mapping[str, JSON]], None] = _nobody

    def run(self, site: Site, function: Callable[..., Any], *args: object, default: Any = None) -> Any:
        """The answer of ``function``, or ``default`` when the plugin is off or the call fails."""
        if site.plugin.state != ACTIVE:
            return default
        try:
            return self.attempt(site, function, *args)
        except Exception:  # noqa: BLE001 - it was counted and logged
            return default

    def attempt(
        self,
        site: Site,
        function: Callable[..., Any],
        *args: object,
        refusals: tuple[type[BaseException], ...] = (),
    ) -> Any:
        """As run, but what the call raises goes on to the caller, after it was counted.

        Args:
            refusals: errors that are a proper answer, no failure.

        Raises:
            FailedError: in place of what is no Exception: it would end more than the call.
        """
        plugin, deadline = site.plugin, self.deadline
        plugin.calls += 1
        outer = deadline.site
        started = perf_counter()
        try:
            try:
                deadline.site = site
                answer = function(*args)
            finally:  # inside the outer one: the deadline may raise anywhere until this is done
                deadline.site = outer
        except refusals:
            self._succeeded(site, perf_counter() - started)
            raise
        except Exception as error:
            self._raised(site, error, perf_counter() - started)
            raise
        except BaseException as error:
            raise self._raised(site, error, perf_counter() - started) from error
        self._succeeded(site, perf_counter() - started)
        return answer

    def _raised(self, site: Site, error: BaseException, seconds: float) -> Exception:
        """Count a call that raised; the error as an Exception."""
        if isinstance(error, Overdue):
            self._took(site, seconds, cut=True)
            blocked = BlockedError(f"kept everything waiting, and was cut short after {seconds:.2f} s")
            again = monotonic() - site.plugin.cut_at < FORGET_AFTER
            site.plugin.cut_at = monotonic()
            weight = FAILURES_IN_A_ROW if again else BLOCK_WEIGHT
            self.failed(site, blocked.with_traceback(error.__traceback__), weight)
            return blocked
        self._took(site, seconds)
        self.failed(site, error)
        return FailedError(described(error))

    def holds_too_much(self, plugin: Plugin) -> None:
        """Switch off a plugin that keeps more and more; what it holds is free after a restart."""
        error = LeakError(f"it holds more than {plugin.held / 1e6:.0f} MB")
        self.failed(Place(plugin, "memory"), error, FAILURES_IN_A_ROW)

    def _succeeded(self, site: Site, seconds: float) -> None:
        if seconds < SLOW and not self.trace:  # nearly always: this runs per batch and plugin
            site.plugin.seconds += seconds
            site.failures_in_a_row = 0
            return
        self._took(site, seconds)
        if seconds < BLOCKED:
            site.failures_in_a_row = 0

    def _took(self, site: Site, seconds: float, cut: bool = False) -> None:
        plugin = site.plugin
        plugin.seconds += seconds
        if self.trace:
            fields = {"plugin": plugin.candidate.name, "hook": site.hook, "ms": round(seconds * 1000, 3)}
            log.info("Plugin called", extra={"fields": fields})
        if seconds >= BLOCKED and not cut:
            self.failed(site, BlockedError(f"kept everything waiting for {seconds:.1f} s"), BLOCK_WEIGHT)
        if seconds >= SLOW:
            self._slow(site, seconds)

    def _slow(self, site: Site, seconds: float) -> None:
        plugin = site.plugin
        plugin.slow += 1
        plugin.slowest = max(plugin.slowest, seconds)
        if monotonic() - plugin.warned_at < WARN_EVERY:
            return
        plugin.warned_at = monotonic()
        fields = {
            "plugin": plugin.candidate.name,
            "hook": site.hook,
            "ms": round(seconds * 1000, 1),
            "slow": plugin.slow,
        }
        log.warning("Plugin is slow; see Service.run_in_thread", extra={"fields": fields})

    def failed(self, site: Site, error: BaseException, weight: int = 1) -> None:
        """Count a failure at a site."""
        plugin = site.plugin
        plugin.failures += 1
        plugin.last_error = f"{site.hook}: {described(error)}"[:300]
        fields = {
            "plugin": plugin.candidate.name,
            "hook": site.hook,
            "error": described(error),
            "failures": plugin.failures,
        }
        site.failures_in_a_row += weight
        # one that fails now and then is not switched off, and must not flood the log either
        if plugin.failures <= FAILURES_IN_A_ROW or plugin.failures % 100 == 0:
            log.error("Plugin hook failed", exc_info=error, extra={"fields": fields})
        if site.failures_in_a_row >= FAILURES_IN_A_ROW and plugin.state == ACTIVE:
            plugin.state = SWITCHED_OFF
            log.error("Plugin switched off after repeated failures", extra={"fields": fields})
            self.on_switched_off({key: fields[key] for key in ("plugin", "hook", "error")})


def _nobody(_detail: Mapping[str, JSON]) -> None:
    """Nobody wants to know."""
