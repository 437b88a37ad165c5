"""The client's decisions, without a socket."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.client.standin import QUICK, frame, greeting, transfer
from unionws.client.address import Query
from unionws.client.events import Connected, Event, Gap, MessageReceived, TransferReceived
from unionws.client.reconnect import Ending
from unionws.client.session import Session
from unionws.errors import ClientError


def session(**options: Any) -> Session:
    return Session("ws://h/ws", Query(), QUICK, **options)


def feed(session: Session, *messages: dict[str, Any]) -> list[Event]:
    return [event for message in messages for event in session.received(json.dumps(message))]


def parameters(session: Session) -> dict[str, list[str]]:
    return parse_qs(urlsplit(session.next_url()).query)


def orders(events: list[Event]) -> list[str]:
    return [event.transfer["sort_order"] for event in events if isinstance(event, TransferReceived)]


def gaps(events: list[Event]) -> list[Gap]:
    return [event for event in events if isinstance(event, Gap)]


def test_transfers_of_both_forms_become_one_event_each() -> None:
    """A frame of several and a frame of one give the same kind of event."""
    single = {"type": "transfer", "data": transfer(3), "seq": 3, "prev": 2, "late": True, "timestamp": 1}
    events = feed(session(), frame(2, 0, 1, 2, replay=True), single)
    assert events == [
        TransferReceived(transfer(1), 2, late=False, replay=True),
        TransferReceived(transfer(2), 2, late=False, replay=True),
        TransferReceived(transfer(3), 3, late=True, replay=False),
    ]


def test_repeats_are_dropped_by_sort_order() -> None:
    """A transfer comes once, whichever frames repeat it."""
    assert orders(feed(session(), frame(2, 0, 1, 2), frame(3, 2, 2, 3), frame(4, 3, 1))) == [
        "order-1",
        "order-2",
        "order-3",
    ]


def test_memory_of_a_session_is_bounded() -> None:
    """Beyond ``remember`` the oldest key is forgotten."""
    follow = session(remember=2)
    assert len(orders(feed(follow, frame(3, 0, 1, 2, 3), frame(4, 3, 1)))) == 4


def test_gap_comes_before_the_transfers_behind_it() -> None:
    """The jump is told where it happened."""
    events = feed(session(), greeting(1), frame(2, 1, 2), frame(9, 7, 9))
    assert events[2:] == [Gap(3, 7, "missed"), TransferReceived(transfer(9), 9)]


def test_first_greeting_sets_the_start_without_a_gap() -> None:
    """A stream joined at 500 has missed nothing before it."""
    events = feed(session(), greeting(500), frame(501, 500, 501))
    assert isinstance(events[0], Connected)
    assert gaps(events) == []


def test_first_frame_behind_the_greeting_can_show_a_gap() -> None:
    """The greeting's seq is what the first frame has to join."""
    assert gaps(feed(session(), greeting(500), frame(503, 502, 503))) == [Gap(501, 502, "missed")]


@pytest.mark.parametrize(("seq", "expected"), [(10, []), (9, []), (14, [Gap(11, 14, "reconnected")])])
def test_reconnecting_without_resume_tells_what_was_missed(seq: int, expected: list[Gap]) -> None:
    """The greeting of the next connection shows how far the stream went on meanwhile."""
    follow = session()
    feed(follow, greeting(9), frame(10, 9, 10))
    follow.next_url()
    assert gaps(feed(follow, greeting(seq))) == expected


def test_position_is_sent_only_to_a_server_that_resumes() -> None:
    """Without the feature the query has no position; with it, epoch and seq."""
    follow = session()
    feed(follow, greeting(9), frame(10, 9, 10))
    assert parameters(follow) == {}
    feed(follow, greeting(10, "resume"))
    assert parameters(follow) == {"resume": ["epoch001:10"]}


def test_position_is_sent_only_where_transfers_are_followed() -> None:
    """Of other channels nothing is replayed, so nothing is to be waited for."""
    for channels, asked in [(("status",), {}), (("status", "transfers"), {"resume": ["epoch001:9"]})]:
        follow = Session("ws://h/ws", Query(channels=channels), QUICK)
        feed(follow, greeting(9, "resume"))
        found = parameters(follow)
        assert {name: found[name] for name in found if name != "channels"} == asked


