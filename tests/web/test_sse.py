from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.web.serving import EPOCH, NOW_MS, Events, Service, fragment, numbers
from unionws.connections.eventstream import COMMENT_INTERVAL
from unionws.model import StateRecord


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as running:
        yield running


def got(message: dict) -> list[int]:
    return numbers(message["data"])


def test_the_greeting_is_that_of_a_websocket(service: Service) -> None:
    """The same messages in the same order, and the position to go on from."""
    service.chart({"rev": 1, "currentRates": {}})
    with Events(service.port, "/sse") as reader:
        assert reader.headers["content-type"] == "text/event-stream"
        assert reader.headers["access-control-allow-origin"] == "*"
        types = [message["type"] for message in reader.events(5)]
        assert types == ["connected", "chains", "serverInfo", "chartData", "status"]
        assert reader.last_id == f"{EPOCH}:0"
        assert 1000 <= reader.retry <= 5000


def test_transfers_come_as_events_with_their_position(service: Service) -> None:
    """The id of each is what Last-Event-ID and resume take."""
    with Events(service.port) as reader:
        reader.until("status")
        service.transfers(fragment(1), fragment(2))
        message = reader.until("transfers")
        assert (got(message), message["prev"], reader.last_id) == ([1, 2], 0, f"{EPOCH}:2")
        service.transfers(fragment(3))
        assert (got(reader.until("transfers")), reader.last_id) == ([3], f"{EPOCH}:3")


def test_the_query_is_that_of_a_websocket(service: Service) -> None:
    """Channels, form and filter."""
    query = "/sse?channels=transfers&form=single&asset=eth"
    with Events(service.port, query) as reader:
        assert [message["type"] for message in reader.events(2)] == ["connected", "serverInfo"]
        service.transfers(fragment(1), fragment(2, symbol="eth"), fragment(3))
        message = reader.event()
        assert (message["type"], message["data"]["base_token_symbol"]) == ("transfer", "ETH")
        assert reader.last_id == f"{EPOCH}:3"


def test_last_event_id_resumes_without_hole_or_overlap(service: Service) -> None:
    """What was published meanwhile is replayed, then live goes on."""
    service.transfers(*[fragment(number) for number in range(1, 6)])
    with Events(service.port, "/sse?resume=other:1", Last_Event_ID=f"{EPOCH}:2") as reader:
        subscribed = reader.until("subscribed")["data"]
        assert (subscribed["recovered"], subscribed["replaying"]) == (True, True)
        message = reader.until("transfers")
        assert (got(message), message["prev"], message["replay"]) == ([3, 4, 5], 2, True)
        assert reader.until("caughtUp")["data"]["count"] == 3
        service.transfers(fragment(6))
        message = reader.until("transfers")
        assert (got(message), message["prev"], reader.last_id) == ([6], 5, f"{EPOCH}:6")


def test_who_resumes_keeps_its_position_until_it_is_replayed_to(service: Service) -> None:
    """A stream that breaks before the replay has to be resumed from where it was."""
    service.transfers(*[fragment(number) for number in range(1, 4)])
    with Events(service.port, "/sse", Last_Event_ID=f"{EPOCH}:1") as reader:
        reader.until("subscribed")
        assert reader.last_id == ""


def test_a_position_of_another_numbering_is_answered_with_a_gap(service: Service) -> None:
    """Never a silent start somewhere else."""
    service.transfers(fragment(1))
    with Events(service.port, "/sse", Last_Event_ID="elsewhere:7") as reader:
        assert reader.until("subscribed")["data"]["recovered"] is False
        assert reader.until("gap")["data"]["reason"] == "epoch_changed"
        assert reader.last_id == f"{EPOCH}:1"


