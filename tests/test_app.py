"""The composition: what a process does around its work, and how ingest and edges are put together."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from pathlib import Path

import pytest

from tests.history.factory import Service
from tests.source.indexers import until
from unionws import app
from unionws.app import load_plugins, run_ingest
from unionws.bus.unix import UnixBus, UnixBusEdge, listen
from unionws.history.statefolder import StateFolder
from unionws.model import Record, TransfersRecord
from unionws.reloading import Live
from unionws.settings import Settings
from unionws.source.simulator import Bursts, Simulator

SETTINGS = Settings(PLUGINS_DIR="", BACKFILL_DAYS=0, NODE_PROBES=False)


def test_what_is_there_at_the_start_is_kept_from_full_collections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, after the rubbish of loading was collected and before the work begins; and let go at the end."""
    told: list[str] = []
    monkeypatch.setattr(gc, "collect", lambda: told.append("collect"))
    monkeypatch.setattr(gc, "freeze", lambda: told.append("freeze"))
    monkeypatch.setattr(gc, "unfreeze", lambda: told.append("unfreeze"))

    async def work(stopping: asyncio.Event) -> None:
        told.append("work")

    settings = Settings(PLUGINS_DIR="")
    assert app.run_process(app.load_plugins(settings), Live(settings), work) == 0
    assert told == ["collect", "freeze", "work", "unfreeze"]


@pytest.mark.parametrize("edges", ["0", "1"])
def test_a_stopped_service_leaves_nothing_behind(tmp_path: Path, edges: str) -> None:
    """Its last words are those of the log: no library complains of objects that are still there."""
    given = {"PORT": "0", "HOST": "127.0.0.1", "STATE_DIR": tmp_path, "LOG_FORMAT": "json", "PLUGINS_DIR": ""}
    pairs = [word for name, value in given.items() for word in ("--set", f"{name}={value}")]
    command = [
        sys.executable,
        "-m",
        "unionws",
        "serve",
        "--simulate",
        "--set",
        f"EDGE_PROCESSES={edges}",
        *pairs,
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = [next(line for line in process.stderr if '"serving"' in line)]
    process.terminate()
    said += process.communicate(timeout=30)[1].splitlines()
    assert [line for line in said if not line.startswith("{")] == []
    assert process.returncode == 0


def test_edges_that_wait_get_what_a_killed_ingest_had_not_sent(tmp_path: Path) -> None:
    """Two transfers were committed and never sent: they come first, though edges connect before all else."""
    before = Service(tmp_path / "state").open()
    before.position = None
    before.publish(1, 2, 3)
    epoch = before.store.numbering.epoch
    before.kill()

    async def play() -> list[Record]:
        listener, address = listen()
        bus, got = UnixBus(listener, 100), list[Record]()
        edge = UnixBusEdge(address, "e0", lambda: (epoch, 1))
        edge.subscribe(got.append)
        await asyncio.sleep(0.05)  # it has connected, to the queue of the listening socket
        told = asyncio.Event()
        simulator = Simulator(rate=0.01, bursts=Bursts(every=0))
        folder = StateFolder(tmp_path / "state")
        running = asyncio.ensure_future(
            run_ingest(SETTINGS, load_plugins(SETTINGS), bus, folder, simulator, told.wait, bus.start)
        )
        await until(lambda: len(got) > 2)
        told.set()
        await running
        await edge.stop()
        bus.stop()
        listener.close()
        return got

    got = asyncio.run(asyncio.wait_for(play(), 20))
    numbers = [(record.epoch, record.seq) for record in got if isinstance(record, TransfersRecord)]
    assert numbers[:2] == [(epoch, 2), (epoch, 3)]
