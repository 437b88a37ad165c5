"""The plugin host: what plugins register is checked, and what they do at run time is guarded.

An event hook that raises is logged, counted and, after FAILURES_IN_A_ROW, its plugin is switched
off; the other plugins and the stream go on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from unionws.errors import PluginError
from unionws.extensions import ClientRequest, FilterField, ServerMessage, Statistic
from unionws.pluginloading import ACTIVE, SWITCHED_OFF, Implementation, Loader, Plugin, described
from unionws.settings import Settings
from unionws.wording import listing

log = logging.getLogger("unionws.pluginhost")

FAILURES_IN_A_ROW = 5
REGISTRIES: Mapping[str, type] = {
    "register_statistics": Statistic,
    "register_filters": FilterField,
    "register_messages": ServerMessage,
    "register_requests": ClientRequest,
}
"""Hooks that answer objects, and their type. All other hooks are events."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """One plugin, for people.

    Attributes:
        hooks: names of the hooks it implements, in flow order.
        state: ``active``, ``switched off`` (it failed repeatedly), ``disabled`` (by setting) or
            ``broken`` (refused while loading).
        calls, failures: of its event hooks.
        ms: milliseconds spent in its event hooks.
    """

    name: str
    origin: str
    hooks: tuple[str, ...]
    state: str
    calls: int
    failures: int
    ms: float


class PluginHost:
    """All plugins of this process.

    Args:
        settings: say where plugins are and which are disabled; passed on to their hooks.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loader = Loader(settings)

    def load(self, builtins: Sequence[tuple[str, object]]) -> None:
        """Find, import and check all plugins.

        Args:
            builtins: name and module of unionws's own plugins; their hooks are called first.

        Raises:
            PluginError: naming the first plugin that is wrong.
            SettingsError: PLUGINS_DIR or DISABLED_PLUGINS name what does not exist.
        """
        self._loader.load(builtins)
        if self._loader.problems:
            raise self._loader.problems[0]
        active = [info.name for info in self.plugins() if info.state == ACTIVE]
        log.info("Plugins loaded", extra={"fields": {"plugins": active}})

    def check(self, builtins: Sequence[tuple[str, object]]) -> list[PluginError]:
        """Instead of load: answer everything that is wrong, with what ``register_*`` hooks answer."""
        self._loader.load(builtins)
        problems = list(self._loader.problems)
        for hook, kind in REGISTRIES.items():
            try:
                self.collect(hook, kind)
            except PluginError as error:
                problems.append(error)
        return problems

    # --------------------------------------------------------------------------- register_*

    def collect(self, hook: str, kind: type[T]) -> list[T]:
        """Everything that plugins register through ``hook``, in calling order.

        Args:
            hook: name of a ``register_*`` hook.
            kind: class every item must have.

        Raises:
            PluginError: a hook raised, answered something else, used a name that is not the
                plugin's to use, or a name that another plugin registered too.
        """
        providers: dict[str, list[Plugin]] = {}
        items: list[T] = []
        for implementation in self._loader.implementations[hook]:
            for item in self._answer(implementation, kind):
                name = _name_of(item)
                _refuse_foreign_name(implementation, name)
                providers.setdefault(name, []).append(implementation.plugin)
                items.append(item)
        for name, plugins in providers.items():
            if len(plugins) > 1:
                names = listing(
                    f"{plugin.candidate.name!r} ({plugin.candidate.origin})" for plugin in plugins
                )
                raise plugins[-1].problem(f"{hook}: {name!r} is registered by {names}")
        return items

    def _answer(self, implementation: Implementation, kind: type[T]) -> list[T]:
        plugin, hook = implementation.plugin, implementation.hook
        try:
            answer = implementation.call({"settings": self._settings})
            items = list(answer) if isinstance(answer, Sequence) else None
        except (Exception, SystemExit) as error:
            raise plugin.problem(f"hook {hook} failed: {described(error)}") from error
        if items is None:
            raise plugin.problem(f"hook {hook} answered {_type(answer)}, not a list of {kind.__name__}")
        for item in items:
            if not isinstance(item, kind):
                raise plugin.problem(f"hook {hook} answered {_type(item)} where {kind.__name__} belongs")
        return items

    # ------------------------------------------------------------------------------- events

    def fire(self, hook: str, **arguments: object) -> None:
        """Call every implementation of an event hook; none can stop the others or the caller."""
        for implementation in self._loader.implementations[hook]:
            if implementation.plugin.state == ACTIVE:
                self._guarded(implementation, arguments)

    def _guarded(self, implementation: Implementation, arguments: Mapping[str, object]) -> None:
        plugin = implementation.plugin
        plugin.calls += 1
        started = time.perf_counter()
        try:
            implementation.call(arguments)
            implementation.failures_in_a_row = 0
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything
            self._failed(implementation, error)
        finally:
            plugin.seconds += time.perf_counter() - started

    def _failed(self, implementation: Implementation, error: BaseException) -> None:
        plugin = implementation.plugin
        plugin.failures += 1
        implementation.failures_in_a_row += 1
        fields = {
            "plugin": plugin.candidate.name,
            "hook": implementation.hook,
            "error": described(error),
            "failures": plugin.failures,
        }
        # one that fails now and then is not switched off, and must not flood the log either
        if plugin.failures <= FAILURES_IN_A_ROW or plugin.failures % 100 == 0:
            log.error("Plugin hook failed", exc_info=error, extra={"fields": fields})
        if implementation.failures_in_a_row >= FAILURES_IN_A_ROW:
            plugin.state = SWITCHED_OFF
            log.error("Plugin switched off after repeated failures", extra={"fields": fields})

    # -------------------------------------------------------------------------------- views

    def plugins(self) -> list[PluginInfo]:
        """All plugins found, in calling order, with their state."""
        return [
            PluginInfo(
                name=name,
                origin=plugin.candidate.origin,
                hooks=plugin.hooks,
                state=plugin.state,
                calls=plugin.calls,
                failures=plugin.failures,
                ms=round(plugin.seconds * 1000, 3),
            )
            for name, plugin in self._loader.plugins.items()
        ]

    @property
    def counters(self) -> dict[str, dict[str, object]]:
        """Per plugin: state, calls, failures and milliseconds of its event hooks, JSON-able."""
        return {
            info.name: {"state": info.state, "calls": info.calls, "failures": info.failures, "ms": info.ms}
            for info in self.plugins()
        }


def _name_of(item: object) -> str:
    return str(getattr(item, "type", None) or getattr(item, "name", None))


def _refuse_foreign_name(implementation: Implementation, name: str) -> None:
    plugin = implementation.plugin
    if not plugin.candidate.builtin and "." not in name:
        raise plugin.problem(f"{implementation.hook}: {name!r} lacks a vendor; call it 'vendor.{name}'")


def _type(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"
