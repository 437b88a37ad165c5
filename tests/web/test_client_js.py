"""The JavaScript client: in Node against scripts, then in Node and a browser against the real server."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.client.standin import Connection, DeafServer, Script, StandIn, frame, greeting, transfer
from tests.looped import LoopThread
from tests.web.browser import Browser, require_node
from tests.web.jsclient import (
    MODULE,
    JsClient,
    NodeClient,
    Refused,
    TabClient,
    keys,
    numbered,
    of,
    seen,
    transfers,
    wait,
)
from tests.web.serving import EPOCH, Service, fragment


@contextmanager
def playing(server: Any) -> Iterator[Any]:
    """A stand-in server on a loop in a thread."""
    with LoopThread() as loop:
        loop.run(server.__aenter__())
        try:
            yield server
        finally:
            loop.run(server.__aexit__())


def standin(script: Script) -> AbstractContextManager[StandIn]:
    return playing(StandIn(script))


async def idle(connection: Connection, number: int) -> None:
    """Greets and says nothing more."""
    await connection.say(greeting(0))


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def order(*numbers: int) -> list[str]:
    return [f"order-{number}" for number in numbers]


# ---------------------------------------------------------------------------- as the Python client


def test_stream_goes_on_over_drops() -> None:
    """Each transfer once, in order, over a cut, a close frame and an announced shutdown."""

    async def script(connection: Connection, number: int) -> None:
        await connection.say(greeting(number), frame(number + 1, number, number, number + 1))
        if number == 0:
            connection.drop()
        elif number == 1:
            connection.close(1011, "trouble")
        elif number == 2:
            window = {"minMs": 1, "maxMs": 20}
            await connection.say({"type": "serverShutdown", "data": {"reconnect": window}})
            connection.close(4200, "shutdown")

    with standin(script) as server, NodeClient(server.url) as client:
        client.call("start")
        events = wait(client, transfers(5))
    assert keys(events) == order(*range(5))
    ends = of(events, "disconnected")
    assert [(end["code"], end["reason"]) for end in ends][1:] == [(1011, "trouble"), (4200, "shutdown")]
    assert ends[0]["code"] is None
    assert 1 <= ends[2]["retryInMs"] <= 20
    assert all(end["established"] for end in ends)
    assert not of(events, "gap")
    assert client.code == 0


def test_resume_is_asked_for_after_it_was_offered() -> None:
    """The first connection asks for channels only, the second for the position too."""

    async def script(connection: Connection, number: int) -> None:
        await connection.say(greeting(4, "resume"))
        await connection.say(frame(5 + number, 4 + number, 5 + number, replay=number > 0))
        if number == 0:
            connection.drop()

    with standin(script) as server, NodeClient(server.url, channels=["transfers"]) as client:
        client.call("start")
        events = wait(client, transfers(2))
    assert server.queries == [
        {"channels": "transfers"},
        {"channels": "transfers", "resume": "epoch001:5"},
    ]
    assert [event["resuming"] for event in of(events, "connected")] == [False, True]
    assert [event["replay"] for event in of(events, "transfer")] == [False, True]


def test_what_was_not_yet_replayed_is_resumed_again() -> None:
    """A connection lost before the replay leaves the position where it was, whatever was said meanwhile."""
    head = {"epoch": "epoch001", "seq": 90, "cursor": "order-90"}

    async def script(connection: Connection, number: int) -> None:
        await connection.say(greeting(5 if number == 0 else 90, "resume"))
        if number == 0:
            await connection.say(frame(5, 4, 5))
        elif number == 1:
            data = {"channel": "transfers", **head, "recovered": True, "replaying": True}
            await connection.say({"type": "subscribed", "data": data})
            await connection.say({"type": "heartbeat", "data": head})
            await connection.say(frame(50, 5, *range(6, 51), replay=True))
            await connection.say({"type": "heartbeat", "data": head})
        elif number == 2:
            await connection.say(frame(90, 50, 90, replay=True))
            await connection.say({"type": "caughtUp", "data": head})
            await connection.say({"type": "heartbeat", "data": {"epoch": "epoch001", "seq": 95}})
        if number < 3:
            connection.drop()

    with standin(script) as server, NodeClient(server.url) as client:
        client.call("start")
        events = wait(client, seen("connected", 4))
    asked = [query.get("resume") for query in server.queries]
    assert asked == [None, "epoch001:5", "epoch001:50", "epoch001:95"]
    assert not of(events, "gap")


def test_other_instance_is_joined_by_cursor() -> None:
    """A server with another epoch is asked again with the cursor, without telling the user of a drop."""

    async def script(connection: Connection, number: int) -> None:
        epoch = "epoch001" if number == 0 else "epoch002"
        await connection.say(greeting(4, "resume", epoch=epoch))
        if number == 0:
            await connection.say(frame(5, 4, 5))
            connection.drop()
        elif number == 2:
            await connection.say(frame(5, 3, 5, 6, epoch=epoch, replay=True))

    with standin(script) as server, NodeClient(server.url) as client:
        client.call("start")
        events = wait(client, transfers(2))
        assert client.call("position") == {"epoch": "epoch002", "seq": 5, "cursor": "order-5"}
    assert server.queries == [{}, {"resume": "epoch001:5"}, {"cursor": "order-5"}]
    assert keys(events) == order(5, 6)
    assert len(of(events, "disconnected")) == 1
    assert not of(events, "gap")


def test_gaps_are_told_at_their_place() -> None:
    """A jump in the numbers, a reconnect without resume, another numbering, and what the server tells."""

    async def script(connection: Connection, number: int) -> None:
        if number == 0:
            await connection.say(greeting(4), frame(5, 4, 1), frame(9, 7, 2), frame(10, 8, 3))
            data = {"channel": "transfers", "fromSeq": 11, "toSeq": 14, "reason": "slow_consumer"}
            await connection.say({"type": "gap", "data": data, "epoch": "epoch001", "seq": 14})
            await connection.say(frame(15, 14, 4))
            connection.drop()
        elif number == 1:
            await connection.say(greeting(20))
            connection.drop()
        else:
            await connection.say(greeting(3, epoch="epoch002"))

    with standin(script) as server, NodeClient(server.url) as client:
        client.call("start")
        events = wait(client, seen("gap", 4))
    told = [(gap["fromSeq"], gap["toSeq"], gap["reason"]) for gap in of(events, "gap")]
    assert told == [
        (6, 7, "missed"),
        (11, 14, "slow_consumer"),
        (16, 20, "reconnected"),
        (None, None, "epoch_changed"),
    ]
    first = [event["event"] for event in events if event["event"] in ("transfer", "gap")]
    assert first[:6] == ["transfer", "gap", "transfer", "transfer", "gap", "transfer"]


def test_repeats_are_dropped_within_a_bounded_memory() -> None:
    """By their key; the oldest keys are forgotten."""

    async def script(connection: Connection, number: int) -> None:
        await connection.say(greeting(0), frame(3, 0, 1, 2, 3), frame(6, 3, 3, 2, 4), frame(7, 6, 1))

    with standin(script) as server, NodeClient(server.url, remember=3) as client:
        client.call("start")
        events = wait(client, transfers(5))
    assert keys(events) == order(1, 2, 3, 4, 1)


def test_a_snapshot_repeats_what_was_asked_for_and_nothing_else() -> None:
    """It comes whatever came before; what is not in it stays known."""

    async def script(connection: Connection, number: int) -> None:
        await connection.say(greeting(0), frame(3, 0, 1, 2, 3))
        await connection.say(frame(3, 3, 2, 3, replay=True), frame(5, 3, 1, 3, 4))

    with standin(script) as server, NodeClient(server.url) as client:
        client.call("start")
        events = wait(client, transfers(6))
    assert keys(events) == order(1, 2, 3, 2, 3, 4)


def test_a_gap_in_another_numbering_is_two() -> None:
    """What was missed of the old one has no number."""

    async def script(connection: Connection, number: int) -> None:
        data = {"channel": "transfers", "fromSeq": 1, "toSeq": 3, "reason": "history_expired"}
        await connection.say(greeting(4), {"type": "gap", "data": data, "epoch": "epoch002", "seq": 3})

    with standin(script) as server, NodeClient(server.url) as client:
        client.call("start")
        events = wait(client, seen("gap", 2))
        assert client.call("position")["epoch"] == "epoch002"
    told = [(gap["fromSeq"], gap["toSeq"], gap["reason"]) for gap in of(events, "gap")]
    assert told == [(None, None, "epoch_changed"), (1, 3, "history_expired")]


def test_single_transfers_late_marks_and_unknown_types() -> None:
    """Both forms are read; what is unknown is handed on; what is no message is counted."""

    async def script(connection: Connection, number: int) -> None:
        position = {"epoch": "epoch001", "seq": 1, "prev": 0, "cursor": "c"}
        await connection.say(greeting(0), "{", "[]", '{"type":1}', {"type": "vendor.new", "data": [1]})
        await connection.say({"type": "transfers", "data": [7]})
        await connection.say({"type": "transfer", "data": transfer(1), "late": True, **position})

    with standin(script) as server, NodeClient(server.url) as client:
        client.call("start")
        events = wait(client, transfers(1))
        assert client.call("ignored") == 4
    (received,) = of(events, "transfer")
    assert (received["late"], received["replay"], received["seq"]) == (True, False, 1)
    (message,) = of(events, "message")
    assert (message["type"], message["data"]) == ("vendor.new", [1])


@pytest.mark.parametrize("code", [4000, 4001, 4008, 4099])
def test_a_final_close_ends_everything_with_an_error(code: int) -> None:
    """Connecting again unchanged would end the same way."""

    async def script(connection: Connection, number: int) -> None:
        await connection.say(greeting(0), frame(1, 0, 1))
        connection.close(code, "no")

    with standin(script) as server, NodeClient(server.url) as client:
        client.begin("iterate")
        events = wait(client, seen("ended"))
        assert client.call("state") == "closed"
    assert [error["closeCode"] for error in of(events, "error")] == [code]
    assert of(events, "ended")[0]["error"]["closeCode"] == code
    assert [event["transfer"]["sort_order"] for event in of(events, "iterated")] == order(1)
    assert server.opened == 1


def test_over_capacity_is_waited_out_at_least_half_a_step() -> None:
    """4100 to 4199: never at once."""

    async def script(connection: Connection, number: int) -> None:
        await connection.say(greeting(0))
        connection.close(4100 + number, "full")

    backoff = {"baseMs": 10, "capMs": 1000, "stableMs": 60_000}
    with standin(script) as server, NodeClient(server.url, backoff=backoff) as client:
        client.call("start")
        events = wait(client, seen("disconnected", 3))
    waits = [end["retryInMs"] for end in of(events, "disconnected")]
    assert 20 <= waits[0] <= 40
    assert 40 <= waits[1] <= 80
    assert 80 <= waits[2] <= 160


def test_failed_attempts_wait_longer_with_full_jitter() -> None:
    """From 0 to a step that doubles up to the cap."""
    backoff = {"baseMs": 4, "capMs": 16, "stableMs": 60_000}
    with NodeClient(f"ws://127.0.0.1:{closed_port()}/ws", backoff=backoff) as client:
        client.call("start")
        events = wait(client, seen("disconnected", 25))
    ends = of(events, "disconnected")
    waits = [end["retryInMs"] for end in ends]
    assert not any(end["established"] for end in ends)
    assert all(wait <= longest for wait, longest in zip(waits, [4, 8, 16, 16], strict=False))
    assert max(waits) <= 16
    assert len(set(waits)) > 20  # drawn, not fixed


def test_a_dead_connection_is_found_and_replaced() -> None:
    """One on which nothing comes, not even the answer to a ping."""
    quick = {"pingIntervalMs": 30, "pingTimeoutMs": 30}
    with playing(DeafServer()) as server, NodeClient(server.url, ends=False, **quick) as client:
        client.call("start")
        events = wait(client, seen("connected", 2))
    assert of(events, "disconnected")[0]["reason"] == "no answer to a ping"


def test_a_quiet_connection_that_answers_is_kept() -> None:
    """Any message is a sign of life."""

    async def script(connection: Connection, number: int) -> None:
        await connection.say(greeting(0))
        for _ in range(3):
            assert await connection.heard.get() == {"type": "ping"}
            await connection.say({"type": "pong"})
        await connection.say({"type": "done"})

    quick = {"pingIntervalMs": 20, "pingTimeoutMs": 300}
    with standin(script) as server, NodeClient(server.url, **quick) as client:
        client.call("start")
        events = wait(client, lambda events: any(event.get("type") == "done" for event in events))
    assert not of(events, "disconnected")


# ------------------------------------------------------------------------------- only in JavaScript


def test_a_clock_that_is_set_back_does_not_stop_the_watch() -> None:
    """A quiet connection is asked for a sign of life all the same."""
    code = """
        const { UnionClient } = await import(process.argv[1]);
        const real = Date.now;
        class Fake {
            constructor() { Fake.last = this; }
            close() {}
            send(text) { console.log(text); end(0); }
        }
        const end = (code) => { client.close(); clearTimeout(late); process.exitCode = code; };
        const late = setTimeout(() => end(1), 10_000);
        const client = new UnionClient("ws://x/ws", { WebSocket: Fake, pingIntervalMs: 30 }).start();
        Fake.last.onopen();
        Date.now = () => real() - 3_600_000;
    """
    assert run_node(code) == '{"type":"ping"}\n'


def test_requests_are_answered_refused_or_time_out() -> None:
    """Each by its own id, in whatever order the answers come."""

    async def script(connection: Connection, number: int) -> None:
        await connection.say(greeting(0))
        first, second = [await connection.heard.get() for _ in range(2)]
        assert (first["type"], second["type"]) == ("get", "listSubscriptions")
        assert first["id"] != second["id"]
        await connection.say({"type": "error", "id": second["id"], "code": "forbidden", "message": "no"})
        await connection.say({"type": "chains", "id": first["id"], "data": []})

    with standin(script) as server, NodeClient(server.url, requestTimeoutMs=100) as client:
        with pytest.raises(Refused) as early:
            client.call("ping")
        assert early.value.code == "disconnected"
        client.call("start")
        wait(client, seen("connected"))
        chains, subscriptions = client.begin("get", "chains"), client.begin("listSubscriptions")
        assert client.result(chains)["data"] == []
        with pytest.raises(Refused, match="no") as refused:
            client.result(subscriptions)
        assert refused.value.code == "forbidden"
        with pytest.raises(Refused) as late:
            client.call("ping")
        assert late.value.code == "timeout"


def test_a_filter_lasts_over_connections() -> None:
    """Once the server took it, its canonical form goes into the URL of the next connection."""

    async def script(connection: Connection, number: int) -> None:
        await connection.say(greeting(4, "resume"))
        if number == 0:
            message = await connection.heard.get()
            assert message["data"] == {"channel": "transfers", "filter": {"wallets": ["union1x"]}}
            canonical = {"wallets": ["0xab", "0xcd"], "minAmount": "5"}
            data = {"fromChain": "", "toChain": "", "filter": canonical, "epoch": "epoch001", "seq": 6}
            await connection.say({"type": "filterSet", "id": message["id"], "data": data})
            await connection.heard.get()
            connection.drop()

    with standin(script) as server, NodeClient(server.url) as client:
        client.call("start")
        wait(client, seen("connected"))
        reply = client.call("setFilter", {"wallets": ["union1x"]})
        assert reply["data"]["filter"] == client.call("filter")
        client.begin("ping")
        wait(client, seen("connected", 2))
    assert server.queries[1] == {"wallet": "0xab,0xcd", "minAmount": "5", "resume": "epoch001:6"}


@pytest.mark.parametrize("epoch", ["epoch001", "epoch002"])
def test_a_filter_no_url_can_carry_goes_by_message(epoch: str) -> None:
    """With the position: by number where the server counts the same, otherwise by cursor."""
    wanted = {"acme.big": True, "minAmount": {"u": "5"}}
    asked: list[dict[str, Any]] = []

    async def script(connection: Connection, number: int) -> None:
        now = epoch if number else "epoch001"
        await connection.say(greeting(4 if number == 0 else 9, "resume", epoch=now))
        message = await connection.heard.get()
        asked.append({"type": message["type"], **message["data"]})
        at = {"epoch": now, "seq": 4 if number == 0 else 9}
        data = {"channel": "transfers", "filter": wanted, **at, "recovered": True, "replaying": number > 0}
        await connection.say({"type": "subscribed", "id": message["id"], "data": data})
        if number == 0:
            await connection.say(frame(5, 4, 5))
            connection.drop()
        else:
            await connection.say(frame(9, 3 if epoch == "epoch002" else 5, 6, epoch=now, replay=True))

    with standin(script) as server, NodeClient(server.url, filter=wanted) as client:
        client.call("start")
        events = wait(client, transfers(2))
    assert server.queries == [{"channels": "chartData,chains,status"}] * 2
    by = {"epoch": "epoch001", "seq": 5} if epoch == "epoch001" else {"cursor": "order-5"}
    base = {"type": "subscribe", "channel": "transfers", "filter": wanted}
    assert asked == [base, {**base, "resume": by}]
    assert keys(events) == order(5, 6)
    assert not of(events, "gap")


def test_a_first_filter_the_server_refuses_is_final() -> None:
    """A client that cannot have its filter must not get everything instead."""

    async def script(connection: Connection, number: int) -> None:
        await connection.say(greeting(0))
        message = await connection.heard.get()
        words = {"code": "invalid_filter", "message": "wallets: 'x' is no address"}
        await connection.say({"type": "error", "id": message["id"], **words})

    with standin(script) as server, NodeClient(server.url, filter={"wallets": ["x"]}) as client:
        client.call("start")
        (error,) = of(wait(client, seen("error")), "error")
        assert client.call("state") == "closed"
    assert error["code"] == "invalid_filter"
    assert server.opened == 1


def test_a_refused_change_is_taken_back() -> None:
    """The next connection asks for what was there before."""

    async def script(connection: Connection, number: int) -> None:
        await connection.say(greeting(0))
        if number == 0:
            message = await connection.heard.get()
            await connection.say({"type": "error", "id": message["id"], "code": "x", "message": "no"})
            await connection.heard.get()
            connection.drop()

    with standin(script) as server, NodeClient(server.url) as client:
        client.call("start")
        wait(client, seen("connected"))
        with pytest.raises(Refused):
            client.call("subscribe", "nowhere")
        client.begin("ping")
        wait(client, seen("connected", 2))
    assert server.queries == [{}, {}]


def test_changes_without_a_connection_are_made_on_the_next() -> None:
    """They answer null at once; the filter is asked for by message, since nobody has checked it."""

    async def script(connection: Connection, number: int) -> None:
        await connection.say(greeting(0))
        message = await connection.heard.get()
        await connection.say({"type": "heard", "data": message["data"]})

    with standin(script) as server, NodeClient(server.url, channels=["transfers", "status"]) as client:
        assert client.call("setFilter", {"assets": ["U"]}) is None
        assert client.call("unsubscribe", "status") is None
        assert client.call("subscribe", "rates") is None
        client.call("start")
        events = wait(client, seen("message"))
    assert server.queries == [{"channels": "rates"}]
    assert of(events, "message")[0]["data"] == {"channel": "transfers", "filter": {"assets": ["U"]}}


def test_a_kept_position_is_gone_on_from() -> None:
    """What was saved from an earlier client, such as in a page that was reloaded."""
    saved = {"epoch": "epoch001", "seq": 41, "cursor": "order-41"}

    async def script(connection: Connection, number: int) -> None:
        await connection.say(greeting(50, "resume"), frame(50, 41, 50, replay=True))

    with standin(script) as server, NodeClient(server.url, position=saved, apiKey="secret") as client:
        client.call("start")
        events = wait(client, transfers(1))
    assert server.queries == [{"key": "secret", "resume": "epoch001:41"}]
    assert not of(events, "gap")


def test_the_wait_can_be_cut_short() -> None:
    """Such as when a browser says that the network is back."""

    async def script(connection: Connection, number: int) -> None:
        await connection.say(greeting(0))
        connection.close(4100, "full")

    backoff = {"baseMs": 60_000, "capMs": 60_000}
    with standin(script) as server, NodeClient(server.url, backoff=backoff) as client:
        client.call("start")
        for count in (1, 2, 3):
            wait(client, seen("disconnected", count))
            assert client.call("state") == "waiting"
            client.call("retryNow")
        wait(client, seen("disconnected", 4))
    assert server.opened == 4


def test_a_loop_that_does_not_keep_up_is_told() -> None:
    """What waits is dropped when the queue is full, and a gap takes its place."""
    code = """
        const { UnionClient } = await import(process.argv[1]);
        class Fake { constructor() { Fake.last = this; } close() {} send() {} }
        const client = new UnionClient("ws://x/ws", { WebSocket: Fake, queue: 3 });
        const events = client[Symbol.asyncIterator]();
        const say = (message) => Fake.last.onmessage({ data: JSON.stringify(message) });
        Fake.last.onopen();
        const data = (n) => ({ sort_order: `${n}` });
        const frame = (n) => ({ type: "transfer", data: data(n), epoch: "e", seq: n, prev: n - 1 });
        for (const n of [1, 2, 3, 4, 5]) say(frame(n));
        const kinds = [];
        for (let i = 0; i < 3; i += 1) {
            const { value } = await events.next();
            kinds.push(value.reason ?? value.seq);
        }
        client.close();
        kinds.push((await events.next()).done);
        console.log(JSON.stringify(kinds));
    """
    assert run_node(code) == '["slow_consumer",4,5,true]\n'


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ('"http://x/ws"', "bad_address"),
        ('"nonsense"', "bad_address"),
        ("undefined", "bad_address"),
        ('"ws://x/ws", { WebSocket: undefined }', "no_websocket"),
    ],
)
def test_what_cannot_work_is_said_at_once(arguments: str, words: str) -> None:
    """By a UnionError, before anything is tried."""
    code = f"""
        const {{ UnionClient, UnionError }} = await import(process.argv[1]);
        try {{ new UnionClient({arguments}); }}
        catch (error) {{ console.log(error instanceof UnionError, error.code); }}
    """
    assert run_node(code) == f"true {words}\n"


def run_node(code: str) -> str:
    """Output of a module."""
    command = [*require_node(), "--input-type=module", "-e", code, MODULE.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    return done.stdout


# -------------------------------------------------------------------------- against the real server


@pytest.fixture(scope="module")
def ws_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``ws`` package of npm, for Nodes without a WebSocket class; skips where it cannot be had."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed: apt-get install npm")
    folder = tmp_path_factory.mktemp("ws")
    command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), "ws@8"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode:
        pytest.skip(f"npm cannot install ws: {done.stderr[:200]}")
    return folder / "node_modules/ws/wrapper.mjs"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as running:
        yield running


Start = Callable[..., AbstractContextManager[JsClient]]


@contextmanager
def in_tab(browser: Browser, service: Service, url: str, **options: Any) -> Iterator[JsClient]:
    with (
        browser.tab(f"http://127.0.0.1:{service.port}/livez") as tab,
        TabClient(tab, url, **options) as client,
    ):
        yield client
        assert not [problem for problem in tab.problems if "WebSocket" not in problem]


@pytest.fixture(params=["node", "ws", "chromium"])
def start(request: pytest.FixtureRequest) -> Callable[[Service], Start]:
    """How a client is started: with Node's own class, with ws, in a browser."""
    if request.param == "node":
        return lambda service: lambda **options: NodeClient(address(service), **options)
    if request.param == "ws":
        sockets = request.getfixturevalue("ws_package")
        return lambda service: partial(NodeClient, address(service), sockets=sockets)
    browser = request.getfixturevalue("browser")
    return lambda service: partial(in_tab, browser, service, address(service))


