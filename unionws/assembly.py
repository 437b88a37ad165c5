"""Settings and plugins, read together: plugins declare settings, and settings say where plugins are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from unionws.errors import SettingsError, UnionwsError
from unionws.pluginhost import PluginHost
from unionws.settings import Settings
from unionws.settings_reading import Loaded, read_settings
from unionws.settings_values import Row


def assemble(
    file: Path | None,
    overrides: Sequence[str],
    environ: Mapping[str, str],
    builtins: Sequence[tuple[str, object]],
    given: Sequence[tuple[str, object]] = (),
) -> tuple[Loaded, PluginHost]:
    """All settings, those of plugins included, and the plugins, ready to serve.

    Args:
        given: name and module of third parties' plugins that are imported already.

    Raises:
        SettingsError: with every unknown name and bad value at once.
        PluginError: naming the first plugin that is wrong.
    """
    hosts: list[PluginHost] = []

    def declare(settings: Settings) -> list[Row]:
        hosts.append(PluginHost(settings))
        hosts[0].load(builtins, given)
        return hosts[0].setting_rows()

    loaded = read_settings(file, overrides, environ, declare)
    hosts[0].use(loaded.settings)
    return loaded, hosts[0]


def inspect(
    file: Path | None,
    overrides: Sequence[str],
    environ: Mapping[str, str],
    builtins: Sequence[tuple[str, object]],
) -> tuple[Loaded, PluginHost, list[str]]:
    """As assemble, but go on after a plugin that is wrong, and tell all that is.

    Raises:
        SettingsError: with every unknown name and bad value at once.
    """
    hosts: list[PluginHost] = []
    problems: list[str] = []

    def declare(settings: Settings) -> list[Row]:
        hosts.append(PluginHost(settings))
        hosts[0].find(builtins)
        try:
            return hosts[0].setting_rows()
        except UnionwsError:
            return []  # problems() tells

    loaded = read_settings(file, overrides, environ, declare)
    host = hosts[0]
    host.use(loaded.settings)
    problems += [str(problem) for problem in host.problems()]
    return loaded, host, problems


def places_of_plugins(file: Path | None, overrides: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """Settings as far as they can be read without any plugin: enough to know where plugins are.

    Raises:
        SettingsError: a setting of unionws itself is wrong.
    """
    found: list[Settings] = []

    def stop(settings: Settings) -> list[Row]:
        found.append(settings)
        return []

    try:
        read_settings(file, overrides, environ, stop)
    except SettingsError as error:
        if any("unknown setting" not in problem for problem in error.problems):
            raise
    return found[0]
