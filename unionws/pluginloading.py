"""Loading plugins: import, register with pluggy, and check every hook they implement.

Strict, since a person is watching the start: what cannot work is refused here, by name.
"""

from __future__ import annotations

import inspect
import logging
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Protocol

import pluggy

from unionws import hookspecs
from unionws.discovery import Candidate, candidates
from unionws.errors import PluginError, SettingsError
from unionws.settings import Settings
from unionws.wording import did_you_mean, listing

ACTIVE, SWITCHED_OFF, DISABLED, BROKEN = "active", "switched off", "disabled", "broken"
log = logging.getLogger("unionws.pluginhost")


def hook_names(specs: ModuleType | type) -> tuple[str, ...]:
    """Names of the hooks that a module declares, in its order."""
    return tuple(name for name in vars(specs) if getattr(getattr(specs, name), "unionws_spec", None))


HOOKS = hook_names(hookspecs)
"""Names of all hooks, in flow order."""


@dataclass(slots=True)
class Plugin:
    """One plugin found, and what it did so far.

    Attributes:
        seconds: spent in its functions.
        slow: calls that took longer than they should; ``slowest``: seconds of the longest of them.
        warned_at: monotonic time of the last warning about that; ``cut_at``: when it was last cut short.
        deprecated: what it uses that is to go, with the replacement, one sentence each.
        held: bytes it held when that was last counted.
    """

    candidate: Candidate
    state: str = ACTIVE
    hooks: tuple[str, ...] = ()
    calls: int = 0
    failures: int = 0
    seconds: float = 0.0
    slow: int = 0
    slowest: float = 0.0
    warned_at: float = -math.inf
    cut_at: float = -math.inf
    last_error: str = ""
    deprecated: tuple[str, ...] = ()
    held: int = 0

    def problem(self, text: str) -> PluginError:
        """An error that names this plugin and where it was found."""
        return PluginError(self.candidate.name, self.candidate.origin, text)


class Site(Protocol):
    """One place where a plugin is called."""

    plugin: Plugin
    hook: str
    failures_in_a_row: int


@dataclass(slots=True)
class Implementation:
    """One plugin's function for one hook."""

    plugin: Plugin
    hook: str
    function: Callable[..., object]
    arguments: tuple[str, ...]
    failures_in_a_row: int = 0

    def call(self, given: Mapping[str, object]) -> object:
        """Call the function with those of the hook's arguments that it asks for."""
        return self.function(*[given[name] for name in self.arguments])


