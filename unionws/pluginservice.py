"""What a plugin may use of the service: little, and nothing of it can be broken from there."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import ujson

from unionws.clock import Clock, SystemClock, milliseconds
from unionws.errors import UpstreamUnreachable
from unionws.model import JSON, Fragment, MessageRecord
from unionws.settings import Settings

T = TypeVar("T")
Publish = Callable[[MessageRecord], None]
Ask = Callable[[str, Mapping[str, JSON], str], Awaitable[Mapping[str, JSON]]]

MAX_MESSAGE = 65_536
"""Bytes of one published message's data."""
MAX_STATE = 1_048_576
"""Bytes of all that one plugin keeps."""
MAX_EARLY = 100
"""Messages published before the stream runs that are kept for it."""
THREADS = 2
MAX_JOBS = 1_000


def encoded(value: JSON) -> bytes:
    """JSON as UTF-8 bytes.

    Raises:
        ValueError: it holds what JSON has no word for, NaN included.
    """
    try:
        text: str = ujson.dumps(value, ensure_ascii=False, escape_forward_slashes=False, allow_nan=False)
        return text.encode()
    except (TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error


class Doors:
    """Where publish and statistics lead in this process; the stages open them when they are made.

    Attributes:
        role: ``ingest``, ``edge`` or, where one process is both, ``single``.
        folder: where plugins keep state; None: nowhere, it is forgotten at the end.
    """

    def __init__(self, role: str = "single", folder: Path | None = None, clock: Clock | None = None) -> None:
        self.role = role
        self.folder = folder
        self.clock: Clock = clock or SystemClock()
        self._publish: Publish | None = None
        self._early: deque[MessageRecord] = deque(maxlen=MAX_EARLY)
        self._statistics: Callable[[], Mapping[str, JSON]] = dict
        self._ask: Ask | None = None

    def open(
        self, publish: Publish, statistics: Callable[[], Mapping[str, JSON]], ask: Ask | None = None
    ) -> None:
        """Lead there from now on; ``ask``: leads to the indexer, where there is one."""
        self._publish, self._statistics, self._ask = publish, statistics, ask
        while self._early:
            publish(self._early.popleft())

    def publish(self, record: MessageRecord) -> None:
        """Send a record on, or keep it for when there is somewhere to send it."""
        if self._publish is None:
            self._early.append(record)
        else:
            self._publish(record)

    def statistics(self) -> Mapping[str, JSON]:
        """The newest chartData."""
        return self._statistics()

    async def ask(
        self, document: str, variables: Mapping[str, JSON], operation_name: str
    ) -> Mapping[str, JSON]:
        """The indexer's answer.

        Raises:
            UpstreamError: there is none, or no indexer to ask in this process.
        """
        if self._ask is None:
            raise UpstreamUnreachable("there is no indexer to ask here")
        return await self._ask(document, variables, operation_name)


class State:
    """What a plugin keeps over restarts: JSON values by name, one file.

    Ingest's copy is the one that is written; an edge in a process of its own reads what was there
    when it started. Changes are on disk after the next :meth:`save`, once a second.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._values: dict[str, bytes] | None = None
        self._changed = False

    def get(self, name: str, default: JSON = None) -> JSON:
        """A value; a fresh copy each time."""
        found = self._load().get(name)
        return default if found is None else ujson.loads(found)

    def set(self, name: str, value: JSON) -> None:
        """Keep a value.

        Raises:
            ValueError: it is not JSON, or the plugin's values together would be too large.
        """
        values, data = self._load(), encoded(value)
        others = sum(len(key) + len(old) for key, old in values.items() if key != name)
        if others + len(name) + len(data) > MAX_STATE:
            raise ValueError(f"a plugin's state is at most {MAX_STATE} bytes")
        values[name] = data
        self._changed = True

    def delete(self, name: str) -> None:
        """Forget a value, if there is one."""
        self._changed = self._load().pop(name, None) is not None or self._changed

    def names(self) -> list[str]:
        """Names of all values, sorted."""
        return sorted(self._load())

    def _load(self) -> dict[str, bytes]:
        if self._values is None:
            self._values = {}
            if self._path is not None:
                with contextlib.suppress(OSError, ValueError, AttributeError):
                    found = ujson.loads(self._path.read_bytes())
                    self._values = {str(name): encoded(value) for name, value in found.items()}
        return self._values

    def save(self) -> None:
        """Write what changed; a crash leaves the old file or the new one.

        Raises:
            OSError: the disk refuses; the next save tries again.
        """
        if not self._changed or self._path is None or self._values is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_suffix(".new")
        pairs = [encoded(name) + b":" + value for name, value in self._values.items()]
        beside.write_bytes(b"{" + b",".join(pairs) + b"}")
        beside.replace(self._path)
        self._changed = False


class Threads:
    """A plugin's own few threads; they are daemons, so one that hangs does not hold up the end."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.Queue[Callable[[], None]] = queue.Queue(MAX_JOBS)
        self._threads: list[threading.Thread] = []

    def run(self, job: Callable[[], None]) -> None:
        """Do a job as soon as a thread is free.

        Raises:
            queue.Full: too many wait already.
        """
        self._jobs.put_nowait(job)
        if len(self._threads) < THREADS:
            name = f"plugin-{self._name}-{len(self._threads)}"
            self._threads.append(threading.Thread(target=self._work, name=name, daemon=True))
            self._threads[-1].start()

    def _work(self) -> None:
        while True:
            self._jobs.get()()


class Service:
    """What ``startup`` hands to a plugin. Use it on the loop, but for publish and log.

    Attributes:
        settings: all settings; the plugin's own are in ``settings.extra``.
        log: a logger with the plugin's name.
        state: values that outlive a restart.
        now: a function that answers Unix seconds; tests move it.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        doors: Doors,
        channels: Mapping[str, str],
        on_failure: Callable[[str, BaseException], None],
    ) -> None:
        self.settings = settings
        self.log = logging.getLogger(f"unionws.plugins.{name}")
        path = None if doors.folder is None else doors.folder / f"{name}.json"
        self.state = State(path)
        self.now: Callable[[], float] = doors.clock.time
        self._doors = doors
        self._channels = channels
        self._on_failure = on_failure
        self._threads = Threads(name)
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._running: set[asyncio.Future[Any]] = set()

    @property
    def role(self) -> str:
        """What this process does: ``ingest``, ``edge``, or ``single`` where one process is both."""
        return self._doors.role

    def statistics(self) -> Mapping[str, JSON]:
        """The newest ``data`` of chartData, empty before the first; decoded for this call, about 1 ms."""
        return self._doors.statistics()

    async def ask(
        self, document: str, variables: Mapping[str, JSON], operation_name: str
    ) -> Mapping[str, JSON]:
        """The ``data`` of a GraphQL question to the indexer; only where transfers are polled.

        Questions take turns with polling, on one connection, so ask seldom: each may hold up a
        poll for as long as its answer takes, four seconds at most.

        Raises:
            UpstreamError: there is no usable answer, or no indexer.
        """
        return await self._doors.ask(document, variables, operation_name)

    def publish(self, type: str, data: JSON, *, about: Fragment | None = None) -> None:
        """Send a message of a type this plugin registered to all subscribers of its channel.

        From ingest it reaches the clients of every edge; from an edge, those of that edge. With
        ``about`` only those get it whose filter passes that transfer. May be called in any thread.

        Raises:
            ValueError: the type is not this plugin's, has no channel, or ``data`` is not JSON of
                at most 64 KB.
        """
        channel = self._channels.get(type)
        if channel is None:
            known = ", ".join(sorted(self._channels)) or "none"
            raise ValueError(f"{type!r} is no message type of this plugin with a channel; those are: {known}")
        body = encoded(data)
        if len(body) > MAX_MESSAGE:
            raise ValueError(f"a message has at most {MAX_MESSAGE} bytes of data")
        record = MessageRecord(milliseconds(self.now()), channel, type, body, about)
        if threading.get_ident() == self._loop_thread:
            self._doors.publish(record)
        else:
            self._loop.call_soon_threadsafe(self._doors.publish, record)

    def run_in_thread(self, function: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """Do slow work off the loop, in one of the plugin's two threads.

        The future may be awaited or left alone; an error in it is logged and counted.

        Raises:
            queue.Full: a thousand jobs wait already.
        """
        future: asyncio.Future[T] = self._loop.create_future()

        def job() -> None:
            try:
                result = function(*args)
            except BaseException as error:  # noqa: BLE001 - it belongs to whoever awaits the future
                self._settle(future, None, error)
            else:
                self._settle(future, result, None)

        self._threads.run(job)
        self._running.add(future)
        future.add_done_callback(self._done)
        return future

    def _settle(self, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        def settle() -> None:
            if future.cancelled():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error if isinstance(error, Exception) else RuntimeError(repr(error)))

        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(settle)

    def _done(self, future: asyncio.Future[Any]) -> None:
        self._running.discard(future)
        error = None if future.cancelled() else future.exception()
        if error is not None:
            self._on_failure("run_in_thread", error)