def address(service: Service) -> str:
    return f"ws://127.0.0.1:{service.port}/ws"


def kick(service: Service) -> None:
    """Close every client as a deploy does."""

    def close_all() -> None:
        for client in list(service.edge.parking):
            service.edge.parking.close(client, 4200, "deploy")

    service.call(close_all)


def test_it_follows_the_real_server_over_a_deploy(start: Callable[[Service], Start]) -> None:
    """Nothing missing, nothing twice, under a filter that is changed on the way."""
    with Service() as service, start(service)(channels=["transfers"]) as client:
        client.call("start")
        wait(client, seen("connected"))
        service.transfers(fragment(1), fragment(2, symbol="eth"))
        wait(client, transfers(2))
        reply = client.call("setFilter", {"assets": ["ETH"]})
        assert reply["data"]["filter"] == {"assets": ["eth"]}
        service.transfers(fragment(3), fragment(4, symbol="eth"))
        wait(client, transfers(3))
        kick(service)
        service.transfers(fragment(5, symbol="eth"), fragment(6))
        wait(client, lambda events: seen("connected", 2)(events) and transfers(4)(events))
        service.transfers(fragment(7), fragment(8, symbol="eth"))
        events = wait(client, transfers(5))
        assert client.call("position")["seq"] == 8
    assert numbered(events) == [1, 2, 4, 5, 8]
    assert not of(events, "gap")
    assert of(events, "disconnected")[0]["code"] == 4200
    assert [event["resuming"] for event in of(events, "connected")] == [False, True]


