from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path
from types import ModuleType

from unionws.pluginloading import HOOKS
from unionws.settings import settings_table
from unionws.settings_reading import load_settings

ROOT = Path(__file__).resolve().parent.parent


def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "tools" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_pages_are_up_to_date() -> None:
    """conf/README.md and docs/hooks.md say what the code says."""
    assert reference().outdated() == [], "run python tools/reference.py"


def test_the_reference_names_every_setting_and_every_hook() -> None:
    """No setting and no hook is left out, and they stand in flow order."""
    own, _, plugins = reference().settings_page().partition("## Plugins that come with unionws")
    assert re.findall(r"^\| `(\w+)`", own, re.M) == [row.name for row in settings_table()]
    names = re.findall(r"^\| `(\w+)`.* (\w+) \|$", plugins, re.M)
    assert ("RECORD_FILE", "recorder") in names
    assert ("WEBHOOK_URLS", "webhooks") in names
    assert re.findall(r"^### (\w+)$", reference().hooks_page(), re.M) == list(HOOKS)


def test_the_settings_file_lists_the_table() -> None:
    """conf/settings.py has every setting, in order, under its heading, at its default."""
    text = (ROOT / "conf" / "settings.py").read_text("utf-8")
    lines = re.findall(r"^(?:# )?([A-Z][A-Z_]+) = (.+?)(?:  # (.+))?$", text, re.M)
    assert [(name, ast.literal_eval(value), unit) for name, value, unit in lines] == [
        (row.name, list(row.default) if isinstance(row.default, tuple) else row.default, row.unit)
        for row in settings_table()
    ]
    groups = list(dict.fromkeys(row.group for row in settings_table()))
    assert re.findall(r"^# -+ (.+)$", text, re.M) == groups


def test_the_settings_file_changes_nothing_as_it_is() -> None:
    """A checkout starts with the defaults."""
    assert load_settings(ROOT / "conf" / "settings.py", [], {}) == load_settings(None, [], {})
