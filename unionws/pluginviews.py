"""Plugins for people: what each is, what it did, and the figures it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from unionws.extensions import Metric
from unionws.model import JSON
from unionws.pluginloading import Plugin
from unionws.pluginwraps import figures


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """One plugin.

    Attributes:
        hooks: names of the hooks it implements, in flow order.
        state: ``active``, ``switched off`` (it failed repeatedly), ``disabled`` (by setting) or
            ``broken`` (refused while loading).
        calls, failures: of its functions.
        ms: milliseconds spent in them.
        slow: calls that took more than 100 ms; ``slowest_ms``: the longest of those.
        mb: megabytes it held when that was last counted.
        last_error: place and text of the last failure, or "".
        deprecated: what it uses that is to go.
    """

    name: str
    origin: str
    hooks: tuple[str, ...]
    state: str
    calls: int
    failures: int
    ms: float
    slow: int
    slowest_ms: float
    mb: float
    last_error: str
    deprecated: tuple[str, ...]


def info(name: str, plugin: Plugin) -> PluginInfo:
    """A plugin as it is now."""
    return PluginInfo(
        name=name,
        origin=plugin.candidate.origin,
        hooks=plugin.hooks,
        state=plugin.state,
        calls=plugin.calls,
        failures=plugin.failures,
        ms=round(plugin.seconds * 1000, 3),
        slow=plugin.slow,
        slowest_ms=round(plugin.slowest * 1000, 1),
        mb=round(plugin.held / 1e6, 1),
        last_error=plugin.last_error,
        deprecated=plugin.deprecated,
    )


def sampled(item: Metric) -> dict[str, JSON]:
    """A metric with its figures of this moment: ``samples`` is a list of ``[labels, number]``."""
    found = figures(item)
    if found is None:
        samples: list[JSON] = []
    elif isinstance(found, Mapping):
        samples = [[dict(zip(item.labels, values, strict=True)), number] for values, number in found.items()]
    else:
        samples = [[{}, found]]
    return {"name": item.name, "help": item.help, "kind": item.kind, "samples": samples}
