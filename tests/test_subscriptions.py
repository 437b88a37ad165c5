"""Subscribing, filters, resuming: through a whole edge, as clients see it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.talking import Talker
from tests.web.serving import EPOCH, NOW_MS, WALLET, Service, fragment, numbers
from unionws.model import TransfersRecord
from unionws.subscriptions import Subscriptions

SECOND = 1000


@pytest.fixture
def service() -> Iterator[Service]:
    """The ring holds 100 transfers; a resume by cursor goes back 5 s."""
    with Service(
        "HISTORY_RING=100", "OVERLAP_SECONDS=5", "SPREAD_MS=0", "FUTURE_BUFFER_MS=0", "JITTER_MS=0"
    ) as running:
        yield running


@pytest.fixture
def client(service: Service) -> Iterator[Talker]:
    with Talker(service.port) as made:
        made.until("status")
        yield made


def publish(service: Service, first: int, last: int, **fields: Any) -> None:
    """Transfers one record each, a second apart."""
    for number in range(first, last + 1):
        service.transfers(fragment(number, **fields), at=NOW_MS + number * SECOND)
    service.until(lambda: service.edge.fanout.seq == service.seq)


def subscribe(client: Talker, **data: Any) -> dict[str, Any]:
    return client.ask({"type": "subscribe", "id": 1, "data": {"channel": "transfers", **data}})


def replayed(client: Talker) -> list[int]:
    """Numbers of all transfers up to caughtUp; every frame joins the one before."""
    found: list[int] = []
    last = None
    while (message := client.next())["type"] == "transfers":
        assert message["replay"] is True
        assert last is None or message["prev"] == last
        last = message["seq"]
        found += numbers(message["data"])
    assert message["type"] == "caughtUp"
    assert message["data"]["count"] == len(found)
    return found


# -- channels -----------------------------------------------------------------------------------


def test_a_channel_is_left_and_taken_again(client: Talker, service: Service) -> None:
    """The answers name the channel and the position that the next frame follows on."""
    publish(service, 1, 1)
    client.until("transfers")
    answer = client.ask({"type": "unsubscribe", "data": {"channel": "transfers"}})
    assert answer["type"] == "unsubscribed"
    assert answer["data"] == {"channel": "transfers", "epoch": EPOCH, "seq": 1}
    publish(service, 2, 2)
    answer = subscribe(client)
    assert (answer["type"], answer["id"]) == ("subscribed", 1)
    expected = {"channel": "transfers", "filter": {}, "epoch": EPOCH, "seq": 2, "recovered": True}
    assert answer["data"] == {**expected, "cursor": fragment(2).sort_order, "replaying": False}
    publish(service, 3, 3)
    message = client.next()
    assert (numbers(message["data"]), message["prev"]) == ([3], 2)


def test_leaving_one_channel_makes_no_gap_in_another(service: Service) -> None:
    """What the filter did not match meanwhile is accounted for."""
    with Talker(service.port, "?from=nowhere.1") as client:
        client.until("status")
        publish(service, 1, 5)
        answer = client.ask({"type": "unsubscribe", "data": {"channel": "status"}})
        publish(service, 6, 6, source="nowhere.1")
        message = client.next()
    assert (message["prev"], message["seq"]) == (5, 6)
    assert message["prev"] <= answer["data"]["seq"]


def test_another_channel_has_no_filter_and_no_past(client: Talker) -> None:
    """Told, not ignored."""
    answer = client.ask({"type": "subscribe", "data": {"channel": "rates"}})
    assert answer["data"]["channel"] == "rates"
    assert "filter" not in answer["data"]
    for extra in ({"filter": {}}, {"resume": {"cursor": "c"}}, {"snapshot": 1}):
        answer = client.ask({"type": "subscribe", "data": {"channel": "rates", **extra}})
        assert (answer["type"], answer["code"]) == ("error", "invalid_message")


@pytest.mark.parametrize("type", ["subscribe", "unsubscribe"])
def test_an_unknown_channel_is_refused(client: Talker, type: str) -> None:
    """The answer lists those there are."""
    answer = client.ask({"type": type, "data": {"channel": "weather"}})
    assert answer["code"] == "unknown_channel"
    assert "'weather'" in answer["message"]
    assert "transferUpdates" in answer["message"]


# -- filters ------------------------------------------------------------------------------------


def test_a_filter_is_answered_in_its_canonical_form(client: Talker, service: Service) -> None:
    """And holds from the answer on."""
    wanted = {"assets": ["B", "a", "A"], "wallets": [WALLET.upper().replace("X", "x")], "minAmount": "01.50"}
    data = subscribe(client, filter=wanted)["data"]
    assert data["filter"] == {"assets": ["a", "b"], "wallets": [WALLET], "minAmount": "1.5"}
    publish(service, 1, 1)
    publish(service, 2, 2, symbol="b")
    message = client.next()
    assert numbers(message["data"]) == [2]
    assert (message["prev"], message["seq"]) == (0, 2)


@pytest.mark.parametrize(
    "wanted", [{"chain": ["a.1"]}, {"fromChains": "a b"}, {"minAmount": 5}, [], "x", {"wallets": ["nobody"]}]
)
def test_a_bad_filter_changes_nothing(client: Talker, service: Service, wanted: Any) -> None:
    """The subscription stays what it was."""
    answer = subscribe(client, filter=wanted)
    assert (answer["type"], answer["code"]) == ("error", "invalid_filter")
    publish(service, 1, 1)
    assert numbers(client.next()["data"]) == [1]


def test_filters_beyond_the_server_s_limit_are_refused() -> None:
    """Those there are can still be shared."""
    with (
        Service("MAX_FILTER_GROUPS=2") as service,
        Talker(service.port) as one,
        Talker(service.port) as other,
    ):
        for client in (one, other):
            client.until("status")
        assert subscribe(one, filter={"assets": ["a"]})["type"] == "subscribed"
        assert subscribe(other, filter={"assets": ["b"]})["code"] == "too_many_keys"
        assert subscribe(other, filter={"assets": ["a"]})["type"] == "subscribed"


# -- snapshots ----------------------------------------------------------------------------------


def test_a_snapshot_has_the_newest_that_the_filter_passes(client: Talker, service: Service) -> None:
    """As one replayed frame, oldest first, that accounts for nothing new."""
    publish(service, 1, 6)
    client.several(6)
    publish(service, 7, 8, symbol="x")
    client.several(2)
    assert subscribe(client, filter={"assets": ["u"]}, snapshot=3)["data"]["replaying"] is False
    message = client.next()
    assert (numbers(message["data"]), message["replay"]) == ([4, 5, 6], True)
    assert (message["prev"], message["seq"]) == (8, 8)
    publish(service, 9, 9)
    assert client.next()["prev"] == 8


def test_a_snapshot_has_nothing_that_is_about_to_come_live(service: Service) -> None:
    """The first transfer of another epoch is taken in already, and delivered in the next turn."""
    publish(service, 1, 3)
    with Talker(service.port, "?channels=transfers") as client:
        client.until("serverInfo")
        item = fragment(4)

        def subscribe_anew() -> None:
            edge = service.edge
            (one,) = edge.parking
            edge.on_record(TransfersRecord("otherepoch01", 1, item.sort_order, False, NOW_MS, (item,)))
            edge.subscriptions.begin(one, edge.subscriptions.key(one), None, 3, lambda data: None)

        service.call(subscribe_anew)
        message = client.next()
        assert (message["type"], message["epoch"]) == ("transfers", "otherepoch01")
        assert "replay" not in message


def test_no_snapshot_without_a_match(client: Talker, service: Service) -> None:
    """Then the next frame is a live one."""
    publish(service, 1, 2)
    client.several(2)
    subscribe(client, filter={"assets": ["x"]}, snapshot=3)
    publish(service, 3, 3, symbol="x")
    message = client.next()
    assert (numbers(message["data"]), "replay" in message) == ([3], False)


# -- resuming -----------------------------------------------------------------------------------


def test_resume_by_position_in_a_request(client: Talker, service: Service) -> None:
    """Everything behind the position, then live without a hole."""
    publish(service, 1, 20)
    client.several(20)
    answer = subscribe(client, resume={"epoch": EPOCH, "seq": 5})
    assert (answer["data"]["recovered"], answer["data"]["replaying"]) == (True, True)
    assert replayed(client) == list(range(6, 21))
    publish(service, 21, 21)
    message = client.next()
    assert (numbers(message["data"]), message["prev"], "replay" in message) == ([21], 20, False)


def test_resume_in_the_url(service: Service) -> None:
    """The answer to subscribe comes without having asked, behind the greeting."""
    publish(service, 1, 20)
    with Talker(service.port, f"?channels=transfers&resume={EPOCH}:15") as client:
        answer = client.until("subscribed")
        assert "id" not in answer
        assert answer["data"]["replaying"] is True
        assert replayed(client) == [16, 17, 18, 19, 20]


def test_resume_at_the_head_or_ahead_of_it_is_live_at_once(service: Service) -> None:
    """Another edge may have been a record further."""
    publish(service, 1, 3)
    for seq in (3, 4):
        with Talker(service.port, f"?channels=transfers&resume={EPOCH}:{seq}") as client:
            data = client.until("subscribed")["data"]
            assert (data["seq"], data["recovered"], data["replaying"]) == (3, True, False)


def test_a_position_that_has_expired_is_told_and_the_rest_replayed(service: Service) -> None:
    """The ring holds 100."""
    publish(service, 1, 150)
    with Talker(service.port, f"?channels=transfers&resume={EPOCH}:10") as client:
        answer = client.until("subscribed")["data"]
        gap = client.next()
        assert (answer["recovered"], answer["replaying"]) == (False, True)
        assert (gap["type"], gap["epoch"], gap["seq"]) == ("gap", EPOCH, 50)
        expected = {"channel": "transfers", "fromSeq": 11, "toSeq": 50, "reason": "history_expired"}
        assert gap["data"] == {**expected, "epoch": EPOCH}
        assert replayed(client) == list(range(51, 151))


def test_a_position_of_another_epoch_is_told(service: Service) -> None:
    """Without a cursor nothing can be found again; live goes on."""
    publish(service, 1, 3)
    with Talker(service.port, "?channels=transfers&resume=otherepoch:1") as client:
        data = client.until("subscribed")["data"]
        assert (data["recovered"], data["replaying"]) == (False, False)
        gap = client.next()["data"]
        assert (gap["reason"], gap["toSeq"]) == ("epoch_changed", 3)
        publish(service, 4, 4)
        assert client.next()["prev"] == 3


def test_resume_by_cursor_goes_back_by_the_overlap(service: Service) -> None:
    """Rows can be late, so it starts what was published 5 s before the cursor's row."""
    publish(service, 1, 30)
    with Talker(service.port, f"?channels=transfers&cursor={fragment(20).sort_order}") as client:
        assert client.until("subscribed")["data"]["recovered"] is True
        assert replayed(client) == list(range(15, 31))


