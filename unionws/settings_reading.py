"""How settings are read, from all places where they may be given.

Precedence: ``--set NAME=VALUE``, then environment ``UNIONWS_<NAME>`` (and the bare names PORT,
GRAPHQL_ENDPOINT, POLL_INTERVAL, MAINNET_ONLY), then the settings file, then the default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unionws.errors import SettingsError, UnionwsError
from unionws.settings import Settings, settings_table
from unionws.settings_plugins import PluginSettings
from unionws.settings_sources import Given, from_environment, from_file, from_overrides
from unionws.settings_values import Row, mask_url, read_literal, read_text, shown
from unionws.wording import did_you_mean


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings together with where each given one came from."""

    settings: Settings
    origins: Mapping[str, str]

    def changed(self) -> list[tuple[Row, Any, str]]:
        """Settings that differ from their default: row, value as it may be shown, origin."""
        own = [(row, getattr(self.settings, row.name)) for row in settings_table()]
        return [
            (row, shown(row, value), self.origins[row.name])
            for row, value in [*own, *self.settings.extra.pairs()]
            if value != row.default and row.name in self.origins
        ]


def load_settings(file: Path | None, overrides: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """Read and validate all settings.

    Args:
        file: the settings file, or None for none.
        overrides: ``NAME=VALUE`` texts, strongest.
        environ: the environment.

    Raises:
        SettingsError: with every unknown name and bad value at once.
    """
    return read_settings(file, overrides, environ).settings


def read_settings(
    file: Path | None,
    overrides: Sequence[str],
    environ: Mapping[str, str],
    declare: Callable[[Settings], Sequence[Row]] | None = None,
) -> Loaded:
    """As load_settings, and remember where each setting came from.

    Args:
        declare: loads plugins by the settings read so far, and answers the rows these add.
    """
    in_file, file_problems = from_file(file) if file is not None else ([], [])
    in_overrides, override_problems = from_overrides(overrides)
    given = [*in_file, *from_environment(environ), *in_overrides]
    rows = {row.name: row for row in settings_table()}
    reading = _Reading([*file_problems, *override_problems], given)
    reading.take(lambda name: name in rows, rows)
    extra = _declared(declare, reading)
    own, reading.values = reading.values, {}
    more = {row.name: row for row in extra}
    reading.take(lambda name: name not in rows, more, known=[*rows, *more])
    if reading.problems:
        raise SettingsError(reading.problems)
    values = PluginSettings({**{row.name: row.default for row in extra}, **reading.values}, tuple(extra))
    return Loaded(Settings(**own, extra=values), reading.origins)


@dataclass(slots=True)
class _Reading:
    """What was read so far, of all that was given, weakest first."""

    unreadable: list[str]
    given: Sequence[Given]
    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    wrong: dict[int, str] = field(default_factory=dict)

    @property
    def problems(self) -> list[str]:
        """Every problem, in the order in which things were given."""
        return [*self.unreadable, *(self.wrong[place] for place in sorted(self.wrong))]

    def take(self, wanted: Callable[[str], bool], rows: Mapping[str, Row], known: Sequence[str] = ()) -> None:
        """Read those whose name is wanted; the last one counts."""
        for place, item in enumerate(self.given):
            if not wanted(item.name):
                continue
            try:
                self.values[item.name] = _read(item, rows, known or list(rows))
                self.origins[item.name] = item.origin
            except ValueError as error:
                self.wrong[place] = str(error)


def _declared(declare: Callable[[Settings], Sequence[Row]] | None, reading: _Reading) -> Sequence[Row]:
    """The rows of plugins; where plugins cannot be loaded and settings are wrong too, all is said."""
    try:
        return () if declare is None else declare(Settings(**reading.values))
    except UnionwsError as error:
        if not reading.problems:
            raise
        raise SettingsError([*reading.problems, str(error)]) from error


def _read(item: Given, rows: Mapping[str, Row], known: Sequence[str]) -> Any:
    row = rows.get(item.name)
    if row is None:
        hint = did_you_mean(item.name, known, item.prefix)
        raise ValueError(f"{item.origin}: unknown setting {item.prefix}{item.name}{hint}")
    try:
        return read_literal(row, item.value) if item.literal else read_text(row, item.value)
    except ValueError as error:
        raise ValueError(f"{item.origin}: {row.name} {_quoted(row, item.value)}, but {error}") from None


def _quoted(row: Row, value: Any) -> str:
    text = "is ***" if row.secret else f"is {mask_url(repr(value))}"
    return text if len(text) <= 120 else text[:117] + "..."
