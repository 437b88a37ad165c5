"""What clients say to an edge whose clock and loop are turned by hand."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
import ujson

from tests.connections.wire import BINARY, CLOSE, TEXT, masked
from tests.endtoend.follower import Follower
from tests.endtoend.world import SETTINGS, World
from unionws.broadcaster import fanout
from unionws.model import Fragment

OFTEN = SETTINGS.MAX_ERRORS


class Speaker(Follower):
    """A follower that keeps every message."""

    def __init__(self, world: World) -> None:
        super().__init__(world.ledger)
        self.world = world
        self.heard: list[dict[str, Any]] = []
        world.open(self, None)

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == TEXT:
            self.heard.append(ujson.loads(payload))
        elif opcode == CLOSE:
            self.close_code = int.from_bytes(payload[:2], "big")

    def say(self, message: Any, opcode: int = TEXT) -> None:
        """Send a message; it is not answered before the loop is turned."""
        assert isinstance(self.peer, socket.socket)
        text = message if isinstance(message, bytes) else ujson.dumps(message).encode()
        self.peer.send(masked(opcode, text))

    def ask(self, *messages: Any) -> list[dict[str, Any]]:
        """Send messages and return what comes back."""
        self.listen()
        for message in messages:
            self.say(message)
        return self.listen()

    def listen(self) -> list[dict[str, Any]]:
        """All that has come since."""
        known = len(self.heard)
        for _ in range(4):
            self.world.turn(3)
            self.read(65_536)
        return self.heard[known:]


@pytest.fixture
def world() -> Iterator[World]:
    made = World(disk=False)
    yield made
    made.close()


@pytest.fixture
def speaker(world: World) -> Iterator[Speaker]:
    made = Speaker(world)
    made.listen()
    yield made
    made.drop()


def item(number: int) -> Fragment:
    key = f"{number:05}"
    return Fragment(
        key, "a.1", "b.2", "0x", "0x", "u", "0x", "1", False, 0, b'{"sort_order":"%s"}' % key.encode()
    )


def test_answers_come_in_the_order_of_the_questions(speaker: Speaker) -> None:
    """Each with the id of its own."""
    questions = [{"type": "ping", "id": number} for number in range(5)]
    answers = speaker.ask(*questions)
    assert [(answer["type"], answer["id"]) for answer in answers] == [("pong", n) for n in range(5)]


def test_a_change_is_answered_behind_the_turn_under_way(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The frames of the old filter that are still to be written come first, or would look like a gap."""
    monkeypatch.setattr(fanout, "SENDS_PER_SLICE", 1)
    speakers = [Speaker(world) for _ in range(5)]
    for each in speakers:
        each.listen()
    world.publish([item(1)])
    for each in speakers:
        each.say({"type": "setFilter", "data": {"channel": "transfers", "filter": {"assets": ["x"]}}})
    heard = [[message["type"] for message in each.listen()] for each in speakers]
    for each in speakers:
        each.drop()
    assert heard == [["transfers", "filterSet"]] * 5


def test_all_subscriptions_are_listed(speaker: Speaker) -> None:
    """With the filter of the channel that has one."""
    speaker.ask({"type": "setChainFilter", "data": {"fromChain": "a.1", "toChain": None}})
    (answer,) = speaker.ask({"type": "listSubscriptions", "id": "x"})
    transfers = {"channel": "transfers", "filter": {"fromChains": ["a.1"]}}
    assert answer["data"]["subscriptions"] == [{"channel": "status"}, transfers]
    assert answer["id"] == "x"


def test_lasting_messages_are_sent_again_with_the_id(speaker: Speaker) -> None:
    """What there is not yet is not_ready; what there never is names those there are."""
    information, early, wrong = speaker.ask(
        *[{"type": "get", "id": what, "data": {"what": what}} for what in ("serverInfo", "chains", "weather")]
    )
    assert (information["type"], information["id"]) == ("serverInfo", "serverInfo")
    assert (early["code"], early["id"]) == ("not_ready", "chains")
    assert wrong["code"] == "invalid_message"
    assert "chartData, chains, serverInfo" in wrong["message"]


def test_a_handler_that_fails_is_an_error_for_its_caller_alone(
    speaker: Speaker, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection stays, and the text of the exception stays here."""

    def fail(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(world.edge.subscriptions, "set_filter", fail)
    refused, pong = speaker.ask(
        {"type": "setFilter", "id": 7, "data": {"filter": {}}}, {"type": "ping", "id": 8}
    )
    assert (refused["type"], refused["code"], refused["id"]) == ("error", "internal_error", 7)
    assert "secret" not in ujson.dumps(refused)
    assert (pong["type"], pong["id"]) == ("pong", 8)


def test_errors_far_apart_close_nobody(speaker: Speaker, world: World) -> None:
    """Only MAX_ERRORS within a minute do, with 4008; others are not counted in."""
    other = Speaker(world)
    for _ in range(OFTEN - 1):
        speaker.ask(b"nonsense")
    world.clock.advance(61.0)
    for _ in range(OFTEN - 1):
        speaker.ask(b"nonsense")
    assert speaker.close_code is None
    assert other.ask(b"nonsense")[0]["code"] == "invalid_json"
    assert speaker.ask(b"nonsense")[0]["type"] == "error"
    assert speaker.close_code == 4008
    assert other.close_code is None
    other.drop()


def test_nothing_is_answered_behind_the_goodbye(speaker: Speaker) -> None:
    """What comes behind a message that ends the connection is not even looked at."""
    speaker.say(b"x", opcode=BINARY)
    speaker.say({"type": "ping"})
    assert speaker.listen() == []
    assert speaker.close_code == 1003


def test_who_has_gone_is_forgotten(speaker: Speaker, world: World) -> None:
    """Its errors too: the next client may get the same place in memory."""
    speaker.ask(b"nonsense")
    assert len(world.edge.conversation._errors) == 1
    speaker.drop()
    world.turn(5)
    assert len(world.edge.conversation._errors) == 0
