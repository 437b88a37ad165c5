"""What the deployed explorer page gets from a whole service: every key it reads, in its shape and order."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.stats.contract import SCALES, TRANSFER, check_chart, lists_of, walk

PATIENCE = 90.0
PAGE = ("SHORT_WINDOW=5m", "TRANSFER_FORM=single", "CHART_INTERVAL=1", "SPREAD_MS=0", "BACKFILL_DAYS=1")


@pytest.fixture(name="page")
def fixture_page(tmp_path: Path) -> Iterator[ClientConnection]:
    """Connected like the page: from another origin, and never saying anything."""
    sets = ["PORT=0", "HOST=127.0.0.1", f"STATE_DIR={tmp_path}", "PLUGINS_DIR=", "LOG_FORMAT=json", *PAGE]
    command = [sys.executable, "-m", "unionws", "serve", "--simulate", "20"]
    for item in sets:
        command += ["--set", item]
    log = tmp_path / "log"
    with log.open("w") as lines, subprocess.Popen(command, stderr=lines) as process:
        try:
            url = f"ws://127.0.0.1:{port_told(log)}/ws"
            with connect(url, origin=Origin("https://app.example"), max_size=None) as connection:
                yield connection
        finally:
            process.terminate()


def port_told(log: Path) -> int:
    deadline = time.monotonic() + PATIENCE
    while not (found := re.search(r'"port": ?(\d+)', log.read_text())):
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    return int(found[1])


def read(page: ClientConnection) -> dict[str, Any]:
    message = page.recv(timeout=PATIENCE)
    assert isinstance(message, str)  # never binary
    data = json.loads(message, parse_constant=pytest.fail)  # no NaN, no Infinity
    assert list(data)[-1] == "timestamp"
    assert type(data["timestamp"]) is int
    if data["type"] == "chartData":
        assert len(message.encode()) < 100_000
    return dict(data)


def test_a_page_that_listens_finds_every_key_it_reads(page: ClientConnection) -> None:
    """Connected first; then transfers one by one, and charts that grow latencies and nodes."""
    assert read(page)["type"] == "connected"
    deadline, transfers, revisions = time.monotonic() + PATIENCE, 0, [0]
    while time.monotonic() < deadline:
        message = read(page)
        assert message["type"] not in ("rates", "error", "transfers")
        if message["type"] == "transfer":
            walk(message["data"], TRANSFER)
            transfers += 1
        if message["type"] == "chartData":
            data = message["data"]
            check_chart(data)
            revisions.append(data["rev"])
            if is_full(data) and transfers > 20:
                break
    assert is_full(data), data
    assert transfers > 20
    assert revisions == sorted(set(revisions))
    for items, scale in lists_of(data).values():
        assert items == scale["5m"]  # SHORT_WINDOW
    rates, wallets = data["currentRates"], data["activeWalletRates"]
    assert (rates["txPerMinute"], wallets["totalLastMin"]) == (rates["txPer5Minutes"], wallets["totalLast5m"])


def is_full(data: Any) -> bool:
    """Whether there is something of everything."""
    lists = [scale[key] for _, scale in lists_of(data).values() for key in SCALES]
    inner = [item["topRoutes"] for item in data["assetVolumeData"]["assets"][:1]]
    inner += [item["topAssets"] for item in data["chainFlowData"]["chains"][:1]]
    return all([*lists, *inner, data["latencyData"], data.get("nodeHealthData"), inner])