def test_a_cursor_helps_where_the_epoch_is_another(service: Service) -> None:
    """A position of another instance with its cursor."""
    publish(service, 1, 30)
    query = f"?channels=transfers&resume=otherepoch:999&cursor={fragment(28).sort_order}"
    with Talker(service.port, query) as client:
        assert client.until("subscribed")["data"]["recovered"] is True
        assert replayed(client) == list(range(23, 31))


def test_a_cursor_older_than_what_is_held_is_told(service: Service) -> None:
    """What is held is replayed all the same."""
    publish(service, 1, 150)
    with Talker(service.port, f"?channels=transfers&cursor={fragment(2).sort_order}") as client:
        assert client.until("subscribed")["data"]["recovered"] is False
        gap = client.next()["data"]
        assert (gap["fromSeq"], gap["toSeq"], gap["reason"]) == (0, 50, "history_expired")
        assert replayed(client) == list(range(51, 151))


def test_a_filter_change_during_a_replay_holds_for_the_rest_and_for_live(service: Service) -> None:
    """Replay and live meet under the new filter."""
    publish(service, 1, 40)
    publish(service, 41, 80, symbol="x")
    with Talker(service.port) as client:
        client.until("status")
        client.say(
            {"type": "subscribe", "data": {"channel": "transfers", "resume": {"epoch": EPOCH, "seq": 0}}}
        )
        client.say({"type": "setFilter", "data": {"channel": "transfers", "filter": {"assets": ["x"]}}})
        seen: list[int] = []
        while (message := client.next())["type"] != "caughtUp":
            seen += numbers(message["data"]) if message["type"] == "transfers" else []
        assert seen[-40:] == list(range(41, 81))
        publish(service, 81, 81)
        publish(service, 82, 82, symbol="x")
        message = client.next()
        assert (numbers(message["data"]), message["prev"]) == ([82], 80)


