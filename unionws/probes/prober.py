"""Asks one node at a time, over requests-futures, within a deadline and under a cap."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import ujson
from requests_futures.sessions import FuturesSession

from unionws.probes.addresses import CheckedLine, PrivateAddress
from unionws.probes.calls import Call, Found, Target, Unusable
from unionws.probes.standing import Result
from unionws.source.line import LineAdapter

DEADLINE = 8.0
CAP = 262_144
"""Bytes of an answer, decoded."""

CHUNK = 16_384
HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "Connection": "close",
    "Content-Type": "application/json",
    "User-Agent": "unionws",
}


class Prober:
    """One lane: a worker thread, a connection at a time, no redirects, no proxy, no cookies.

    Args:
        private: whether private addresses may be probed.
        deadline: seconds for all calls of one node.
        now: answers Unix seconds.
    """

    def __init__(
        self, *, private: bool, deadline: float = DEADLINE, now: Callable[[], float] = time.time
    ) -> None:
        self._line = CheckedLine(private=private)
        self._session = _session(self._line)
        self._deadline = deadline
        self._now = now
        self._pending: Future[requests.Response] | None = None

    async def probe(self, target: Target) -> Result:
        """Ask a node everything it is to be asked."""
        began = time.monotonic()
        ends = began + self._deadline
        answers: list[Any] = []
        try:
            for call in target.calls:
                answers.append(await self._exchange(call, ends))
            found: Found = target.read(answers, self._now())
        except Unusable as error:
            return Result(time.monotonic() - began, None, str(error))
        return Result(time.monotonic() - began, found.height, found.lag)

    async def _exchange(self, call: Call, ends: float) -> Any:
        if self._pending is not None and not self._pending.done():
            await self._wait(self._pending, ends)  # given up, but still in name resolution
        self._line.allow()
        pending = self._submit(call)
        try:
            await self._wait(pending, ends)
        finally:
            if pending.cancelled() or not pending.done():
                self._line.cut()
        error = None if pending.cancelled() else pending.exception()
        if error is not None or pending.cancelled():
            raise _words(error)
        return pending.result().json_body  # type: ignore[attr-defined]

    def _submit(self, call: Call) -> Future[requests.Response]:
        pending: Future[requests.Response] = self._session.request(
            "GET" if call.body is None else "POST",
            call.url,
            data=call.body,
            stream=True,
            timeout=self._deadline,
            allow_redirects=False,
            hooks={"response": _read},
        )
        self._pending = pending
        pending.add_done_callback(lambda _: self._line.settle())
        return pending

    async def _wait(self, pending: Future[requests.Response], ends: float) -> None:
        wrapped = asyncio.wrap_future(pending)
        wrapped.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            done, _ = await asyncio.wait([wrapped], timeout=max(0.0, ends - time.monotonic()))
        finally:
            wrapped.cancel()
        if not done:
            raise Unusable(f"no answer within {self._deadline:g} s")

    def close(self) -> None:
        """End the probe under way; does not block."""
        self._line.cut()
        self._session.executor.shutdown(wait=False, cancel_futures=True)
        requests.Session.close(self._session)
        self._line.release()


def _read(response: requests.Response, **_: object) -> requests.Response:
    """Take the whole answer, in the worker: ``json_body`` is what it says."""
    try:
        if response.status_code != 200:
            raise Unusable(f"HTTP status {response.status_code}")
        response.json_body = _json(response)  # type: ignore[attr-defined]
    finally:
        response.close()
    return response


def _json(response: requests.Response) -> Any:
    if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise Unusable("the answer is compressed, unasked")
    body = bytearray()
    for chunk in response.iter_content(CHUNK):
        body += chunk
        if len(body) > CAP:
            raise Unusable(f"the answer is larger than {CAP} bytes")
    try:
        return ujson.loads(bytes(body))
    except (ValueError, OverflowError, RecursionError):
        raise Unusable("the answer is not JSON") from None


def _words(error: BaseException | None) -> Unusable:
    """What the worker raised, in a few words that name no inner address."""
    if isinstance(error, Unusable):
        return error
    if _caused_by(error, PrivateAddress):
        return Unusable("not a public address")
    if isinstance(error, (requests.Timeout, TimeoutError)):
        return Unusable("no answer in time")
    if isinstance(error, requests.exceptions.SSLError):
        return Unusable("TLS failed")
    return Unusable("no connection")


def _caused_by(error: BaseException | None, kind: type[BaseException]) -> bool:
    """Whether ``kind`` is among the error, its arguments and causes (requests wraps them in each other)."""
    seen = 0
    while error is not None and seen < 10:
        if isinstance(error, kind):
            return True
        inner = getattr(error, "reason", None) or next(
            (argument for argument in error.args if isinstance(argument, BaseException)), None
        )
        error, seen = inner or error.__cause__ or error.__context__, seen + 1
    return False


def _session(line: CheckedLine) -> Any:
    session = FuturesSession(max_workers=1)
    for scheme in ("http://", "https://"):
        session.mount(scheme, LineAdapter(line))
    session.headers.clear()
    session.headers.update(HEADERS)
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.trust_env = False
    return session
