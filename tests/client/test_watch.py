"""Dead connections are found, quiet ones are kept."""

from __future__ import annotations

import asyncio

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
)
from unionws.client import Client, Connected, Disconnected, Event, TransferReceived


def test_dead_connection_is_found_by_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that answers nothing any more is left though its socket stays open."""
    monkeypatch.setattr("unionws.client.driver.CLOSE_WAIT", 0.1)

    async def body() -> None:
        async with (
            DeafServer() as server,
            Client(server.url, backoff=QUICK, ping_interval=0.05, ping_timeout=0.05) as client,
        ):
            events = await collect(client, lambda events: _connections(events) == 2)
        ends = [event for event in events if isinstance(event, Disconnected)]
        assert [end.reason for end in ends] == ["no answer to a ping"]

    drive(body)


def test_quiet_connection_that_answers_is_kept() -> None:
    """Silence alone does not end a connection: pongs count."""

    async def body() -> None:
        async def script(connection: Connection, number: int) -> None:
            await connection.say(greeting(0))
            await asyncio.sleep(0.5)
            await connection.say(frame(1, 0, 1))

        async with (
            StandIn(script) as server,
            Client(server.url, backoff=QUICK, ping_interval=0.02, ping_timeout=0.2) as client,
        ):
            events = await collect(client, has_transfers(1))
            assert server.opened == 1
        assert not any(isinstance(event, Disconnected) for event in events)

    drive(body)


def test_slow_reader_does_not_lose_its_connection() -> None:
    """Time the user spends on an event is not held against the server."""

    async def body() -> None:
        async def script(connection: Connection, number: int) -> None:
            await connection.say(greeting(0), *(frame(n + 1, n, n) for n in range(4)))

        async with (
            StandIn(script) as server,
            Client(server.url, backoff=QUICK, ping_interval=0.02, ping_timeout=0.02) as client,
        ):
            for _ in range(5):
                event = await client.__anext__()
                await asyncio.sleep(0.1)
            assert server.opened == 1
        assert isinstance(event, TransferReceived)

    drive(body)


def _connections(events: list[Event]) -> int:
    return len([event for event in events if isinstance(event, Connected)])
