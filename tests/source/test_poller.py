from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass, field

import pytest

from tests.source.indexers import FastClock, Table, row, run, until
from unionws.settings import Settings
from unionws.source.poller import Poller
from unionws.source.simulator import Bursts, Faults, Simulator
from unionws.source.transport import Transport

OLD = [f"2025{n:04d}" for n in range(5)]


@dataclass
class Stage:
    """A poller on a stand-in that serves a table, with what it handed on."""

    table: Table
    got: list[str] = field(default_factory=list)
    batches: list[list[str]] = field(default_factory=list)
    spoil: object = None
    in_flight: int = 0
    most_in_flight: int = 0

    async def reply(self, handler, body):
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if self.spoil is not None:
                await self.spoil(handler, body)
            else:
                handler.write(self.table.page(body))
        finally:
            self.in_flight -= 1

    def take(self, transfers):
        keys = [transfer.sort_order for transfer in transfers]
        self.batches.append(keys)
        self.got.extend(keys)


def play(scene, *, speed=20.0, deadline=8.0, resume_from=None, known=(), keys=OLD, take=None, **options):
    """A scene with a started poller whose clock runs ``speed`` times as fast."""

    async def with_poller(indexer):
        transport = Transport(indexer.url, deadline=deadline)
        poller = Poller(
            transport,
            Settings(**{"POLL_INTERVAL": 20, **options}),
            on_batch=take or stage.take,
            clock=FastClock(speed),
            resume_from=resume_from,
            known=known,
        )
        poller.start()
        try:
            await scene(stage, poller, indexer)
        finally:
            await poller.stop()
            transport.close()

    stage = Stage(Table(list(keys)))
    run(stage.reply, with_poller)


def test_only_rows_that_appear_after_the_start_are_handed_on():
    """New rows once each, in send order; what was there is not news."""

    async def scene(stage, poller, indexer):
        await until(lambda: not poller.stats()["isInitialFetch"])
        stage.table.keys += ["20260002", "20260001"]
        await until(lambda: len(stage.got) == 2)
        await asyncio.sleep(0.2)
        assert stage.batches == [["20260001", "20260002"]]
        assert stage.most_in_flight == 1
        assert poller.stats()["cursor"] == "20260002"

    play(scene)


def test_a_row_behind_the_cursor_is_found_by_the_rescan():
    """Late rows are handed on once and counted."""

    async def scene(stage, poller, indexer):
        await until(lambda: not poller.stats()["isInitialFetch"])
        stage.table.keys.append("20260009")
        await until(lambda: stage.got)
        stage.table.keys.append("20260005")
        await until(lambda: len(stage.got) == 2)
        assert poller.stats()["lateRows"] == 1
        await asyncio.sleep(0.2)
        assert stage.got == ["20260009", "20260005"]

    play(scene)


def test_a_burst_larger_than_a_page_is_read_at_once():
    """Page after page, none lost, none twice."""

    async def scene(stage, poller, indexer):
        await until(lambda: not poller.stats()["isInitialFetch"])
        burst = [f"2026{n:05d}" for n in range(730)]
        stage.table.keys += burst
        await until(lambda: len(stage.got) >= 730)
        assert stage.got == burst
        assert max(map(len, stage.batches)) == 100

    play(scene)


async def status_500(handler, body):
    handler.set_status(500)


async def status_429(handler, body):
    handler.set_status(429)
    handler.set_header("Retry-After", "3")


async def hang(handler, body):
    await asyncio.sleep(30)


async def garbage(handler, body):
    handler.write("<html>")


async def errors(handler, body):
    handler.write({"errors": [{"message": "overloaded"}], "data": {"v2_transfers": []}})


async def null(handler, body):
    handler.write({"data": None})


async def no_list(handler, body):
    handler.write({"data": {"v2_transfers": {"a": 1}}})


FAULTS = {
    "status": status_500,
    "timeout": hang,
    "garbage": garbage,
    "refused": errors,
}


