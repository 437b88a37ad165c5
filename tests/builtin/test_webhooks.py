from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from unionws import Fragment, TransfersRecord
from unionws.assembly import assemble
from unionws.builtin import webhooks
from unionws.builtin.webhooks import Webhooks
from unionws.errors import SettingsError
from unionws.pluginhost import PluginHost
from unionws.pluginservice import Doors

ITEM = Fragment("k", "a.1", "b.2", "", "", "", "", "", False, 0, b'{"sort_order":"k"}')


class Receiver:
    """A URL that answers with statuses in turn, the last one for ever, and keeps what came."""

    def __init__(self, *statuses: int, location: str = "") -> None:
        self.statuses, self.location = list(statuses), location
        self.bodies: list[dict[str, Any]] = []
        self.signatures: list[tuple[str | None, bytes]] = []

    @contextmanager
    def serving(self) -> Iterator[str]:
        receiver = self

        class Handler(RequestHandler):
            def post(self) -> None:
                receiver.signatures.append(
                    (self.request.headers.get("X-Unionws-Signature"), self.request.body)
                )
                receiver.bodies.append(json.loads(self.request.body))
                self.set_status(receiver.statuses[0])
                self.set_header("Location", receiver.location)
                if len(receiver.statuses) > 1:
                    receiver.statuses.pop(0)

        sockets, port = bind_unused_port()
        server = HTTPServer(Application([("/hook", Handler)]))
        server.add_sockets([sockets])
        try:
            yield f"http://127.0.0.1:{port}/hook"
        finally:
            server.stop()

    async def got(self, count: int) -> None:
        while len(self.bodies) < count:
            await asyncio.sleep(0.002)


def record(seq: int, *, late: bool = False) -> TransfersRecord:
    return TransfersRecord("epoch", seq, "k", late, 1000 + seq, (ITEM,))


def run(
    receiver: Receiver, scenario: Callable[[PluginHost], Awaitable[None]], role: str = "single"
) -> dict[str, float]:
    """What was counted, by result, when the scenario is over."""

    async def all_of_it() -> dict[str, float]:
        with receiver.serving() as url:
            settings = ["PLUGINS_DIR=", f"WEBHOOK_URLS={url}", "WEBHOOK_SECRET=hush"]
            host = assemble(None, settings, {}, [("webhooks", Webhooks())])[1]
            host.doors = Doors(role)
            host.start()
            await asyncio.wait_for(scenario(host), 10)
            await asyncio.sleep(0.02)
            requests = next(item for item in host.metrics() if item["name"] == "webhook_requests_total")
            host.stop()
            await asyncio.sleep(0)
            assert host.plugins()[0].failures == 0
            return {labels["result"]: number for labels, number in requests["samples"]}

    return asyncio.run(all_of_it())


def test_transfers_and_faults_are_posted_in_order_and_signed() -> None:
    """The body is what clients get; the signature is the HMAC of the body."""
    receiver = Receiver(200)

    async def scenario(host: PluginHost) -> None:
        host.fire("published", record=record(1))
        host.fire("fault", kind="upstream", detail={"state": "stale"})
        host.fire("published", record=record(2, late=True))
        await receiver.got(3)

    assert run(receiver, scenario) == {"sent": 3}
    first, second, third = receiver.bodies
    data = [{"sort_order": "k"}]
    assert first == {"type": "transfers", "epoch": "epoch", "seq": 1, "data": data, "timestamp": 1001}
    assert second == {"type": "fault", "kind": "upstream", "data": {"state": "stale"}}
    assert (third["seq"], third["late"]) == (2, True)
    for signature, body in receiver.signatures:
        assert signature == "sha256=" + hmac.new(b"hush", body, hashlib.sha256).hexdigest()


