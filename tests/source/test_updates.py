from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field

from tests.source.indexers import FastClock, row, run, until
from tests.source.test_openings import WALL
from tests.source.test_openings import published as published_at
from unionws.settings import Settings
from unionws.source.simulator import Bursts, Simulator
from unionws.source.transport import Transport
from unionws.source.updates import UpdateFinder

RECEIPT = {"transfer_recv_timestamp": "2025-06-15T12:40:00Z", "success": True}


def published(key):
    """A transfer of just now."""
    return published_at(key, time.time() - WALL)


@dataclass
class Stage:
    """A finder on a stand-in that serves rows, with what it found."""

    rows: dict[str, dict] = field(default_factory=dict)
    found: list = field(default_factory=list)
    quiet: bool = True
    status: int = 200

    async def reply(self, handler, body):
        handler.set_status(self.status)
        cursor = body["variables"]["cursor"]
        rows = [row(key, **changes) for key, changes in sorted(self.rows.items()) if key > cursor]
        handler.write({"data": {"v2_transfers": rows[:100]}})


def play(scene, *, speed=100.0, per_minute=120, **options):
    """A scene with a finder whose clock runs ``speed`` times as fast, and so asks soon."""
    stage = Stage()

    async def with_finder(indexer):
        transport = Transport(indexer.url)
        clock = FastClock(speed)
        finder = UpdateFinder(
            transport,
            Settings(UPDATES_PER_MINUTE=per_minute, **options),
            on_updates=stage.found.extend,
            is_quiet=lambda: stage.quiet,
            clock=clock,
        )
        finder.start()
        try:
            await scene(stage, finder, indexer)
        finally:
            await finder.stop()
            transport.close()

    run(stage.reply, with_finder)


def test_a_receipt_that_comes_later_is_found():
    """The open transfer is read again until its row says how it ended."""

    async def scene(stage, finder, indexer):
        stage.rows = {"1": {}, "2": {}}
        finder.watch([published("1"), published("2")], "0")
        await until(lambda: finder.stats()["requests"])
        assert (stage.found, finder.stats()["open"]) == ([], 2)
        stage.rows["2"] = RECEIPT
        await until(lambda: stage.found)
        assert [(update.about.sort_order, update.facts) for update in stage.found] == [("2", RECEIPT)]
        assert finder.stats()["open"] == finder.stats()["found"] == 1

    play(scene)


def test_only_mainnet_is_asked_for_where_only_mainnet_is_polled():
    """A page shall be full of what was published."""

    async def scene(stage, finder, indexer):
        finder.watch([published("1")], "0")
        await until(lambda: indexer.asked)
        assert indexer.asked[0]["variables"] == {"limit": 100, "network": "mainnet", "cursor": "0"}

    play(scene, MAINNET_ONLY=True)


def test_live_polls_go_first():
    """While the source is busy nothing is asked, however long ago it was due."""

    async def scene(stage, finder, indexer):
        stage.quiet = False
        finder.watch([published("1")], "0")
        await asyncio.sleep(0.8)
        assert not indexer.asked
        stage.quiet = True
        await until(lambda: indexer.asked)

    play(scene)


def test_the_budget_is_kept_whatever_is_due():
    """At 120 requests a minute, one in half a second at most."""

    async def scene(stage, finder, indexer):
        for number in range(5):  # each on a page of its own
            finder.watch([published(f"{number}999")], f"{number}")
            stage.rows |= {f"{number}{step:03}": {} for step in (*range(99), 999)}
        began = asyncio.get_running_loop().time()
        await until(lambda: len(indexer.asked) >= 3)
        assert asyncio.get_running_loop().time() - began > 3 * 0.5 - 0.05

    play(scene)


def test_a_refusal_is_waited_out_and_told_once(caplog):
    """The budget is not spent against a wall."""

    async def scene(stage, finder, indexer):
        stage.status = 500
        finder.watch([published("1")], "0")
        await until(lambda: finder.stats()["failures"])
        asked = len(indexer.asked)
        await asyncio.sleep(0.7)
        assert len(indexer.asked) == asked
        stage.status, stage.rows = 200, {"1": RECEIPT}
        await until(lambda: stage.found)

    with caplog.at_level(logging.WARNING, "unionws.source"):
        play(scene)
    told = [record.getMessage() for record in caplog.records if record.name == "unionws.source"]
    assert told == ["outcomes could not be looked for"]
    caplog.clear()


def test_nothing_is_asked_or_remembered_without_a_budget():
    """0 switches it off."""

    async def scene(stage, finder, indexer):
        finder.watch([published("1")], "0")
        await asyncio.sleep(0.1)
        assert finder.stats() == {"requests": 0, "failures": 0, "found": 0, "open": 0, "forgotten": 0}
        assert not indexer.asked

    play(scene, per_minute=0)


def test_the_indexers_truth_is_found():
    """Against the embedded indexer: each update is what its rows say by then."""

    async def scene():
        clock = FastClock(60.0)
        simulator = Simulator(rate=0.2, seed=3, clock=clock, bursts=Bursts(every=0))
        start = clock.time()
        port = simulator.start("127.0.0.1", 0)
        transport = Transport(f"http://127.0.0.1:{port}/v1/graphql")
        found = []
        finder = UpdateFinder(
            transport,
            Settings(UPDATES_PER_MINUTE=120),
            on_updates=found.extend,
            is_quiet=lambda: True,
            clock=clock,
        )
        finder.start()
        before, *sent = simulator.transfers_between(start - 300, start)
        finder.watch([published(each["sort_order"]) for each in sent], before["sort_order"])
        await until(lambda: len(found) >= len(sent) // 2)
        truth = {each["sort_order"]: each for each in simulator.transfers_between(start - 300, clock.time())}
        for update in found:
            true = truth[update.about.sort_order]
            assert {name: true[name] for name in update.facts} == update.facts
            assert update.packet_hash == true["packet_hash"]
        await finder.stop()
        transport.close()
        await simulator.stop()

    asyncio.run(scene())