def test_requests_of_the_real_server(start: Callable[[Service], Start]) -> None:
    """Snapshot, subscriptions, lasting messages, refusals."""
    with Service() as service, start(service)() as client:
        client.call("start")
        wait(client, seen("connected"))
        service.transfers(fragment(1), fragment(2), fragment(3))
        wait(client, transfers(3))
        subscribed = client.call("subscribe", "transfers", {"snapshot": 2})
        assert subscribed["data"]["recovered"] is True
        assert numbered(wait(client, transfers(5))) == [1, 2, 3, 2, 3]
        client.call("subscribe", "rates")
        client.call("unsubscribe", "chartData")
        listed = client.call("listSubscriptions")["data"]["subscriptions"]
        assert [entry["channel"] for entry in listed] == ["chains", "rates", "status", "transfers"]
        assert client.call("get", "serverInfo")["type"] == "serverInfo"
        assert client.call("ping")["type"] == "pong"
        with pytest.raises(Refused) as refused:
            client.call("setFilter", {"wallets": ["nonsense"]})
        assert refused.value.code == "invalid_filter"
        assert client.call("filter") == {}


def test_a_filter_by_message_resumes_on_the_real_server(start: Callable[[Service], Start]) -> None:
    """One that no URL can carry: minimum amounts by asset."""
    wanted = {"minAmount": {"u": "10"}}
    with Service() as service, start(service)(channels=["transfers"], filter=wanted) as client:
        client.call("start")
        wait(client, lambda events: any(event.get("type") == "subscribed" for event in events))
        service.transfers(fragment(1), fragment(2, amount="9"))
        wait(client, transfers(1))
        kick(service)
        service.transfers(fragment(3, amount="3"), fragment(4, amount="100"))
        events = wait(client, transfers(2))
    assert numbered(events) == [1, 4]
    assert not of(events, "gap")


def test_the_address_is_that_of_the_module(browser: Browser) -> None:
    """A page needs no more than the import."""
    with Service() as service, browser.tab(f"http://127.0.0.1:{service.port}/livez") as tab:
        state = tab.evaluate("""(async () => {
            const { UnionClient } = await import("/client.js");
            const client = new UnionClient();
            const open = new Promise((resolve) => client.on("connected", resolve));
            client.start();
            await open;
            client.close();
            return client.state;
        })()""")
        assert state == "closed"
        assert service.edge.position()[0] == EPOCH
