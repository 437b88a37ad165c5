"""The gate at both doors: limits, keys, proxies, and what a refused client learns."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jwt
import pytest

from tests.connections.wire import KEY, Peer, upgrade
from tests.talking import Talker
from tests.web.serving import Service, fragment
from unionws.settings_reading import load_settings

SECRET = "a secret of more than thirty-two bytes"
Door = Callable[..., tuple[int, dict[str, str], dict[str, Any]]]


def fast(port: int, query: str = "", **headers: str) -> tuple[int, dict[str, str], dict[str, Any]]:
    """A refused handshake at the accept path."""
    with Peer.connect(port) as peer:
        peer.send(upgrade(query, **headers))
        return told(peer)


def slow(port: int, query: str = "", **headers: str) -> tuple[int, dict[str, str], dict[str, Any]]:
    """A refused handshake at the WebSocketHandler, which gets what does not arrive whole."""
    with Peer.connect(port) as peer:
        data = upgrade(query, **headers)
        peer.send(data[:20])
        time.sleep(0.05)
        peer.send(data[20:])
        return told(peer)


def told(peer: Peer) -> tuple[int, dict[str, str], dict[str, Any]]:
    status, headers, body = peer.response()
    return status, headers, json.loads(body) if body else {}


@pytest.fixture(params=[fast, slow], ids=["fast", "slow"])
def door(request: pytest.FixtureRequest) -> Door:
    """Both doors behave the same."""
    chosen: Door = request.param
    return chosen


class Open(Service):
    """A service that closes its clients before it ends: they would not answer its close frames."""

    def __init__(self, *overrides: str) -> None:
        super().__init__(*overrides)
        self.clients: list[Talker] = []

    def open(self, query: str = "", **headers: str) -> Talker:
        """A client that was greeted."""
        client = Talker(self.port, query, **headers)
        self.clients.append(client)
        client.until("status")
        return client

    def __exit__(self, *error: object) -> None:
        for client in self.clients:
            client.close()
        super().__exit__(*error)


def test_a_full_service_says_when_to_come_again(door: Door) -> None:
    """503 with Retry-After and a reason, counted; room again when somebody leaves."""
    with Open("MAX_CLIENTS=2") as service:
        for _ in range(2):
            service.open()
        status, headers, body = door(service.port)
        assert (status, body["error"]) == (503, "over_capacity")
        assert int(headers["retry-after"]) > 0
        assert service.edge.gate.refused["over_capacity"] == 1
        service.clients.pop().close()
        service.until(lambda: len(service.edge.parking) == 1)
        service.open()


def test_one_address_cannot_take_everything(door: Door) -> None:
    """429 for the address that has too many, by the address the proxy names; others come in."""
    with Open("MAX_CLIENTS_PER_IP=2") as service:
        for _ in range(2):
            service.open(X_Forwarded_For="1.2.3.4")
        status, headers, body = door(service.port, X_Forwarded_For="6.6.6.6, 1.2.3.4")
        assert (status, body["error"]) == (429, "too_many_from_address")
        assert "2 connections" in body["message"]
        assert "retry-after" in headers
        service.open(X_Real_IP="1.2.3.5")
        assert {client.address for client in service.edge.parking} == {"1.2.3.4", "1.2.3.5"}


def test_a_site_of_ipv6_counts_as_one(door: Door) -> None:
    """Addresses of one /64 share a limit; the next /64 has its own."""
    with Open("MAX_CLIENTS_PER_IP=1") as service:
        service.open(X_Forwarded_For="2001:db8:0:1::1")
        assert door(service.port, X_Forwarded_For="2001:db8:0:1::2")[0] == 429
        service.open(X_Forwarded_For="2001:db8:0:2::1")


def test_a_proxy_that_names_nobody_is_not_one_client() -> None:
    """All clients of a silent, trusted proxy come in."""
    with Open("MAX_CLIENTS_PER_IP=1") as service:
        for _ in range(3):
            service.open()


def test_who_is_not_trusted_is_not_believed(door: Door) -> None:
    """Without trust the peer's own address counts, whatever the headers say."""
    with Open("MAX_CLIENTS_PER_IP=1", "TRUSTED_PROXIES=10.0.0.0/8") as service:
        service.open(X_Forwarded_For="1.1.1.1")
        assert door(service.port, X_Forwarded_For="2.2.2.2")[2]["error"] == "too_many_from_address"


def test_knocking_too_often_is_refused(door: Door) -> None:
    """Handshakes are limited per address, also of clients that do not stay."""
    with Open("MAX_HANDSHAKES_PER_IP=3") as service:
        for _ in range(3):
            service.open(X_Forwarded_For="1.2.3.4")
        for client in service.clients:
            client.close()
        status, headers, body = door(service.port, X_Forwarded_For="1.2.3.4")
        assert (status, body["error"]) == (429, "handshake_rate")
        assert 1 <= int(headers["retry-after"]) <= 10