def test_replay_joins_the_old_position_without_a_gap() -> None:
    """While resuming, the greeting's seq does not hide or invent a gap."""
    follow = session()
    feed(follow, greeting(9, "resume"), frame(10, 9, 10))
    follow.next_url()
    events = feed(follow, greeting(40, "resume"), frame(20, 10, 11, replay=True), frame(41, 20, 41))
    assert isinstance(events[0], Connected)
    assert events[0].resuming
    assert gaps(events) == []
    assert orders(events) == ["order-11", "order-41"]


def test_resume_that_is_not_served_is_a_gap() -> None:
    """A server that promises to resume and does not is found out by the first frame."""
    follow = session()
    feed(follow, greeting(9, "resume"), frame(10, 9, 10))
    follow.next_url()
    assert gaps(feed(follow, greeting(40, "resume"), frame(41, 40, 41))) == [Gap(11, 40, "missed")]


def test_server_that_lost_the_feature_is_not_resuming() -> None:
    """A position sent in vain is a reconnect like any other."""
    follow = session()
    feed(follow, greeting(9, "resume"), frame(10, 9, 10))
    follow.next_url()
    assert gaps(feed(follow, greeting(40))) == [Gap(11, 40, "reconnected")]


def test_other_epoch_is_followed_by_cursor() -> None:
    """Another instance numbers differently: the connection is replaced by one with the cursor."""
    follow = session()
    feed(follow, greeting(9, "resume"), frame(10, 9, 10))
    assert parameters(follow) == {"resume": ["epoch001:10"]}
    assert feed(follow, greeting(3, "resume", epoch="epoch002")) == []
    assert follow.reconnect_now
    assert parameters(follow) == {"cursor": ["order-10"]}
    assert not follow.reconnect_now
    replay = frame(3, 0, 10, 11, epoch="epoch002", replay=True)
    events = feed(follow, greeting(3, "resume", epoch="epoch002"), replay, frame(4, 3, 12, epoch="epoch002"))
    assert gaps(events) == []
    assert orders(events) == ["order-11", "order-12"]
    assert parameters(follow) == {"resume": ["epoch002:4"]}


def test_other_epoch_without_resume_is_a_gap() -> None:
    """A restarted server with a new numbering and no history: something may be missing."""
    follow = session()
    feed(follow, greeting(9), frame(10, 9, 10))
    follow.next_url()
    assert gaps(feed(follow, greeting(0, epoch="epoch002"))) == [Gap(None, None, "epoch_changed")]
    assert gaps(feed(follow, frame(1, 0, 1, epoch="epoch002"))) == []


def test_gap_told_by_the_server_is_told_once() -> None:
    """The server's gap message moves the position, so the next frame adds no second gap."""
    follow = session()
    told = {
        "type": "gap",
        "data": {"channel": "transfers", "fromSeq": 11, "toSeq": 30, "reason": "slow_consumer"},
    }
    events = feed(follow, greeting(9), frame(10, 9, 10), told, frame(31, 30, 31))
    assert gaps(events) == [Gap(11, 30, "slow_consumer")]


def test_heartbeat_inside_data_moves_the_position() -> None:
    """Quiet filters: what a heartbeat accounts for is not missing."""
    follow = session()
    heartbeat = {"type": "heartbeat", "data": {"seq": 30, "epoch": "epoch001", "upstream": "ok", "lagMs": 1}}
    events = feed(follow, greeting(9), heartbeat, frame(31, 30, 31))
    assert gaps(events) == []


def test_unknown_types_and_fields_are_passed_on() -> None:
    """New message types of a newer server reach who iterates."""
    message = {"type": "vendor.news", "data": {"x": 1}, "more": 2}
    assert feed(session(), message) == [MessageReceived("vendor.news", {"x": 1}, message)]


def test_server_without_positions_can_be_followed() -> None:
    """The fixed contract alone: no gaps, nothing thrown, no position to resume from."""
    follow = session()
    old = {"type": "transfers", "data": [transfer(1)], "timestamp": 1}
    events = feed(follow, {"type": "connected", "message": "hi", "timestamp": 1}, old)
    follow.next_url()
    events += feed(follow, {"type": "connected", "message": "hi", "timestamp": 1}, old)
    assert orders(events) == ["order-1"]
    assert gaps(events) == []


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "1", '{"type":5}', "{}", b"\x00\x01", "null"])
def test_what_is_no_message_is_counted(text: str | bytes) -> None:
    """Garbage gives no event and no error."""
    follow = session()
    assert follow.received(text) == []
    assert follow.ignored == 1


