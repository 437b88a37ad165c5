from __future__ import annotations

import os
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from unionws.errors import SettingsError
from unionws.listening import _place, adopt, listen, share_out
from unionws.settings import Settings

LOCAL = Settings(HOST="127.0.0.1", PORT=0)


def option(listener: socket.socket, level: int, name: int) -> int:
    return listener.getsockopt(level, name)


def test_one_socket_takes_a_free_port_for_itself() -> None:
    """A service of one process does not share its port: a second start is refused."""
    (listener,) = listen(LOCAL)
    with listener:
        host, port = listener.getsockname()
        assert host == "127.0.0.1"
        assert port > 0
        with pytest.raises(SettingsError, match=rf"127\.0\.0\.1:{port}: the port is in use; stop what"):
            listen(Settings(HOST="127.0.0.1", PORT=port))


def test_several_sockets_share_one_port_and_the_connections() -> None:
    """The kernel spreads new connections over the sockets of all edges."""
    listeners = listen(LOCAL, 3)
    ports = {listener.getsockname()[1] for listener in listeners}
    assert len(ports) == 1
    clients = [socket.create_connection(("127.0.0.1", *ports)) for _ in range(60)]
    try:
        for client in clients:
            client.send(b"x")  # only then is a connection shown (TCP_DEFER_ACCEPT)
        assert sum(accepted_by(listener) for listener in listeners) == 60
    finally:
        for opened in (*clients, *listeners):
            opened.close()


def accepted_by(listener: socket.socket) -> int:
    """Connections that wait in a listener's queue, closed at once; at least one."""
    count = 0
    for _ in range(500):
        try:
            listener.accept()[0].close()
            count += 1
        except BlockingIOError:
            if count:
                return count
            time.sleep(0.01)
    raise AssertionError("no connection came to one of the sockets")


def test_client_sockets_inherit_what_was_set_once() -> None:
    """The send buffer bounds the memory of a client that stops reading; no client costs a system call."""
    (listener,) = listen(Settings(HOST="127.0.0.1", PORT=0, SEND_BUFFER_BYTES=50_000))
    with listener, socket.create_connection(listener.getsockname()) as client:
        client.send(b"x")
        listener.settimeout(5.0)
        connection, _ = listener.accept()
        with connection:
            # Linux doubles what is asked for (socket(7)).
            assert option(connection, socket.SOL_SOCKET, socket.SO_SNDBUF) == 100_000
            assert option(connection, socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_listeners_never_block() -> None:
    """An accept without a connection answers at once."""
    (listener,) = listen(LOCAL)
    with listener, pytest.raises(BlockingIOError):
        listener.accept()


def test_a_silent_connection_is_not_shown_at_once() -> None:
    """TCP_DEFER_ACCEPT: whoever says nothing costs the edge nothing."""
    (listener,) = listen(LOCAL)
    with listener, socket.create_connection(listener.getsockname()):
        assert option(listener, socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT) > 0
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_without_a_host_one_socket_serves_both_families() -> None:
    """IPv6 and IPv4 where there is both, else IPv4."""
    dual = socket.has_dualstack_ipv6()
    assert _place(Settings(), 80) == ((socket.AF_INET6, ("::", 80)) if dual else (socket.AF_INET, ("", 80)))


def test_a_host_that_is_not_ours_is_named() -> None:
    """The problem names the settings, the place and what to do."""
    with pytest.raises(SettingsError) as caught:
        listen(Settings(HOST="192.0.2.1", PORT=0))
    (problem,) = caught.value.problems
    assert problem.startswith("PORT, HOST: cannot listen on 192.0.2.1:0: ")
    assert "--set PORT=" in problem


def test_a_host_that_does_not_exist_is_named() -> None:
    """A name that cannot be resolved is a wrong setting, not a traceback."""
    with pytest.raises(SettingsError, match=r"cannot listen on no-such-host\.invalid:0"):
        listen(Settings(HOST="no-such-host.invalid", PORT=0))


@contextmanager
def room_for(count: int) -> Iterator[None]:
    """Let this process open so many files more."""
    free = os.dup(0)
    os.close(free)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_nothing_stays_open_when_one_of_several_cannot_be_opened() -> None:
    """The first two of four are closed again: their port can be taken afterwards."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    shared = Settings(HOST="127.0.0.1", PORT=port)
    with room_for(2), pytest.raises(SettingsError, match=r"[Tt]oo many open files"):
        listen(shared, 4)
    (listener,) = listen(shared)
    listener.close()


def test_sockets_of_another_process_are_adopted_where_they_fit() -> None:
    """Same HOST and PORT, or any port; else they are closed and others are to be opened."""
    (listener,) = listen(LOCAL)
    port = listener.getsockname()[1]
    copies = [socket.socket(fileno=os.dup(listener.fileno())) for _ in range(4)]
    wanted = [LOCAL, Settings(HOST="127.0.0.1", PORT=port)]
    assert [adopt(settings, [copy]) for settings, copy in zip(wanted, copies, strict=False)] == [
        [copy] for copy in copies[:2]
    ]
    others = [Settings(HOST="127.0.0.1", PORT=port - 1), Settings(HOST="127.0.0.2", PORT=0)]
    assert [adopt(settings, [copy]) for settings, copy in zip(others, copies[2:], strict=True)] == [[], []]
    assert [copy.fileno() for copy in copies[2:]] == [-1, -1]
    for each in (listener, *copies[:2]):
        each.close()


def test_every_socket_is_served_and_every_edge_has_one() -> None:
    """With fewer edges than sockets an edge serves several; with more, edges share one."""
    sockets = [socket.socket() for _ in range(3)]
    a, b, c = sockets
    assert share_out(sockets, 3) == [[a], [b], [c]]
    assert share_out(sockets, 2) == [[a, c], [b]]
    assert share_out(sockets, 5) == [[a], [b], [c], [a], [b]]
    for each in sockets:
        each.close()
