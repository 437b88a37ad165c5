"""Settings of plugins: rows like unionws's own, values in a mapping beside the table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from unionws.extensions import Setting
from unionws.settings_values import Row, checked

KINDS: Mapping[type, str] = {bool: "bool", int: "int", float: "float", str: "text", tuple: "list"}


@dataclass(frozen=True, slots=True)
class PluginSettings(Mapping[str, Any]):
    """Values by name, with the rows they were read by."""

    values_by_name: Mapping[str, Any] = field(default_factory=dict)
    rows: tuple[Row, ...] = ()

    def __getitem__(self, name: str) -> Any:
        return self.values_by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)

    def pairs(self) -> list[tuple[Row, Any]]:
        """Each row with its value."""
        return [(row, self.values_by_name[row.name]) for row in self.rows]


NO_EXTRA = PluginSettings()


def row_of(setting: Setting) -> Row:
    """The table row of a plugin's setting.

    Raises:
        ValueError: the default is not one of the values it allows.
    """
    row = Row(
        name=setting.name,
        kind=KINDS[type(setting.default)],
        default=setting.default,
        unit=setting.unit,
        help=setting.help,
        group="Plugins' own",
        low=setting.low,
        high=setting.high,
        choices=setting.choices,
        check=setting.check,
        secret=setting.secret,
    )
    try:
        checked(row, setting.default)
    except ValueError as error:
        raise ValueError(f"setting {setting.name}: its default {error}") from None
    return row
