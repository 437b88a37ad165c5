"""The attacks of the abuse campaign, all at once and in small: a quiet client loses nothing."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.connections.wire import Peer, upgrade
from tests.talking import Talker
from tests.web.serving import Service, fragment
from unionws.connections import httpdoor

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "campaign"))

ROUNDS = 20


def test_a_quiet_client_gets_everything_under_attack(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every frame arrives, in order; each kind of abuse is refused by its own reason and close code."""
    from attacks import Attackers

    monkeypatch.setattr(httpdoor, "HEAD_TIMEOUT", 0.5)
    with Service("MAX_CLIENTS_PER_IP=20", "PING_INTERVAL=54") as service, Talker(service.port) as quiet:
        quiet.until("status")
        enemy = Attackers(service.port)
        attackers = threading.Thread(target=lambda: asyncio.run(enemy.all_at_once(60, 5, 2.5)))
        attackers.start()
        got = []
        for number in range(1, ROUNDS + 1):
            service.transfers(fragment(number))
            got.append(quiet.until("transfers"))
            attackers.join(2.5 / ROUNDS)
        attackers.join()
        service.until(lambda: len(service.edge.parking) == 1)
        refused, gone = service.edge.gate.refused, service.edge.visits.gone
        assert len(service._server._http) <= 205
        assert len(service.edge.gate.admission.report()) == 0
    assert [message["seq"] for message in got] == list(range(1, ROUNDS + 1))
    assert all(message["prev"] == message["seq"] - 1 for message in got)
    assert refused["slow_request"] > 0
    assert refused["head_too_large"] > 0
    assert refused["too_many_from_address"] > 0
    assert {1002, 1007, 1009, 4102} <= gone.keys()
    assert enemy.tally["filter changes of floods"] > 100
    assert enemy.tally["filter changes within limits"] > 5


def few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))


def test_a_process_without_descriptors_says_so_and_recovers(tmp_path: Path) -> None:
    """Those inside stay, the next is told why, /health names it, and room is room again."""
    import abuse

    arguments = ["--set", "PORT=0", "--set", "HOST=127.0.0.1", "--set", f"STATE_DIR={tmp_path}"]
    command = [sys.executable, "-m", "unionws", "serve", "--simulate", *arguments, "--set", "LOG_FORMAT=json"]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=ROOT, preexec_fn=few_files, env={**os.environ}
    )
    clients: list[Peer] = []
    try:
        port = told_port(process)
        for _ in range(50):
            clients.append(Peer.open(port))
        with Peer.connect(port) as peer:
            peer.send(upgrade())
            status, _, body = peer.response()
        assert (status, b"over_capacity" in body) == (503, True)
        assert "file descriptors" in abuse.get(port, "/health")
        clients.pop().close()
        clients.append(opened_at_last(port))
        refused = abuse.by_label(abuse.get(port, "/metrics"), "unionws_connections_refused_total")
        assert refused["over_capacity"] >= 1
    finally:
        for client in clients:
            client.close()
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 0


def told_port(process: subprocess.Popen[str]) -> int:
    assert process.stderr is not None
    fields: dict[str, Any] = next(json.loads(line)["fields"] for line in process.stderr if '"port"' in line)
    port: int = fields["port"]
    return port


def opened_at_last(port: int) -> Peer:
    """A client, once the server has noticed that another one left."""
    for _ in range(200):
        peer = Peer.connect(port)
        peer.send(upgrade())
        if peer.response()[0] == 101:
            return peer
        peer.close()
    raise AssertionError("no room came free")
