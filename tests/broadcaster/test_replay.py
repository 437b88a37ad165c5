"""Replays without sockets: what each client is sent, and when it goes live."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import ujson

from tests.broadcaster.factory import EPOCH, NOW_MS, fragment
from tests.source.indexers import until
from unionws.broadcaster import replay
from unionws.broadcaster.fanout import Fanout
from unionws.broadcaster.filters import FilterFields
from unionws.broadcaster.groups import GroupKey, Groups
from unionws.broadcaster.replay import CHUNK, Job, Replayer
from unionws.builtin.filters import FIELDS
from unionws.frames import Frame
from unionws.model import TransfersRecord

FILTERS = FilterFields(FIELDS)


def key(form: str = "batch", **fields: object) -> GroupKey:
    return GroupKey(frozenset({"transfers"}), form, False, FILTERS.parse(fields))


@dataclass(eq=False)
class Member:
    """A client that remembers what it was sent; ``backlog``: its socket takes no more."""

    backlog: list[int] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    live_from: int | None = None
    count: int = 0

    @property
    def spans(self) -> list[tuple[int, int]]:
        return [(frame.prev, frame.seq) for frame in self.frames]

    @property
    def messages(self) -> list[dict[str, Any]]:
        """All messages of all frames; the tests' frames have payloads of up to 64 KB."""
        found = []
        for frame in self.frames:
            data = frame.data
            while data:
                size, start = data[1], 2
                if size > 125:
                    assert size == 126
                    size, start = int.from_bytes(data[2:4], "big"), 4
                found.append(ujson.loads(data[start : start + size]))
                data = data[start + size :]
        return found

    @property
    def orders(self) -> list[str]:
        data = [message["data"] for message in self.messages]
        items = [item for each in data for item in (each if isinstance(each, list) else [each])]
        return [item["sort_order"] for item in items]


class Tape:
    """The past: transfers ``lowest`` to ``highest``; in memory from ``memory`` on, the rest on disk.

    Every fifth comes from chain ``five.5``.
    """

    def __init__(self, highest: int, *, lowest: int = 1, memory: int = 1) -> None:
        self.lowest, self.memory, self.highest = lowest, memory, highest
        self.epoch = EPOCH
        self.fetched: list[tuple[int, int]] = []
        self.disk = asyncio.Event()
        self.disk.set()

    def record(self, first: int, last: int) -> TransfersRecord:
        items = [
            fragment(f"{seq:06}", source="a.1" if seq % 5 else "five.5")
            for seq in range(max(first, self.lowest), last + 1)
        ]
        return TransfersRecord(self.epoch, last, f"{last:06}", False, NOW_MS, tuple(items))

    def at_hand(self, first: int, last: int) -> TransfersRecord | None:
        return self.record(first, last) if first >= self.memory else None

    async def fetch(self, first: int, last: int) -> TransfersRecord:
        self.fetched.append((first, last))
        await self.disk.wait()
        return self.record(first, last)


