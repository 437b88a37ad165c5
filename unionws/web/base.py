"""What all HTTP views share: where their data comes from, and how JSON goes out."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Protocol

import ujson
from tornado.web import HTTPError, RequestHandler

from unionws.model import JSON, Fragment

HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "frame-ancestors 'none'",
}
"""Of every answer that is data: read by anybody, kept by nobody, rendered nowhere."""


class Views(Protocol):
    """The live state an edge shows; see :class:`unionws.app.EdgeViews`."""

    def ingest(self, view: str) -> Mapping[str, JSON]:
        """A view of ingest's last state record, empty before the first."""

    def state_age(self) -> float | None:
        """Seconds since ingest was last heard of; None: never."""

    def chart(self) -> Mapping[str, JSON]:
        """The newest chartData, empty before the first."""

    def clients(self) -> Mapping[str, JSON]:
        """Client totals over all edges."""

    def recent(self, minutes: int) -> list[Fragment]:
        """Transfers published in the last minutes, newest first."""

    def described(self) -> Mapping[str, JSON]:
        """The stream's messages as an AsyncAPI document."""

    def config(self) -> Mapping[str, JSON]:
        """Settings, secrets masked."""

    def edges(self) -> Mapping[str, Mapping[str, JSON]]:
        """Counters of every edge: this one's as they are now, the others' as last reported."""

    def edges_wanted(self) -> int:
        """How many edges there should be."""

    def uptime(self) -> float:
        """Seconds since the service started."""

    def now_ms(self) -> int:
        """Unix milliseconds."""


class Guard(Protocol):
    """Says who may see what; the edge's gate."""

    def may_operate(self, headers: Mapping[str, str], query: str) -> bool:
        """Whether a request may see what is for operators."""

    def may_read(self, headers: Mapping[str, str], query: str) -> bool:
        """Whether a request may read what clients read."""


log = logging.getLogger("unionws.web")

OPERATORS, READERS = "operators", "readers"


class View(RequestHandler):
    """A JSON answer to GET, readable by pages of any origin.

    Attributes:
        needs: OPERATORS or READERS where a token or key is asked for; "": open to all.
    """

    needs = ""

    def initialize(self, views: Views) -> None:
        self.views = views

    def prepare(self) -> None:
        guard: Guard | None = self.settings.get("guard")
        if guard is None or not self.needs:
            return
        headers = {"authorization": self.request.headers.get("Authorization", "")}
        may = guard.may_operate if self.needs == OPERATORS else guard.may_read
        if not may(headers, self.request.query):
            what = "ADMIN_TOKEN" if self.needs == OPERATORS else "a key"
            raise HTTPError(401, reason=f"{what} is needed: 'Authorization: Bearer TOKEN' or ?key=TOKEN")

    def set_default_headers(self) -> None:
        for name, value in HEADERS.items():
            self.set_header(name, value)
        self.clear_header("Server")

    def answer(self, body: JSON, status: int = 200) -> None:
        """Send JSON."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        self.finish(ujson.dumps(body, ensure_ascii=False, escape_forward_slashes=False))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        if status_code == 401:
            self.set_header("WWW-Authenticate", 'Bearer realm="unionws"')
        self.answer({"error": self._reason, "status": status_code}, status_code)

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """By path only: a query may hold a key."""
        if not isinstance(value, HTTPError):
            facts = {"path": self.request.path[:200]}
            log.error("view failed", exc_info=(typ, value, tb), extra={"fields": facts})


class NotFound(View):
    """Every path there is not."""

    def prepare(self) -> None:
        raise HTTPError(404, reason="there is nothing at this path")
