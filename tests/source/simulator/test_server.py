"""The simulator on a real port: answers, whole-answer faults, a clean end."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest, HTTPResponse

from unionws.clock import ManualClock
from unionws.errors import SettingsError
from unionws.source.simulator import Faults, Simulator
from unionws.source.simulator.nodes import node_state
from unionws.source.simulator.world import load_world

COMMAND = (
    "import sys; from unionws.source.simulator import *;"
    "sys.exit(run_simulator('127.0.0.1', {port}, 5.0, 1, Faults()))"
)
QUERY = '{ v2_transfers(args: {p_comparison: "lt", p_limit: 3}) { sort_order } }'


def with_simulator(
    check: Callable[[Simulator, str], Awaitable[None]],
    faults: Faults = Faults(),  # noqa: B008 - frozen
) -> None:
    async def main() -> None:
        simulator = Simulator(faults=faults, clock=ManualClock())
        port = simulator.start("127.0.0.1", 0)
        try:
            await asyncio.wait_for(check(simulator, f"http://127.0.0.1:{port}"), 20)
        finally:
            await simulator.stop()
            AsyncHTTPClient().close()

    asyncio.run(main())


async def fetch(url: str, body: Any = None, **options: Any) -> HTTPResponse:
    if body is not None:
        options = {"method": "POST", "body": body if isinstance(body, str) else json.dumps(body), **options}
    return await AsyncHTTPClient().fetch(HTTPRequest(url, **options), raise_error=False)


async def ask(base: str, timeout: float = 5.0) -> HTTPResponse:
    return await fetch(f"{base}/v1/graphql", {"query": QUERY}, request_timeout=timeout)


def test_a_query_is_answered_over_http() -> None:
    """POST /v1/graphql gives data, and a refused query errors with status 200."""

    async def check(simulator: Simulator, base: str) -> None:
        answer = await ask(base)
        assert answer.code == 200
        rows = json.loads(answer.body)["data"]["v2_transfers"]
        truth = simulator.transfers_between(simulator.clock.time() - 60, simulator.clock.time())
        assert {row["sort_order"] for row in rows} <= {row["sort_order"] for row in truth}
        for body in ({"query": "{ nonsense }"}, "not JSON", "[1]", {"query": QUERY, "variables": 5}):
            refused = await fetch(f"{base}/v1/graphql", body)
            assert refused.code == 200
            assert set(json.loads(refused.body)) == {"errors"}

    with_simulator(check)


def test_it_says_what_it_is_and_allows_browsers() -> None:
    """GET / is one line of JSON; OPTIONS carries CORS headers."""

    async def check(_simulator: Simulator, base: str) -> None:
        assert json.loads((await fetch(base)).body)["graphql"] == "/v1/graphql"
        options = await fetch(f"{base}/v1/graphql", method="OPTIONS")
        assert options.code == 204
        assert options.headers["Access-Control-Allow-Origin"] == "*"

    with_simulator(check)


def test_spoilt_answers_are_what_they_say() -> None:
    """Status codes, Retry-After, garbage, errors and null data, each until released."""

    async def check(simulator: Simulator, base: str) -> None:
        simulator.force("500")
        assert (await ask(base)).code == 500
        simulator.force("429")
        limited = await ask(base)
        assert (limited.code, limited.headers["Retry-After"]) == (429, "2")
        simulator.force("garbage")
        with pytest.raises(ValueError):
            json.loads((await ask(base)).body)
        simulator.force("errors")
        assert json.loads((await ask(base)).body)["errors"]
        simulator.force("null")
        assert json.loads((await ask(base)).body) == {"data": None}
        simulator.force(None)
        assert json.loads((await ask(base)).body)["data"]["v2_transfers"]
        assert simulator.requests == 6

    with_simulator(check)


def test_a_hanging_answer_never_comes() -> None:
    """hang keeps the connection open without a byte, and stopping does not wait for it."""

    async def check(simulator: Simulator, base: str) -> None:
        simulator.force("hang")
        with pytest.raises(HTTPClientError, match="Timeout"):
            await ask(base, timeout=0.3)
        hanging = asyncio.ensure_future(ask(base))
        await asyncio.sleep(0.1)
        await simulator.stop()
        with pytest.raises(HTTPClientError, match="closed"):
            await hanging

    with_simulator(check)


def test_a_trickle_is_the_right_answer_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """trickle sends the whole answer, byte after byte."""
    monkeypatch.setattr("unionws.source.simulator.server.TRICKLE_SECONDS", 0.001)

    async def check(simulator: Simulator, base: str) -> None:
        simulator.force("trickle")
        chunks: list[bytes] = []
        answer = await fetch(f"{base}/v1/graphql", {"query": QUERY}, streaming_callback=chunks.append)
        assert answer.code == 200
        assert json.loads(b"".join(chunks))["data"]["v2_transfers"]
        assert len(chunks) > 20

    with_simulator(check)


def test_a_cut_answer_ends_in_the_middle() -> None:
    """cut closes the connection before the promised length."""

    async def check(simulator: Simulator, base: str) -> None:
        simulator.force("cut")
        with pytest.raises(HTTPClientError, match="closed"):
            await ask(base)
        simulator.force(None)
        assert (await ask(base)).code == 200

    with_simulator(check)


def test_a_chance_spoils_some_answers() -> None:
    """With a chance, sound and spoilt answers alternate by draw."""

    async def check(_simulator: Simulator, base: str) -> None:
        codes = [(await ask(base)).code for _ in range(40)]
        assert set(codes) == {200, 500}

    with_simulator(check, Faults(mode="500", chance=0.5))


def test_faults_can_change_while_it_runs() -> None:
    """A fault set later counts from the next request on; a wrong mode is refused."""

    async def check(simulator: Simulator, base: str) -> None:
        simulator.faults = Faults(bad_rows=1.0)
        rows = json.loads((await ask(base)).body)["data"]["v2_transfers"]
        assert len(rows) == 3
        with pytest.raises(SettingsError, match="explode"):
            simulator.force("explode")

    with_simulator(check)


def test_new_chains_appear_in_the_list() -> None:
    """add_chain lengthens v2_chains, and the new chain's node answers."""

    async def check(simulator: Simulator, base: str) -> None:
        simulator.rpc_base = base
        simulator.add_chain("movement.250", display_name="Movement", rpc_type="aptos", testnet=False)
        query = '{ v2_chains(args: {p_universal_chain_id: "movement.250"}) { display_name rpcs { url } } }'
        answer = await fetch(f"{base}/v1/graphql", {"query": query})
        [chain] = json.loads(answer.body)["data"]["v2_chains"]
        assert chain["display_name"] == "Movement"
        assert (await fetch(chain["rpcs"][0]["url"] + "/v1")).code in (200, 503)

    with_simulator(check)