class Stage:
    """A replayer whose fan-out stands at the end of a tape."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        groups = Groups(FILTERS)
        self.fanout = Fanout(groups, None, compress_from=10**9, compress_level=0)  # type: ignore[arg-type]
        self.fanout.position(EPOCH, tape.highest, f"{tape.highest:06}")
        self.settled = 0
        self.replayer = Replayer(
            self.fanout,
            FILTERS,
            tape,
            send=self.send,
            tell_gap=self.tell_gap,
            hand_over=self.hand_over,
            settle=self.settle,
        )

    def send(self, member: Member, frame: Frame) -> None:
        assert not member.backlog
        member.frames.append(frame)

    def tell_gap(self, job: Job, first: int, last: int) -> None:
        job.client.gaps.append((first, last))
        job.told = last

    def hand_over(self, job: Job) -> None:
        job.client.live_from, job.client.count = job.position, job.count

    def settle(self) -> None:
        self.settled += 1

    def start(self, position: int, wanted: GroupKey | None = None, **state: Any) -> Member:
        member = Member(**state)
        self.replayer.start(member, wanted or key(), position)
        return member

    def published(self, highest: int) -> None:
        """The fan-out has delivered more."""
        self.tape.highest = highest
        self.fanout.position(self.fanout.epoch, highest, f"{highest:06}")


def play(tape: Callable[[], Tape], scene: Callable[[Stage], Awaitable[None]]) -> None:
    """Run a scene on a fresh loop; no task may be left."""

    async def run() -> None:
        stage = Stage(tape())
        await asyncio.wait_for(scene(stage), 10)  # type: ignore[arg-type]
        stage.replayer.stop()

    asyncio.run(run())


def numbers(first: int, last: int) -> list[str]:
    return [f"{seq:06}" for seq in range(first, last + 1)]


def test_all_that_was_missed_comes_in_chunks_and_then_live() -> None:
    """Chunks end at multiples of CHUNK, each joins the one before, and every message says replay."""

    async def scene(stage: Stage) -> None:
        member = stage.start(137)
        await until(lambda: member.live_from)
        assert member.spans == [(137, 200), (200, 300), (300, 333)]
        assert member.orders == numbers(138, 333)
        assert all(message["replay"] for message in member.messages)
        assert [(message["prev"], message["seq"]) for message in member.messages] == member.spans
        assert (member.live_from, member.count) == (333, 196)
        assert member.gaps == []
        assert len(stage.replayer) == 0

    play(lambda: Tape(333), scene)


def test_nobody_is_late_any_more_once_the_last_has_caught_up() -> None:
    """Or was cancelled; before that, who is done stays behind those who follow live."""

    async def scene(stage: Stage) -> None:
        done, slow, gone = stage.start(330), stage.start(0, backlog=[1]), stage.start(10, backlog=[1])
        await until(lambda: done.live_from)
        assert stage.settled == 0
        slow.backlog.clear()
        await until(lambda: slow.live_from)
        assert stage.settled == 0
        stage.replayer.cancel(gone)
        assert stage.settled == 1
        stage.replayer.cancel(gone)
        assert stage.settled == 1
        last = stage.start(300)
        await until(lambda: last.live_from)
        assert stage.settled == 2

    play(lambda: Tape(333), scene)


def test_live_delivery_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is replayed in the middle of a turn, unless turns never end."""

    async def scene(stage: Stage) -> None:
        monkeypatch.setattr(replay, "TURNS_FIRST", 1_000_000)
        stage.fanout._targets.append(([], Frame(b"")))  # in the middle of one
        waits = stage.start(0)
        for _ in range(20):
            await asyncio.sleep(replay.PAUSE_SECONDS)
        assert waits.frames == []
        stage.fanout._targets.clear()
        await until(lambda: waits.live_from == 250)
        monkeypatch.setattr(replay, "TURNS_FIRST", 2)
        stage.fanout._targets.append(([], Frame(b"")))
        hurries = stage.start(0)
        await until(lambda: hurries.orders == numbers(1, 250))

    play(lambda: Tape(250), scene)


def test_frames_are_built_once_for_all_who_are_at_the_same_place() -> None:
    """Also for those who started elsewhere, from the next chunk on."""

    async def scene(stage: Stage) -> None:
        members = [stage.start(position) for position in (120, 120, 150)]
        await until(lambda: all(member.live_from for member in members))
        one, same, other = members
        assert [id(frame) for frame in one.frames] == [id(frame) for frame in same.frames]
        assert one.frames[0] is not other.frames[0]
        assert one.frames[1:] == other.frames[1:]
        assert stage.fanout.frames == 2 + 2  # two first chunks, two more for all

    play(lambda: Tape(400), scene)


def test_a_filter_passes_what_it_matches_and_accounts_for_the_rest() -> None:
    """A frame's prev reaches back over chunks in which nothing matched."""

    async def scene(stage: Stage) -> None:
        member = stage.start(0, key(fromChains=["five.5"]))
        nothing = stage.start(0, key(fromChains=["none.0"]))
        await until(lambda: member.live_from and nothing.live_from)
        assert member.orders == [f"{seq:06}" for seq in range(5, 251, 5)]
        assert (nothing.frames, nothing.count, nothing.live_from) == ([], 0, 250)

    play(lambda: Tape(250), scene)


def test_prev_spans_chunks_without_a_match() -> None:
    """So a client that counts by the rule sees no gap."""

    class Rare(Tape):
        def record(self, first: int, last: int) -> TransfersRecord:
            items = [
                fragment(f"{seq:06}", source="rare.9" if seq in (50, 350) else "a.1")
                for seq in range(first, last + 1)
            ]
            return TransfersRecord(EPOCH, last, f"{last:06}", False, NOW_MS, tuple(items))

    async def scene(stage: Stage) -> None:
        member = stage.start(0, key(fromChains=["rare.9"]))
        await until(lambda: member.live_from)
        assert member.spans == [(0, 100), (100, 400)]

    play(lambda: Rare(400), scene)


def test_the_single_form_is_replayed_singly() -> None:
    """One message per transfer, each joining the one before."""

    async def scene(stage: Stage) -> None:
        member = stage.start(7, key("single"))
        await until(lambda: member.live_from)
        assert [message["type"] for message in member.messages] == ["transfer"] * 3
        assert [(m["prev"], m["seq"]) for m in member.messages] == [(7, 8), (8, 9), (9, 10)]

    play(lambda: Tape(10), scene)


def test_a_slow_client_waits_alone() -> None:
    """Nothing is queued for it; it goes on when its socket has taken what it was sent."""

    async def scene(stage: Stage) -> None:
        slow, quick = stage.start(0, backlog=[1]), stage.start(0)
        await until(lambda: quick.live_from)
        assert slow.frames == []
        slow.backlog.clear()
        await until(lambda: slow.live_from)
        assert slow.orders == quick.orders

    play(lambda: Tape(150), scene)


