"""Probes against real servers."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tornado.web import RequestHandler

from tests.source.indexers import HttpIndexer, run
from unionws.model import Chain, Rpc
from unionws.probes.calls import targets
from unionws.probes.prober import CAP, Prober
from unionws.probes.standing import Result


def probe(url: str, *, family: str = "sui", private: bool = True, deadline: float = 5.0) -> Awaitable[Result]:
    """One probe of one node."""
    (target,) = targets([Chain("a.1", rpc_type=family, rpcs=(Rpc("rpc", url),))], 1)

    async def ask() -> Result:
        prober = Prober(private=private, deadline=deadline)
        try:
            return await prober.probe(target)
        finally:
            prober.close()

    return ask()


def answers(reply: Callable[[RequestHandler], Any], **options: Any) -> tuple[Result, list[dict[str, Any]]]:
    """What is made of a server that answers so, and what it was asked."""
    results: list[Result] = []
    asked: list[dict[str, Any]] = []

    async def scene(indexer: HttpIndexer) -> None:
        results.append(await probe(indexer.url, **options))
        asked.extend(indexer.asked)

    async def on_request(handler: RequestHandler, _body: dict[str, Any]) -> None:
        made = reply(handler)
        if made is not None:
            await made

    run(on_request, scene)
    return results[0], asked


def test_a_sound_node_is_healthy() -> None:
    """Height and time are those of its answers; both calls are made."""
    replies = [{"result": "0x10"}, {"result": False}]
    result, asked = answers(lambda handler: handler.write(replies.pop(0)), family="evm")
    assert (result.height, result.trouble, result.status) == (16, "", "healthy")
    assert [body["method"] for body in asked] == ["eth_blockNumber", "eth_syncing"]
    assert 0 < result.seconds < 2


def redirect(handler: RequestHandler) -> None:
    handler.redirect("http://127.0.0.1:1/", status=307)


def compressed(handler: RequestHandler) -> None:
    handler.set_header("Content-Encoding", "gzip")
    handler.write(b"\x1f\x8b")


def huge(handler: RequestHandler) -> None:
    handler.write(b" " * (CAP + 1))


@pytest.mark.parametrize(
    ("reply", "trouble"),
    [
        (redirect, "HTTP status 307"),
        (lambda handler: handler.send_error(503), "HTTP status 503"),
        (compressed, "the answer is compressed, unasked"),
        (huge, f"the answer is larger than {CAP} bytes"),
        (lambda handler: handler.write("<html>"), "the answer is not JSON"),
        (lambda handler: handler.write({"error": {"message": "busy"}}), "RPC error: busy"),
        (lambda handler: handler.write("[" * 100_000), "the answer is not JSON"),
    ],
)
def test_answers_that_are_none_are_told_apart(reply: Callable[[RequestHandler], Any], trouble: str) -> None:
    """Redirects are not followed, bodies are bounded, errors are words."""
    result, asked = answers(reply)
    assert (result.height, result.trouble) == (None, trouble)
    assert len(asked) == 1


def test_an_answer_that_trickles_ends_at_the_deadline() -> None:
    """Byte after byte does not hold a lane."""

    async def trickle(handler: RequestHandler) -> None:
        for _ in range(200):
            handler.write(b" ")
            await handler.flush()
            await asyncio.sleep(0.05)

    began = time.monotonic()
    result, _ = answers(trickle, deadline=0.4)
    assert result.trouble == "no answer within 0.4 s"
    assert time.monotonic() - began < 5


def test_private_addresses_are_not_even_connected_to() -> None:
    """A listener at a private address sees nothing, by number or by name."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        for host in ("127.0.0.1", "localhost"):
            result = asyncio.run(probe(f"http://{host}:{listener.getsockname()[1]}", private=False))  # type: ignore[arg-type]
            assert result.trouble == "not a public address"
        with pytest.raises(TimeoutError):
            listener.accept()


def test_a_node_that_is_not_there_is_unhealthy() -> None:
    """The words name no address of ours."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for url in (
        f"http://127.0.0.1:{port}",
        f"https://127.0.0.1:{port}",
        "http://[bad",
        "http://nowhere.invalid",
    ):
        result = asyncio.run(probe(url))  # type: ignore[arg-type]
        assert (result.status, result.trouble) == ("unhealthy", "no connection")


def test_one_prober_goes_on_after_every_kind_of_failure() -> None:
    """A lane that met a dead node probes the next one."""

    async def scene(indexer: HttpIndexer) -> None:
        chains = [Chain(f"a.{n}", rpc_type="sui", rpcs=(Rpc("rpc", indexer.url),)) for n in range(3)]
        prober = Prober(private=True, deadline=0.3)
        results = [await prober.probe(target) for target in targets(chains, 3)]
        prober.close()
        assert [result.height for result in results] == [None, 1, 2]

    count = 0

    async def reply(handler: RequestHandler, _body: dict[str, Any]) -> None:
        nonlocal count
        count += 1
        if count == 1:
            await asyncio.sleep(0.6)
        handler.write({"result": count - 1})

    run(reply, scene)
