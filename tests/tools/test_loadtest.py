"""The load test as its user runs it, against a small server."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from tests.client.standin import Connection, StandIn, drive, frame, greeting

LOADTEST = Path(__file__).resolve().parents[2] / "tools" / "loadtest.py"


async def load(*arguments: str) -> tuple[int | None, dict[str, Any], str]:
    """Exit status, JSON result and standard error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(LOADTEST),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, json.loads(out) if out else {}, err.decode()


async def steady(connection: Connection, number: int) -> None:
    """A frame every 50 ms."""
    await connection.say(greeting(0))
    for seq in range(1, 400):
        await connection.say(frame(seq, seq - 1, seq))
        await asyncio.sleep(0.05)


def test_healthy_server_is_status_0() -> None:
    """Every client is open, counted and checked."""

    async def body() -> None:
        async with StandIn(steady) as server:
            status, result, err = await load(
                server.url, "--clients", "20", "--seconds", "1", "--processes", "2"
            )
        assert (status, err) == (0, "")
        assert (result["opened"], result["failed"], result["lost"]) == (20, 0, 0)
        assert result["messages"] == sum(result["types"].values()) >= 20 * 10
        assert result["positions"]["checked"] >= result["types"]["transfers"]
        assert result["latencyMs"]["n"] == result["types"]["transfers"]

    drive(body)


def test_gaps_losses_and_refusals_are_status_1() -> None:
    """A jump in the numbers, a close code and a refused upgrade are each in the result."""

    async def script(connection: Connection, number: int) -> None:
        await connection.say(greeting(0), frame(5, 3, 5))
        if number == 1:
            connection.close(4103, "slow")
        await connection.heard.get()

    async def body() -> None:
        async with StandIn(script, [(503, {})]) as server:
            status, result, _ = await load(
                server.url, "--clients", "4", "--seconds", "0.2", "--processes", "1"
            )
        assert status == 1
        assert (result["opened"], result["failed"], result["lost"]) == (3, 1, 1)
        assert result["failures"] == {"HTTP 503": 1}
        assert result["closeCodes"] == {"4103": 1}
        assert result["positions"] == {"checked": 6, "gaps": 3, "missing": 9, "toldGaps": 0}

    drive(body)


def test_wrong_options_are_status_2() -> None:
    """An address that is none, and more clients than files, are named."""

    async def body() -> None:
        status, _, err = await load("http://127.0.0.1/")
        assert (status, "not a WebSocket address" in err) == (2, True)
        status, _, err = await load("--clients", "100000000", "--processes", "1")
        assert (status, "use --processes" in err) == (2, True)

    drive(body)
