from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from unionws import Setting
from unionws.assembly import assemble, inspect
from unionws.errors import PluginError, SettingsError
from unionws.settings import Settings, public_view

PLUGIN = """
from unionws import Setting, hookimpl

@hookimpl
def register_settings():
    return [
        Setting("ACME_LIMIT", 10.0, "A limit.", unit="U", low=0, high=100),
        Setting("ACME_NAMES", (), "Some names."),
        Setting("ACME_ON", False, "Whether."),
        Setting("ACME_TOKEN", "", "A secret.", secret=True),
    ]
"""


@pytest.fixture(name="folder")
def fixture_folder(tmp_path: Path) -> Path:
    """A drop-in folder with one plugin that has settings."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "acme.py").write_text(PLUGIN)
    return folder


def read(folder: Path, *overrides: str, **environ: str) -> Settings:
    loaded, host = assemble(None, [f"PLUGINS_DIR={folder}", *overrides], environ, [])
    assert host.settings is loaded.settings
    return loaded.settings


def test_settings_of_plugins_are_given_like_all_others(folder: Path, tmp_path: Path) -> None:
    """File, environment and command line, by the type of the default; defaults are there too."""
    file = tmp_path / "settings.py"
    file.write_text(f"PLUGINS_DIR = {str(folder)!r}\nACME_LIMIT = 5\nACME_ON = True\n")
    environ = {"UNIONWS_ACME_NAMES": "a,b", "UNIONWS_ACME_LIMIT": "6"}
    loaded, _ = assemble(file, ["ACME_LIMIT=7"], environ, [])
    assert dict(loaded.settings.extra) == {
        "ACME_LIMIT": 7.0,
        "ACME_NAMES": ("a", "b"),
        "ACME_ON": True,
        "ACME_TOKEN": "",
    }
    changed = {row.name: origin for row, _, origin in loaded.changed() if row.name.startswith("ACME")}
    assert changed["ACME_LIMIT"] == "--set"
    assert dict(read(folder).extra)["ACME_LIMIT"] == 10.0


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("ACME_LIMIT=101", "--set: ACME_LIMIT is '101', but must be a number from 0 to 100 (U)"),
        ("ACME_LIMITS=1", "--set: unknown setting ACME_LIMITS; did you mean ACME_LIMIT?"),
    ],
)
def test_mistakes_are_named_together_with_those_of_other_settings(
    folder: Path, override: str, problem: str
) -> None:
    """A bad value or an unknown name stops the start; nothing hides anything."""
    with pytest.raises(SettingsError) as caught:
        read(folder, override, "PORT=99999")
    assert problem in caught.value.problems
    assert len(caught.value.problems) == 2


def test_secrets_of_plugins_are_masked(folder: Path) -> None:
    """What is shown to operators has no secret in it."""
    view = public_view(read(folder, "ACME_TOKEN=hush"))
    assert (view["ACME_TOKEN"], view["ACME_LIMIT"]) == ("***", 10.0)


def registering(setting: str) -> str:
    head = "from unionws import Setting, hookimpl\n@hookimpl\ndef register_settings():\n"
    return f"{head}    return [{setting}]\n"


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("Setting('POLL_INTERVAL', 1, 'x')", "'POLL_INTERVAL' is a setting of unionws"),
        ("Setting('LIMIT', 1, 'x')", "setting name 'LIMIT' is not valid: it is VENDOR_NAME"),
        ("Setting('ACME_X', None, 'x')", "its default is a NoneType"),
        ("Setting('ACME_X', 5, 'x', high=3)", "its default must be a whole number"),
        ("Setting('ACME_LIMIT', 1, 'x')", "'ACME_LIMIT' is registered by 'acme'"),
        ("Setting('ACME_X', 1, '')", "help is empty"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(folder: Path, setting: str, problem: str) -> None:
    """Names of unionws, names without a vendor, clashes, and defaults that are not allowed."""
    (folder / "other.py").write_text(registering(setting).replace("high=3", "low=0, high=3"))
    with pytest.raises((PluginError, SettingsError)) as caught:
        read(folder)
    assert problem in str(caught.value)
    found: Sequence[str] = inspect(None, [f"PLUGINS_DIR={folder}"], {}, [])[2]
    assert any(problem in text for text in found) or "default" in problem


def test_settings_compare_by_their_table() -> None:
    """A Setting is plain data."""
    assert Setting("ACME_X", 1, "x") == Setting("ACME_X", 1, "x")
