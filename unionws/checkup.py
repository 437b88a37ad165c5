"""``unionws check``: what would go wrong at start, found without starting.

An *error* would stop the service; a *warning* is something an operator should know.
"""

from __future__ import annotations

import errno
import resource
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from unionws.machine import Machine, proxy_note, read_machine, warnings
from unionws.pluginhost import PluginHost
from unionws.settings import Settings

SPARE_FILES = 200
"""Descriptors a process needs besides those of its clients: listeners, logs, upstream, database."""
ENOUGH_FILES = 1_048_576
"""What a process raises its own limit to, at most; some containers allow a billion."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line for the operator; ``level`` is ``error``, ``warning`` or ``ok``."""

    level: str
    text: str


def check_plugins(host: PluginHost, problems: Sequence[str]) -> Iterator[Finding]:
    """What is wrong with the plugins, what they use that is to go, and which there are."""
    yield from (Finding("error", problem) for problem in problems)
    for plugin in host.plugins():
        yield from (Finding("warning", f"plugin {plugin.name!r}: {text}") for text in plugin.deprecated)
    active = [plugin.name for plugin in host.plugins() if plugin.state == "active"]
    if not problems:
        yield Finding("ok", f"{len(active)} plugins: {', '.join(active)}")


def check_machine(settings: Settings, edges: int) -> Iterator[Finding]:
    """Try the address to listen on, and compare the limits of this machine.

    Args:
        edges: processes that serve clients.
    """
    yield check_address(settings.HOST, settings.PORT)
    yield from check_room(read_machine(files_allowed()), settings.MAX_CLIENTS, edges)
    if settings.API_KEYS and not settings.ADMIN_TOKEN:
        yield Finding(
            "warning", "API_KEYS are set but no ADMIN_TOKEN: /debug and the like are open to everybody"
        )


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


def check_room(machine: Machine, clients: int, edges: int) -> Iterator[Finding]:
    """Whether this machine can hold ``clients`` (0: no limit of ours) in so many edges."""
    found = [Finding("warning", text) for text in warnings(machine, clients, edges, SPARE_FILES)]
    note = proxy_note(machine, clients)
    yield from found
    if not found:
        room = max(0, machine.files - SPARE_FILES) * edges
        yield Finding(
            "ok", f"a process may open {machine.files:,} files: room for about {room:,} clients in all"
        )
    if note:
        yield Finding("ok", note)


def files_allowed() -> int:
    """Descriptors this process may have once it has raised its soft limit to the hard one."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, ENOUGH_FILES)


def use_all_files() -> None:
    """Raise the soft limit: the usual 1,024 would refuse clients a machine can well hold."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < files_allowed():
        resource.setrlimit(resource.RLIMIT_NOFILE, (files_allowed(), hard))