class Loader:
    """Loads all plugins once.

    Args:
        specs: what declares the hooks.

    Attributes:
        plugins: by name, in the order of discovery.
        modules: the same of their modules or objects.
        implementations: per hook, in calling order: tryfirst, order of discovery, trylast.
        problems: everything that is wrong, in the order it was found.
    """

    def __init__(self, settings: Settings, specs: ModuleType | type = hookspecs) -> None:
        self._settings = settings
        self._hooks = hook_names(specs)
        self._manager = pluggy.PluginManager("unionws")
        self._manager.add_hookspecs(specs)
        self.plugins: dict[str, Plugin] = {}
        self.modules: dict[str, object] = {}
        self.implementations: dict[str, list[Implementation]] = {hook: [] for hook in self._hooks}
        self.problems: list[PluginError] = []

    def load(self, builtins: Sequence[tuple[str, object]], given: Sequence[tuple[str, object]] = ()) -> None:
        """Find, import, register and check all plugins; go on after a wrong one.

        Raises:
            SettingsError: PLUGINS_DIR or DISABLED_PLUGINS name what does not exist.
        """
        found = candidates(self._settings, builtins, given)
        self._refuse_unknown_disabled([candidate.name for candidate in found])
        loaded = [pair for candidate in found for pair in self._imported(candidate)]
        # pluggy calls the last registered first; reversed here, hooks run in the order of discovery
        for plugin, module in reversed(loaded):
            self._register(plugin, module)
        for hook in self._hooks:
            self.implementations[hook] = self._in_order(hook)

    def _refuse_unknown_disabled(self, names: Sequence[str]) -> None:
        problems = [
            f"DISABLED_PLUGINS names {name!r}, but there is no such plugin{did_you_mean(name, names)}"
            for name in self._settings.DISABLED_PLUGINS
            if name not in names
        ]
        if problems:
            raise SettingsError(problems)

    def _imported(self, candidate: Candidate) -> list[tuple[Plugin, object]]:
        """The plugin and its module; nothing when it is disabled or cannot be imported."""
        plugin = Plugin(candidate)
        if candidate.name in self.plugins:
            other = self.plugins[candidate.name].candidate.origin
            self.problems.append(plugin.problem(f"another plugin has the same name ({other})"))
            return []
        self.plugins[candidate.name] = plugin
        if candidate.name in self._settings.DISABLED_PLUGINS:
            plugin.state = DISABLED
            return []
        try:
            return [(plugin, candidate.load())]
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's module may raise anything
            self._refuse(plugin, [f"cannot be imported: {described(error)}"])
            return []

    def _register(self, plugin: Plugin, module: object) -> None:
        try:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                self._manager.register(module, plugin.candidate.name)
        except Exception as error:  # noqa: BLE001 - pluggy reads every attribute of the plugin
            self._refuse(plugin, [" ".join(str(error).split())])
            return
        self.modules[plugin.candidate.name] = module
        self._warn(plugin, [warning.message for warning in said])
        callers = self._manager.get_hookcallers(module) or []
        names = {caller.name for caller in callers}
        plugin.hooks = tuple(name for name in self._hooks if name in names)
        if not callers:
            self._refuse(plugin, [f"has no hook implementation{_unmarked(module)}"])
        for caller in callers:
            own = [impl for impl in caller.get_hookimpls() if impl.plugin is module]
            self._refuse(plugin, [text for impl in own for text in self._wrong(caller.name, impl)])

    def _warn(self, plugin: Plugin, said: Sequence[Warning | str]) -> None:
        """Remember and log what a plugin should no longer use."""
        plugin.deprecated = tuple(str(text) for text in said if isinstance(text, DeprecationWarning))
        for text in plugin.deprecated:
            fields = {"plugin": plugin.candidate.name, "origin": plugin.candidate.origin, "use": text}
            log.warning("Plugin uses what is to go", extra={"fields": fields})

    def _wrong(self, hook: str, implementation: pluggy.HookImpl) -> list[str]:
        """What is wrong with one implementation, beyond what pluggy itself refuses."""
        if hook not in self._hooks:
            return [f"there is no hook {hook!r}{did_you_mean(hook, self._hooks)}"]
        if implementation.wrapper or implementation.hookwrapper:
            return [f"hook {hook}: wrappers are not supported"]
        if inspect.iscoroutinefunction(implementation.function):
            return [f"hook {hook}: must be a plain function, not async"]
        return []

    def _refuse(self, plugin: Plugin, problems: Sequence[str]) -> None:
        if problems:
            plugin.state = BROKEN
            self.problems += [plugin.problem(text) for text in problems]

    def _in_order(self, hook: str) -> list[Implementation]:
        found = getattr(self._manager.hook, hook).get_hookimpls()
        pairs = [(self.plugins[impl.plugin_name], impl) for impl in reversed(found)]
        return [
            Implementation(plugin, hook, impl.function, tuple(impl.argnames))
            for plugin, impl in pairs
            if plugin.state == ACTIVE
        ]


def _unmarked(module: object) -> str:
    names = [name for name in HOOKS if callable(getattr(module, name, None))]
    return f"; put @unionws.hookimpl above {listing(names)}" if names else ""


def described(error: BaseException) -> str:
    """``Type: text``, for one line, whatever the error's own ``__str__`` does."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - it is a plugin's class
        return type(error).__name__
