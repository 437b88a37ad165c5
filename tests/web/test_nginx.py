"""nginx, configured as in conf/, in front: TLS, WebSockets, and limits by the clients' own addresses."""

from __future__ import annotations

import base64
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.connections.wire import PATIENCE, Peer, upgrade
from tests.web.serving import Service, fragment

CONF = Path(__file__).resolve().parents[2] / "conf" / "nginx.conf"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
CLIENTS = 50

pytestmark = pytest.mark.skipif(
    NGINX is None or shutil.which("openssl") is None, reason="nginx or openssl is not installed"
)


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate and its key."""
    pem, key = folder / "cert.pem", folder / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=localhost",
    ]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(pem)], check=True, capture_output=True)
    return pem, key


def configured(port: int, upstream: int, pem: Path, key: Path) -> str:
    """conf/nginx.conf with the places of this machine put in."""
    text = CONF.read_text("utf-8")
    text = text.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl").replace(
        "worker_processes auto", "worker_processes 1"
    )
    text = re.sub(r"/etc/ssl/\S+\.pem", str(pem), text)
    text = re.sub(r"/etc/ssl/\S+\.key", str(key), text)
    text = text.replace("worker_connections 100000", "worker_connections 1000")
    text = re.sub(r"(?m)^\s*worker_rlimit_nofile.*$", "", text)
    text = text.replace("server 127.0.0.1:8080;", f"server 127.0.0.1:{upstream};")
    text = re.sub(r"(?m)^\s*server 127\.0\.0\.[2-4]:8080;$", "", text)
    folder = pem.parent
    places = "".join(
        f"    {kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text = text.replace("    access_log off;", f"{places}    access_log off;")
    return f"pid {folder}/nginx.pid;\ndaemon off;\nerror_log {folder}/error.log;\n{text}"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


@contextmanager
def running(folder: Path, upstream: int) -> Iterator[int]:
    """nginx in front of a port; the port of its own."""
    port = free_port()
    file = folder / "nginx.conf"
    file.write_text(configured(port, upstream, *certificate(folder)))
    process = subprocess.Popen([str(NGINX), "-p", str(folder), "-c", str(file)], stderr=subprocess.PIPE)
    try:
        wait_for(port, process)
        yield port
    finally:
        process.terminate()
        process.communicate(timeout=10)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    process.kill()
    raise AssertionError(process.communicate()[1])


def secured(port: int, source: str) -> Peer:
    """A TLS connection from one of this machine's addresses."""
    plain = socket.create_connection(("127.0.0.1", port), PATIENCE, (source, 0))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return Peer(context.wrap_socket(plain))


def knock(port: int, source: str, **headers: str) -> tuple[Peer, int, bytes]:
    """A handshake through the proxy: the connection, the status and the body."""
    peer = secured(port, source)
    peer.send(upgrade(key=base64.b64encode(os.urandom(16)).decode(), **headers))
    status, _, body = peer.response()
    return peer, status, body


def test_clients_through_nginx(tmp_path: Path) -> None:
    """Fifty clients get every frame through TLS; limits see their addresses, not the proxy's and no lies."""
    limits = ("TRUSTED_PROXIES=127.0.0.1", f"MAX_CLIENTS_PER_IP={CLIENTS}")
    with Service(*limits) as service, running(tmp_path, service.port) as port, ExitStack() as clients:
        for _ in range(CLIENTS):
            peer, status, _ = knock(port, "127.0.0.2")
            clients.callback(peer.close)
            assert status == 101
        refused, status, body = knock(port, "127.0.0.2", X_Forwarded_For="9.9.9.9")
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


def test_views_through_nginx(tmp_path: Path) -> None:
    """/health passes, /metrics stays inside."""
    with Service() as service, running(tmp_path, service.port) as port:
        for path, expected in (("/health", 200), ("/metrics", 403)):
            with secured(port, "127.0.0.2") as peer:
                peer.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                assert peer.response()[0] == expected
