"""Lines of the log that repeat themselves: the first ones are written, the rest is counted.

A fault that comes with every request would otherwise fill the disk, and hide what came first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic
from typing import Any

PATIENCE = 10
"""Equal lines within WINDOW that are written."""

WINDOW = 60.0
MOST_KINDS = 1_000
"""Kinds of lines remembered; beyond that counting begins anew, so memory stays bounded."""

SAYS_WHOSE = ("process", "plugin", "hook", "edge", "kind", "statistic", "filter")
"""Fields that make two lines with the same words different ones."""

Kind = tuple[str, ...]


class Repeats(logging.Filter):
    """Lets a warning or worse through PATIENCE times within WINDOW seconds.

    The next one that is written has the number of those that were not in its field ``repeated``.

    Args:
        now: monotonic seconds.
    """

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._now = now
        self._seen: dict[Kind, list[float]] = {}  # begin of the window, written, kept back

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write a line; whatever a caller logs, this does not raise."""
        if record.levelno < logging.WARNING:
            return True
        fields = getattr(record, "fields", None)
        given: dict[str, Any] = fields if type(fields) is dict else {}
        words = record.msg if type(record.msg) is str else type(record.msg).__name__
        whose = [value[:100] for name in SAYS_WHOSE if type(value := given.get(name)) is str]
        return self._counted((record.name, words, *whose), record, given)

    def _counted(self, kind: Kind, record: logging.LogRecord, given: dict[str, Any]) -> bool:
        now = self._now()
        if kind not in self._seen and len(self._seen) >= MOST_KINDS:
            self._seen.clear()
        seen = self._seen.setdefault(kind, [now, 0, 0])
        kept_back = int(seen[2])
        if now - seen[0] >= WINDOW:
            seen[:] = [now, 0, 0]
            if kept_back:
                record.fields = {**given, "repeated": kept_back}
        if seen[1] >= PATIENCE:
            seen[2] += 1
            return False
        seen[1] += 1
        return True
