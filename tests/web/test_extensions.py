from __future__ import annotations

import asyncio
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from unionws import HttpAnswer, HttpRequest, Route, Service, hookimpl
from unionws.testing import Server, running_server
from unionws.web import extensions


class Paths:
    """A plugin with paths of every kind."""

    service: Service

    @hookimpl
    def startup(self, service: Service) -> None:
        self.service = service

    @hookimpl
    def register_routes(self) -> list[Route]:
        return [
            Route("/ext/acme/asked", "Help.", self._asked),
            Route("/ext/acme/page.html", "Help.", lambda _: HttpAnswer(b"<p>", "text/html", 201)),
            Route("/ext/acme/thread", "Help.", self._thread),
            Route("/ext/acme/late", "Help.", self._late),
            Route("/ext/acme/nan", "Help.", lambda _: float("nan")),
        ]

    def _asked(self, request: HttpRequest) -> Any:
        return {"path": request.path, "query": dict(request.query), "agent": request.headers["user-agent"]}

    async def _thread(self, request: HttpRequest) -> Any:
        return await self.service.run_in_thread(lambda: {"sum": 2})

    async def _late(self, request: HttpRequest) -> Any:
        await asyncio.sleep(60)


def fetch(server: Server, path: str) -> tuple[int, str, bytes]:
    try:
        with urlopen(server.url + path, timeout=10) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read()
    except HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read()


def test_paths_of_plugins_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """With JSON, with any body and status, from a thread; what comes too late is given up."""
    monkeypatch.setattr(extensions, "PATIENCE", 0.05)
    with running_server([Paths()]) as server:
        asked = server.get("/ext/acme/asked?a=1&a=2&b=%C3%A9")
        assert (asked["path"], asked["query"]) == ("/ext/acme/asked", {"a": "2", "b": "é"})
        assert asked["agent"].startswith("Python")
        assert fetch(server, "/ext/acme/page.html") == (201, "text/html", b"<p>")
        assert fetch(server, "/ext/acme/pageXhtml")[0] == 404
        assert server.get("/ext/acme/thread") == {"sum": 2}
        assert fetch(server, "/ext/acme/late")[0] == 504
        assert fetch(server, "/ext/acme/nan")[0] == 500
