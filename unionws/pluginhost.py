"""The plugin host: what plugins register is checked, and what they do at run time is guarded."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from unionws.doors import Denied, HttpRequest, Identity, Route
from unionws.errors import PluginError, SettingsError
from unionws.extensions import (
    ClientRequest,
    FilterField,
    Metric,
    ServerMessage,
    Setting,
    Source,
    Statistic,
)
from unionws.model import JSON, EnrichedTransfer
from unionws.pluginguard import Guard, Place
from unionws.pluginloading import ACTIVE, Implementation, Loader, Plugin, described
from unionws.pluginmemory import Census
from unionws.pluginnames import foreign_problem, name_of
from unionws.pluginservice import Doors, Service
from unionws.pluginvalues import checked_fields, checked_keys, checked_verdict
from unionws.pluginviews import PluginInfo, info, sampled
from unionws.pluginwraps import wrapped
from unionws.settings import Settings
from unionws.settings_plugins import row_of
from unionws.settings_values import Row
from unionws.wording import did_you_mean, listing

log = logging.getLogger("unionws.pluginhost")

REGISTRIES: Mapping[str, type] = {
    "register_settings": Setting,
    "register_sources": Source,
    "register_statistics": Statistic,
    "register_filters": FilterField,
    "register_messages": ServerMessage,
    "register_requests": ClientRequest,
    "register_routes": Route,
    "register_metrics": Metric,
}
"""Hooks that answer objects, and their type."""

REFUSED = Denied("unauthorized", "the client cannot be authenticated now")

T = TypeVar("T")


class PluginHost:
    """All plugins of this process.

    Args:
        settings: say where plugins are and which are disabled; passed on to their hooks.

    Attributes:
        settings: what hooks are given.
        doors: where the plugins' Service leads.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.doors = Doors()
        self._loader = Loader(settings)
        self._guard = Guard()
        self._guard.on_switched_off = self._tell_fault
        self._services: dict[str, Service] = {}
        self._own_channels: dict[str, dict[str, str]] = {}
        self._collected: dict[str, list[Any]] = {}
        self._registered: dict[str, list[object]] = {}
        self._census: Census | None = None
        self.use(settings)

    def use(self, settings: Settings) -> None:
        """Give hooks these settings from now on: those with the plugins' own values."""
        self.settings = settings
        self._collected.clear()
        self._guard.trace = settings.TRACE_HOOKS

    def load(self, builtins: Sequence[tuple[str, object]], given: Sequence[tuple[str, object]] = ()) -> None:
        """Find, import and check all plugins.

        Args:
            builtins: name and module of unionws's own plugins; their hooks are called first.
            given: the same of third parties' plugins that are imported already.

        Raises:
            PluginError: naming the first plugin that is wrong.
            SettingsError: PLUGINS_DIR or DISABLED_PLUGINS name what does not exist.
        """
        self._loader.load(builtins, given)
        if self._loader.problems:
            raise self._loader.problems[0]
        active = [found.name for found in self.plugins() if found.state == ACTIVE]
        log.info("Plugins loaded", extra={"fields": {"plugins": active}})

    def find(self, builtins: Sequence[tuple[str, object]]) -> None:
        """As load, but go on after what is wrong; :meth:`problems` tells."""
        self._loader.load(builtins)

    def problems(self) -> list[PluginError]:
        """Everything that is wrong with the plugins and with what they register."""
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

        Functions of what third parties registered are guarded.

        Args:
            hook: name of a ``register_*`` hook.
            kind: class every item must have.

        Raises:
            PluginError: a hook raised, answered something else, used a name that is not the
                plugin's to use, or a name that another plugin registered too.
        """
        known = self._collected.get(hook)
        if known is not None:
            return list(known)
        providers: dict[str, list[Plugin]] = {}
        items: list[T] = []
        for implementation in self._loader.implementations[hook]:
            plugin = implementation.plugin
            for item in self._answer(implementation, kind):
                _refuse_foreign_name(implementation, item)
                providers.setdefault(name_of(item), []).append(plugin)
                self._remember_channel(plugin, item)
                self._registered.setdefault(plugin.candidate.name, []).append(item)
                items.append(item if plugin.candidate.builtin else wrapped(item, plugin, self._guard))
        for name, plugins in providers.items():
            if len(plugins) > 1:
                names = listing(
                    f"{plugin.candidate.name!r} ({plugin.candidate.origin})" for plugin in plugins
                )
                raise plugins[-1].problem(f"{hook}: {name!r} is registered by {names}")
        if kind is not Statistic:  # those have state, and whoever counts wants their own
            self._collected[hook] = list(items)
        return items

    def _remember_channel(self, plugin: Plugin, item: object) -> None:
        if isinstance(item, ServerMessage) and item.channel is not None:
            self._own_channels.setdefault(plugin.candidate.name, {})[item.type] = item.channel

    def _answer(self, implementation: Implementation, kind: type[T]) -> list[T]:
        plugin, hook = implementation.plugin, implementation.hook
        try:
            answer = implementation.call({"settings": self.settings})
            items = list(answer) if isinstance(answer, Sequence) else None
        except (Exception, SystemExit) as error:
            raise plugin.problem(f"hook {hook} failed: {described(error)}") from error
        if items is None:
            raise plugin.problem(f"hook {hook} answered {_type(answer)}, not a list of {kind.__name__}")
        for item in items:
            if not isinstance(item, kind):
                raise plugin.problem(f"hook {hook} answered {_type(item)} where {kind.__name__} belongs")
        return items

    def setting_rows(self) -> list[Row]:
        """Rows of the settings that plugins declare.

        Raises:
            PluginError: see collect.
            SettingsError: a default is not among the values its setting allows.
        """
        try:
            return [row_of(setting) for setting in self.collect("register_settings", Setting)]
        except ValueError as error:
            raise SettingsError([str(error)]) from error

    def source(self) -> Source:
        """The source that the setting SOURCE chooses.

        Raises:
            SettingsError: there is none of that name.
            PluginError: see collect.
        """
        sources = {source.name: source for source in self.collect("register_sources", Source)}
        wanted = self.settings.SOURCE
        if wanted not in sources:
            known = ", ".join(sources)
            hint = did_you_mean(wanted, sources)
            raise SettingsError([f"SOURCE is {wanted!r}, but the sources are: {known}{hint}"])
        return sources[wanted]

    # ---------------------------------------------------------------------------- lifecycle

    def start(self) -> None:
        """Fire ``startup`` on the running loop, with a Service for each plugin.

        Starting may take its time; from then on calls are cut short after PLUGIN_TIMEOUT_MS.
        """
        for implementation in self._loader.implementations["startup"]:
            service = self._service(implementation.plugin)
            self._guard.run(implementation, implementation.call, {"service": service})
        if any(not plugin.candidate.builtin for plugin in self._loader.plugins.values()):
            self._guard.deadline.start(self.settings.PLUGIN_TIMEOUT_MS / 1000)
            self._start_census(self.settings.PLUGIN_MEMORY_MB * 1_000_000)

    def _start_census(self, limit: int) -> None:
        if not limit:
            return
        loop = asyncio.get_running_loop()

        def on_excess(plugin: Plugin) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(self._guard.holds_too_much, plugin)

        self._census = Census(self._roots, limit, on_excess)
        self._census.start()

    def _roots(self) -> list[tuple[Plugin, list[object]]]:
        """Of third parties' plugins at work: where counting what they hold begins."""
        return [
            (plugin, [self._loader.modules[name], *self._registered.get(name, ())])
            for name, plugin in self._loader.plugins.items()
            if plugin.state == ACTIVE and not plugin.candidate.builtin
        ]

    def _service(self, plugin: Plugin) -> Service:
        def failed(place: str, error: BaseException) -> None:
            self._guard.failed(Place(plugin, place), error)

        name = plugin.candidate.name
        service = Service(name, self.settings, self.doors, self._channels(plugin), failed)
        self._services[name] = service
        return service

    def _channels(self, plugin: Plugin) -> dict[str, str]:
        """Channel by type of the messages a plugin may publish."""
        self.collect("register_messages", ServerMessage)
        return self._own_channels.get(plugin.candidate.name, {})

    def save(self) -> None:
        """Write what plugins keep; once a second and at the end, in the process that owns the state."""
        if self.doors.role == "edge":
            return
        for name, service in self._services.items():
            try:
                service.state.save()
            except OSError as error:
                fields = {"plugin": name, "error": described(error)}
                log.warning("Plugin state cannot be written", extra={"fields": fields})

    def stop(self) -> None:
        """Fire ``shutdown``, also for plugins that were switched off: they may hold something."""
        self._guard.deadline.stop()
        if self._census is not None:
            self._census.stop()
            self._census = None
        for implementation in self._loader.implementations["shutdown"]:
            with contextlib.suppress(Exception):  # counted and logged by the guard
                self._guard.attempt(implementation, implementation.call, {})
        self.save()

    # ------------------------------------------------------------------------------- events

    def fire(self, hook: str, **arguments: object) -> None:
        """Call every implementation of an event hook; none can stop the others or the caller."""
        for implementation in self._loader.implementations[hook]:
            self._guard.run(implementation, implementation.call, arguments)

    def _tell_fault(self, detail: Mapping[str, JSON]) -> None:
        self.fire("fault", kind="plugin", detail=detail)

    def extra_fields(self, transfers: Sequence[EnrichedTransfer]) -> dict[str, list[bytes | None]]:
        """By plugin: what ``extend_transfers`` adds to each transfer, encoded."""
        found: dict[str, list[bytes | None]] = {}
        for implementation in self._loader.implementations["extend_transfers"]:

            def ask(by: Implementation = implementation) -> list[bytes | None]:
                return checked_fields(by.call({"transfers": transfers}), len(transfers))

            fields = self._guard.run(implementation, ask)
            if fields is not None:
                found[implementation.plugin.candidate.name] = fields
        return found

    def urgent(self, transfers: Sequence[EnrichedTransfer]) -> frozenset[str]:
        """Keys of transfers that some plugin does not want to wait."""
        keys: frozenset[str] = frozenset()
        for implementation in self._loader.implementations["urgent"]:

            def ask(by: Implementation = implementation) -> frozenset[str]:
                return checked_keys(by.call({"transfers": transfers}))

            keys |= self._guard.run(implementation, ask, default=frozenset())
        return keys

    @property
    def authenticates(self) -> bool:
        """Whether any plugin wants a word about who comes in."""
        return bool(self._loader.implementations["authenticate"])

    def authenticate(self, request: HttpRequest) -> Identity | Denied | None:
        """The first verdict about a client, or None. A plugin that fails refuses: it is a lock."""
        for implementation in self._loader.implementations["authenticate"]:

            def ask(by: Implementation = implementation) -> Identity | Denied | None:
                return checked_verdict(by.call({"request": request}))

            verdict: Identity | Denied | None = self._guard.run(implementation, ask, default=REFUSED)
            if verdict is not None:
                return verdict
        return None

    # -------------------------------------------------------------------------------- views

    def metrics(self) -> list[dict[str, JSON]]:
        """Every registered metric with its figures of this moment.

        Each has ``name``, ``help``, ``kind`` and ``samples``, a list of ``[labels, number]``.
        """
        return [sampled(item) for item in self.collect("register_metrics", Metric)]

    def plugins(self) -> list[PluginInfo]:
        """All plugins found, in calling order, with their state."""
        return [info(name, plugin) for name, plugin in self._loader.plugins.items()]

    def troubles(self) -> dict[str, dict[str, JSON]]:
        """The counters of plugins that failed or were slow, with their last error."""
        return {
            found.name: {**self.counters[found.name], "last_error": found.last_error}
            for found in self.plugins()
            if found.failures or found.slow
        }

    @property
    def counters(self) -> dict[str, dict[str, JSON]]:
        """Per plugin: state, calls, failures, slow calls and milliseconds, JSON-able."""
        return {
            found.name: {
                "state": found.state,
                "calls": found.calls,
                "failures": found.failures,
                "slow": found.slow,
                "ms": found.ms,
                "mb": found.mb,
            }
            for found in self.plugins()
        }


def _refuse_foreign_name(implementation: Implementation, item: object) -> None:
    plugin = implementation.plugin
    if plugin.candidate.builtin:
        return
    problem = foreign_problem(item)
    if problem is not None:
        raise plugin.problem(f"{implementation.hook}: {problem}")


def _type(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"