def test_what_fails_is_tried_again_before_what_comes_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Later and later, in order."""
    monkeypatch.setattr(webhooks, "FIRST_WAIT", 0.01)
    receiver = Receiver(500, 429, 204)

    async def scenario(host: PluginHost) -> None:
        host.fire("published", record=record(1))
        host.fire("published", record=record(2))
        await receiver.got(4)

    assert run(receiver, scenario) == {"failed": 2, "sent": 2}
    assert [body["seq"] for body in receiver.bodies] == [1, 1, 1, 2]


def test_a_receiver_cannot_send_us_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A redirect is a failure like any other: nothing is asked of the place it names."""
    monkeypatch.setattr(webhooks, "FIRST_WAIT", 0.01)
    elsewhere = Receiver(200)

    async def scenario(host: PluginHost) -> None:
        host.fire("published", record=record(1))
        await receiver.got(2)

    with elsewhere.serving() as url:
        receiver = Receiver(307, 200, location=url)
        assert run(receiver, scenario) == {"failed": 1, "sent": 1}
    assert elsewhere.bodies == []


def test_an_address_that_cannot_be_is_a_failure_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """However the request fails, it is counted, given up in the end, and what waits has its turn."""
    monkeypatch.setattr(webhooks, "FIRST_WAIT", 0.0)
    settings = ["PLUGINS_DIR=", "WEBHOOK_URLS=http://a..b/hook"]

    async def scenario() -> dict[str, float]:
        host = assemble(None, settings, {}, [("webhooks", Webhooks())])[1]
        host.start()
        host.fire("published", record=record(1))
        host.fire("published", record=record(2))
        found: dict[str, float] = {}
        while found.get("dropped") != 2:
            await asyncio.sleep(0.005)
            requests = next(item for item in host.metrics() if item["name"] == "webhook_requests_total")
            found = {labels["result"]: number for labels, number in requests["samples"]}
        host.stop()
        return found

    assert asyncio.run(asyncio.wait_for(scenario(), 20)) == {"failed": 2 * webhooks.ATTEMPTS, "dropped": 2}


def test_what_is_refused_for_good_is_given_up_at_once() -> None:
    """A 404 does not change by trying again; the next request has its chance."""
    receiver = Receiver(404, 200)

    async def scenario(host: PluginHost) -> None:
        host.fire("published", record=record(1))
        host.fire("published", record=record(2))
        await receiver.got(2)

    assert run(receiver, scenario) == {"failed": 1, "dropped": 1, "sent": 1}


def test_after_the_last_attempt_it_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver that is down for long loses the oldest, and that is counted."""
    monkeypatch.setattr(webhooks, "FIRST_WAIT", 0.001)
    receiver = Receiver(503)

    async def scenario(host: PluginHost) -> None:
        host.fire("published", record=record(1))
        await receiver.got(webhooks.ATTEMPTS)

    assert run(receiver, scenario) == {"failed": webhooks.ATTEMPTS, "dropped": 1}


def test_the_queue_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go; nothing waits for a slow receiver but its own queue."""
    monkeypatch.setattr(webhooks, "MOST_WAITING", 5)
    receiver = Receiver(200)

    async def scenario(host: PluginHost) -> None:
        for seq in range(1, 21):
            host.fire("published", record=record(seq))
        await receiver.got(5)

    assert run(receiver, scenario) == {"dropped": 15, "sent": 5}
    assert [body["seq"] for body in receiver.bodies] == [16, 17, 18, 19, 20]


def test_an_edge_posts_nothing() -> None:
    """Else everything would be posted as many times as there are processes."""
    receiver = Receiver(200)

    async def scenario(host: PluginHost) -> None:
        host.fire("fault", kind="plugin", detail={})
        await asyncio.sleep(0.05)

    assert run(receiver, scenario, role="edge") == {}
    assert receiver.bodies == []


def test_a_wrong_url_stops_the_start() -> None:
    """The setting is checked when it is read."""
    with pytest.raises(SettingsError, match="WEBHOOK_URLS is 'ftp://x', but must be an http"):
        assemble(None, ["PLUGINS_DIR=", "WEBHOOK_URLS=ftp://x"], {}, [("webhooks", Webhooks())])
