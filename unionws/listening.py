"""Listening sockets: opened once, inherited by whoever serves them."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from typing import Any

from unionws.errors import SettingsError
from unionws.settings import Settings

ACCEPT_QUEUE = 4096
DEFER_ACCEPT_SECONDS = 5
"""A connection is shown to us when its first bytes are there, or after about this long."""


def listen(settings: Settings, count: int = 1) -> list[socket.socket]:
    """``count`` sockets on HOST and PORT; the kernel spreads new connections over them.

    Client sockets inherit their options. With PORT 0 all take the same free port.

    Raises:
        SettingsError: HOST or PORT cannot be bound.
    """
    sockets: list[socket.socket] = []
    port = settings.PORT
    try:
        for _ in range(count):
            sockets.append(_bind(settings, port, shared=count > 1))
            port = sockets[0].getsockname()[1]
    except OSError as error:
        for opened in sockets:
            opened.close()
        place = f"{settings.HOST or '*'}:{settings.PORT}"
        reason = "the port is in use" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
        hint = "stop what listens there, or choose another with --set PORT=…"
        raise SettingsError([f"PORT, HOST: cannot listen on {place}: {reason}; {hint}"]) from None
    return sockets


def adopt(settings: Settings, listeners: Sequence[socket.socket]) -> list[socket.socket]:
    """Sockets of another process as ours; none, and they are closed, if HOST or PORT want others."""
    if not all(_fits(settings, listener) for listener in listeners):
        for listener in listeners:
            listener.close()
        return []
    for listener in listeners:
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, settings.SEND_BUFFER_BYTES)
    return list(listeners)


def _fits(settings: Settings, listener: socket.socket) -> bool:
    port = listener.getsockname()[1]
    family, address = _place(settings, settings.PORT or port)
    return listener.family == family and listener.getsockname()[:2] == address[:2]


def share_out(listeners: Sequence[socket.socket], count: int) -> list[list[socket.socket]]:
    """The sockets of each of ``count`` edges: none is left unserved, since connections wait in it."""
    if len(listeners) >= count:
        return [list(listeners[number::count]) for number in range(count)]
    return [[listeners[number % len(listeners)]] for number in range(count)]


def _bind(settings: Settings, port: int, *, shared: bool) -> socket.socket:
    family, address = _place(settings, port)
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family == socket.AF_INET6 and not settings.HOST:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, settings.SEND_BUFFER_BYTES)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, DEFER_ACCEPT_SECONDS)
        listener.setblocking(False)
        listener.bind(address)
        listener.listen(ACCEPT_QUEUE)
    except OSError:
        listener.close()
        raise
    return listener


def _place(settings: Settings, port: int) -> tuple[int, Any]:
    """Address family and address; without a HOST one socket for IPv4 and IPv6 where there is both."""
    if not settings.HOST:
        dual = socket.has_dualstack_ipv6()
        return (socket.AF_INET6, ("::", port)) if dual else (socket.AF_INET, ("", port))
    found = socket.getaddrinfo(settings.HOST, port, type=socket.SOCK_STREAM)
    family, _, _, _, address = found[0]
    return family, address