def test_keys_are_asked_for_where_they_are_set(door: Door) -> None:
    """401 before the upgrade, without a word about the key; a header or the URL lets in."""
    with Open("API_KEYS=first-key,second-key") as service:
        for query, headers in (("", {}), ("?key=wrong-key", {}), ("", {"Authorization": "Bearer wrong-key"})):
            status, answer, body = door(service.port, query, **headers)
            assert (status, body["error"]) == (401, "unauthorized")
            assert answer["www-authenticate"].startswith("Bearer")
            assert "wrong-key" not in body["message"]
        service.open("?key=first-key")
        service.open(Authorization="Bearer second-key")
        assert service.edge.gate.refused["unauthorized"] == 3


def test_a_key_has_its_own_limit() -> None:
    """Clients of one key are limited together, from any address."""
    with Open("API_KEYS=first-key,second-key", "MAX_CLIENTS_PER_KEY=1") as service:
        service.open("?key=first-key", X_Forwarded_For="1.1.1.1")
        assert (
            fast(service.port, "?key=first-key", X_Forwarded_For="2.2.2.2")[2]["error"] == "too_many_for_key"
        )
        service.open("?key=second-key")


def test_a_token_lets_in_until_it_expires() -> None:
    """A client whose token expires is closed with 4001, and the same request is refused from then on."""
    with Open(f"JWT_SECRET={SECRET}") as service:
        token = jwt.encode({"exp": time.time() + 100, "sub": "a"}, SECRET, algorithm="HS256")
        with Talker(service.port, f"?key={token}") as client:
            client.until("status")
            clock = service.edge.gate._clock
            later = type(
                "Later", (), {"time": lambda self: clock.time() + 200, "monotonic": clock.monotonic}
            )()
            service.edge.gate._clock = later
            service.until(lambda: len(service.edge.parking) == 0)
            assert client.end()[1:] == (4001, "the token has expired")
        assert fast(service.port, f"?key={token}")[0] == 401


def test_views_of_readers_and_operators_ask_too() -> None:
    """With keys the figures need one; with an ADMIN_TOKEN operators' views need that; /health never."""
    with Open("API_KEYS=first-key", "ADMIN_TOKEN=operators-token") as service:
        assert service.get("/health")[0] == 200
        assert service.get("/metrics")[0] == 200
        assert service.get("/stats")[0] == 401
        assert service.get("/stats?key=first-key")[0] == 200
        assert service.get("/api/transfers?key=first-key")[0] == 200
        assert service.get("/api/transfers")[0] == 401
        for path in ("/debug", "/slow-clients", "/graphql-stats", "/scheduler", "/buckets"):
            status, headers, body = service.get(path, Authorization="Bearer first-key")
            assert (status, headers["WWW-Authenticate"]) == (401, 'Bearer realm="unionws"'), path
            assert "ADMIN_TOKEN" in json.loads(body)["error"]
            assert service.get(path, Authorization="Bearer operators-token")[0] == 200, path
        shown = service.get("/debug?key=operators-token")[2]
        assert b"operators-token" not in shown
        assert b"first-key" not in shown


def test_filters_are_bounded() -> None:
    """Too many values are refused by message and by URL; nothing changes for the client."""
    with Open("MAX_FILTER_KEYS=3") as service:
        client = service.open()
        wallets = [f"0x{number:040x}" for number in range(4)]
        answer = client.ask(
            {"type": "setFilter", "data": {"channel": "transfers", "filter": {"wallets": wallets}}}
        )
        assert answer["code"] == "too_many_keys"
        assert "4 values; at most 3" in answer["message"]
        assert client.ask({"type": "ping"})["type"] == "pong"
        status, _, body = fast(service.port, "?wallet=" + ",".join(wallets))
        assert (status, body["error"]) == (400, "too_many_keys")


def test_different_filters_are_bounded() -> None:
    """No further group is made beyond the limit; one that exists may be joined."""
    with Open("MAX_FILTER_GROUPS=2") as service:
        service.open()
        service.open("?network=mainnet")
        assert fast(service.port, "?network=testnet")[2]["error"] == "too_many_filters"
        service.open("?network=mainnet")
        ask = {"type": "setFilter", "data": {"channel": "transfers", "filter": {"network": "testnet"}}}
        assert service.clients[0].ask(ask)["code"] == "too_many_keys"


def test_a_flood_is_ended_and_said_why() -> None:
    """A client that sends too much gets the error and 4102; another one loses nothing."""
    with Open("MAX_INBOUND_MESSAGES=20") as service, Talker(service.port) as quiet:
        quiet.until("status")
        with Talker(service.port) as loud:
            loud.until("status")
            for _ in range(21):
                loud.say({"type": "ping"})
            messages, code, reason = loud.end()
        assert [message["type"] for message in messages] == ["pong"] * 20 + ["error"]
        assert messages[-1]["code"] == "rate_limited"
        assert (code, reason) == (4102, "more than 20 messages within 10 s")
        service.transfers(fragment(1))
        assert quiet.next()["type"] == "transfers"
        assert service.edge.visits.gone[4102] == 1


