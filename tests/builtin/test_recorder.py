from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from unionws import Chain, EnrichedTransfer, Transfer
from unionws.assembly import assemble
from unionws.builtin.recorder import Recorder
from unionws.clock import ManualClock
from unionws.pluginservice import Doors
from unionws.source.recording import Moment, read

SIDES = (Chain("a.1"), Chain("b.2"))
ROW = Transfer("k", *SIDES, send_time=5.0)
ITEM = EnrichedTransfer(ROW, 5.0, "a.1->b.2", "A", "B", False, "", "", None, b"{}")


def record(path: str) -> Any:
    """One run of a service that hears of chains, then of a transfer three seconds later."""
    host = assemble(None, ["PLUGINS_DIR=", f"RECORD_FILE={path}"], {}, [("recorder", Recorder())])[1]
    clock = ManualClock(100.0)
    host.doors = Doors(clock=clock)

    async def run() -> None:
        host.start()
        host.fire("chains_listed", chains=SIDES)
        clock.advance(3.0)
        host.fire("enriched", transfers=[ITEM])
        host.stop()

    asyncio.run(run())
    return host.plugins()[0]


def test_a_run_is_recorded_and_the_next_one_behind_it(tmp_path: Path) -> None:
    """Chains and transfers with their times; the file is continued, not replaced."""
    path = tmp_path / "r.jsonl"
    assert record(str(path)).failures == 0
    run = [Moment(100.0, (), SIDES), Moment(103.0, (ROW,))]
    assert list(read(path)) == run
    record(str(path))
    assert list(read(path)) == run * 2


def test_without_a_file_nothing_is_written(tmp_path: Path) -> None:
    """The default."""
    assert record("").failures == 0


def test_a_file_that_cannot_be_written_is_the_plugin_s_failure(tmp_path: Path) -> None:
    """The stream goes on."""
    assert "No such file" in record(str(tmp_path / "missing" / "r.jsonl")).last_error
