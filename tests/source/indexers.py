"""Stand-ins for the indexer: one in memory that shows rows late, and a scripted one over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import ujson
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from unionws.clock import SystemClock
from unionws.model import Chain, Transfer
from unionws.source.decode import Page
from unionws.source.window import Ask

SOURCE, DESTINATION = Chain("ethereum.1"), Chain("union.union-1")


def row(key: str, **changes: Any) -> dict[str, Any]:
    """One row as the indexer sends it."""
    chain = {"chain_id": "1", "display_name": "Ethereum", "testnet": False, "rpc_type": "evm"}
    return {
        "sort_order": key,
        "packet_hash": "0x" + "ab" * 32,
        "transfer_index": 0,
        "source_universal_chain_id": "ethereum.1",
        "destination_universal_chain_id": "union.union-1",
        "source_chain": {**chain, "universal_chain_id": "ethereum.1", "addr_prefix": "0x"},
        "destination_chain": {**chain, "universal_chain_id": "union.union-1", "addr_prefix": "union"},
        "sender_canonical": "0x" + "11" * 20,
        "sender_display": None,
        "receiver_canonical": "0x" + "22" * 32,
        "receiver_display": None,
        "transfer_send_timestamp": "2025-06-15T12:34:56.250Z",
        "transfer_send_transaction_hash": "0x" + "cd" * 32,
        "transfer_recv_timestamp": None,
        "base_token": "0x6175",
        "base_amount": "1000000",
        "base_token_symbol": "U",
        "base_token_name": "Union",
        "base_token_decimals": 18,
        "quote_token": "0x" + "33" * 20,
        "quote_amount": "1000000",
        **changes,
    }


@dataclass(frozen=True)
class Shown:
    """A row and the moment from which the indexer shows it; ``dated``: with its send time."""

    key: str
    sent: float
    visible: float
    dated: bool = True

    def transfer(self) -> Transfer:
        return Transfer(self.key, SOURCE, DESTINATION, send_time=self.sent if self.dated else None)


@dataclass
class MemoryIndexer:
    """Answers asks as the indexer does, from what is visible at a moment."""

    rows: Sequence[Shown]
    limit: int = 3

    def page(self, ask: Ask, now: float, known: set[str]) -> Page:
        """The page shown at ``now``."""
        shown = [row for row in self.rows if row.visible <= now and _asked_for(ask, row.key)]
        shown.sort(key=lambda row: row.key, reverse=not ask.ascending)
        page = shown[: self.limit]
        new = tuple(row.transfer() for row in page if row.key not in known)
        return Page(len(page), tuple(row.key for row in page), new, len(page) - len(new))


def _asked_for(ask: Ask, key: str) -> bool:
    if ask.cursor is None:
        return True
    return key > ask.cursor if ask.ascending else key < ask.cursor


Reply = Callable[[RequestHandler, dict[str, Any]], Awaitable[None]]


@dataclass
class HttpIndexer:
    """A real HTTP server whose answers are a coroutine of the test."""

    reply: Reply
    asked: list[dict[str, Any]] = field(default_factory=list)
    connections: set[Any] = field(default_factory=set)
    url: str = ""
    _server: HTTPServer | None = None

    def start(self) -> None:
        indexer = self

        class Handler(RequestHandler):
            async def post(self) -> None:
                body = ujson.loads(self.request.body)
                indexer.asked.append({**body, "headers": dict(self.request.headers)})
                indexer.connections.add(self.request.connection.context.address)  # type: ignore[union-attr]
                await indexer.reply(self, body)

        sockets = bind_sockets(0, "127.0.0.1")
        self._server = HTTPServer(Application([("/v1/graphql", Handler)]))
        self._server.add_sockets(sockets)
        self.url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/v1/graphql"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.stop()
        await self._server.close_all_connections()


def run(reply: Reply, scene: Callable[[HttpIndexer], Awaitable[None]]) -> None:
    """Play a scene against a stand-in that answers with ``reply``."""

    async def play() -> None:
        indexer = HttpIndexer(reply)
        indexer.start()
        try:
            await scene(indexer)
        finally:
            await indexer.stop()

    asyncio.run(play())


class FastClock(SystemClock):
    """Time that runs ``factor`` times as fast, so that waits of the service end early in a test.

    ``wall`` is the Unix time it begins at, by default now: the simulator's traffic follows from it.
    """

    def __init__(self, factor: float, wall: float | None = None) -> None:
        self._factor, self._wall = factor, super().time() if wall is None else wall
        self._mono = super().monotonic()

    def time(self) -> float:
        return self._wall + self.monotonic() - self._mono

    def monotonic(self) -> float:
        return self._mono + (super().monotonic() - self._mono) * self._factor


@dataclass
class Table:
    """Rows that a stand-in serves as the indexer does; ``limit`` is read from the variables."""

    keys: list[str] = field(default_factory=list)

    def page(self, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to one of our transfer queries."""
        variables = body["variables"]
        cursor = variables.get("cursor")
        keys = sorted(self.keys)
        if cursor is None:
            keys = keys[::-1]
        elif '"gt"' in body["query"]:
            keys = [key for key in keys if key > cursor]
        else:
            keys = [key for key in keys if key < cursor][::-1]
        return {"data": {"v2_transfers": [row(key) for key in keys[: variables["limit"]]]}}


async def until(condition: Callable[[], object], within: float = 10.0) -> None:
    """Let the loop run until something is so."""
    end = asyncio.get_running_loop().time() + within
    while not condition():
        assert asyncio.get_running_loop().time() < end, "it did not come about in time"
        await asyncio.sleep(0.005)
