from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from unionws.settings import Settings, public_view, settings_table
from unionws.settings_reading import load_settings


def test_every_row_explains_itself() -> None:
    """Each setting has a help text, a heading, and a default it would itself accept."""
    for row in settings_table():
        assert row.help.endswith(".") or ":" in row.help, row.name
        assert row.group, row.name
        shown = ",".join(row.default) if isinstance(row.default, tuple) else row.default
        assert getattr(load_settings(None, [f"{row.name}={shown}"], {}), row.name) == row.default


def test_public_view_has_every_setting_as_json_data() -> None:
    """Lists are lists, and nothing is missing."""
    view = public_view(Settings(PLUGINS=("a",)))
    assert list(view) == [row.name for row in settings_table()]
    assert view["PLUGINS"] == ["a"]


def test_settings_cannot_be_changed() -> None:
    """A stage cannot change a setting under the others."""
    with pytest.raises(FrozenInstanceError):
        Settings().PORT = 1  # type: ignore[misc]