@pytest.mark.parametrize(
    ("path", "headers", "status", "words"),
    [
        ("/sse?channels=nope", {}, 400, "unknown_channel"),
        ("/sse?minAmount=x", {}, 400, "minAmount"),
        ("/sse", {"Last_Event_ID": "nonsense"}, 400, "nonsense"),
    ],
)
def test_what_cannot_be_understood_is_refused_readably(
    service: Service, path: str, headers: dict[str, str], status: int, words: str
) -> None:
    """Before the stream opens, as JSON, and readable by pages of any origin."""
    with Events(service.port, path, **headers) as reader:
        body = reader.body().decode()
        assert reader.status == status
        assert words in body
        assert json.loads(body)["error"]
        assert reader.headers["access-control-allow-origin"] == "*"


def test_only_allowed_origins_and_only_get() -> None:
    """The setting that guards /ws guards this door too."""
    with Service("ALLOWED_ORIGINS=https://good.example") as service:
        with Events(service.port, Origin="https://bad.example") as reader:
            assert reader.status == 403
        with Events(service.port, Origin="https://good.example") as reader:
            assert reader.status == 200
        assert service.get("/sse", "POST")[0] == 405


def test_a_full_edge_refuses_and_says_when_to_try_again() -> None:
    """Event streams and WebSockets share the room."""
    with Service("MAX_CLIENTS=1") as service, Events(service.port) as first:
        first.until("status")
        with Events(service.port) as second:
            assert (second.status, second.headers["retry-after"]) == (503, "5")


def test_a_quiet_stream_gets_comments(service: Service) -> None:
    """Proxies see life, and nothing is asked of the reader."""
    with Events(service.port) as reader:
        reader.until("status")
        for _ in range(5 * COMMENT_INTERVAL):  # longer than any ping may go unanswered
            service.call(service.edge.parking.sweep)
        service.transfers(fragment(1))
        reader.until("transfers")
        assert reader.comments == 5


def test_a_reader_that_leaves_is_forgotten(service: Service) -> None:
    """Its descriptor and its group are gone."""
    with Events(service.port) as reader:
        reader.until("status")
        assert len(service.edge.parking) == 1
    service.until(lambda: len(service.edge.parking) == 0)
    assert len(service.edge.groups) == 0


def test_a_slow_reader_is_skipped_and_told() -> None:
    """Bounded as a slow WebSocket client is: a gap takes the place of what it missed."""
    small = ("MAX_BACKLOG_BYTES=100000", "SEND_BUFFER_BYTES=4096")
    with Service(*small) as service, Events(service.port) as reader:
        reader.until("status")
        padding = "x" * 30_000
        sent = 0
        while service.edge.parking.counters.skipped == 0:
            sent += 1
            service.transfers(fragment(sent, token=padding))
        seen: list[int] = []
        last = missed = 0
        while not missed or last < sent:
            message = reader.event()
            if message["type"] == "transfers":
                assert message["prev"] <= last
                seen += got(message)
                last = message["seq"]
            elif message["type"] == "gap":
                data = message["data"]
                assert (data["reason"], reader.last_id) == ("slow_consumer", f"{EPOCH}:{data['toSeq']}")
                missed += data["toSeq"] - data["fromSeq"] + 1
                last = data["toSeq"]
        assert len(seen) + missed == sent
        service.transfers(fragment(sent + 1))
        assert got(reader.until("transfers")) == [sent + 1]


def test_a_shutdown_is_announced_and_ends_the_stream(service: Service) -> None:
    """The last event tells when to come back; then the connection ends, without a close frame."""
    with Events(service.port) as reader:
        reader.until("status")
        service.stop_soon()
        assert reader.until("serverShutdown")["data"]["reason"] == "shutdown"
        assert reader.body() == b""


def test_a_new_epoch_goes_on_in_the_same_stream(service: Service) -> None:
    """Ids follow the numbering."""
    with Events(service.port) as reader:
        reader.until("status")
        service.publish(StateRecord(NOW_MS, EPOCH, 0, "", {}))
        service.transfers(fragment(1))
        reader.until("transfers")
        service.seq = 0
        service.transfers(fragment(2), epoch="nextepoch002")
        reader.until("transfers")
        assert reader.last_id == "nextepoch002:1"
