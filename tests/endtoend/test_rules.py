"""Whatever happens, in whatever order: a client that keeps the rules has everything, or was told.

Publishing, filter changes, slow reading, drops, resumes by position and by cursor, subscriptions
anew, restarts, edges and ingests that die at any moment, a disk that refuses or is gone, history that
expires, a numbering that cannot be proved, a bus that loses records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.endtoend.follower import ALL, Follower, Wish
from tests.endtoend.world import World
from unionws.broadcaster import fanout, replay
from unionws.model import Fragment

CHAINS = ("a.1", "b.2")
WALLETS = ("0x" + "11" * 20, "0x" + "22" * 20)
WISHES = st.sampled_from(
    [ALL, *(Wish("fromChains", chain) for chain in CHAINS), *(Wish("wallets", wallet) for wallet in WALLETS)]
)
WHO = st.integers(0, 3)
SLACK_MS = 3_000
"""Rows come behind the cursor by less than the overlap of a resume by cursor."""

# (source, sender, by how many milliseconds it is late)
TRANSFER = st.tuples(st.sampled_from(CHAINS), st.sampled_from(WALLETS), st.sampled_from([0, 0, 0, SLACK_MS]))
BATCH = st.lists(TRANSFER, min_size=1, max_size=5)
AMID = st.one_of(st.just([]), BATCH)
"""What is being delivered when a request comes."""

TROUBLES = (
    "doubt",
    "expire",
    "heartbeat",
    "kill_edge",
    "kill_ingest",
    "lose_a_record",
    "lose_the_state",
    "restart",
)
REASONS = {
    # With a doubt what is on disk has numbers of the next epoch, which a replay in this one cannot use.
    "history_expired": {"expired", "no disk", "hole", "disk", "state lost", "doubt"},
    "epoch_changed": {"doubt", "disk", "state lost"},
    "slow_consumer": {"slow"},
}
"""What has to have happened for a client to be told of it."""


@contextmanager
def small() -> Iterator[None]:
    """Turns, chunks and pauses so small that everything has to interleave."""
    with (
        patch.object(fanout, "SENDS_PER_SLICE", 1),
        patch.object(replay, "CHUNK", 4),
        patch.object(replay, "SLICE_SECONDS", -1.0),
        patch.object(replay, "PAUSE_SECONDS", 0),
        patch.object(replay, "WAIT_SECONDS", 0),
        patch.object(replay, "TURNS_FIRST", 0),
    ):
        yield


class Rules(RuleBasedStateMachine):
    """At most four followers of one service."""

    def __init__(self) -> None:
        super().__init__()
        self.small = small()
        self.small.__enter__()
        self.followers: list[Follower] = []
        self.count = 0

    @initialize(disk=st.booleans(), wishes=st.lists(WISHES, min_size=1, max_size=3))
    def start(self, disk: bool, wishes: list[Wish]) -> None:
        self.world = World(disk)
        self.publish([(CHAINS[0], WALLETS[0], 0)], 0, 1)
        self.world.second()
        for wish in wishes:
            self.connect(wish, True)

    def some(self, who: int) -> Follower:
        return self.followers[who % len(self.followers)]

    # -- the service ----------------------------------------------------------------------------

    def items(self, batch: list[tuple[str, str, int]]) -> list[Fragment]:
        self.world.clock.advance(1.0)
        return [self.item(*transfer) for transfer in batch]

    def item(self, source: str, sender: str, late: int) -> Fragment:
        self.count += 1
        when = int(self.world.clock.time() * 1000) - late
        key = f"{when}-{self.count:05}"
        body = f'{{"sort_order":"{key}","pad":"{"x" * 300}"}}'.encode()
        return Fragment(key, source, "c.3", sender, WALLETS[1], "u", "0x75", "1", False, when, body)

    @rule(batch=BATCH, more=st.integers(0, 2), turns=st.integers(0, 3))
    def publish(self, batch: list[tuple[str, str, int]], more: int, turns: int) -> None:
        for _ in range(1 + more):
            self.world.publish(self.items(batch))
        self.world.turn(turns)

    def deliver(self, batch: list[tuple[str, str, int]], turns: int) -> None:
        """Begin to deliver some, if any, and stop in the middle."""
        if batch:
            self.publish(batch, 0, turns)

    @rule(count=st.integers(1, 20))
    def turn(self, count: int) -> None:
        self.world.turn(count)

    @rule(what=st.sampled_from(TROUBLES))
    def trouble(self, what: str) -> None:
        """Of this class where it is defined here, else of the world."""
        getattr(self if hasattr(self, what) else self.world, what)()

    @rule()
    def second(self) -> None:
        self.world.clock.advance(1.0)
        self.world.second()

    @rule(batch=BATCH)
    def kill_ingest_before_it_publishes(self, batch: list[tuple[str, str, int]]) -> None:
        """What it had committed is there, and was not sent."""
        self.world.publish(self.items(batch), sent=False)
        self.world.kill_ingest()

    @rule(batch=BATCH, seconds=st.integers(0, 2), end=st.sampled_from(["kill_ingest", "restart", ""]))
    def disk_trouble(self, batch: list[tuple[str, str, int]], seconds: int, end: str) -> None:
        """It refuses for a while; ingest may end before it works again."""
        self.world.disk_refuses()
        self.publish(batch, 0, 1)
        for _ in range(seconds):
            self.second()
        if end:
            getattr(self.world, end)()
        else:
            self.world.disk_works()

    def lose_a_record(self) -> None:
        """The edge was cut off the bus for too long, and finds out with the next."""
        self.world.troubles.add("hole")
        for delivered in (False, True):
            self.world.publish(self.items([(CHAINS[0], WALLETS[0], 0)]), delivered=delivered)

    def lose_the_state(self) -> None:
        """Ingest begins at 1, once nobody is in the middle of a gap: gaps have no epoch of their own."""
        self.settle()
        self.world.lose_the_state()

    # -- the clients ----------------------------------------------------------------------------

    @precondition(lambda self: len(self.followers) < 4)
    @rule(wish=WISHES, read=st.booleans())
    def connect(self, wish: Wish, read: bool) -> None:
        follower = Follower(self.world.ledger)
        follower.wish = wish
        self.followers.append(follower)
        self.world.open(follower, None)
        if read:
            follower.read(65_536)

    @precondition(lambda self: self.followers)
    @rule(who=WHO, size=st.sampled_from([1, 300, 2_000, 65_536]), turns=st.integers(0, 2))
    def read(self, who: int, size: int, turns: int) -> None:
        self.some(who).read(size)
        self.world.turn(turns)

    @precondition(lambda self: self.followers)
    @rule(who=WHO)
    def drop(self, who: int) -> None:
        self.some(who).drop()

    @precondition(lambda self: self.followers)
    @rule(who=WHO, by_seq=st.booleans(), by_cursor=st.booleans())
    def reconnect(self, who: int, by_seq: bool, by_cursor: bool) -> None:
        follower = self.some(who)
        follower.drop()
        self.world.turn()
        self.world.open(follower, follower.resume(by_seq, by_cursor))

    @precondition(lambda self: self.followers)
    @rule(
        who=WHO,
        batch=BATCH,
        times=st.integers(1, 8),
        by_seq=st.booleans(),
        by_cursor=st.booleans(),
        trouble=st.sampled_from(["", "", "expire", "kill_edge", "kill_ingest", "restart"]),
        then=st.lists(st.tuples(BATCH, st.integers(0, 3)), max_size=4),
    )
    def be_away(
        self,
        who: int,
        batch: list[tuple[str, str, int]],
        times: int,
        by_seq: bool,
        by_cursor: bool,
        trouble: str,
        then: list[tuple[list[tuple[str, str, int]], int]],
    ) -> None:
        """Miss some, perhaps more than the edge keeps, and come back while more is published."""
        self.some(who).drop()
        for _ in range(times):
            self.publish(batch, 0, 1)
        if trouble:
            self.trouble(trouble)
        self.reconnect(who, by_seq, by_cursor)
        for more, turns in then:
            self.publish(more, 0, turns)

    @precondition(lambda self: self.followers)
    @rule(who=WHO, wish=WISHES, amid=AMID, turns=st.integers(0, 4))
    def set_filter(self, who: int, wish: Wish, amid: list[tuple[str, str, int]], turns: int) -> None:
        self.deliver(amid, turns)
        self.some(who).request("setFilter", wish, channel="transfers", filter=wish.json())

    @precondition(lambda self: self.followers)
    @rule(
        who=WHO,
        wish=WISHES,
        resume=st.booleans(),
        by_cursor=st.booleans(),
        snapshot=st.sampled_from([0, 0, 3]),
        amid=AMID,
        turns=st.integers(0, 4),
    )
    def subscribe(
        self,
        who: int,
        wish: Wish,
        resume: bool,
        by_cursor: bool,
        snapshot: int,
        amid: list[tuple[str, str, int]],
        turns: int,
    ) -> None:
        self.deliver(amid, turns)
        follower = self.some(who)
        place = follower.resume(not by_cursor, by_cursor) if resume else None
        more = {"snapshot": snapshot} if snapshot else {}
        follower.request("subscribe", wish, place, channel="transfers", filter=wish.json(), **more)

    @precondition(lambda self: self.followers)
    @rule(who=WHO, type=st.sampled_from(["subscribe", "unsubscribe"]))
    def other_channel(self, who: int, type: str) -> None:
        self.some(who).request(type, channel="status")

    # -- the judgement --------------------------------------------------------------------------

    @invariant()
    def nobody_is_refused(self) -> None:
        assert not [error for follower in self.followers for error in follower.errors]

    def teardown(self) -> None:
        try:
            if hasattr(self, "world"):
                self.judge()
        finally:
            for follower in self.followers:
                follower.drop()
            if hasattr(self, "world"):
                self.world.close()
            self.small.__exit__(None, None, None)

    def judge(self) -> None:
        """All come back, read all there is, and get the next transfers live."""
        self.settle()
        batch = [(chain, wallet, 0) for chain in CHAINS for wallet in WALLETS]
        for _ in range(2):
            self.world.publish(self.items(batch))
            self.settle()
        for follower in self.followers:
            lost = follower.lost()
            assert not lost, f"lost without a word: {lost}"
            assert not follower.wrong, follower.wrong
            assert "hole" in self.world.troubles or not follower.false_gaps, follower.false_gaps
            for reason in follower.reasons:
                assert self.world.troubles & REASONS[reason], f"told of {reason} for nothing"

    def settle(self) -> None:
        """Everybody is connected and has read everything, and the service has nothing left to do."""
        quiet = 0
        while quiet < 6:
            self.world.turn(4)
            moved = [follower.read(65_536) for follower in self.followers]
            quiet = 0 if any(moved) or len(self.world.edge.subscriptions.replayer) else quiet + 1
            for follower in self.followers:
                if follower.peer is None or follower.close_code is not None:
                    follower.drop()
                    self.world.open(follower, follower.resume(by_seq=True, by_cursor=False))
                    quiet = 0


TestRules = Rules.TestCase
TestRules.settings = settings(max_examples=400, stateful_step_count=40, deadline=None)


ONE = (CHAINS[0], WALLETS[0], 0)
AGAIN = {"by_seq": False, "by_cursor": False}
ANEW = {"wish": ALL, "by_cursor": False, "snapshot": 0, "turns": 0}


def back_while_slow(rules: Rules) -> None:
    """Goes back to an earlier position while what it has not read is being skipped."""
    rules.connect(ALL, True)
    rules.publish([ONE] * 2, 0, 0)
    rules.publish([ONE] * 3, 0, 0)
    for _ in range(2):
        rules.connect(ALL, False)
    for count in (2, 1, 1):
        rules.publish([ONE] * count, 0, 0)
    rules.other_channel(1, "subscribe")
    rules.subscribe(1, resume=True, amid=[ONE], **ANEW)
    rules.be_away(0, [ONE] * 3, 1, trouble="", then=[], **AGAIN)


def no_more_of_a_replay_while_slow(rules: Rules) -> None:
    """Wants no more of a replay, and is skipped before the answer is out."""
    for count in (2, 3):
        rules.publish([ONE] * count, 0, 0)
    rules.some(0).drop()
    rules.followers.clear()
    rules.connect(ALL, True)
    rules.publish([ONE], 0, 0)
    rules.be_away(0, [ONE] * 2, 1, trouble="", then=[], **AGAIN)
    rules.subscribe(0, resume=False, amid=[], **ANEW)
    rules.kill_ingest_before_it_publishes([ONE] * 4)
    rules.set_filter(0, ALL, [ONE], 0)


def another_epoch_while_slow(rules: Rules) -> None:
    """Is told that its position is of another epoch, and skipped before that is out."""
    rules.connect(ALL, True)
    rules.publish([ONE], 8, 2)
    rules.lose_the_state()
    rules.kill_ingest_before_it_publishes([ONE] * 5)
    rules.kill_ingest_before_it_publishes([ONE])
    rules.subscribe(1, resume=True, amid=[ONE], **ANEW)
    rules.publish([ONE] * 5, 0, 0)


@pytest.mark.parametrize("story", [back_while_slow, no_more_of_a_replay_while_slow, another_epoch_while_slow])
def test_stories_that_once_ended_badly(story: Callable[[Rules], None]) -> None:
    """Found by the machine above; told again each time."""
    rules = Rules()
    try:
        rules.start(False, [ALL])
        story(rules)
    finally:
        rules.teardown()
