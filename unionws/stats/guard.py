"""One statistic, kept from harming the others."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import ujson

from unionws.extensions import Persistent, Statistic
from unionws.model import JSON, EnrichedTransfer
from unionws.stats.coverage import Coverage
from unionws.stats.inner import Inner
from unionws.stats.parts import Parts
from unionws.stats.windows import Window

PATIENCE = 5
"""Failures in a row after which a statistic is switched off."""

PLUGIN_BYTES = 8_192
"""Most that one plugin's figures may take, encoded: the whole frame stays under 100 KB."""

logger = logging.getLogger("unionws.stats")


@runtime_checkable
class UsesCoverage(Protocol):
    """A statistic that wants to know which spans of time are covered; called once, at start."""

    def use_coverage(self, coverage: Coverage) -> None: ...


@runtime_checkable
class Estimating(Protocol):
    """A statistic of ours whose figures may be too low where tables are too long to be kept whole."""

    def too_low_by(self, window: Window) -> Mapping[str, JSON]: ...


@runtime_checkable
class Nested(Protocol):
    """A statistic of ours with lists in its lists, which are filled where there is room."""

    def inner(self) -> Sequence[Inner]:
        """Those of its last snapshot, all empty."""


def encode(value: JSON) -> bytes:
    """JSON as UTF-8 bytes.

    Raises:
        TypeError, ValueError, OverflowError: it holds what JSON has no word for, NaN included.
    """
    return ujson.dumps(value, ensure_ascii=False, escape_forward_slashes=False, allow_nan=False).encode()


class Guarded:
    """Calls a statistic; what it raises, or answers wrongly, is logged by name and counted.

    Attributes:
        name: the statistic's name.
        failures: failed calls so far.
        off: whether it was switched off.
        encoded: by top-level key, its last good snapshot as JSON.
    """

    __slots__ = (
        "_estimating",
        "_in_a_row",
        "_nested",
        "_observer",
        "_owed",
        "encoded",
        "failures",
        "name",
        "off",
    )

    def __init__(self, statistic: Statistic, coverage: Coverage) -> None:
        self.name = statistic.name
        self.failures = 0
        self.off = False
        self.encoded: Mapping[str, bytes] = {}
        self._observer = statistic.observer
        self._owed = False
        self._in_a_row = dict.fromkeys(("observe", "snapshot", "state", "restore"), 0)
        self._estimating = self._observer if self.own and isinstance(self._observer, Estimating) else None
        self._nested = self._observer if self.own and isinstance(self._observer, Nested) else None
        if isinstance(self._observer, UsesCoverage):
            self._observer.use_coverage(coverage)

    @property
    def own(self) -> bool:
        """Whether it fills top-level keys (a name without a dot) rather than ``ext``."""
        return "." not in self.name

    def observe(self, batch: Sequence[EnrichedTransfer], now: float) -> None:
        """Let it count a batch."""
        if self.off:
            return
        try:
            self._observer.observe(batch, now)
            self._in_a_row["observe"] = 0
        except Exception:
            logger.exception("A statistic failed", extra=self._failed("observe"))

    def snapshot(self, now: float) -> Mapping[str, JSON] | None:
        """Its figures, known to be encodable; None when it failed or is off."""
        if self.off:
            return None
        try:
            figures = self._checked(self._observer.snapshot(now))
            self._in_a_row["snapshot"] = 0
            return figures
        except Exception:
            logger.exception("A statistic failed", extra=self._failed("snapshot"))
            return None

    def too_low_by(self, window: Window) -> Mapping[str, JSON]:
        """By kind of figure, what one of this window may lack at most; empty when they are exact."""
        if self.off or self._estimating is None:
            return {}
        try:
            return self._estimating.too_low_by(window)
        except Exception:
            logger.exception("A statistic failed", extra=self._failed("snapshot"))
            return {}

    def inner(self) -> Sequence[Inner]:
        """Lists in its last snapshot that are still to be filled; making their entries may raise."""
        return () if self.off or self._nested is None else self._nested.inner()

    def state(self, *, whole: bool) -> Parts:
        """Its state in parts; none when it keeps nothing, failed or is off."""
        if self.off or not isinstance(self._observer, Persistent):
            return {}
        try:
            parts = dict(self._observer.state(whole=whole or self._owed))
            self._in_a_row["state"], self._owed = 0, False
            return parts
        except Exception:
            self._owed = True
            logger.exception("A statistic failed", extra=self._failed("state"))
            return {}

    def restore(self, parts: Parts) -> bool:
        """Give it its state back; False when it would not take it."""
        if not isinstance(self._observer, Persistent):
            return True
        try:
            self._observer.restore(parts)
            return True
        except Exception:
            logger.exception("A statistic failed", extra=self._failed("restore"))
            return False

    def _checked(self, figures: Mapping[str, JSON]) -> Mapping[str, JSON]:
        if not isinstance(figures, Mapping):
            raise TypeError(f"its snapshot is a {type(figures).__name__}, not a mapping")
        whole = figures if self.own else {self.name: figures}
        encoded = {key: encode(value) for key, value in whole.items()}
        if not self.own and len(encoded[self.name]) > PLUGIN_BYTES:
            raise ValueError(f"its snapshot is {len(encoded[self.name])} bytes, more than {PLUGIN_BYTES}")
        self.encoded = encoded
        return figures

    def _failed(self, call: str) -> Mapping[str, JSON]:
        self.failures += 1
        self._in_a_row[call] += 1
        self.off = self._in_a_row[call] >= PATIENCE
        fields = {"statistic": self.name, "call": call, "failures": self.failures, "switchedOff": self.off}
        return {"fields": fields}
