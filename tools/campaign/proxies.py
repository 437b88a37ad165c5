"""The proxies of conf/ in front of a service: TLS, WebSockets, and whose address the limits see.

``python tools/campaign/proxies.py [--clients 2000] [--seconds 15] [--proxies nginx,haproxy,caddy]``

Runs the same clients straight to the service and through each proxy that is installed, configured
from the example in conf/ with only ports and files changed. 100 clients share an address of
127.0.0.0/8 and MAX_CLIENTS_PER_IP is 100, so all of them come in only if the service sees their own
addresses; then one more of the same address, which claims another one, has to be refused.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import abuse

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"
PER_ADDRESS = 100
FIRST_ADDRESS = "127.1.0.1"
"""Of the load's first hundred clients."""

STARTS_WITHIN = 15.0


@dataclass(frozen=True, slots=True)
class Files:
    """Certificate, key, and both in one, of 127.0.0.1."""

    folder: Path

    @property
    def certificate(self) -> Path:
        return self.folder / "cert.pem"

    @property
    def key(self) -> Path:
        return self.folder / "key.pem"

    @property
    def both(self) -> Path:
        return self.folder / "both.pem"


def certify(folder: Path) -> Files:
    """A self-signed certificate for an hour of use."""
    files = Files(folder)
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    command += ["-keyout", str(files.key), "-out", str(files.certificate)]
    subprocess.run(command, check=True, capture_output=True)
    files.both.write_bytes(files.certificate.read_bytes() + files.key.read_bytes())
    return files


def nginx(port: int, upstream: int, files: Files) -> str:
    """conf/nginx.conf with the places of this machine put in."""
    text = (CONF / "nginx.conf").read_text("utf-8")
    text = text.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
    text = text.replace("worker_processes auto", "worker_processes 1")
    text = text.replace("stream.example.org;", "localhost;")
    text = re.sub(r"/etc/ssl/\S+\.pem", str(files.certificate), text)
    text = re.sub(r"/etc/ssl/\S+\.key", str(files.key), text)
    text = text.replace("worker_connections 100000", "worker_connections 8000")
    text = re.sub(r"(?m)^\s*worker_rlimit_nofile.*$", "", text)
    text = text.replace("server 127.0.0.1:8080;", f"server 127.0.0.1:{upstream};")
    text = re.sub(r"(?m)^\s*server 127\.0\.0\.[2-4]:8080;$", "", text)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "".join(f"    {kind}_temp_path {files.folder}/{kind};\n" for kind in kinds)
    text = text.replace("    access_log off;", f"{places}    access_log off;")
    return f"pid {files.folder}/nginx.pid;\ndaemon off;\nerror_log {files.folder}/error.log;\n{text}"


def haproxy(port: int, upstream: int, files: Files) -> str:
    """conf/haproxy.cfg likewise."""
    text = (CONF / "haproxy.cfg").read_text("utf-8")
    text = text.replace("bind :443", f"bind 127.0.0.1:{port}").replace("maxconn 120000", "maxconn 8000")
    text = re.sub(r"/etc/ssl/\S+\.pem", str(files.both), text)
    text = re.sub(r"(?m)^\s*server e[2-4] .*$", "", text)
    return text.replace("127.0.0.1:8080", f"127.0.0.1:{upstream}")


def caddy(port: int, upstream: int, files: Files) -> str:
    """conf/Caddyfile likewise; it gets its certificate from us and not from an authority."""
    text = (CONF / "Caddyfile").read_text("utf-8")
    pair = f"\tbind 127.0.0.1\n\ttls {files.certificate} {files.key}\n"
    text = text.replace("stream.example.org {\n", f"https://127.0.0.1:{port} {{\n{pair}")
    text = re.sub(r"127\.0\.0\.1:8080( 127\.0\.0\.[2-4]:8080)+", f"127.0.0.1:{upstream}", text)
    return "{\n\tadmin off\n\tauto_https disable_redirects\n}\n" + text


@dataclass(frozen=True, slots=True)
class Proxy:
    """How one is configured and run; ``command`` takes program and file."""

    configured: Callable[[int, int, Files], str]
    command: Callable[[str, Path], list[str]]


PROXIES = {
    "nginx": Proxy(nginx, lambda program, file: [program, "-p", str(file.parent), "-c", str(file)]),
    "haproxy": Proxy(haproxy, lambda program, file: [program, "-db", "-f", str(file)]),
    "caddy": Proxy(
        caddy, lambda program, file: [program, "run", "--adapter", "caddyfile", "--config", str(file)]
    ),
}


