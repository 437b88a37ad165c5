"""Drives a Session over Tornado's WebSocket client; one connection at a time, no task of its own."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType

import ujson
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import (
    WebSocketClientConnection,
    WebSocketClosedError,
    WebSocketError,
    websocket_connect,
)

from unionws.client.address import Query
from unionws.client.events import Event, TransferReceived
from unionws.client.positions import Position
from unionws.client.reconnect import Backoff, Ending
from unionws.client.session import Session
from unionws.client.watch import Watch
from unionws.clock import Clock, SystemClock
from unionws.model import JSON

CLOSE_WAIT = 2.0
"""Seconds the server has to answer our close frame."""

MOST_SAID = 200
"""Characters of a refusal's message that are passed on."""


class Client:
    """An async iterator of events, for as long as it is iterated; see the package's docstring.

    Reading is paced by the iteration: while its body runs, the server's pings are not answered
    either, so work that takes many seconds belongs into a task of its own.

    Args:
        url: ``ws://`` or ``wss://``; raises ClientError when it is not.
        channels: empty for the server's default.
        from_chains … min_amount: the filter, see ``address.Query``.
        api_key: sent as ``Authorization: Bearer``.
        ping_interval, ping_timeout: seconds of silence until a ping, and for its answer; a
            connection that gives none is dead and replaced.
        remember: transfers kept in mind against repeats.
    """

    def __init__(
        self,
        url: str,
        *,
        channels: Sequence[str] = (),
        from_chains: Sequence[str] = (),
        to_chains: Sequence[str] = (),
        wallets: Sequence[str] = (),
        assets: Sequence[str] = (),
        network: str = "",
        min_amount: str = "",
        api_key: str = "",
        backoff: Backoff = Backoff(),  # noqa: B008 - frozen
        connect_timeout: float = 10.0,
        ping_interval: float = 20.0,
        ping_timeout: float = 10.0,
        max_message_bytes: int = 16 * 2**20,
        remember: int = 10_000,
        clock: Clock = SystemClock(),  # noqa: B008 - has no state
    ) -> None:
        query = Query(
            channels=channels,
            from_chains=from_chains,
            to_chains=to_chains,
            wallets=wallets,
            assets=assets,
            network=network,
            min_amount=min_amount,
        )
        self._session = Session(url, query, backoff, remember=remember)
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._connect_timeout = connect_timeout
        self._ping_interval, self._ping_timeout = ping_interval, ping_timeout
        self._max_message_bytes = max_message_bytes
        self._clock = clock
        self._events: deque[Event] = deque()
        self._connection: WebSocketClientConnection | None = None
        self._watch: Watch | None = None
        self._delay = 0.0
        self._closing = asyncio.Event()
        self._turn = asyncio.Lock()

    @property
    def position(self) -> Position:
        """How far the stream was followed."""
        return self._session.position

    @property
    def ignored(self) -> int:
        """Messages that were no messages of the protocol."""
        return self._session.ignored

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __aiter__(self) -> Client:
        return self

    async def __anext__(self) -> Event:
        """The next event; raises ClientError when the server's refusal is final."""
        while not self._events:
            async with self._turn:
                if self._closing.is_set():
                    raise StopAsyncIteration
                await self._advance()
        return self._events.popleft()

    async def transfers(self) -> AsyncIterator[Mapping[str, JSON]]:
        """Only the transfers, each once."""
        async for event in self:
            if isinstance(event, TransferReceived):
                yield event.transfer

    async def send(self, message: Mapping[str, JSON]) -> bool:
        """Sends a request; False when there is no connection now. It is not repeated on the next one."""
        if self._connection is None:
            return False
        try:
            await self._connection.write_message(ujson.dumps(message))
        except WebSocketClosedError:
            return False
        return True

    async def close(self) -> None:
        """Ends the iteration and the connection; waits for a handshake in progress."""
        self._closing.set()
        if self._connection is not None:
            self._connection.close(1000)
        async with self._turn:
            await self._drop()

    async def _advance(self) -> None:
        if self._connection is not None and self._watch is not None:
            await self._read(self._connection, self._watch)
        else:
            await self._pause()
            if not self._closing.is_set():
                await self._connect()

    async def _pause(self) -> None:
        delay, self._delay = self._delay, 0.0
        if delay > 0:
            try:
                await asyncio.wait_for(self._closing.wait(), delay)
            except asyncio.TimeoutError:
                return

    async def _connect(self) -> None:
        try:
            self._connection = await self._open(self._session.next_url())
        except HTTPClientError as error:
            self._ended(_refusal(error))
        except asyncio.TimeoutError:
            self._ended(Ending(reason="no answer in time"))
        except (OSError, WebSocketError) as error:
            self._ended(Ending(reason=_explain(error)))
        else:
            self._watch = Watch(self._connection, self._ping_interval, self._ping_timeout)
            self._session.opened(self._clock.monotonic())

    async def _open(self, url: str) -> WebSocketClientConnection:
        limit = self._connect_timeout
        request = HTTPRequest(url, headers=self._headers, connect_timeout=limit, request_timeout=limit)
        opening = asyncio.ensure_future(
            websocket_connect(
                request,
                compression_options={},
                max_message_size=self._max_message_bytes,
            )
        )
        try:
            # Tornado's own limit ends with the answer's first line; a broken one leaves it waiting.
            return await asyncio.wait_for(asyncio.shield(opening), limit + 1)
        except (asyncio.CancelledError, asyncio.TimeoutError):
            opening.add_done_callback(_discard)
            raise

    async def _read(self, connection: WebSocketClientConnection, watch: Watch) -> None:
        watch.begin()
        try:
            text = await connection.read_message()
        finally:
            watch.end()
        if text is not None:
            self._events.extend(self._session.received(text))
            if self._session.reconnect_now:
                await self._drop()
            return
        self._connection = None
        connection.close()  # Tornado warns of a connection that only the server closed
        if not self._closing.is_set():
            reason = "no answer to a ping" if watch.dead else connection.close_reason or ""
            self._ended(Ending(connection.close_code, reason))

    def _ended(self, ending: Ending) -> None:
        event = self._session.ended(ending, self._clock.monotonic())
        self._delay = event.retry_in
        self._events.append(event)

    async def _drop(self) -> None:
        connection, watch = self._connection, self._watch
        self._connection = None
        if connection is None or watch is None:
            return
        connection.close(1000)
        try:
            await asyncio.wait_for(_drain(connection), CLOSE_WAIT)
        except asyncio.TimeoutError:
            watch.cut()


async def _drain(connection: WebSocketClientConnection) -> None:
    while await connection.read_message() is not None:
        continue


def _discard(opening: asyncio.Future[WebSocketClientConnection]) -> None:
    """A handshake nobody waits for any more is closed when it ends."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _refusal(error: HTTPClientError) -> Ending:
    """Tornado reports its own time-outs as status 599, which no server sends."""
    if error.code == 599:
        return Ending(reason=(error.message or "no answer").lower())
    asked = error.response.headers.get("Retry-After", "") if error.response is not None else ""
    wait = float(asked) if asked.isascii() and asked.isdigit() else 0.0
    return Ending(reason=_why(error), status=error.code, retry_after=wait)


def _why(error: HTTPClientError) -> str:
    """What the server says of it, or the words of the status."""
    try:
        said = ujson.loads(error.response.body)["message"] if error.response is not None else None
    except (ValueError, KeyError, TypeError):
        said = None
    return said[:MOST_SAID] if isinstance(said, str) and said else error.message or ""


def _explain(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text.lower() if text[:1].isupper() else text