def test_subscribing_anew_ends_a_replay(service: Service) -> None:
    """Its live frames start at the answer."""
    publish(service, 1, 80)
    with Talker(service.port) as client:
        client.until("status")
        resume = {"channel": "transfers", "resume": {"epoch": EPOCH, "seq": 0}}
        for data in (resume, {"channel": "transfers"}):
            client.say({"type": "subscribe", "data": data})
        answers = [client.until("subscribed")["data"] for _ in range(2)]
        assert [answer["replaying"] for answer in answers] == [True, False]
        publish(service, 81, 81)
        message = client.next()
        assert (numbers(message["data"]), message["prev"]) == ([81], 80)


# -- the disk -----------------------------------------------------------------------------------


class Disk:
    """A history on disk that answers when it is told to, or fails."""

    def __init__(self) -> None:
        self.lowest: int | None = 1
        self.position: int | None = 10
        self.answer = asyncio.Event()
        self.broken = False
        self.epoch = EPOCH
        self.asked: list[Any] = []

    async def between(self, first: int, last: int) -> TransfersRecord:
        self.asked.append((first, last))
        if self.broken:
            raise OSError("no disk")
        items = tuple(fragment(number) for number in range(first, last + 1))
        return TransfersRecord(self.epoch, last, items[-1].sort_order, False, NOW_MS, items)

    async def position_before(self, cursor: str, back_ms: int) -> int | None:
        self.asked.append((cursor, back_ms))
        await self.answer.wait()
        if self.broken:
            raise OSError("no disk")
        return self.position


