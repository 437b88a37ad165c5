"""The way to the HTTP server: slow, huge and too many requests are ended, and told why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.connections.wire import Peer
from tests.web.serving import Service
from unionws.connections import httpdoor
from unionws.server import FOR_REQUESTS


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setattr(httpdoor, "HEAD_TIMEOUT", 0.4)
    with Service() as running:
        yield running


def refusals(service: Service) -> dict[str, int]:
    return dict(service.edge.gate.refused)


def test_a_dribbled_head_ends_in_time(service: Service) -> None:
    """Bytes that keep coming do not buy more time; the client is told, and it is counted."""
    with Peer.connect(service.port) as peer:
        peer.send(b"GET /health HTTP/1.1\r\n")
        peer.socket.settimeout(0.1)
        ended = False
        for _ in range(60):
            try:
                peer.send(b"x: y\r\n")
                data = peer.socket.recv(1000)
            except TimeoutError:
                continue
            except OSError:
                break
            ended = data.startswith(b"HTTP/1.1 408 ")
            break
        assert ended
    assert refusals(service) == {"slow_request": 1}


def test_a_head_that_stops_ends_in_time(service: Service) -> None:
    """Half a head and then nothing is a slow request too."""
    with Peer.connect(service.port) as peer:
        peer.send(b"GET /health")
        status, _, body = peer.response()
        assert (status, json.loads(body)["error"]) == (408, "slow_request")
        assert peer.ended()


def test_requests_leave_descriptors_for_everything_else(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no room for clients left there is no number of half-sent requests, and whole ones come through."""
    admission = service.edge.gate.admission
    monkeypatch.setattr(admission, "bounds", replace(admission.bounds, room=1 - FOR_REQUESTS))
    with Peer.connect(service.port) as first, Peer.connect(service.port) as second:
        first.send(b"GET /health")
        service.until(lambda: len(service._server._http) == 1)
        second.send(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        assert second.response()[0] == 200
        status, _, body = first.response()
    assert (status, json.loads(body)["error"]) == (503, "too_many_requests_open")


def test_a_connection_that_asked_in_time_may_rest(service: Service) -> None:
    """Keep-alive goes on after the head's time-out."""
    with Peer.connect(service.port) as peer:
        peer.send(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        assert peer.response()[0] == 200
        service.call(service._server._http.sweep)
        peer.socket.settimeout(1.5)
        with pytest.raises(TimeoutError):
            peer.socket.recv(1)
        peer.send(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        assert peer.response()[0] == 200


def test_a_giant_head_is_431(service: Service) -> None:
    """More than a head may have is not read to its end."""
    with Peer.connect(service.port) as peer:
        peer.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Big: " + b"x" * (httpdoor.MAX_HEAD + 1000))
        status, _, body = peer.response()
        assert (status, json.loads(body)["error"]) == (431, "head_too_large")
    assert refusals(service) == {"head_too_large": 1}


def test_a_large_body_is_refused(service: Service) -> None:
    """No path takes much; an announced size is enough to refuse."""
    with Peer.connect(service.port) as peer:
        peer.send(b"POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n" + b"x" * 1000)
        assert peer.response()[0] in (400, 405, 413)


def test_connections_are_bounded(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """One too many is refused at once; WebSockets are not counted among them."""
    monkeypatch.setattr(httpdoor, "MAX_CONNECTIONS", 2)
    open_peers = [Peer.connect(service.port), Peer.connect(service.port)]
    for peer in open_peers:
        peer.send(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        assert peer.response()[0] == 200
    with Peer.connect(service.port) as peer:
        peer.send(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        status, headers, body = peer.response()
        assert (status, json.loads(body)["error"]) == (503, "too_many_requests_open")
        assert "retry-after" in headers
    Peer.open(service.port).close()
    for peer in open_peers:
        peer.close()
    service.until(lambda: len(service._server._http) == 0)
