"""An edge on a real port, fed by hand: what clients of the fixed contract see."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.connections.wire import Got, Peer, close_frame, masked, upgrade
from tests.talking import Talker
from tests.web.serving import EPOCH, Service, fragment, numbers
from unionws.announcements import FEATURES
from unionws.model import MessageRecord

DEFLATE = {"Sec_WebSocket_Extensions": "permessage-deflate; client_max_window_bits"}


@pytest.fixture
def service() -> Iterator[Service]:
    with Service("MAX_MESSAGE_BYTES=2000", "MAX_ERRORS=5") as running:
        yield running


@pytest.fixture
def client(service: Service) -> Iterator[Talker]:
    """A client that has been greeted."""
    with Talker(service.port) as made:
        made.until("status")
        yield made


# -- opening ------------------------------------------------------------------------------------


def test_greeting_in_the_contracts_order(service: Service) -> None:
    """connected, chains, serverInfo, chartData, status, then transfers as they come."""
    service.chart({"rev": 1, "currentRates": {}})
    with Talker(service.port) as client:
        greeting = client.several(5)
        service.transfers(fragment(1))
        greeting.append(client.next())
    types = [message["type"] for message in greeting]
    assert types == ["connected", "chains", "serverInfo", "chartData", "status", "transfers"]


def test_connected_names_client_and_position(service: Service) -> None:
    """The fields of the protocol, in their types."""
    service.transfers(fragment(1), fragment(2))
    service.until(lambda: service.edge.fanout.seq == 2)
    with Talker(service.port) as client, Talker(service.port) as other:
        first, second = client.next(), other.next()
    data = first["data"]
    assert isinstance(first["message"], str)
    assert (data["protocol"], data["epoch"], data["seq"]) == (1, EPOCH, 2)
    assert data["cursor"] == fragment(2).sort_order
    assert data["server"].startswith("unionws/")
    assert data["pingIntervalMs"] == 54_000
    assert data["channels"] == ["chains", "chartData", "status", "transfers"]
    assert data["limits"]["maxMessageBytes"] == 2000
    assert isinstance(data["features"], list)
    assert data["clientId"] != second["data"]["clientId"]


def test_server_info_of_the_contract(service: Service) -> None:
    """Types and all features."""
    with Talker(service.port) as client:
        data = client.until("serverInfo")["data"]
    assert data["serverPrecomputation"] == "enabled"
    assert set(FEATURES) <= set(data["features"])
    assert isinstance(data["architecture"], str)
    assert isinstance(data["maxConnections"], int)


def test_nothing_comes_before_connected(service: Service) -> None:
    """Even when transfers are published in the same moment."""
    for seq in range(1, 30):
        with Talker(service.port) as client:
            service.transfers(fragment(seq))
            assert client.next()["type"] == "connected"


def test_first_chart_comes_to_who_waited_for_it(client: Talker, service: Service) -> None:
    """A chart that was not there at open follows."""
    service.chart({"rev": 1, "currentRates": {"txPerMinute": 3}})
    assert client.next()["data"] == {"rev": 1, "currentRates": {"txPerMinute": 3}}


@pytest.mark.parametrize("form", ["batch", "single"])
def test_form_of_transfers(service: Service, form: str) -> None:
    """One list, or one message each with an object."""
    with Talker(service.port, f"?form={form}") as client:
        client.until("status")
        service.transfers(fragment(1), fragment(2))
        got = client.several(1 if form == "batch" else 2)
    if form == "batch":
        assert numbers(got[0]["data"]) == [1, 2]
    else:
        assert [message["type"] for message in got] == ["transfer", "transfer"]
        assert [numbers([message["data"]]) for message in got] == [[1], [2]]
        assert [(message["prev"], message["seq"]) for message in got] == [(0, 1), (1, 2)]


def test_form_by_setting() -> None:
    """TRANSFER_FORM is for clients that do not choose, such as the deployed page."""
    with Service("TRANSFER_FORM=single") as service, Talker(service.port) as client:
        client.until("status")
        service.transfers(fragment(1))
        assert client.next()["type"] == "transfer"


def test_positions_of_transfers(client: Talker, service: Service) -> None:
    """seq counts every transfer, prev follows on the last frame, late is marked."""
    service.transfers(fragment(1), fragment(2))
    service.transfers(fragment(3), late=True)
    first, second = client.several(2)
    assert (first["epoch"], first["prev"], first["seq"]) == (EPOCH, 0, 2)
    assert (second["prev"], second["seq"], second["late"]) == (2, 3, True)
    assert "late" not in first
    assert second["cursor"] == fragment(3).sort_order


def test_channels_in_the_url(service: Service) -> None:
    """Only what was chosen comes, behind connected and serverInfo."""
    with Talker(service.port, "?channels=transfers,rates") as client:
        assert [message["type"] for message in client.several(2)] == ["connected", "serverInfo"]
        service.chart({"currentRates": {"txPerMinute": 7}})
        assert client.next() | {"timestamp": 0} == {
            "type": "rates",
            "data": {"txPerMinute": 7},
            "timestamp": 0,
        }
        service.transfers(fragment(1))
        assert client.next()["type"] == "transfers"


def test_filter_in_the_url(service: Service) -> None:
    """As if it had been sent."""
    with Talker(service.port, "?channels=transfers&from=babylon.bbn-1,osmosis.osmosis-1") as client:
        client.several(2)
        service.transfers(fragment(1), fragment(2, source="osmosis.osmosis-1"))
        got = client.next()
        assert (numbers(got["data"]), got["prev"], got["seq"]) == ([2], 0, 2)


def test_equal_filters_share_one_group(service: Service) -> None:
    """However they came about."""
    query = "?channels=transfers&wallet="
    with (
        Talker(service.port, query + "0x" + "AB" * 20) as one,
        Talker(service.port, query + "0x" + "ab" * 20) as other,
    ):
        one.several(2)
        other.several(2)
        assert len(service.edge.groups) == 1
        before = service.edge.fanout.frames
        service.transfers(fragment(1))
        assert one.next() == other.next()
        assert service.edge.fanout.frames == before + 1


def test_compressed_client_gets_large_messages_deflated(service: Service) -> None:
    """And small ones plain; the messages are the same."""
    service.chart({"rev": 1, "filler": "x" * 5000})
    with Talker(service.port, **DEFLATE) as packed, Talker(service.port) as plain:
        assert packed.until("chartData") == plain.until("chartData")


def test_large_chart_is_never_sent_plain_to_who_agreed(service: Service) -> None:
    """RSV1 is set on it."""
    service.chart({"rev": 1, "filler": "x" * 5000})
    with Peer.open(service.port, **DEFLATE) as peer:
        frames: list[Got] = []
        while not frames or len(frames) < 5:
            got = peer.frame()
            assert got is not None
            frames.append(got)
    assert frames[3].rsv == 4
    assert len(frames[3].payload) < 1000


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?form=list", "invalid_message"),
        ("?channels=transfer", "unknown_channel"),
        ("?wallet=hello%20world", "invalid_filter"),
        ("?network=moon", "invalid_filter"),
    ],
)
def test_bad_query_is_refused_before_the_upgrade(service: Service, query: str, code: str) -> None:
    """400 with the reason, rather than a stream of something else."""
    with Peer.connect(service.port) as peer:
        peer.send(upgrade(query))
        status, _, body = peer.response()
    assert (status, json.loads(body)["error"]) == (400, code)


def test_origins_that_are_not_allowed() -> None:
    """403 before the upgrade; allowed ones and clients without one come in."""
    with Service("ALLOWED_ORIGINS=https://app.union.build") as service:
        for headers, expected in (
            ({"Origin": "https://evil.example"}, 403),
            ({"Origin": "null"}, 403),
            ({"Origin": "https://app.union.build"}, 101),
            ({}, 101),
        ):
            with Peer.connect(service.port) as peer:
                peer.send(upgrade(**headers))
                assert peer.response()[0] == expected


def test_over_capacity_is_refused() -> None:
    """503 with Retry-After; there is room again when somebody leaves."""
    with Service("MAX_CLIENTS=1") as service:
        with Talker(service.port) as client, Peer.connect(service.port) as refused:
            client.next()
            refused.send(upgrade())
            status, headers, body = refused.response()
            assert (status, json.loads(body)["error"]) == (503, "over_capacity")
            assert int(headers["retry-after"]) > 0
        service.until(lambda: len(service.edge.parking) == 0)
        with Talker(service.port) as client:
            assert client.next()["type"] == "connected"


# -- requests -----------------------------------------------------------------------------------


def test_ping(client: Talker) -> None:
    """A pong with nothing but its time."""
    assert set(client.ask({"type": "ping"})) == {"type", "timestamp"}


@pytest.mark.parametrize("given", [7, -1, "abc", "", 2**70, "\ud800"])
def test_id_is_echoed(client: Talker, given: Any) -> None:
    """In the reply and in an error, whatever it is."""
    assert client.ask({"type": "ping", "id": given})["id"] == given
    assert client.ask({"type": "nonsense", "id": given})["id"] == given


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("", "empty_message"),
        (" \n", "empty_message"),
        ("{", "invalid_json"),
        ("hello", "invalid_json"),
        ([], "invalid_message"),
        ({}, "invalid_message"),
        ({"type": 5}, "invalid_message"),
        ({"type": "ping", "id": {}}, "invalid_message"),
        ({"type": "setChainFilter"}, "invalid_message"),
        ({"type": "setChainFilter", "data": "a.1"}, "invalid_message"),
        ({"type": "setChainFilter", "data": {"fromChain": 5}}, "invalid_message"),
        ({"type": "setChainFilter", "data": {"fromChain": "x" * 101}}, "chain_id_too_long"),
        ({"type": "setChainFilter", "data": {"fromChain": "not a chain"}}, "invalid_filter"),
        ({"type": "setFilter", "data": {"filter": {"wallet": []}}}, "invalid_filter"),
        ({"type": "subscribe", "data": {"channel": "nonsense"}}, "unknown_channel"),
        ({"type": "get", "data": {"what": "chartData"}}, "not_ready"),
        ({"type": "pong"}, "unknown_message_type"),
    ],
)
def test_error_codes_of_the_contract(client: Talker, message: Any, code: str) -> None:
    """The client is told, and stays connected."""
    error = client.ask(message)
    assert (error["type"], error["code"]) == ("error", code)
    assert error["message"]
    assert client.ask({"type": "ping"})["type"] == "pong"


def test_chain_filter_of_the_contract(client: Talker, service: Service) -> None:
    """Both set: both must match; the answer has strings."""
    data = client.ask({"type": "setChainFilter", "data": {"fromChain": "a.1", "toChain": "b.2"}})["data"]
    assert (data["fromChain"], data["toChain"]) == ("a.1", "b.2")
    service.transfers(
        fragment(1, source="a.1"),
        fragment(2, destination="b.2"),
        fragment(3, source="a.1", destination="b.2"),
    )
    assert numbers(client.next()["data"]) == [3]
    data = client.ask({"type": "setChainFilter", "data": {"fromChain": None, "toChain": ""}})["data"]
    assert (data["fromChain"], data["toChain"]) == ("", "")
    service.transfers(fragment(4))
    assert numbers(client.next()["data"]) == [4]


def test_filter_change_leaves_no_gap(client: Talker, service: Service) -> None:
    """filterSet carries the position from which the new filter counts."""
    service.transfers(fragment(1))
    assert client.next()["seq"] == 1
    changed = client.ask({"type": "setChainFilter", "data": {"fromChain": "a.1"}})
    assert (changed["data"]["epoch"], changed["data"]["seq"]) == (EPOCH, 1)
    service.transfers(fragment(2))
    service.transfers(fragment(3, source="a.1"))
    assert client.next()["prev"] == 1


def test_other_clients_keep_their_filter(client: Talker, service: Service) -> None:
    """A filter belongs to one connection."""
    with Talker(service.port) as other:
        other.until("status")
        client.ask({"type": "setChainFilter", "data": {"fromChain": "a.1"}})
        service.transfers(fragment(1))
        assert numbers(other.next()["data"]) == [1]
        assert client.ask({"type": "ping"})["type"] == "pong"


# -- ends ---------------------------------------------------------------------------------------


def test_binary_message_closes_with_1003(client: Talker) -> None:
    """The contract is text."""
    client.say(b'{"type":"ping"}')
    assert client.end()[1] == 1003


def test_message_over_the_limit(client: Talker) -> None:
    """message_too_large, then 1009, without waiting for the rest of it."""
    client.peer.send(masked(1, b"x" * 100, length=2001))
    [error], code, _ = client.end()
    assert (error["code"], code) == ("message_too_large", 1009)


def test_message_of_exactly_the_limit(client: Talker) -> None:
    """The limit itself passes."""
    assert client.ask('{"type":"ping"}'.ljust(2000))["type"] == "pong"


def test_too_many_errors_close_with_4008(client: Talker) -> None:
    """The last one is still explained."""
    for _ in range(5):
        client.say({"type": "nonsense"})
    errors, code, _ = client.end()
    assert ([error["code"] for error in errors], code) == (["unknown_message_type"] * 5, 4008)


def test_gone_clients_leave_nothing(service: Service) -> None:
    """No group, no count, no error list."""
    with Talker(service.port, "?from=a.1") as client:
        client.ask("nonsense")
        assert len(service.edge.parking) == 1
    service.until(lambda: len(service.edge.parking) == 0)
    assert len(service.edge.groups) == 0


@pytest.mark.parametrize("headers", [{}, DEFLATE])
def test_graceful_stop(service: Service, headers: dict[str, str]) -> None:
    """serverShutdown with the window to come back in, then 4200."""
    with Talker(service.port, **headers) as client:
        client.until("status")
        client.say({"type": "ping"})
        client.next()
        stopping = threading.Thread(target=service.stop, args=("restart",))
        stopping.start()
        [shutdown], code, reason = client.end()
        client.peer.send(close_frame(4200))
        stopping.join()
    assert shutdown["type"] == "serverShutdown"
    assert shutdown["data"]["reason"] == "restart"
    window = shutdown["data"]["reconnect"]
    assert 0 < window["minMs"] < window["maxMs"]
    assert (code, reason) == (4200, "restart")


def test_stopped_edge_accepts_nobody(service: Service) -> None:
    """The port is closed."""
    service.stop()
    with pytest.raises(ConnectionRefusedError):
        Peer.connect(service.port)


def test_plugin_channel_reaches_its_subscribers(service: Service) -> None:
    """Messages of a channel nobody subscribed to cost nothing and hurt nobody."""
    with Talker(service.port) as client:
        client.until("status")
        service.publish(MessageRecord(1, "acme.news", "acme.headline", b'"hi"'))
        assert client.ask({"type": "ping"})["type"] == "pong"


def test_outcomes_reach_who_asks_for_them_and_whose_filter_passes_the_transfer(service: Service) -> None:
    """On request only, unnumbered, with the filter of the transfers."""
    passes, other = fragment(1), fragment(2, source="osmosis.osmosis-1")
    with (
        Talker(service.port, "?channels=transferUpdates&from=union.union-1") as asking,
        Talker(service.port) as plain,
    ):
        plain.until("status")
        assert asking.until("serverInfo")
        for item in (other, passes):
            data = json.dumps([{"sort_order": item.sort_order, "success": True}]).encode()
            service.publish(MessageRecord(7, "transferUpdates", "transferUpdates", data, item))
        assert asking.next() == {
            "type": "transferUpdates",
            "data": [{"sort_order": passes.sort_order, "success": True}],
            "timestamp": 7,
        }
        assert plain.ask({"type": "ping"})["type"] == "pong"
        reply = plain.ask({"type": "subscribe", "data": {"channel": "transferUpdates"}})
        assert reply["data"]["channel"] == "transferUpdates"
        service.publish(MessageRecord(8, "transferUpdates", "transferUpdates", b"[]", other))
        assert plain.until("transferUpdates")["timestamp"] == 8
