"""Where plugins are found: the drop-in folder, entry points, the setting PLUGINS.

Finding imports nothing; each Candidate imports its plugin when asked.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from unionws.errors import SettingsError
from unionws.settings import Settings, settings_table

GROUP = "unionws"
MODULE_PREFIX = "unionws_plugins_"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A plugin that could be loaded.

    Attributes:
        origin: where it was found, in words.
        load: imports and answers the module or object that carries the hooks.
    """

    name: str
    origin: str
    load: Callable[[], object]
    builtin: bool = False


def candidates(
    settings: Settings, builtins: Sequence[tuple[str, object]], given: Sequence[tuple[str, object]] = ()
) -> list[Candidate]:
    """Every plugin there is, disabled ones included, in the order their hooks shall be called.

    Raises:
        SettingsError: PLUGINS_DIR was set to a folder that does not exist.
    """
    return [
        *(Candidate(name, "built in", _made(plugin), builtin=True) for name, plugin in builtins),
        *(Candidate(name, "given", _constant(plugin)) for name, plugin in given),
        *_in_folder(settings.PLUGINS_DIR),
        *(_from_entry_point(point) for point in _installed() if not _is_given(point, given)),
        *(_from_setting(module) for module in settings.PLUGINS),
    ]


def _made(plugin: object) -> Callable[[], object]:
    """A class is a plugin with a state of its own in each host."""
    return plugin if isinstance(plugin, type) else _constant(plugin)


def _constant(plugin: object) -> Callable[[], object]:
    return lambda: plugin


def _in_folder(name: str) -> Iterator[Candidate]:
    folder = Path(name)
    default = next(row.default for row in settings_table() if row.name == "PLUGINS_DIR")
    if name and not folder.is_dir() and name != default:
        raise SettingsError([f"PLUGINS_DIR is {name!r}, but there is no such folder"])
    for path in sorted(folder.iterdir()) if name and folder.is_dir() else ():
        if path.name.startswith(("_", ".")):
            continue
        if path.suffix == ".py":
            yield _from_file(path.stem, path)
        elif (path / "__init__.py").is_file():
            yield _from_file(path.name, path / "__init__.py")


def _from_file(name: str, path: Path) -> Candidate:
    return Candidate(name, str(path), lambda: _import_file(MODULE_PREFIX + name, path))


def _import_file(module_name: str, path: Path) -> ModuleType:
    """Import a file that is on no import path; it is in ``sys.modules``, as dataclasses need."""
    package = [str(path.parent)] if path.name == "__init__.py" else None
    spec = importlib.util.spec_from_file_location(module_name, path, submodule_search_locations=package)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    return module


def _installed() -> list[EntryPoint]:
    return sorted(entry_points(group=GROUP))


def _from_entry_point(point: EntryPoint) -> Candidate:
    package = point.dist.name if point.dist is not None else "unknown package"
    return Candidate(point.name, f"entry point of {package}", point.load)


def _is_given(point: EntryPoint, given: Sequence[tuple[str, object]]) -> bool:
    """Whether a plugin under test is installed as well: it shall not meet itself."""
    found: object = sys.modules.get(point.module)
    for name in (point.attr or "").split("."):
        found = getattr(found, name, None) if name else found
    return found is not None and any(
        plugin is found or (isinstance(found, type) and isinstance(plugin, found)) for _, plugin in given
    )


def _from_setting(module: str) -> Candidate:
    return Candidate(module, "setting PLUGINS", lambda: importlib.import_module(module))
