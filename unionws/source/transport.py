"""GraphQL requests over requests-futures: one at a time, within a deadline, under a cap.

requests has no total time-out: its own counts from byte to byte, so an answer that trickles would
hold the poller for ever. Here the IOLoop watches the clock and cuts the line (see ``line``), which
ends the worker thread wherever it blocks: connecting, in TLS, before or inside the answer. Only
name resolution cannot be cut; then the caller still gets its time-out at the deadline.

Poller and ChainRefresher share one Transport: a lock makes their requests follow each other.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
import ujson
from requests_futures.sessions import FuturesSession

from unionws.errors import UpstreamTimeout, UpstreamUnreachable
from unionws.measure import Histogram
from unionws.source.answers import Reader, translate
from unionws.source.line import Line, LineAdapter

DEADLINE = 8.0
CAP = 16 * 1024 * 1024
LATENCIES = 512

HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
    "User-Agent": "unionws",
}


class Transport:
    """One endpoint, one connection, one request in flight.

    Args:
        endpoint: URL of the GraphQL endpoint.
        deadline: seconds for one request, from the moment it may begin to its last byte.
        cap: largest decoded answer in bytes.
    """

    def __init__(self, endpoint: str, *, deadline: float = DEADLINE, cap: int = CAP) -> None:
        self._endpoint = endpoint
        self._deadline = deadline
        self._cap = cap
        self._line = Line()
        self._session = _session(self._line, endpoint)
        self._gate = asyncio.Lock()
        self._pending: Future[requests.Response] | None = None
        self._closed = False
        self._requests = self._bytes = self._status = 0
        self._latencies: deque[float] = deque(maxlen=LATENCIES)
        self._durations = Histogram()

    async def query(
        self,
        document: str,
        variables: Mapping[str, Any] | None,
        operation_name: str,
        *,
        within: float | None = None,
    ) -> Any:
        """The ``data`` object of the answer.

        Args:
            within: seconds, where they are fewer than the deadline: what nobody waits for must not
                hold up what somebody does.

        Raises:
            UpstreamError: there is no usable answer; the subclass tells why.
        """
        body = {"query": document, "variables": dict(variables or {}), "operationName": operation_name}
        async with self._gate:
            ends = time.monotonic() + min(self._deadline, within or self._deadline)
            await self._previous(ends)
            return await self._exchange(ujson.dumps(body).encode(), ends)

    async def _previous(self, ends: float) -> None:
        """Wait for a request that was given up: it ends at once, except in name resolution."""
        if self._pending is not None and not self._pending.done():
            await self._wait(self._pending, ends)
        if self._closed:
            raise UpstreamUnreachable("the transport is closed")

    async def _exchange(self, body: bytes, ends: float) -> dict[str, Any]:
        reader = Reader(self._cap)
        self._line.allow()
        began = time.monotonic()
        pending = self._submit(body, reader)
        try:
            await self._wait(pending, ends)
        finally:
            if pending.cancelled() or not pending.done():
                self._line.cut()
            self._count(reader, time.monotonic() - began)
        if pending.cancelled():
            raise UpstreamUnreachable("the transport was closed")
        error = pending.exception()
        if error is not None:
            raise translate(error)
        return reader.data

    def _submit(self, body: bytes, reader: Reader) -> Future[requests.Response]:
        pending: Future[requests.Response] = self._session.post(
            self._endpoint,
            data=body,
            stream=True,
            timeout=self._deadline,
            allow_redirects=False,
            hooks={"response": reader.read},
        )
        self._pending = pending
        pending.add_done_callback(lambda _: self._line.settle())
        return pending

    async def _wait(self, pending: Future[requests.Response], ends: float) -> None:
        wrapped = asyncio.wrap_future(pending)
        wrapped.add_done_callback(_take_exception)
        try:
            done, _ = await asyncio.wait([wrapped], timeout=max(0.0, ends - time.monotonic()))
        finally:
            # Once given up, the worker must not report to a loop that may be closed by then.
            wrapped.cancel()
        if not done:
            raise UpstreamTimeout("no whole answer within the time it may take")

    def _count(self, reader: Reader, seconds: float) -> None:
        self._requests += 1
        self._bytes += reader.size
        self._status = reader.status or self._status
        self._latencies.append(seconds)
        self._durations.observe(seconds)

    def close(self) -> None:
        """End the request under way and let go of the connection; does not block."""
        self._closed = True
        self._line.cut()
        self._session.executor.shutdown(wait=False, cancel_futures=True)
        requests.Session.close(self._session)
        self._line.release()

    @property
    def endpoint(self) -> str:
        """The endpoint without credentials, for logs and views."""
        parts = urlsplit(self._endpoint)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

    def stats(self) -> dict[str, Any]:
        """Counters since the start; ``latencyMs`` covers the last 512 requests."""
        ordered = sorted(self._latencies)
        latency = {
            name: round(ordered[int(share * (len(ordered) - 1))] * 1000, 1)
            for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
            if ordered
        }
        return {
            "endpoint": self.endpoint,
            "timeout": self._deadline,
            "requests": self._requests,
            "bytes": self._bytes,
            "connections": self._line.opened,
            "latencyMs": latency,
            "durations": self._durations.dump(),
            **({"lastStatus": self._status} if self._status else {}),
        }


def _session(line: Line, endpoint: str) -> Any:
    session = FuturesSession(max_workers=1)
    for scheme in ("http://", "https://"):
        session.mount(scheme, LineAdapter(line))
    session.headers.clear()
    session.headers.update(HEADERS)
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    # A proxy of the environment is for the way out of the machine.
    session.trust_env = not _is_loopback(endpoint)
    return session


def _take_exception(wrapped: asyncio.Future[requests.Response]) -> None:
    """The error is read from the worker's own future; asyncio would complain about this one."""
    if not wrapped.cancelled():
        wrapped.exception()


def _is_loopback(endpoint: str) -> bool:
    host = urlsplit(endpoint).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
