from __future__ import annotations

import asyncio
import gc
import gzip
import threading
import time

import pytest
from tornado.iostream import StreamClosedError

from tests.source.indexers import run
from unionws.errors import (
    UpstreamError,
    UpstreamGarbage,
    UpstreamRefused,
    UpstreamStatus,
    UpstreamTimeout,
    UpstreamTooLarge,
    UpstreamUnreachable,
)
from unionws.source.transport import Transport

GOOD = {"data": {"a": 1}}


async def good(handler, body):
    handler.write(GOOD)


async def hang(handler, body):
    await asyncio.sleep(30)


async def trickle(handler, body):
    """One byte at a time, each before any per-read time-out."""
    try:
        for _ in range(600):
            handler.write(" ")
            await handler.flush()
            await asyncio.sleep(0.05)
    except StreamClosedError:
        pass


def on_path(flag):
    """Misbehave as ``flag`` says once, then answer well."""
    state = {"first": True}

    async def reply(handler, body):
        if state.pop("first", False):
            await flag(handler, body)
        else:
            await good(handler, body)

    return reply


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")]


async def threads_end(within: float = 2.0) -> bool:
    """Whether every worker thread ends; the loop keeps running meanwhile."""
    until = time.monotonic() + within
    while workers() and time.monotonic() < until:
        await asyncio.sleep(0.01)
    return not workers()


def play(reply, scene, **options):
    """One scene with a Transport on a stand-in; no thread and no socket may be left."""

    async def with_transport(indexer):
        transport = Transport(indexer.url, **options)
        try:
            await scene(transport, indexer)
        finally:
            transport.close()
            assert await threads_end()

    run(reply, with_transport)
    gc.collect()


async def ask(transport):
    return await transport.query("query Q { a }", {"limit": 3}, "Q")


def test_a_good_answer_is_its_data_and_the_request_is_graphql_over_post():
    """Query, variables and operation name go as JSON."""

    async def scene(transport, indexer):
        assert await ask(transport) == {"a": 1}
        asked = indexer.asked[0]
        assert (asked["query"], asked["variables"], asked["operationName"]) == (
            "query Q { a }",
            {"limit": 3},
            "Q",
        )
        assert asked["headers"]["Content-Type"] == "application/json"

    play(good, scene)


def test_the_connection_is_kept():
    """Twenty requests, one connection; the counters say so."""

    async def scene(transport, indexer):
        for _ in range(20):
            await ask(transport)
        stats = transport.stats()
        assert (stats["requests"], stats["connections"], stats["lastStatus"]) == (20, 1, 200)
        assert stats["bytes"] == 20 * len(b'{"data": {"a": 1}}')
        assert set(stats["latencyMs"]) == {"p50", "p95", "p99"}

    play(good, scene)


def test_one_request_is_in_flight_at_any_time():
    """Whoever asks beside another waits."""
    busy = {"now": 0, "most": 0}

    async def count(handler, body):
        busy["now"] += 1
        busy["most"] = max(busy["most"], busy["now"])
        await asyncio.sleep(0.01)
        busy["now"] -= 1
        handler.write(GOOD)

    async def scene(transport, indexer):
        await asyncio.gather(*(ask(transport) for _ in range(8)))
        assert busy["most"] == 1

    play(count, scene)