@pytest.mark.parametrize(
    ("kind", "fault"),
    [*FAULTS.items(), ("status", status_429), ("refused", null), ("garbage", no_list)],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_fault_is_told_and_outlived(kind, fault, caplog):
    """The state and the log say so, it recovers by itself, and rows of the meantime arrive once."""

    async def scene(stage, poller, indexer):
        await until(lambda: poller.state == "ok")
        stage.spoil = fault
        await until(lambda: poller.stats()["consecutiveFailures"] >= 2)
        stage.table.keys += ["20260001", "20260002"]
        await until(lambda: poller.state == "stale")
        assert poller.stats()["lastError"]["kind"] == kind
        stage.spoil = None
        await until(lambda: poller.state == "ok" and len(stage.got) == 2)
        assert stage.got == ["20260001", "20260002"]
        assert poller.stats()["consecutiveFailures"] == 0

    play(scene, deadline=0.1)
    assert [record.fields["kind"] for record in caplog.records if "no usable answer" in record.msg] == [kind]
    states = [record.msg for record in caplog.records if "state" in getattr(record, "fields", {})]
    assert states[-1:] == ["the indexer is stale"] or "the indexer is ok" in states


def test_it_is_down_after_half_a_minute_and_asks_less_and_less(caplog):
    """The waits double; it never stops asking."""

    async def scene(stage, poller, indexer):
        stage.spoil = status_500
        await until(lambda: poller.stats()["failures"] == 6)
        assert poller.state == "down"
        assert len(indexer.asked) == 6
        stage.spoil = None
        await until(lambda: poller.state == "ok")

    play(scene, speed=100.0)
    assert [record.levelno for record in caplog.records].count(logging.WARNING) <= 3


def test_rows_that_cannot_be_used_are_counted_and_do_not_stop_the_rest():
    """Also told as a figure of the last minute; the same row is counted once."""

    async def spoilt(handler, body):
        good = [row(key) for key in ("20260001", "20260004") if key > body["variables"].get("cursor", "")]
        bad = [7, row("20260002", source_chain=None, source_universal_chain_id=3), row(None)]
        handler.write({"data": {"v2_transfers": [*bad, *good]}})

    async def scene(stage, poller, indexer):
        stage.spoil = spoilt
        await until(lambda: len(stage.got) == 2)
        await asyncio.sleep(0.2)
        stats = poller.stats()
        assert stage.got == ["20260001", "20260004"]
        assert stats["state"] == "ok"
        assert stats["unusable"]["no_source_chain"] == 1
        assert stats["unusable"]["not_an_object"] >= 1
        assert stats["unusableLastMinute"] >= 3

    play(scene, resume_from="20250000")


def test_a_batch_that_is_not_taken_is_logged_and_not_repeated(caplog):
    """The stream goes on."""
    taken = []

    def take(transfers):
        taken.append([transfer.sort_order for transfer in transfers])
        if len(taken) == 1:
            raise RuntimeError("no")

    async def scene(stage, poller, indexer):
        await until(lambda: not poller.stats()["isInitialFetch"])
        stage.table.keys.append("20260001")
        await until(lambda: taken)
        stage.table.keys.append("20260002")
        await until(lambda: len(taken) == 2)
        assert taken == [["20260001"], ["20260002"]]

    play(scene, take=take)
    assert "a batch of transfers was not taken" in caplog.text


@pytest.mark.parametrize(
    ("resume_from", "setting", "expected"),
    [("20250002", "20250000", OLD[3:]), (None, "20250003", OLD[4:])],
)
def test_it_resumes_after_a_stored_position_or_the_setting(resume_from, setting, expected):
    """The stored position goes first; everything after it is handed on."""

    async def scene(stage, poller, indexer):
        await until(lambda: len(stage.got) == len(expected))
        assert stage.got == expected
        assert poller.position == (resume_from or setting)

    play(scene, resume_from=resume_from, LAST_SORT_ORDER=setting)


def test_what_is_known_behind_a_stored_position_is_not_handed_on_again():
    """A restart repeats nothing, though it looks at everything behind the position."""

    async def scene(stage, poller, indexer):
        await until(lambda: len(stage.got) == len(OLD) - 2)
        assert stage.got == [key for key in OLD if key not in (OLD[0], OLD[2])]
        assert set(poller.seen) == set(OLD[1:])

    play(scene, resume_from=OLD[0], known=[OLD[2]])


@pytest.mark.parametrize(("only", "variables"), [(True, {"network": "mainnet"}), (False, {})])
def test_mainnet_only_is_asked_of_the_indexer(only, variables):
    """Otherwise the argument is left out."""

    async def scene(stage, poller, indexer):
        await until(lambda: len(indexer.asked) > 2)
        for asked in indexer.asked:
            asked["variables"].pop("cursor", None)
            assert asked["variables"] == {"limit": 50, **variables}

    play(scene, MAINNET_ONLY=only, POLL_LIMIT=50)


def test_stop_gives_up_a_hanging_request():
    """It does not wait for the deadline."""

    async def scene(stage, poller, indexer):
        stage.spoil = hang
        await until(lambda: stage.in_flight)
        began = asyncio.get_running_loop().time()
        await poller.stop()
        assert asyncio.get_running_loop().time() - began < 5
        asked = len(indexer.asked)
        await asyncio.sleep(0.1)
        assert len(indexer.asked) == asked

    play(scene, deadline=30.0)


def test_polling_goes_on_when_the_wall_clock_is_set_back(monkeypatch):
    """Tornado's PeriodicCallback alone would sleep for as long as the step."""

    async def scene(stage, poller, indexer):
        await until(lambda: len(indexer.asked) > 3)
        loop_class = type(poller._timer.io_loop)
        real = loop_class.time
        monkeypatch.setattr(loop_class, "time", lambda self: real(self) - 3600.0)
        asked = len(indexer.asked)
        await until(lambda: len(indexer.asked) > asked + 10)

    play(scene)


def test_every_row_of_the_simulator_arrives_exactly_once():
    """A fifth late, duplicates, nulls, rows spoilt at random and bursts of 300."""
    clock = FastClock(8.0, wall=1_800_000_000.0)
    got: Counter[str] = Counter()

    async def scene():
        simulator = Simulator(
            rate=6.0,
            seed=3,
            clock=clock,
            faults=Faults(late=0.2, duplicates=0.1, nulls=0.2),
            bursts=Bursts(low=200, high=300, every=12.0),
            people=500,
        )
        port = simulator.start("127.0.0.1", 0)
        transport = Transport(f"http://127.0.0.1:{port}/v1/graphql")
        options = Settings(POLL_INTERVAL=62)
        poller = Poller(
            transport, options, on_batch=lambda batch: got.update(t.sort_order for t in batch), clock=clock
        )
        poller.start()
        try:
            await watch(simulator, poller)
        finally:
            await poller.stop()
            transport.close()
            await simulator.stop()

    async def watch(simulator, poller):
        await until(lambda: not poller.stats()["isInitialFetch"])
        started = clock.time()
        await asyncio.sleep(4.0)
        ended = clock.time()
        rows = simulator.transfers_between(started - 60.0, ended)
        expected = {row["sort_order"] for row in rows if started < row["visible_at"] < ended}
        await until(lambda: expected <= set(got), within=40.0)  # others may leave it little of a core
        stats = poller.stats()
        assert set(got.values()) == {1}
        assert len(expected) > 250
        assert stats["lateRows"] > 10
        assert not stats["failures"]

    asyncio.run(scene())
