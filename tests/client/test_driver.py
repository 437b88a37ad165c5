"""The client against a real server that drops, refuses and goes silent."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from tests.client.standin import (
    QUICK,
    Connection,
    DeafServer,
    StandIn,
    collect,
    drive,
    frame,
    greeting,
    has_transfers,
    numbers,
)
from unionws.client import (
    Backoff,
    Client,
    ClientError,
    Connected,
    Disconnected,
    Gap,
    MessageReceived,
)


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def idle(connection: Connection, number: int) -> None:
    """Greets and says nothing more."""
    await connection.say(greeting(0))


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
            await connection.say(
                {"type": "serverShutdown", "data": {"reason": "deploy", "reconnect": window}}
            )
            connection.close(4200, "shutdown")

    async def body() -> None:
        async with StandIn(script) as server, Client(server.url, backoff=QUICK) as client:
            events = await collect(client, has_transfers(5))
        assert numbers(events) == [f"order-{n}" for n in range(5)]
        ends = [event for event in events if isinstance(event, Disconnected)]
        assert [(end.code, end.reason) for end in ends] == [(None, ""), (1011, "trouble"), (4200, "shutdown")]
        assert 0.001 <= ends[2].retry_in <= 0.02
        assert [event for event in events if isinstance(event, Gap)] == []

    drive(body)


def test_resume_is_asked_for_after_it_was_offered() -> None:
    """The first connection has the filter only, the second the position too."""

    async def script(connection: Connection, number: int) -> None:
        await connection.say(greeting(4, "resume"))
        await connection.say(frame(5 + number, 4 + number, 5 + number, replay=number > 0))
        if number == 0:
            connection.drop()

    async def body() -> None:
        async with (
            StandIn(script) as server,
            Client(server.url, channels=("transfers",), from_chains=("a.1",), backoff=QUICK) as client,
        ):
            events = await collect(client, has_transfers(2))
        first = {"channels": "transfers", "from": "a.1"}
        assert server.queries == [first, first | {"resume": "epoch001:5"}]
        assert [event.resuming for event in events if isinstance(event, Connected)] == [False, True]

    drive(body)


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

    async def body() -> None:
        async with StandIn(script) as server, Client(server.url, backoff=QUICK) as client:
            events = await collect(client, has_transfers(2))
        assert server.queries == [{}, {"resume": "epoch001:5"}, {"cursor": "order-5"}]
        assert numbers(events) == ["order-5", "order-6"]
        assert len([event for event in events if isinstance(event, Disconnected)]) == 1
        assert not any(isinstance(event, Gap) for event in events)

    drive(body)


def test_gap_is_told_between_transfers() -> None:
    """A jump in the numbers is an event at its place in the stream."""

    async def script(connection: Connection, number: int) -> None:
        await connection.say(greeting(0), frame(1, 0, 1), frame(9, 6, 9))

    async def body() -> None:
        async with StandIn(script) as server, Client(server.url) as client:
            events = await collect(client, has_transfers(2))
        assert events[-2] == Gap(2, 6, "missed")

    drive(body)


def test_final_close_code_ends_the_iteration() -> None:
    """4001 raises with the code and reason; no second connection is tried."""

    async def script(connection: Connection, number: int) -> None:
        await connection.say(greeting(0))
        connection.close(4001, "key revoked")

    async def body() -> None:
        async with StandIn(script) as server, Client(server.url, backoff=QUICK) as client:
            with pytest.raises(ClientError, match="4001 key revoked"):
                await collect(client, has_transfers(1))
            assert server.opened == 1

    drive(body)


def test_refused_upgrades() -> None:
    """503 is tried again after what Retry-After asks for; 401 is final."""

    async def body() -> None:
        refusals: list[tuple[int, dict[str, str]]] = [(503, {"Retry-After": "0"}), (429, {}), (401, {})]
        async with StandIn(idle, refusals) as server, Client(server.url, backoff=QUICK) as client:
            with pytest.raises(ClientError, match="HTTP 401") as caught:
                await collect(client, lambda events: len(events) > 9)
            assert caught.value.status == 401
        assert len(server.queries) == 3

    drive(body)


def test_retry_after_is_read() -> None:
    """Seconds asked for by a refusal are part of the delay."""

    async def body() -> None:
        async with StandIn(idle, [(503, {"Retry-After": "77"})]) as server:
            client = Client(server.url, backoff=QUICK)
            event = await client.__anext__()
            await client.close()
        assert isinstance(event, Disconnected)
        assert 77 <= event.retry_in <= 77.1
        assert not event.established

    drive(body)


def test_absent_server_is_tried_until_it_is_there() -> None:
    """A refused TCP connection is an event, not an error."""

    async def body() -> None:
        client = Client(f"ws://127.0.0.1:{closed_port()}/ws", backoff=QUICK)
        events = await collect(client, lambda events: len(events) == 3)
        await client.close()
        assert all(isinstance(event, Disconnected) and event.code is None for event in events)
        assert "refused" in getattr(events[0], "reason", "")

    drive(body)


def test_silent_server_is_given_up() -> None:
    """A port that accepts and never answers costs the connect time-out, then the next attempt."""

    async def body() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"ws://127.0.0.1:{silent.getsockname()[1]}/ws"
            client = Client(url, backoff=QUICK, connect_timeout=0.1)
            event = await client.__anext__()
            await client.close()
        assert isinstance(event, Disconnected)

    drive(body)


def test_garbled_handshake_is_given_up() -> None:
    """An answer that is no upgrade of ours does not leave the client waiting."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        await writer.drain()
        writer.close()

    async def body() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            client = Client(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws", backoff=QUICK)
            event = await client.__anext__()
            await client.close()
        assert isinstance(event, Disconnected)
        assert not event.established

    drive(body)


def test_requests_are_sent_while_connected() -> None:
    """``send`` reaches the server and its answer is an event; without a connection it says so."""

    async def script(connection: Connection, number: int) -> None:
        await connection.say(greeting(0))
        asked = await connection.heard.get()
        await connection.say({"type": "pong", "id": asked["id"], "timestamp": 1})

    async def body() -> None:
        async with StandIn(script) as server:
            async with Client(server.url) as client:
                assert not await client.send({"type": "ping"})
                assert isinstance(await client.__anext__(), Connected)
                assert await client.send({"type": "ping", "id": 5})
                answer = await client.__anext__()
            assert not await client.send({"type": "ping"})
        assert isinstance(answer, MessageReceived)
        assert answer.message["id"] == 5

    drive(body)


def test_key_travels_in_a_header() -> None:
    """The API key is not put into the URL."""

    async def body() -> None:
        async with StandIn(idle) as server, Client(server.url, api_key="secret") as client:
            await client.__anext__()
        assert server.headers[0]["Authorization"] == "Bearer secret"
        assert server.queries == [{}]

    drive(body)


def test_closing_ends_an_iteration_in_another_task() -> None:
    """``close`` lets a waiting iteration end without an error, connected or between attempts."""

    async def transfers(client: Client) -> list[Any]:
        return [transfer async for transfer in client.transfers()]

    async def body() -> None:
        async with StandIn(idle) as server:
            slow = Backoff(draw=lambda low, high: 60.0)
            for url in (server.url, f"ws://127.0.0.1:{closed_port()}/ws"):
                client = Client(url, backoff=slow)
                task = asyncio.create_task(transfers(client))
                await asyncio.sleep(0.1)
                assert not task.done()
                await client.close()
                assert await task == []

    drive(body)


def test_cancelling_leaves_nothing_open() -> None:
    """A cancelled iteration can be closed, and the server sees the connection end."""

    async def body() -> None:
        gone = asyncio.Event()

        async def script(connection: Connection, number: int) -> None:
            connection.on_close = gone.set  # type: ignore[method-assign]
            await connection.say(greeting(0))

        async with StandIn(script) as server:
            async with Client(server.url) as client:
                await client.__anext__()
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(client.__anext__(), 0.05)
            await gone.wait()

    drive(body)


def test_server_that_ignores_our_close_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing does not wait for ever for a server that does not answer the close frame."""
    monkeypatch.setattr("unionws.client.driver.CLOSE_WAIT", 0.1)

    async def body() -> None:
        async with DeafServer() as server, Client(server.url) as client:
            await client.__anext__()

    drive(body)
