"""Plugins that misbehave, in a running service: each is named and stopped, and the stream goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError

from unionws import (
    ClientRequest,
    FilterField,
    Identity,
    Metric,
    Route,
    ServerMessage,
    Service,
    Statistic,
    hookimpl,
)
from unionws.testing import Server, running_server, transfer


def broken(*_: object, **__: object) -> Any:
    raise RuntimeError("broken")


class Broken:
    """Everything it has raises."""

    observe = snapshot = broken

    @hookimpl
    def startup(self, service: Service) -> None:
        broken()

    @hookimpl
    def shutdown(self) -> None:
        broken()

    @hookimpl
    def chains_listed(self) -> None:
        broken()

    @hookimpl
    def extend_transfers(self) -> Any:
        broken()

    @hookimpl
    def enriched(self) -> None:
        broken()

    @hookimpl
    def urgent(self) -> Any:
        broken()

    @hookimpl
    def register_statistics(self) -> list[Statistic]:
        return [Statistic("acme.broken", self)]

    @hookimpl
    def published(self) -> None:
        broken()

    @hookimpl
    def register_filters(self) -> list[FilterField]:
        return [FilterField("acme.broken", str, broken, broken, broken, broken)]

    @hookimpl
    def register_requests(self) -> list[ClientRequest]:
        return [ClientRequest("acme.broken", "Help.", broken)]

    @hookimpl
    def client_opened(self) -> None:
        broken()

    @hookimpl
    def client_closed(self) -> None:
        broken()

    @hookimpl
    def register_routes(self) -> list[Route]:
        return [Route("/ext/acme/broken", "Help.", broken)]

    @hookimpl
    def register_metrics(self) -> list[Metric]:
        return [Metric("acme_broken", "Help.", "gauge", broken)]

    @hookimpl
    def fault(self) -> None:
        broken()


class Watcher:
    """A plugin that behaves, and remembers the faults it was told."""

    def __init__(self) -> None:
        self.faults: list[tuple[str, Any]] = []
        self.records = 0

    @hookimpl
    def published(self) -> None:
        self.records += 1

    @hookimpl
    def fault(self, kind: str, detail: Any) -> None:
        self.faults.append((kind, detail))


@pytest.fixture(name="started")
def fixture_started() -> Iterator[Callable[..., tuple[Server, Watcher]]]:
    """Starts a server with the given plugins, and a well-behaved one behind them."""
    contexts = []

    def start(*plugins: object) -> tuple[Server, Watcher]:
        watcher = Watcher()
        context = running_server([*plugins, watcher])
        server = context.__enter__()
        contexts.append(context)
        return server, watcher

    yield start
    for context in contexts:
        context.__exit__(None, None, None)


def stream(server: Server, count: int = 12) -> None:
    """Send so many transfers one by one, and find each at a client."""
    with server.client("transfers") as client:
        for _ in range(count):
            server.upstream.send(transfer())
            client.receive("transfers", timeout=3)


def test_a_plugin_in_which_everything_raises_is_switched_off_and_named(
    started: Callable[..., tuple[Server, Watcher]],
) -> None:
    """All transfers arrive, the other plugin works, and it learns of the fault."""
    server, watcher = started(Broken())
    stream(server)
    assert server.plugin("Broken").state == "switched off"
    assert "RuntimeError: broken" in server.plugin("Broken").last_error
    assert watcher.records == 12
    ((kind, detail),) = watcher.faults
    assert (kind, detail["plugin"], detail["error"]) == ("plugin", "Broken", "RuntimeError: broken")
    assert server.healthy()
    shown = {row["name"]: row for row in server.get("/debug")["plugins"]}
    deadline = time.monotonic() + 3  # the state record goes out once a second
    while shown["Broken"]["state"] != "switched off" and time.monotonic() < deadline:
        time.sleep(0.05)
        shown = {row["name"]: row for row in server.get("/debug")["plugins"]}
    assert shown["Broken"]["failures"] >= 5
    assert (shown["Broken"]["state"], shown["Watcher"]["state"]) == ("switched off", "active")


class Asked:
    """Only what clients ask of it raises."""

    @hookimpl
    def register_filters(self) -> list[FilterField]:
        return [FilterField("acme.odd", str, broken, str)]

    @hookimpl
    def register_requests(self) -> list[ClientRequest]:
        return [ClientRequest("acme.odd", "Help.", broken)]


def test_a_filter_that_raises_matches_nothing_and_a_request_is_answered(
    started: Callable[..., tuple[Server, Watcher]],
) -> None:
    """The client with the broken filter stays connected, like all others."""
    server, _ = started(Asked())
    with server.client("transfers") as odd:
        odd.send("setFilter", {"channel": "transfers", "filter": {"acme.odd": "x"}}, id=1)
        assert odd.receive("filterSet")["data"]["filter"] == {"acme.odd": "x"}
        stream(server, 7)
        for _ in range(7):
            odd.send("acme.odd", id=2)
            assert odd.receive()["code"] == "internal_error"
    assert server.plugin("Asked").state == "switched off"
    assert server.plugin("Asked").failures == 5


class Garbage:
    """Everything it answers is nonsense."""

    @hookimpl
    def extend_transfers(self) -> Any:
        return "nonsense"

    @hookimpl
    def urgent(self) -> Any:
        return 5

    @hookimpl
    def register_statistics(self) -> list[Statistic]:
        return [Statistic("acme.garbage", self)]

    def observe(self, batch: Any, now: float) -> Any:
        return batch

    def snapshot(self, now: float) -> Any:
        return {"not a number": float("nan")}

    @hookimpl
    def register_metrics(self) -> list[Metric]:
        return [Metric("acme_garbage", "Help.", "gauge", lambda: float("inf"))]


def test_garbage_goes_nowhere(started: Callable[..., tuple[Server, Watcher]]) -> None:
    """Neither into transfers nor into statistics or metrics; the plugin ends."""
    server, _ = started(Garbage())
    with server.client("transfers", "chartData") as client:
        for _ in range(8):
            server.upstream.send(transfer())
            assert "ext" not in client.receive("transfers")["data"][0]
        assert "NaN" not in str(client.receive("chartData"))
    assert server.plugin("Garbage").state == "switched off"


class Blocking:
    """It keeps everything waiting."""

    @hookimpl
    def published(self) -> None:
        time.sleep(1.05)


def test_a_plugin_that_blocks_is_ended_after_two_calls(
    started: Callable[..., tuple[Server, Watcher]],
) -> None:
    """What waited meanwhile arrives, nobody is lost."""
    server, watcher = started(Blocking())
    stream(server, 4)
    plugin = server.plugin("Blocking")
    assert (plugin.state, plugin.calls, plugin.slow) == ("switched off", 2, 2)
    assert watcher.records == 4


class Threaded:
    """The same, but off the loop."""

    service: Service

    @hookimpl
    def startup(self, service: Service) -> None:
        self.service = service

    @hookimpl
    def published(self) -> None:
        self.service.run_in_thread(time.sleep, 0.4)


def test_slow_work_in_a_thread_keeps_nobody_waiting(
    started: Callable[..., tuple[Server, Watcher]],
) -> None:
    """Ten times 0.4 s of it do not delay ten transfers by one second."""
    server, _ = started(Threaded())
    before = time.monotonic()
    stream(server, 10)
    assert time.monotonic() - before < 2
    assert (server.plugin("Threaded").slow, server.plugin("Threaded").state) == (0, "active")


class Lock:
    """It lets nobody in but by mistake."""

    @hookimpl
    def authenticate(self) -> Any:
        broken()


def test_a_lock_that_is_broken_lets_nobody_in(started: Callable[..., tuple[Server, Watcher]]) -> None:
    """Each connection is refused with 401; the service itself is well."""
    server, _ = started(Lock())
    for _ in range(7):
        with pytest.raises(HTTPClientError, match="401"), server.client():
            pass
    assert server.plugin("Lock").state == "switched off"
    assert server.healthy()


class Doorman:
    """Who says a name may come in; one name may not."""

    @hookimpl
    def authenticate(self, request: Any) -> Identity | None:
        return Identity(request.query["name"]) if "name" in request.query else None

    @hookimpl
    def register_messages(self) -> list[ServerMessage]:
        return [ServerMessage("acme.hello", "Help.", "acme.hello")]


def test_a_plugin_may_say_who_comes_in(started: Callable[..., tuple[Server, Watcher]]) -> None:
    """Names come from the request, and others are let in as without it."""
    server, _ = started(Doorman())
    for query in ("name=me", ""):
        with server.client("acme.hello", query=query) as client:
            client.send("ping")
            client.receive("pong")
    assert server.plugin("Doorman").calls == 2