def test_items_that_are_no_objects_are_counted() -> None:
    """One bad item does not hide the others."""
    follow = session()
    events = feed(follow, {"type": "transfers", "data": [None, transfer(1), 7]})
    assert orders(events) == ["order-1"]
    assert follow.ignored == 2


def test_shutdown_window_reaches_the_next_delay() -> None:
    """The delay after an announced shutdown lies inside the window."""
    follow = session()
    follow.opened(0.0)
    feed(
        follow,
        {"type": "serverShutdown", "data": {"reason": "deploy", "reconnect": {"minMs": 5000, "maxMs": 6000}}},
    )
    ended = follow.ended(Ending(4200, "shutdown"), 1.0)
    assert 5.0 <= ended.retry_in <= 6.0
    assert ended.established


def test_wrong_address_is_refused_at_once() -> None:
    """No connection is tried with an address that cannot work."""
    with pytest.raises(ClientError):
        Session("localhost:8080", Query(), QUICK)


def subscribed(seq: int, *, replaying: bool, recovered: bool = True) -> dict[str, Any]:
    data = {"channel": "transfers", "epoch": "epoch001", "seq": seq, "replaying": replaying}
    return {"type": "subscribed", "data": {**data, "recovered": recovered}, "timestamp": 1}


def resuming(*messages: dict[str, Any]) -> Session:
    """A session that was at 5 and heard these messages on its second connection."""
    follow = session()
    follow.next_url()
    feed(follow, greeting(4, "resume"), frame(5, 4, 5))
    follow.next_url()
    feed(follow, greeting(900, "resume"), *messages)
    return follow


def test_a_connection_lost_during_a_replay_resumes_where_the_replay_was() -> None:
    """The head of the stream, which other messages name meanwhile, is not where this client is."""
    heartbeat = {"type": "heartbeat", "data": {"seq": 910}, "epoch": "epoch001", "timestamp": 1}
    follow = resuming(subscribed(900, replaying=True), heartbeat)
    assert parameters(follow) == {"resume": ["epoch001:5"]}
    follow = resuming(subscribed(900, replaying=True), frame(105, 5, 99, replay=True), heartbeat)
    assert parameters(follow) == {"resume": ["epoch001:105"]}


def test_positions_count_again_when_the_replay_is_over() -> None:
    """caughtUp, a live frame, or a server with nothing to replay: each ends it."""
    heartbeat = {"type": "heartbeat", "data": {"seq": 910}, "epoch": "epoch001", "timestamp": 1}
    caught_up = {"type": "caughtUp", "data": {"channel": "transfers", "seq": 900}, "timestamp": 1}
    live = frame(901, 900, 901)
    for last in (caught_up, live):
        follow = resuming(subscribed(900, replaying=True), frame(900, 5, 99, replay=True), last, heartbeat)
        assert parameters(follow) == {"resume": ["epoch001:910"]}
    assert parameters(resuming(subscribed(900, replaying=False))) == {"resume": ["epoch001:900"]}


def test_what_cannot_be_recovered_is_not_passed_over_before_the_gap_is_told() -> None:
    """A connection lost between the answer and the gap asks again from the old place."""
    answer = subscribed(900, replaying=False, recovered=False)
    assert parameters(resuming(answer)) == {"resume": ["epoch001:5"]}
    data = {"channel": "transfers", "fromSeq": 6, "toSeq": 900, "reason": "history_expired"}
    gap = {"type": "gap", "data": data, "epoch": "epoch001", "seq": 900, "timestamp": 1}
    assert parameters(resuming(answer, gap)) == {"resume": ["epoch001:900"]}


def test_a_gap_in_another_numbering_is_two() -> None:
    """What was missed of the old one has no number."""
    data = {"channel": "transfers", "fromSeq": 3, "toSeq": 8, "reason": "slow_consumer"}
    gap = {"type": "gap", "data": data, "epoch": "epoch002", "seq": 8, "timestamp": 1}
    events = feed(session(), greeting(1), gap)
    assert gaps(events) == [Gap(None, None, "epoch_changed"), Gap(3, 8, "slow_consumer")]
