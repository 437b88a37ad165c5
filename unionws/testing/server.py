"""A real server in a thread of this process, and a client of it for plain blocking code."""

from __future__ import annotations

import asyncio
import json
import tempfile
import threading
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.request import urlopen

from tornado.websocket import WebSocketClientConnection, websocket_connect

from unionws import app
from unionws.assembly import assemble
from unionws.listening import listen
from unionws.model import JSON
from unionws.pluginhost import PluginHost
from unionws.pluginservice import Doors
from unionws.pluginviews import PluginInfo
from unionws.reloading import Live
from unionws.testing.upstream import PATIENCE, SCRIPT, Upstream

AT_ONCE: Mapping[str, object] = {
    "HOST": "127.0.0.1",
    "PORT": 0,
    "PLUGINS_DIR": "",
    "SPREAD_MS": 0,
    "FUTURE_BUFFER_MS": 0,
    "JITTER_MS": 0,
    "CHART_INTERVAL": 0.1,
}
"""Settings under which nothing waits."""

T = TypeVar("T")


class Client:
    """A WebSocket client of the server, for plain blocking code."""

    def __init__(self, server: Server, channels: Sequence[str], query: str) -> None:
        chosen = f"channels={','.join(channels)}" if channels else ""
        self._server = server
        self._url = f"{server.url.replace('http', 'ws', 1)}/ws?{'&'.join(filter(None, [chosen, query]))}"
        self._socket: WebSocketClientConnection | None = None

    def __enter__(self) -> Client:
        self._socket = self._server.run(self._connect())
        self.receive("connected")
        return self

    async def _connect(self) -> WebSocketClientConnection:
        return await websocket_connect(self._url)

    def __exit__(self, *_: object) -> None:
        self._server.run(self._close())

    async def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()

    def send(self, type: str, data: JSON = None, **fields: JSON) -> None:
        """Send one message."""
        body = {"type": type, **({} if data is None else {"data": data}), **fields}
        self._server.run(self._write(json.dumps(body)))

    async def _write(self, text: str) -> None:
        assert self._socket is not None
        await self._socket.write_message(text)

    def receive(self, type: str = "", *, timeout: float = PATIENCE) -> dict[str, Any]:
        """The next message, or the next of a type; others before it are left out.

        Raises:
            TimeoutError: nothing of that type came in time.
            ConnectionError: the server closed the connection.
        """
        return self._server.run(self._receive(type, timeout))

    async def _receive(self, type: str, timeout: float) -> dict[str, Any]:
        async def read() -> dict[str, Any]:
            assert self._socket is not None
            while True:
                text = await self._socket.read_message()
                if text is None:
                    raise ConnectionError(f"closed with {self._socket.close_code}")
                message: dict[str, Any] = json.loads(text)
                if type in ("", message["type"]):
                    return message

        try:
            return await asyncio.wait_for(read(), timeout)
        except asyncio.TimeoutError:
            raise TimeoutError(f"no {type or 'message'} within {timeout:g} s") from None


class Server:
    """A running service.

    Attributes:
        upstream: brings it transfers.
        url: such as ``http://127.0.0.1:41234``.
    """

    def __init__(
        self, host: PluginHost, upstream: Upstream, loop: asyncio.AbstractEventLoop, port: int
    ) -> None:
        self.upstream = upstream
        self.url = f"http://127.0.0.1:{port}"
        self._host = host
        self._loop = loop

    def run(self, made: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine that runs on the service's loop."""
        return asyncio.run_coroutine_threadsafe(made, self._loop).result(2 * PATIENCE)

    def client(self, *channels: str, query: str = "") -> Client:
        """A client, to be used in a ``with`` block.

        Args:
            channels: what it subscribes to; none: what a connection starts with.
            query: more of the URL, such as ``wallet=0xab``.
        """
        return Client(self, channels, query)

    def get(self, path: str) -> Any:
        """The JSON that a path answers."""
        with urlopen(f"{self.url}{path}", timeout=PATIENCE) as answer:
            return json.loads(answer.read())

    def healthy(self) -> bool:
        """Whether ``/health`` says so."""
        return bool(self.get("/health")["status"] == "healthy")

    def plugin(self, name: str) -> PluginInfo:
        """What the service knows of a plugin: its state, calls and failures."""
        return next(plugin for plugin in self._host.plugins() if plugin.name == name)


@contextmanager
def running_server(
    plugins: Sequence[object] = (),
    settings: Mapping[str, object] | None = None,
    folder: Path | None = None,
) -> Iterator[Server]:
    """A service that runs until the ``with`` block ends.

    Args:
        plugins: modules or objects with hooks, loaded as a third party's; named by their
            ``__name__``, or their class's.
        settings: by name; those of plugins too.
        folder: STATE_DIR, to look at or to start again with; None: a temporary one.

    Raises:
        UnionwsError: it cannot start; plugins and settings are checked as at any start.
    """
    with tempfile.TemporaryDirectory(prefix="unionws-") as temporary:
        upstream = Upstream()
        given = {**AT_ONCE, "STATE_DIR": folder or temporary, "SOURCE": SCRIPT, **(settings or {})}
        overrides = [f"{name}={_text(value)}" for name, value in given.items()]
        named = [("testing", upstream), *((_name(plugin), plugin) for plugin in plugins)]
        loaded, host = assemble(None, overrides, {}, app.BUILTINS, named)
        listener = listen(loaded.settings)[0]
        thread = _Thread(host, upstream, listener)
        try:
            yield thread.started()
        finally:
            thread.stopped()


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _name(plugin: object) -> str:
    name = str(getattr(plugin, "__name__", type(plugin).__name__))
    return name.rpartition(".")[2]


class _Thread:
    """The service on a loop of its own."""

    def __init__(self, host: PluginHost, upstream: Upstream, listener: Any) -> None:
        self._host, self._upstream, self._listener = host, upstream, listener
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="unionws-server")

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:  # noqa: BLE001 - it is raised where the server was asked for
            self._failure = error
        self._loop.run_until_complete(self._loop.shutdown_default_executor())

    async def _serve(self) -> None:
        settings = self._host.settings
        folder = app.state_folder(settings, None)
        folder.acquire()
        self._host.doors = Doors(folder=folder.path / "plugins")
        self._host.start()
        try:
            await app.run_single(Live(settings), self._host, folder, [self._listener], None, self._stopping)
        finally:
            self._host.stop()
            folder.release()
            await asyncio.sleep(0.01)  # sockets of clients that were closed

    def started(self) -> Server:
        """Start, and wait until it serves."""
        port = self._listener.getsockname()[1]
        self._thread.start()
        deadline = time.monotonic() + PATIENCE
        while not self._upstream.begun and self._thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.002)
        if self._failure is not None:
            raise self._failure
        return Server(self._host, self._upstream, self._loop, port)

    def stopped(self) -> None:
        """Stop as SIGTERM does."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(2 * PATIENCE)
        self._loop.close()
        self._listener.close()
