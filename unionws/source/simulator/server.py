"""The embedded indexer on a port: GraphQL, its faults, and the chains' RPC stand-ins."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from dataclasses import replace
from random import Random
from typing import Any

import ujson
from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from unionws.clock import Clock, SystemClock
from unionws.source.simulator.faults import Faults
from unionws.source.simulator.indexer import Indexer
from unionws.source.simulator.nodes import answer_node
from unionws.source.simulator.traffic import Bursts, Traffic
from unionws.source.simulator.world import ChainFacts

GRAPHQL_PATH = "/v1/graphql"
NODE_PATH = r"/rpc/([a-z]+\.[A-Za-z0-9-]+)(?:/node(\d+))?(/.*)?"
TRICKLE_SECONDS = 1.0
_TEXT = "application/json; charset=UTF-8"


class Simulator:
    """A GraphQL indexer with Union's schema over believable traffic.

    Args:
        rate: mean packets a second, bursts not counted.
        seed: everything follows from it and from the time.
        faults: what goes wrong; replace ``simulator.faults`` to change it while it runs.
        clock: where the time comes from.
        bursts: seconds with many transfers at once.
        people: how many people own wallets.
    """

    def __init__(
        self,
        *,
        rate: float = 5.0,
        seed: int = 1,
        faults: Faults = Faults(),  # noqa: B008 - frozen
        clock: Clock = SystemClock(),  # noqa: B008 - stateless
        bursts: Bursts = Bursts(),  # noqa: B008 - frozen
        people: int = 200_000,
    ) -> None:
        traffic = Traffic(rate=rate, seed=seed, bursts=bursts, people=people)
        self.clock = clock
        self.requests = 0
        self.indexer = Indexer(traffic, seed=seed, faults=faults)
        self._random = Random(f"{seed}/modes")
        self._server: HTTPServer | None = None
        self._stopped = asyncio.Event()

    @property
    def faults(self) -> Faults:
        """What goes wrong; counts from the next request on."""
        return self.indexer.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self.indexer.faults = faults

    @property
    def rpc_base(self) -> str | None:
        """URL, such as ``http://127.0.0.1:9200``, that replaces the chains' RPC addresses by ours."""
        return self.indexer.rpc_base

    @rpc_base.setter
    def rpc_base(self, base: str | None) -> None:
        self.indexer.rpc_base = base.rstrip("/") if base else None

    def force(self, mode: str | None) -> None:
        """Spoil every answer in one way (a key of MODES) until ``force(None)``."""
        self.faults = replace(self.faults, mode=mode or "", chance=1.0)

    def transfers_between(self, start: float, end: float) -> list[dict[str, Any]]:
        """The truth: every transfer sent in [start, end) (Unix seconds), late ones included.

        Each has the flat fields of the API as of ``end``, ``sent_at`` and ``visible_at``.
        """
        return self.indexer.between(start, end)

    def add_chain(self, universal_chain_id: str, **facts: Any) -> None:
        """Let a chain appear in ``v2_chains``; ``facts`` are fields of ChainFacts. Nothing is sent on it."""
        chain_id = universal_chain_id.partition(".")[2]
        names = {"chain_id": chain_id, "display_name": chain_id, "testnet": True, "rpc_type": "evm"}
        chain = ChainFacts(
            len(self.indexer.chains), universal_chain_id, **{**names, "addr_prefix": "0x", **facts}
        )
        self.indexer.chains = (*self.indexer.chains, chain)

    def mode_of_answer(self) -> str:
        """How the next answer is spoilt; "" when it is sound (or only its rows are spoilt)."""
        faults = self.faults
        spoilt = faults.mode not in ("", "rows") and self._random.random() < faults.chance
        return faults.mode if spoilt else ""

    def start(self, host: str, port: int) -> int:
        """Listen on the running loop; port 0 takes a free one. Returns the port."""
        options = {"simulator": self}
        routes = [(GRAPHQL_PATH, GraphQLHandler, options), (NODE_PATH, NodeHandler, options)]
        self._server = HTTPServer(Application([("/", AboutHandler), *routes], log_function=_no_log))
        sockets = bind_sockets(port, host)
        self._server.add_sockets(sockets)
        return int(sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening and drop every connection, hanging answers included."""
        self._stopped.set()
        if self._server is not None:
            self._server.stop()
            await self._server.close_all_connections()
            self._server = None

    async def pause(self, gone: asyncio.Event, seconds: float | None) -> bool:
        """Wait, for ever when None; whether the client or the simulator went away meanwhile."""
        waits = [asyncio.ensure_future(event.wait()) for event in (gone, self._stopped)]
        done, pending = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in pending:
            wait.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        return bool(done)


def _no_log(_handler: RequestHandler) -> None:
    """Answers are faults on purpose: a log line for each would hide the service's own."""


class AboutHandler(RequestHandler):
    """Says what this is."""

    def get(self) -> None:
        self.write({"unionws": "simulated indexer", "graphql": GRAPHQL_PATH})


class _Handler(RequestHandler):
    def initialize(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.gone = asyncio.Event()

    def on_connection_close(self) -> None:
        self.gone.set()

    def set_default_headers(self) -> None:
        self.set_header("Access-Control-Allow-Origin", "*")
        self.set_header("Access-Control-Allow-Headers", "*")
        self.set_header("Access-Control-Allow-Methods", "GET, POST, OPTIONS")

    def options(self, *_path: str) -> None:
        self.set_status(204)

    def answer(self, body: str, status: int = 200) -> None:
        """Write a whole JSON answer."""
        self.set_status(status)
        self.set_header("Content-Type", _TEXT)
        self.write(body)


class GraphQLHandler(_Handler):
    """POST {query, variables, operationName}."""

    async def post(self) -> None:
        self.simulator.requests += 1
        mode = self.simulator.mode_of_answer()
        if mode in _SPOILT:
            status, body = _SPOILT[mode]
            self.set_header("Retry-After", str(self.simulator.faults.retry_after)) if mode == "429" else None
            self.answer(body, status)
        elif mode == "hang":
            await self.simulator.pause(self.gone, None)
            self._cut()
        else:
            await self._send(self._answer_text(), mode)

    def _answer_text(self) -> str:
        try:
            request = json.loads(self.request.body)
        except ValueError as error:
            return json.dumps({"errors": [{"message": f"The body is not JSON: {error}"}]})
        answer = self.simulator.indexer.answer(request, self.simulator.clock.time())
        return str(ujson.dumps(answer, ensure_ascii=False, escape_forward_slashes=False))

    async def _send(self, body: str, mode: str) -> None:
        if mode not in ("trickle", "cut"):
            self.answer(body)
            return
        data = body.encode()
        self.set_header("Content-Type", _TEXT)
        self.set_header("Content-Length", str(len(data)))
        try:
            await (self._trickle(data) if mode == "trickle" else self._half(data))
        except StreamClosedError:
            return
        self._cut()

    async def _trickle(self, data: bytes) -> None:
        for place in range(len(data)):
            self.write(data[place : place + 1])
            await self.flush()
            if await self.simulator.pause(self.gone, TRICKLE_SECONDS):
                return

    async def _half(self, data: bytes) -> None:
        self.write(data[: len(data) // 2])
        await self.flush()

    def _cut(self) -> None:
        """End without finishing the answer."""
        self.detach().close()


_SPOILT = {
    "500": (500, '{"message":"internal error"}'),
    "429": (429, '{"message":"too many requests"}'),
    "garbage": (200, "<html><body>Bad gateway</body></html>"),
    "errors": (200, '{"errors":[{"message":"database query error","extensions":{"code":"unexpected"}}]}'),
    "null": (200, '{"data":null}'),
}
"""Status and body of the answers that are spoilt in one piece."""


class NodeHandler(_Handler):
    """A chain's RPC node; see ``nodes``."""

    async def get(self, chain_id: str, place: str | None, path: str | None) -> None:
        await self._answer_node(chain_id, int(place or 0), path or "", None)

    async def post(self, chain_id: str, place: str | None, path: str | None) -> None:
        try:
            request = json.loads(self.request.body)
        except ValueError:
            self.answer('{"error":"the body is not JSON"}', 400)
            return
        await self._answer_node(chain_id, int(place or 0), path or "", request)

    async def _answer_node(self, chain_id: str, place: int, path: str, request: Any) -> None:
        chains = {chain.universal_chain_id: chain for chain in self.simulator.indexer.chains}
        if chain_id not in chains:
            self.answer('{"error":"no such chain"}', 404)
            return
        found = answer_node(chains[chain_id], place, path, request, self.simulator.clock.time())
        if found.delay and await self.simulator.pause(self.gone, found.delay):
            return
        self.answer(json.dumps(found.body), found.status)


def run_simulator(host: str, port: int, rate: float, seed: int, faults: Faults) -> int:
    """Serve until SIGINT or SIGTERM. Prints one line with the URL; returns the exit code."""
    return asyncio.run(_serve(Simulator(rate=rate, seed=seed, faults=faults), host, port))


async def _serve(simulator: Simulator, host: str, port: int) -> int:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.set)
    try:
        port = simulator.start(host, port)
    except OSError as error:
        print(f"cannot listen on {host}:{port}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"simulated indexer at http://{host or '127.0.0.1'}:{port}{GRAPHQL_PATH}", flush=True)
    await asked.wait()
    await simulator.stop()
    return 0
