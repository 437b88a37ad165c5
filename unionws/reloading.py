"""Settings read again while the service runs (SIGHUP): what is safe to change is taken over."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from unionws.errors import SettingsError, UnionwsError
from unionws.logs import set_levels
from unionws.settings import Settings, settings_table
from unionws.settings_values import shown

log = logging.getLogger("unionws.settings")

RELOADED = frozenset(
    {
        "MAX_CLIENTS",
        "MAX_CLIENTS_PER_IP",
        "MAX_CLIENTS_PER_KEY",
        "MAX_HANDSHAKES_PER_IP",
        "TRUSTED_PROXIES",
        "MAX_INBOUND_MESSAGES",
        "MAX_INBOUND_BYTES",
        "MAX_MESSAGE_BYTES",
        "MAX_BACKLOG_BYTES",
        "MAX_BACKLOG_FRAMES",
        "MAX_FILTER_KEYS",
        "MAX_FILTER_GROUPS",
        "MAX_ERRORS",
        "ALLOWED_ORIGINS",
        "API_KEYS",
        "JWT_SECRET",
        "JWT_PUBLIC_KEY",
        "ADMIN_TOKEN",
        "LOG_LEVEL",
        "LOG_CONNECTIONS",
    }
)
"""What a running service takes over; all else needs a restart."""


class Live:
    """The settings of a running process.

    Args:
        settings: as at the start.
        read: reads them anew from where they were given; None: they cannot change.
    """

    def __init__(self, settings: Settings, read: Callable[[], Settings] | None = None) -> None:
        self.settings = settings
        self._read = read
        self._listeners: list[Callable[[Settings], None]] = []

    def on_change(self, listener: Callable[[Settings], None]) -> None:
        """Be called with the settings after each reload that changed anything."""
        self._listeners.append(listener)

    def reload(self, *, told: bool = True) -> None:
        """Read the settings again; one that is wrong leaves all as they are.

        Args:
            told: say in the log what came of it; one process of a service is enough for that.
        """
        if self._read is None:
            return
        try:
            wanted = self._read()
        except UnionwsError as error:
            problems = list(error.problems) if isinstance(error, SettingsError) else [str(error)]
            level = logging.ERROR if told else logging.DEBUG
            log.log(level, "settings not reloaded: they are wrong", extra={"fields": {"problems": problems}})
            return
        self._take(wanted, logging.INFO if told else logging.DEBUG)

    def _take(self, wanted: Settings, level: int) -> None:
        differ = {
            row.name: row
            for row in settings_table()
            if getattr(wanted, row.name) != getattr(self.settings, row.name)
        }
        taken = {name: getattr(wanted, name) for name in differ if name in RELOADED}
        facts = {
            "changed": {name: shown(differ[name], value) for name, value in taken.items()},
            "needs_restart": sorted(differ.keys() - RELOADED),
        }
        # Told also when nothing differs: a key file may have changed, and the operator wants an answer.
        self.settings = replace(self.settings, **taken)
        set_levels(self.settings.LOG_LEVEL)
        for listener in self._listeners:
            listener(self.settings)
        log.log(level, "settings reloaded", extra={"fields": facts})
