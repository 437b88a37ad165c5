"""What all HTTP views share: where their data comes from, and how JSON goes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import ujson
from tornado.web import RequestHandler

from unionws.model import JSON, Fragment


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

    def config(self) -> Mapping[str, JSON]:
        """Settings, secrets masked."""

    def uptime(self) -> float:
        """Seconds since the service started."""

    def now_ms(self) -> int:
        """Unix milliseconds."""


class View(RequestHandler):
    """A JSON answer to GET, readable by pages of any origin."""

    def initialize(self, views: Views) -> None:
        self.views = views

    def set_default_headers(self) -> None:
        self.set_header("Access-Control-Allow-Origin", "*")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")

    def answer(self, body: JSON, status: int = 200) -> None:
        """Send JSON."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        self.finish(ujson.dumps(body, ensure_ascii=False, escape_forward_slashes=False))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.answer({"error": self._reason, "status": status_code}, status_code)
