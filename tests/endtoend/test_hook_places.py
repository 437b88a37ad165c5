"""Each hook is called in the processes that its description names, and in no other."""

from __future__ import annotations

import asyncio
import re
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from tests.talking import Talker
from unionws import hookspecs
from unionws.pluginloading import HOOKS

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "campaign"))

PLUGIN = """
import os
from pathlib import Path
from unionws import hookimpl
from unionws.pluginloading import HOOKS

def note(hook, role=""):
    with Path(__file__).with_name("calls.txt").open("a") as file:
        file.write(f"{os.getpid()} {hook} {role}\\n")

def noting(hook):
    def implementation():
        note(hook)
        return [] if hook.startswith("register_") or hook == "urgent" else None
    return hookimpl(implementation)

for name in HOOKS:
    globals()[name] = noting(name)

@hookimpl
def startup(service):
    note("startup", service.role)

@hookimpl
def extend_transfers(transfers):
    note("extend_transfers")
    return [None] * len(transfers)
"""


def documented() -> dict[str, str]:
    """``ingest``, ``edge`` or ``both``, by hook."""
    texts = {name: getattr(hookspecs, name).__doc__ for name in HOOKS}
    found = {name: re.search(r"Runs in: (ingest|edge|both)", text) for name, text in texts.items()}
    return {name: match[1] for name, match in found.items() if match}


def called(path: Path) -> Mapping[str, set[str]]:
    """Hooks by the role of the process; that of the supervisor is ``""``."""
    rows = [line.split(" ") for line in path.read_text("utf-8").splitlines()]
    roles = {pid: role for pid, hook, role in rows if hook == "startup"}
    found: dict[str, set[str]] = defaultdict(set)
    for pid, hook, _ in rows:
        found[roles.get(pid, "")].add(hook)
    return found


def test_hooks_are_called_where_they_say(tmp_path: Path) -> None:
    """With ingest and an edge in processes of their own, over a whole run."""
    from scene import QUICK, Simulator, staged, until

    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "places.py").write_text(PLUGIN, "utf-8")
    calls = folder / "calls.txt"

    def visit(port: int) -> None:
        with Talker(port) as talker:
            talker.until("transfers")

    def ended() -> bool:
        found = called(calls)
        return {"client_closed", "published"} <= found["edge"] | found["ingest"]

    async def scenario() -> None:
        settings = {**QUICK, "EDGE_PROCESSES": 1, "PLUGINS_DIR": folder}
        async with staged(Simulator(rate=20, seed=1), settings) as stage:
            await asyncio.to_thread(visit, stage.service.port)
            await until(ended, 20, "a client is seen to go")

    asyncio.run(scenario())
    found, where = called(calls), documented()
    assert set(found) == {"ingest", "edge", ""}
    for role in ("ingest", "edge"):
        mine = {hook for hook in HOOKS if where[hook] in (role, "both")}
        assert found[role] <= mine
        # what is registered is asked for once, maybe before the processes part; and faults are rare
        assert {hook for hook in mine - found[role] if not hook.startswith("register_")} <= {"fault"}
    assert all(hook.startswith("register_") for hook in found[""])
    assert set().union(*found.values()) >= set(HOOKS) - {"fault"}