def test_nodes_answer_over_http() -> None:
    """RPC stand-ins take JSON-RPC and GET, and know nothing of other chains."""

    async def check(_simulator: Simulator, base: str) -> None:
        call = {"jsonrpc": "2.0", "id": 7, "method": "eth_chainId"}
        chain = load_world().chain("ethereum.1")
        place = next(place for place in range(9) if node_state(chain, place) == "sound")
        answer = await fetch(f"{base}/rpc/ethereum.1/node{place}", call)
        assert json.loads(answer.body) == {"jsonrpc": "2.0", "id": 7, "result": "0x1"}
        assert (await fetch(f"{base}/rpc/nowhere.1", call)).code == 404
        assert (await fetch(f"{base}/rpc/ethereum.1", "not JSON")).code == 400

    with_simulator(check)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_prints_its_address_and_ends_cleanly(number: signal.Signals) -> None:
    """run_simulator prints one line with the URL and exits 0 on a signal."""
    command = [sys.executable, "-c", COMMAND.format(port=0)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "http://127.0.0.1:" in line
        assert "/v1/graphql" in line
        process.send_signal(number)
        assert process.wait(10) == 0
        assert process.stdout.read() == ""


def test_a_taken_port_is_said() -> None:
    """run_simulator names the address it cannot listen on and returns 1."""

    async def check(_simulator: Simulator, base: str) -> None:
        port = int(base.rpartition(":")[2])
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", COMMAND.format(port=port), stderr=asyncio.subprocess.PIPE
        )
        _, said = await process.communicate()
        assert process.returncode == 1
        assert f"127.0.0.1:{port}" in said.decode()

    with_simulator(check)
