"""The proxies of conf/, really run in front: TLS, WebSockets, and limits by the clients' own addresses."""

from __future__ import annotations

import base64
import os
import re
import shutil
import socket
import ssl
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.connections.wire import PATIENCE, Peer, upgrade
from tests.web.serving import Service, fragment

sys.path.append(str(Path(__file__).resolve().parents[2] / "tools" / "campaign"))

import proxies

CLIENTS = 50

pytestmark = [
    pytest.mark.skipif(
        shutil.which("openssl") is None, reason="openssl is not installed: apt-get install openssl"
    ),
    pytest.mark.parametrize(
        "name",
        [
            pytest.param(
                name,
                marks=pytest.mark.skipif(
                    proxies.program(name) is None, reason=f"{name} is not installed: apt-get install {name}"
                ),
            )
            for name in proxies.PROXIES
        ],
    ),
]


def secured(port: int, source: str) -> Peer:
    """A TLS connection from one of this machine's addresses."""
    plain = socket.create_connection(("127.0.0.1", port), PATIENCE, (source, 0))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return Peer(context.wrap_socket(plain))


def knock(port: int, source: str, **headers: str) -> tuple[Peer, int, bytes]:
    """A handshake through the proxy: the connection, the status and the body."""
    peer = secured(port, source)
    key = base64.b64encode(os.urandom(16)).decode()
    request = upgrade(key=key, **headers)
    peer.send(re.sub(rb"Host: \S+", f"Host: 127.0.0.1:{port}".encode(), request))
    status, _, body = peer.response()
    return peer, status, body


def test_clients_come_through(name: str, tmp_path: Path) -> None:
    """Fifty clients get every frame through TLS; limits see their addresses, not the proxy's and no lies."""
    limits = ("TRUSTED_PROXIES=127.0.0.1", f"MAX_CLIENTS_PER_IP={CLIENTS}")
    with (
        Service(*limits) as service,
        proxies.running(name, tmp_path, service.port) as (port, _),
        ExitStack() as clients,
    ):
        for _ in range(CLIENTS):
            peer, status, _ = knock(port, "127.0.0.2")
            clients.callback(peer.close)
            assert status == 101
        refused, status, body = knock(port, "127.0.0.2", X_Forwarded_For="9.9.9.9", X_Real_IP="9.9.9.9")
        refused.close()
        assert (status, b"too_many_from_address" in body) == (429, True)
        other, status, _ = knock(port, "127.0.0.3")
        clients.callback(other.close)
        assert status == 101
        assert {client.address for client in service.edge.parking} == {"127.0.0.2", "127.0.0.3"}
        service.transfers(fragment(1))
        while (got := other.frame()) is not None and b'"transfers"' not in got.payload[:40]:
            continue
        assert got is not None


def test_views_come_through(name: str, tmp_path: Path) -> None:
    """/health passes, /metrics stays inside."""
    with Service() as service, proxies.running(name, tmp_path, service.port) as (port, _):
        for path, expected in (("/health", 200), ("/metrics", 403)):
            with secured(port, "127.0.0.2") as peer:
                host = f"Host: 127.0.0.1:{port}"
                peer.send(f"GET {path} HTTP/1.1\r\n{host}\r\nConnection: close\r\n\r\n".encode())
                assert peer.response()[0] == expected
