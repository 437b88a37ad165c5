"""The paths that plugins add."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Sequence
from typing import Any

import ujson
from tornado.web import RequestHandler

from unionws.doors import HttpAnswer, HttpRequest, Route

log = logging.getLogger("unionws.web")

PATIENCE = 30.0
"""Seconds an answer may take."""
LATE = HttpAnswer(b'{"error":"no answer in time","status":504}', status=504)


class ExtensionHandler(RequestHandler):
    """Hands a GET to a plugin's function and sends what it answers."""

    def initialize(self, route: Route) -> None:
        self._route = route

    def set_default_headers(self) -> None:
        self.set_header("Access-Control-Allow-Origin", "*")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")

    async def get(self) -> None:
        answer = self._route.handle(self._asked())
        if inspect.isawaitable(answer):
            try:
                answer = await asyncio.wait_for(answer, PATIENCE)
            except asyncio.TimeoutError:
                answer = LATE
        if not isinstance(answer, HttpAnswer):
            text = ujson.dumps(answer, ensure_ascii=False, escape_forward_slashes=False, allow_nan=False)
            answer = HttpAnswer(text.encode())
        self.set_status(answer.status)
        self.set_header("Content-Type", answer.content_type)
        self.finish(answer.body)

    def _asked(self) -> HttpRequest:
        query = {name: self.get_query_argument(name) for name in self.request.query_arguments}
        headers = {name.lower(): value for name, value in self.request.headers.items()}
        return HttpRequest(self.request.path, query, headers, self.request.remote_ip or "")


def handlers(routes: Sequence[Route]) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """Tornado's rows for some routes."""
    return [(route.path.replace(".", r"\."), ExtensionHandler, {"route": route}) for route in routes]