def program(name: str) -> str | None:
    """Where a proxy is installed, or None."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


@contextmanager
def running(name: str, folder: Path, upstream: int) -> Iterator[tuple[int, int]]:
    """A proxy in front of a port; its own port and process id. ``folder`` then has ``cert.pem``."""
    port, file = free_port(), folder / f"{name}.conf"
    file.write_text(PROXIES[name].configured(port, upstream, certify(folder)))
    found = program(name)
    assert found is not None, f"{name} is not installed"
    home = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(PROXIES[name].command(found, file), stdout=log, stderr=log, env=home)
    try:
        wait_for(port, process, folder / f"{name}.log")
        yield port, process.pid
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:  # it waits for clients that are gone
            process.kill()
            process.wait()


def free_port() -> int:
    """One that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until somebody listens there."""
    deadline = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    process.kill()
    raise RuntimeError(log.read_text("utf-8", "replace"))


# ---- measuring ----


@dataclass(frozen=True, slots=True)
class Figures:
    """What the clients noticed, and what the one too many was answered.

    Attributes:
        memory: kilobytes of the proxy per client; None without one.
    """

    name: str
    opened: int
    lost: int
    gaps: int
    p50: float
    p99: float
    memory: float | None = None
    one_more: int = 0

    @property
    def clean(self) -> bool:
        return not (self.lost or self.gaps) and self.one_more in (0, 429)


def load(url: str, certificate: Path | None, clients: int, seconds: float) -> subprocess.Popen[str]:
    """The load test, begun."""
    options = ["--clients", str(clients), "--seconds", str(seconds), "--processes", "1", "--quiet"]
    trusted = {} if certificate is None else {"SSL_CERT_FILE": str(certificate)}
    command = [sys.executable, str(ROOT / "tools/loadtest.py"), url, *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **trusted})


def figures(name: str, process: subprocess.Popen[str], **more: Any) -> Figures:
    """What the load test tells."""
    said, _ = process.communicate()
    told = json.loads(said)
    lost, latency = told["failed"] + told["lost"], told["latencyMs"]
    return Figures(
        name, told["opened"], lost, told["positions"]["gaps"], latency["p50"], latency["p99"], **more
    )


def straight(clients: int, seconds: float) -> Figures:
    """Without a proxy and without TLS."""
    with service() as port:
        return figures("straight, no TLS", load(f"ws://127.0.0.1:{port}/ws", None, clients, seconds))


def service() -> Any:
    """One process; the limit that is under test."""
    limits = ("TRUSTED_PROXIES=127.0.0.1", f"MAX_CLIENTS_PER_IP={PER_ADDRESS}", "MAX_HANDSHAKES_PER_IP=0")
    return abuse.service("SPREAD_MS=0", *limits)


def through(name: str, clients: int, seconds: float) -> Figures:
    """Through a proxy, over TLS."""
    with tempfile.TemporaryDirectory() as place, service() as upstream:
        folder = Path(place)
        with running(name, folder, upstream) as (port, pid):
            before = family_kb(pid)
            process = load(f"wss://127.0.0.1:{port}/ws", folder / "cert.pem", clients, seconds)
            wait_open(upstream, clients)
            memory = (family_kb(pid) - before) / clients
            status = knock(port)
            return figures(f"{name}, TLS", process, memory=memory, one_more=status)


def wait_open(port: int, clients: int) -> None:
    """Until the service has them all, or does not get more."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if sum(abuse.by_label(abuse.get(port, "/metrics"), "unionws_clients").values()) >= clients:
            return
        time.sleep(0.2)


def knock(port: int) -> int:
    """One more client of the first address, which says that it is another; the status it gets."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), 10, (FIRST_ADDRESS, 0)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        key = base64.b64encode(os.urandom(16)).decode()
        secured.sendall(
            f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "X-Forwarded-For: 9.9.9.9\r\nX-Real-IP: 9.9.9.9\r\n\r\n".encode()
        )
        return int(secured.recv(1000).split()[1])


def family_kb(pid: int) -> float:
    """PSS of a process and its children, in KB."""
    from harness import pss_bytes, tree

    return pss_bytes(tree([pid])) / 1000


def show(rows: Sequence[Figures], clients: int) -> str:
    """The figures as a table."""
    from harness import figure, table

    headings = (
        f"{clients:,} clients",
        "opened",
        "lost",
        "gaps",
        "p50 ms",
        "p99 ms",
        "proxy KB each",
        "one more",
    )
    cells = [
        (
            row.name,
            f"{row.opened:,}",
            str(row.lost),
            str(row.gaps),
            figure(row.p50, 1),
            figure(row.p99, 1),
            figure(row.memory, 1),
            str(row.one_more or "-"),
        )
        for row in rows
    ]
    return table(headings, cells)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Clients through the proxies of conf/.")
    parser.add_argument("--clients", type=int, default=2_000, help="a multiple of 100")
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--proxies", default=",".join(PROXIES), help="by commas")
    args = parser.parse_args(argv)
    rows = [straight(args.clients, args.seconds)]
    for name in args.proxies.split(","):
        if program(name) is None:
            print(f"{name} is not installed", file=sys.stderr)
        else:
            rows.append(through(name, args.clients, args.seconds))
    print(show(rows, args.clients))
    return 0 if all(row.clean and row.opened == args.clients for row in rows) else 1


sys.path.append(str(ROOT / "tools" / "bench"))

if __name__ == "__main__":
    sys.exit(main())
