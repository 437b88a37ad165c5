"""``unionws tail`` as a user meets it: a process with pipes, signals and an exit status."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.client.standin import Connection, StandIn, drive, frame, greeting
from unionws.client import tail

ROOT = Path(__file__).resolve().parents[2]
RUN = (
    "import argparse, json, sys; from unionws.client import tail;"
    "sys.exit(tail.main(argparse.Namespace(**json.loads(sys.argv[1]))))"
)


async def idle(connection: Connection, number: int) -> None:
    await connection.say(greeting())


def options(url: str | None, **given: Any) -> dict[str, Any]:
    return {"url": url, "from_chain": None, "to_chain": None, "wallet": None, "json": False, **given}


async def start(url: str, **given: Any) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        RUN,
        json.dumps(options(url, **given)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120", "TZ": "UTC"},
    )


async def lines(stream: asyncio.StreamReader | None, count: int) -> list[str]:
    assert stream is not None
    return [(await stream.readline()).decode().rstrip("\n") for _ in range(count)]


async def finish(process: asyncio.subprocess.Process) -> tuple[str, str]:
    out, err = await process.communicate()
    return (out or b"").decode(), (err or b"").decode()


async def two_frames(connection: Connection, number: int) -> None:
    """Three transfers in two frames with a gap between them."""
    await connection.say(greeting(0), frame(2, 0, 1, 2), frame(5, 4, 5))


def test_json_lines_until_interrupted() -> None:
    """One object per line at once, nothing else on standard output; Ctrl-C is exit status 0."""

    async def body() -> None:
        async with StandIn(two_frames) as server:
            given = {"from_chain": "union.union-1", "to_chain": "ethereum.1", "wallet": "0xab"}
            process = await start(server.url, json=True, **given)
            found = [json.loads(text) for text in await lines(process.stdout, 3)]
            process.send_signal(signal.SIGINT)
            out, err = await finish(process)
        assert [transfer["sort_order"] for transfer in found] == ["order-1", "order-2", "order-5"]
        assert (process.returncode, out) == (0, "")
        assert err.splitlines() == [
            f"connected to {server.url}",
            "gap: transfers 3-4 may be missing (missed)",
        ]
        assert server.queries == [
            {"channels": "transfers,status", "from": "union.union-1", "to": "ethereum.1", "wallet": "0xab"}
        ]

    drive(body)


def test_reader_that_leaves_ends_it_quietly() -> None:
    """Like ``| head -1``: exit status 0, no traceback."""

    async def endless(connection: Connection, number: int) -> None:
        await connection.say(greeting(0))
        for n in range(1, 10_000):
            await connection.say(frame(n, n - 1, n))
            await asyncio.sleep(0.005)

    async def body() -> None:
        async with StandIn(endless) as server:
            receiving, sending = os.pipe()
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                RUN,
                json.dumps(options(server.url, json=True)),
                stdout=sending,
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
            os.close(sending)
            await asyncio.get_running_loop().run_in_executor(None, os.read, receiving, 10)
            os.close(receiving)
            _, err = await finish(process)
        assert (process.returncode, err) == (0, f"connected to {server.url}\n")

    drive(body)


def test_readable_lines_and_drops() -> None:
    """Transfers as a list, the connection's story on standard error."""

    async def script(connection: Connection, number: int) -> None:
        shown = {
            "destinationDisplayName": "Babylon",
            "base_token_amount_display": "1.50",
            "base_token_symbol": "U",
        }
        message = frame(number + 1, number, number)
        message["data"][0] |= shown
        await connection.say(greeting(number), message)
        if number == 0:
            connection.drop()

    async def body() -> None:
        async with StandIn(script) as server:
            process = await start(server.url)
            found = await lines(process.stdout, 2)
            process.send_signal(signal.SIGINT)
            _, err = await finish(process)
        assert [text.split() for text in found] == [
            ["--:--:--", "Union", "→", "Babylon", "1.5", "U", "→"]
        ] * 2
        told = err.splitlines()
        assert told[0] == told[2] == f"connected to {server.url}"
        assert told[1].startswith("connection lost; reconnecting in 0.")

    drive(body)


def test_final_refusal_is_status_1() -> None:
    """What the server will not change is one line and exit status 1."""

    async def script(connection: Connection, number: int) -> None:
        connection.close(4003, "origin not allowed")

    async def body() -> None:
        async with StandIn(script) as server:
            process = await start(server.url)
            out, err = await finish(process)
        assert (process.returncode, out) == (1, "")
        assert err == "unionws tail: the server closed the connection for good: 4003 origin not allowed\n"

    drive(body)


def test_a_refused_upgrade_says_why() -> None:
    """The server's own sentence, which names what helps, and no key in what is written."""

    async def body() -> None:
        refusal = {"error": "unauthorized", "message": "a key is needed: \x1b[31m?key=KEY"}
        async with StandIn(idle, [(401, {})], refusal) as server:
            process = await start(server.url)
            out, err = await finish(process)
        assert (process.returncode, out) == (1, "")
        assert err == (
            "unionws tail: the server refused the connection: HTTP 401 a key is needed: ?[31m?key=KEY\n"
        )

    drive(body)


def test_a_key_is_not_shown() -> None:
    """Of the address everything but the key."""

    async def script(connection: Connection, number: int) -> None:
        await connection.say(greeting())
        connection.close(4003, "enough")

    async def body() -> None:
        async with StandIn(script) as server:
            process = await start(f"{server.url}?key=s3cret&channels=transfers")
            _, err = await finish(process)
        assert err.startswith(f"connected to {server.url}?key=***&channels=transfers\n")
        assert "s3cret" not in err

    drive(body)


def test_what_the_server_says_is_passed_on() -> None:
    """Errors, a shutdown and a degraded state are notes; an ordinary state is not."""

    async def script(connection: Connection, number: int) -> None:
        await connection.say(
            greeting(0),
            {"type": "status", "data": {"system": "online", "upstream": "ok", "lagMs": 5}},
            {"type": "error", "code": "invalid_filter", "message": "from: no such\x1b chain"},
            {
                "type": "status",
                "data": {"system": "degraded", "upstream": "stale", "notice": "indexer is slow"},
            },
            {"type": "serverShutdown", "data": {"reason": "deploy"}},
        )

    async def body() -> None:
        async with StandIn(script) as server:
            process = await start(server.url)
            told = await lines(process.stderr, 4)
            process.send_signal(signal.SIGINT)
            await finish(process)
        assert told[1:] == [
            "the server says: invalid_filter from: no such? chain",
            "status: degraded, upstream stale, indexer is slow",
            "the server is going down",
        ]

    drive(body)


@pytest.mark.parametrize("url", ["localhost", "http://127.0.0.1:1/ws"])
def test_unusable_url_is_status_2(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The address is named and nothing is tried."""
    assert tail.main(argparse.Namespace(**options(url))) == 2
    assert repr(url) in capsys.readouterr().err
