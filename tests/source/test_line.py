from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from urllib3.connection import HTTPConnection

from unionws.source.line import Line


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as sock:
        yield sock


def connection_to(sock: socket.socket, timeout: float = 20.0) -> HTTPConnection:
    host, port = sock.getsockname()
    return HTTPConnection(host, port, timeout=timeout)


def seconds_until_cut(line: Line, blocked: threading.Thread) -> float:
    """Start a thread that blocks, cut the line, and say how long it took to end."""
    blocked.start()
    time.sleep(0.1)
    assert blocked.is_alive()
    began = time.monotonic()
    line.cut()
    blocked.join(10)
    assert not blocked.is_alive()
    return time.monotonic() - began


def test_a_thread_that_waits_for_bytes_is_woken_by_the_cut(listener):
    """It reads the end of the stream at once, not at its time-out."""
    line = Line()
    sock = line.connect(connection_to(listener))
    got = []
    thread = threading.Thread(target=lambda: got.append(sock.recv(1)))
    assert seconds_until_cut(line, thread) < 5
    assert got == [b""]
    sock.close()
    line.release()


def test_a_thread_that_waits_for_a_connection_is_woken_by_the_cut(listener):
    """A host that drops what it gets would else hold the thread for its time-out, per address."""
    line = Line()
    errors = []

    def connect() -> None:
        try:
            line.connect(connection_to(listener)).close()
        except OSError as error:
            errors.append(error)

    with contextlib.ExitStack() as stack:
        for _ in range(4):  # the queue of the listener is full: further connects are not answered
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        assert seconds_until_cut(line, threading.Thread(target=connect)) < 5
    assert len(errors) == 1
    line.release()


def test_after_a_cut_nothing_is_opened_until_it_is_allowed(listener):
    """A request that was given up while it resolved a name must not begin."""
    line = Line()
    line.cut()
    with pytest.raises(ConnectionAbortedError):
        line.connect(connection_to(listener))
    line.allow()
    line.connect(connection_to(listener)).close()
    assert line.opened == 1
    line.release()


def test_a_connection_closed_on_our_side_is_closed_on_the_wire(listener):
    """The duplicate of its descriptor is let go once the request has ended."""
    line = Line()
    connection = connection_to(listener)
    connection.sock = line.connect(connection)
    peer, _ = listener.accept()
    with peer:
        peer.settimeout(0.1)
        line.settle()
        with pytest.raises(TimeoutError):
            peer.recv(1)
        connection.close()
        line.settle()
        peer.settimeout(5)
        assert peer.recv(1) == b""


def test_a_refused_connection_is_an_os_error():
    """Every address was tried."""
    line = Line()
    with socket.create_server(("127.0.0.1", 0)) as gone:
        connection = connection_to(gone)
    with pytest.raises(ConnectionRefusedError):
        line.connect(connection)
    line.settle()