@pytest.fixture
def disk(service: Service) -> Disk:
    """A disk behind the service's edge, and 150 transfers, of which 51 to 150 are in memory."""
    made = Disk()
    subscriptions: Subscriptions = service.edge.subscriptions
    service.call(setattr, subscriptions, "_archive", made)
    publish(service, 1, 150)
    return made


def test_the_disk_has_what_memory_has_not(service: Service, disk: Disk) -> None:
    """By position it is not even asked where that is."""
    with Talker(service.port, f"?channels=transfers&resume={EPOCH}:10") as client:
        assert client.until("subscribed")["data"]["recovered"] is True
        assert replayed(client) == list(range(11, 151))
    assert disk.asked == [(11, 100)]


def test_a_cursor_is_looked_up_on_disk_while_everything_else_goes_on(service: Service, disk: Disk) -> None:
    """A filter set meanwhile holds; nothing is sent before the place is known."""
    with Talker(service.port, f"?channels=transfers,status&cursor={fragment(12).sort_order}") as client:
        client.until("status")
        service.until(lambda: disk.asked)
        changed = {"type": "setFilter", "data": {"channel": "transfers", "filter": {"assets": ["u"]}}}
        assert client.ask(changed)["type"] == "filterSet"
        listed = client.ask({"type": "listSubscriptions"})["data"]["subscriptions"]
        assert {"channel": "transfers", "filter": {"assets": ["u"]}} in listed
        publish(service, 151, 151)
        service.call(disk.answer.set)
        answer = client.next()
        assert (answer["type"], answer["data"]["filter"]) == ("subscribed", {"assets": ["u"]})
        assert replayed(client) == list(range(11, 152))
        publish(service, 152, 152)
        assert client.next()["prev"] == 151


def test_a_client_that_changes_its_mind_is_not_moved_by_the_disk(service: Service, disk: Disk) -> None:
    """The answer to an older question comes to nothing."""
    with Talker(service.port, f"?channels=transfers,status&cursor={fragment(12).sort_order}") as client:
        client.until("status")
        service.until(lambda: disk.asked)
        assert subscribe(client)["data"]["replaying"] is False
        service.call(disk.answer.set)
        publish(service, 151, 151)
        message = client.next()
        assert (numbers(message["data"]), "replay" in message) == ([151], False)


def test_a_client_that_leaves_during_a_lookup_leaves_nothing(service: Service, disk: Disk) -> None:
    """Not in a group either."""
    with Talker(service.port, f"?channels=transfers&cursor={fragment(12).sort_order}") as client:
        client.until("serverInfo")
        service.until(lambda: disk.asked)
    service.until(lambda: len(service.edge.parking) == 0)
    service.call(disk.answer.set)
    service.until(lambda: not service.edge.subscriptions._tasks)
    assert len(service.edge.groups) == 0
    assert len(service.edge.subscriptions.replayer) == 0


def test_a_place_the_disk_does_not_know_is_told(service: Service, disk: Disk) -> None:
    """All that is held is replayed."""
    disk.position = None
    service.call(disk.answer.set)
    with Talker(service.port, "?channels=transfers&cursor=0") as client:
        assert client.until("subscribed")["data"]["recovered"] is False
        assert client.next()["data"]["reason"] == "history_expired"
        assert len(replayed(client)) == 150


@pytest.mark.parametrize("trouble", ["broken", "other epoch"])
def test_a_disk_that_cannot_be_read_is_a_gap_not_a_silence(
    service: Service, disk: Disk, trouble: str
) -> None:
    """Neither is one that speaks of another numbering."""
    if trouble == "broken":
        disk.broken = True
    else:
        disk.epoch = "otherepoch01"
    service.call(disk.answer.set)
    with Talker(service.port, f"?channels=transfers&resume={EPOCH}:10") as client:
        client.until("subscribed")
        gap = client.next()["data"]
        assert (gap["fromSeq"], gap["toSeq"], gap["reason"]) == (11, 100, "history_expired")
        assert replayed(client) == list(range(101, 151))


def test_a_lookup_that_fails_is_told(service: Service, disk: Disk) -> None:
    """The client is not left without transfers."""
    disk.broken = True
    service.call(disk.answer.set)
    with Talker(service.port, f"?channels=transfers&cursor={fragment(12).sort_order}") as client:
        assert client.until("subscribed")["data"]["recovered"] is False
        publish(service, 151, 151)
        while numbers(client.until("transfers")["data"])[-1] != 151:
            continue