def test_what_has_expired_is_told_before_the_rest() -> None:
    """A whole chunk, and the front of the next."""

    async def scene(stage: Stage) -> None:
        member = stage.start(20)
        await until(lambda: member.live_from)
        assert member.gaps == [(21, 100), (101, 129)]
        assert member.spans == [(129, 200), (200, 250)]
        assert member.orders == numbers(130, 250)

    play(lambda: Tape(250, lowest=130), scene)


def test_the_disk_is_asked_for_what_is_not_in_memory() -> None:
    """Chunk by chunk, and no longer than needed."""

    async def scene(stage: Stage) -> None:
        member = stage.start(10)
        await until(lambda: member.live_from)
        assert stage.tape.fetched == [(11, 100), (101, 200)]
        assert member.orders == numbers(11, 350)

    play(lambda: Tape(350, memory=180), scene)


def test_a_client_that_leaves_while_the_disk_is_asked_gets_nothing_more() -> None:
    """Also when it has started anew meanwhile: then only the new replay counts."""

    async def scene(stage: Stage) -> None:
        stage.tape.disk.clear()
        gone, again = stage.start(0), stage.start(50)
        await until(lambda: stage.tape.fetched)
        stage.replayer.cancel(gone)
        stage.replayer.start(again, key(), 140)
        stage.tape.disk.set()
        await until(lambda: again.live_from)
        assert gone.frames == []
        assert again.orders == numbers(141, 150)

    play(lambda: Tape(150, memory=500), scene)


def test_what_is_published_meanwhile_is_replayed_too() -> None:
    """The client goes live at the very end, not at the end as it was."""

    async def scene(stage: Stage) -> None:
        member = stage.start(0, backlog=[1])
        await asyncio.sleep(0.01)
        stage.published(260)
        member.backlog.clear()
        await until(lambda: member.live_from)
        assert member.orders == numbers(1, 260)
        assert member.live_from == 260

    play(lambda: Tape(150), scene)


def test_nobody_goes_live_in_the_middle_of_a_turn() -> None:
    """The turn under way has its own list of members: one who joined now would miss the rest."""

    async def scene(stage: Stage) -> None:
        stage.fanout._targets.append(([], Frame(b"")))
        member = stage.start(140)
        await until(lambda: member.frames)
        await asyncio.sleep(0.02)
        assert member.live_from is None
        stage.fanout._targets.clear()
        stage.fanout._finish()
        await until(lambda: member.live_from)

    play(lambda: Tape(150), scene)


def test_a_filter_changed_on_the_way_holds_for_the_rest() -> None:
    """The job goes on from where it was, with its account."""

    async def scene(stage: Stage) -> None:
        member = stage.start(0)
        await until(lambda: member.frames)
        job = stage.replayer.job(member)
        assert job is not None
        job.key = key(fromChains=["five.5"])
        position = job.position
        await until(lambda: member.live_from)
        assert member.orders[:position] == numbers(1, position)
        assert member.orders[position:] == [f"{seq:06}" for seq in range(position + 5, 1001, 5)]

    play(lambda: Tape(1000), scene)


def test_another_epoch_ends_a_replay_with_a_gap() -> None:
    """Its positions mean nothing there; the client goes live at the new head."""

    async def scene(stage: Stage) -> None:
        member = stage.start(0, backlog=[1])
        await asyncio.sleep(0.01)
        stage.fanout.position("epoch002", 3, "")
        stage.tape.epoch = "epoch002"
        member.backlog.clear()
        await until(lambda: member.live_from)
        assert (member.gaps, member.frames, member.live_from) == ([(1, 3)], [], 3)

    play(lambda: Tape(150), scene)


def test_transfers_of_an_epoch_that_is_not_delivered_yet_wait() -> None:
    """Memory may be a turn ahead of the fan-out."""

    async def scene(stage: Stage) -> None:
        stage.tape.epoch = "epoch002"
        member = stage.start(0)
        await asyncio.sleep(0.02)
        assert (member.frames, member.gaps) == ([], [])
        stage.fanout.position("epoch002", 5, "")
        await until(lambda: member.live_from)
        assert member.live_from == 5

    play(lambda: Tape(150), scene)


def test_many_replays_leave_the_loop_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two slices something else gets its turn."""
    monkeypatch.setattr(replay, "SLICE_SECONDS", 0.0)

    async def scene(stage: Stage) -> None:
        members = [stage.start(0) for _ in range(50)]
        seen = set()
        while not all(member.live_from for member in members):
            seen.add(sum(len(member.frames) for member in members))
            await asyncio.sleep(0)
        assert len(seen) > 50

    play(lambda: Tape(CHUNK), scene)


def test_stopping_forgets_everything() -> None:
    """And leaves no task."""

    async def scene(stage: Stage) -> None:
        member = stage.start(0, backlog=[1])
        await asyncio.sleep(0)
        stage.replayer.stop()
        assert len(stage.replayer) == 0
        assert stage.replayer.job(member) is None

    play(lambda: Tape(150), scene)
