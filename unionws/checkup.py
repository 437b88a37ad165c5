"""``unionws check``: what would go wrong at start, found without starting.

An *error* would stop the service; a *warning* is something an operator should know.
"""

from __future__ import annotations

import errno
import resource
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from unionws.errors import SettingsError
from unionws.pluginhost import PluginHost
from unionws.settings import Settings

SPARE_FILES = 200
"""Descriptors a process needs besides those of its clients: listeners, logs, upstream, database."""
FEW_CLIENTS = 1_000
"""Below this many clients per process the descriptor limit is worth a warning."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line for the operator; ``level`` is ``error``, ``warning`` or ``ok``."""

    level: str
    text: str


def check_plugins(settings: Settings, builtins: Sequence[tuple[str, object]]) -> Iterator[Finding]:
    """Load all plugins and ask them what they register."""
    host = PluginHost(settings)
    try:
        problems = [str(problem) for problem in host.check(builtins)]
    except SettingsError as error:
        problems = list(error.problems)
    yield from (Finding("error", problem) for problem in problems)
    active = [info.name for info in host.plugins() if info.state == "active"]
    if not problems:
        yield Finding("ok", f"{len(active)} plugins: {', '.join(active)}")


def check_machine(settings: Settings) -> Iterator[Finding]:
    """Try the address to listen on, and compare the limits of this machine."""
    yield check_address(settings.HOST, settings.PORT)
    yield check_descriptors(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def check_address(host: str, port: int) -> Finding:
    """Whether the service could listen there now."""
    where = f"{host or '*'}:{port}"
    any_family = socket.AF_UNSPEC if host else socket.AF_INET
    try:
        found = socket.getaddrinfo(host or None, port, any_family, socket.SOCK_STREAM, 0, socket.AI_PASSIVE)
        for family, kind, protocol, _, address in found:
            with socket.socket(family, kind, protocol) as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(address)
                listener.listen(1)
    except socket.gaierror as error:
        return Finding("error", f"HOST is {host!r}, which is no address of this machine: {error.strerror}")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return Finding("warning", f"{where} is in use: by unionws already running, or by something else")
        return Finding("error", f"cannot listen on {where}: {error.strerror}")
    return Finding("ok", f"can listen on {where}")


def check_descriptors(limit: int) -> Finding:
    """How many clients one process can hold with ``limit`` open files."""
    room = max(0, limit - SPARE_FILES)
    text = f"a process may open {limit:,} files: room for about {room:,} clients"
    if limit == resource.RLIM_INFINITY:
        return Finding("ok", "a process may open any number of files")
    if room < FEW_CLIENTS:
        return Finding("warning", f"{text}; raise it with `ulimit -n` or LimitNOFILE=")
    return Finding("ok", text)