def test_bytes_are_limited_too() -> None:
    """One message that never ends is cut off by its bytes."""
    limits = ("MAX_INBOUND_BYTES=10000", "MAX_MESSAGE_BYTES=1000000")
    with Open(*limits) as service, Talker(service.port) as loud:
        loud.until("status")
        loud.say("x" * 20_000)
        assert loud.end()[1] == 4102


def test_limits_are_announced() -> None:
    """What a client may do stands in ``connected``."""
    given = {"MAX_FILTER_KEYS": 7, "MAX_INBOUND_MESSAGES": 30, "MAX_CLIENTS": 50, "MAX_CLIENTS_PER_IP": 40}
    given |= {"MAX_HANDSHAKES_PER_IP": 99, "MAX_FILTER_GROUPS": 60, "MAX_ERRORS": 8, "MAX_BACKLOG_FRAMES": 77}
    with (
        Open(*[f"{name}={value}" for name, value in given.items()]) as service,
        Talker(service.port) as client,
    ):
        limits = client.next()["data"]["limits"]
    assert limits == {
        "maxMessageBytes": 16_384,
        "maxErrors": 8,
        "maxClients": 50,
        "maxClientsPerAddress": 40,
        "maxClientsPerKey": 0,
        "maxHandshakesPerAddress": 99,
        "maxFilterKeys": 7,
        "maxMessages": 30,
        "maxBytes": 1 << 20,
        "windowMs": 10_000,
        "maxFilterGroups": 60,
        "maxBacklogBytes": 262_144,
        "maxBacklogFrames": 77,
        "maxHeadBytes": 16_384,
        "maxBodyBytes": 65_536,
        "headTimeoutMs": 10_000,
    }


def reloaded(service: Open, **changes: Any) -> None:
    service.call(service._server.reload, replace(service.edge.settings, **changes))


def test_a_reload_closes_whom_it_does_not_allow() -> None:
    """4001 for a key taken back, 4101 and 4100 for limits lowered; the rest stay."""
    with Open("API_KEYS=first-key,second-key") as service:
        gone, stays = service.open("?key=first-key"), service.open("?key=second-key")
        reloaded(service, API_KEYS=("second-key",))
        assert gone.end()[1] == 4001
        assert fast(service.port, "?key=first-key")[0] == 401
        assert stays.ask({"type": "ping"})["type"] == "pong"
    with Open() as service:
        for _ in range(3):
            service.open(X_Forwarded_For="1.2.3.4")
        reloaded(service, MAX_CLIENTS_PER_IP=2)
        service.until(lambda: len(service.edge.parking) == 2)
        assert service.edge.visits.gone[4101] == 1
        reloaded(service, MAX_CLIENTS=1)
        service.until(lambda: len(service.edge.parking) == 1)
        assert service.edge.visits.gone[4100] == 1


def test_a_reload_closes_pages_of_origins_it_does_not_allow() -> None:
    """4003; who names no origin is no page, and stays."""
    with Open() as service:
        page = service.open(Origin="https://a.example")
        allowed, bot = service.open(Origin="https://b.example"), service.open()
        reloaded(service, ALLOWED_ORIGINS=("https://b.example",))
        assert page.end()[1:] == (4003, "this origin is not allowed any more")
        for stays in (allowed, bot):
            assert stays.ask({"type": "ping"})["type"] == "pong"


def test_a_reload_counts_for_requests_seen_before() -> None:
    """What the fast door has learnt about a request does not outlive the settings it was learnt by."""
    with Open() as service:
        for _ in range(2):
            Talker(service.port, Origin="https://a.example").close()
        reloaded(service, ALLOWED_ORIGINS=("https://b.example",))
        status, _, body = fast(service.port, Origin="https://a.example")
        assert (status, body["error"]) == (403, "forbidden")


def test_a_bad_key_header_is_a_bad_handshake() -> None:
    """Limits do not get in the way of what was checked before."""
    with Open() as service, Peer.connect(service.port) as peer:
        peer.send(upgrade(key=KEY[:-4] + "===="))
        assert told(peer)[0] == 400


def test_defaults_are_on() -> None:
    """A service without settings is limited."""
    settings = load_settings(None, [], {})
    assert settings.MAX_CLIENTS == 100_000
    assert settings.MAX_CLIENTS_PER_IP == 1_000
    assert settings.MAX_HANDSHAKES_PER_IP > 0
    assert settings.MAX_INBOUND_MESSAGES > 0
    assert settings.MAX_INBOUND_BYTES > 0