@pytest.mark.parametrize("reply", [hang, trickle], ids=["hang", "trickle"])
def test_an_answer_that_does_not_end_is_given_up_at_the_deadline(reply):
    """Also one byte after another; the connection is not used again and the next request works."""

    async def scene(transport, indexer):
        began = time.monotonic()
        with pytest.raises(UpstreamTimeout):
            await ask(transport)
        assert 0.25 < time.monotonic() - began < 5
        assert await ask(transport) == {"a": 1}
        assert transport.stats()["connections"] == 2

    play(on_path(reply), scene, deadline=0.3)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_trickle_before_the_answer_ends_at_the_deadline(scheme):
    """Of header bytes, or inside the TLS handshake: no time-out of requests covers these."""

    async def drip(reader, writer):
        try:
            start = b"HTTP/1.1 200 OK\r\nX-Slow: " if scheme == "http" else b"\x16\x03\x03\x3f\xff\x02"
            for byte in start + b"y" * 600:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def scene():
        server = await asyncio.start_server(drip, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        transport = Transport(f"{scheme}://127.0.0.1:{port}/", deadline=0.3)
        with pytest.raises(UpstreamTimeout):
            await ask(transport)
        transport.close()
        assert await threads_end()
        server.close()
        await server.wait_closed()

    asyncio.run(scene())


@pytest.mark.parametrize("reply", [hang, trickle], ids=["hang", "trickle"])
def test_close_ends_a_hanging_request_at_once(reply):
    """The worker thread is woken wherever it waits; it would hold up the end of the process."""

    async def scene(transport, indexer):
        task = asyncio.ensure_future(ask(transport))
        while not indexer.asked:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        transport.close()
        with pytest.raises(UpstreamUnreachable):
            await task
        assert await threads_end()
        with pytest.raises(UpstreamUnreachable):
            await ask(transport)

    play(reply, scene)


def test_a_cancelled_request_frees_the_worker():
    """The next one does not wait for the deadline of the first."""

    async def scene(transport, indexer):
        task = asyncio.ensure_future(ask(transport))
        while not indexer.asked:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await ask(transport) == {"a": 1}

    play(on_path(hang), scene)


def test_a_body_over_the_cap_is_cut_off():
    """It is not read to its end, and the next request works."""
    sent = {"bytes": 0}

    async def endless(handler, body):
        try:
            for _ in range(100_000):
                handler.write(b" " * 10_000)
                await handler.flush()
                sent["bytes"] += 10_000
        except StreamClosedError:
            pass

    async def scene(transport, indexer):
        with pytest.raises(UpstreamTooLarge):
            await ask(transport)
        assert sent["bytes"] < 50_000_000
        assert await ask(transport) == {"a": 1}

    play(on_path(endless), scene, cap=100_000)


def test_the_cap_counts_decompressed_bytes():
    """A small answer that inflates beyond the cap is refused."""

    async def bomb(handler, body):
        handler.set_header("Content-Encoding", "gzip")
        handler.write(gzip.compress(b" " * 20_000_000))

    async def scene(transport, indexer):
        with pytest.raises(UpstreamTooLarge):
            await ask(transport)

    play(bomb, scene, cap=1_000_000)


def test_a_compressed_answer_is_read():
    """gzip is asked for."""

    async def zipped(handler, body):
        assert "gzip" in handler.request.headers["Accept-Encoding"]
        handler.set_header("Content-Encoding", "gzip")
        handler.write(gzip.compress(b'{"data": {"a": 1}}'))

    async def scene(transport, indexer):
        assert await ask(transport) == {"a": 1}

    play(zipped, scene)


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind"),
    [
        (200, {}, "<html>busy</html>", UpstreamGarbage),
        (200, {"Content-Encoding": "gzip"}, "not gzip at all", UpstreamGarbage),
        (200, {"Content-Encoding": "gzip, gzip"}, "{}", UpstreamGarbage),
        (200, {}, '{"errors": [{"message": "no"}]}', UpstreamRefused),
        (200, {}, '{"data": null}', UpstreamRefused),
        (500, {}, "oops", UpstreamStatus),
        (302, {"Location": "/elsewhere"}, "", UpstreamStatus),
        (404, {}, "x" * 100_000, UpstreamStatus),
    ],
)
def test_every_bad_answer_has_its_error_and_the_next_request_works(status, headers, body, kind):
    """Nothing that the indexer sends is raised raw; a redirect is not followed."""

    async def bad(handler, _):
        handler.set_status(status)
        for name, value in headers.items():
            handler.set_header(name, value)
        handler.write(body)

    async def scene(transport, indexer):
        with pytest.raises(UpstreamError) as error:
            await ask(transport)
        assert type(error.value) is kind
        assert await ask(transport) == {"a": 1}
        assert len(indexer.asked) == 2

    play(on_path(bad), scene)


def test_too_many_requests_carries_retry_after():
    """The status and the seconds are attributes."""

    async def busy(handler, body):
        handler.set_status(429)
        handler.set_header("Retry-After", "17")

    async def scene(transport, indexer):
        with pytest.raises(UpstreamStatus) as error:
            await ask(transport)
        assert (error.value.status, error.value.retry_after) == (429, 17.0)

    play(busy, scene)


def test_a_refused_connection_is_unreachable():
    """Nobody listens there."""

    async def scene():
        transport = Transport("http://127.0.0.1:1/v1/graphql")
        with pytest.raises(UpstreamUnreachable):
            await ask(transport)
        transport.close()
        assert await threads_end()

    asyncio.run(scene())


def test_an_answer_cut_short_is_unreachable():
    """The connection goes away inside the body."""

    async def cut(handler, body):
        handler.set_header("Content-Length", "100")
        handler.write("{")
        await handler.flush()
        handler.request.connection.stream.close()

    async def scene(transport, indexer):
        with pytest.raises(UpstreamUnreachable):
            await ask(transport)
        assert await ask(transport) == {"a": 1}

    play(on_path(cut), scene)


def test_a_connection_the_indexer_closes_is_opened_again():
    """``Connection: close`` leaves nothing open on our side, and a hang after it still ends."""

    async def closing(handler, body):
        handler.set_header("Connection", "close")
        handler.write(GOOD)

    async def scene(transport, indexer):
        for _ in range(3):
            assert await ask(transport) == {"a": 1}
        assert transport.stats()["connections"] == 3

    play(closing, scene)


def test_a_trickle_on_a_closing_connection_ends_at_the_deadline():
    """http.client lets go of the socket before the body is read; the line can still be cut."""

    async def closing(handler, body):
        handler.set_header("Connection", "close")
        await trickle(handler, body)

    async def scene(transport, indexer):
        with pytest.raises(UpstreamTimeout):
            await ask(transport)
        assert await ask(transport) == {"a": 1}

    play(on_path(closing), scene, deadline=0.3)


def test_cookies_are_not_kept():
    """What the indexer sets is not sent back, so it cannot grow."""

    async def cookie(handler, body):
        handler.set_cookie("a", "b")
        handler.write(GOOD)

    async def scene(transport, indexer):
        await ask(transport)
        await ask(transport)
        assert "Cookie" not in indexer.asked[1]["headers"]

    play(cookie, scene)


def test_the_loop_is_free_while_a_request_hangs():
    """Other work goes on meanwhile."""

    async def scene(transport, indexer):
        task = asyncio.ensure_future(ask(transport))
        turns = 0
        while not task.done():
            await asyncio.sleep(0.01)
            turns += 1
        with pytest.raises(UpstreamTimeout):
            await task
        assert turns > 10

    play(hang, scene, deadline=0.5)


def test_credentials_in_the_endpoint_are_not_shown():
    """Views and logs get the endpoint without them."""
    transport = Transport("https://user:secret@indexer.example/v1/graphql")
    assert transport.stats()["endpoint"] == "https://indexer.example/v1/graphql"
    transport.close()
