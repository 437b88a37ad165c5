"""An edge with its doors: listening sockets, the WebSocket handler and the HTTP views."""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.web import Application, RequestHandler

from unionws.clock import Clock
from unionws.connections import httpdoor
from unionws.connections.fastdoor import FastDoor
from unionws.connections.handler import SocketHandler
from unionws.connections.httpdoor import HttpDoor
from unionws.edge import Edge
from unionws.measure import LoopLag
from unionws.settings import Settings
from unionws.views import EdgeViews
from unionws.web import admin, asyncapi, extensions, health, history, metrics, page, sse, stats
from unionws.web.base import NotFound

log = logging.getLogger("unionws.web")

FOR_REQUESTS = 75
"""Descriptors for HTTP connections that clients leave free, half of what they do."""


class Routes(Application):
    """The paths; tells the door when a request head is complete."""

    door: HttpDoor

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        self.door.head_came(getattr(request.connection, "stream", None))
        return super().find_handler(request, **kwargs)


class EdgeServer:
    """Serves an edge's clients and views."""

    def __init__(self, edge: Edge, settings: Settings, clock: Clock) -> None:
        self.views = EdgeViews(edge, settings, clock)
        self._edge = edge
        self._application = self._build_routes()
        self._server = HTTPServer(
            self._application,
            max_header_size=httpdoor.MAX_HEAD,
            max_body_size=httpdoor.MAX_BODY,
            idle_connection_timeout=httpdoor.IDLE_TIMEOUT,
            body_timeout=httpdoor.BODY_TIMEOUT,
        )
        self._http = HttpDoor(self._server, edge.gate.refused, self._room_for_requests)
        self._application.door = self._http
        self._door = FastDoor("/ws", edge, self._http.enter, edge.gate.refused, edge.door_budget)
        self._lag = LoopLag()
        self.views.attach(self._http, self._lag)

    def _room_for_requests(self) -> int:
        """HTTP connections the descriptors allow: database, log and indexer need some too."""
        admission = self._edge.gate.admission
        return admission.bounds.room + FOR_REQUESTS - len(self._edge.parking)

    def _build_routes(self) -> Routes:
        views, keeper = {"views": self.views}, {"doorkeeper": self._edge}
        looks = [
            *health.ROUTES,
            *stats.ROUTES,
            *admin.ROUTES,
            *history.ROUTES,
            *metrics.ROUTES,
            *asyncapi.ROUTES,
        ]
        doors = [("/ws", SocketHandler), *sse.ROUTES]
        return Routes(
            [
                *[(path, door, keeper) for path, door in doors],
                *[(path, view, views) for path, view in looks],
                *extensions.handlers(self._edge.routes),
                *page.ROUTES,
            ],
            default_handler_class=NotFound,
            default_handler_args=views,
            log_function=log_answer,
            guard=self._edge.gate,
        )

    def start(self, listeners: Sequence[socket.socket]) -> None:
        """Serve on the current IOLoop."""
        self._edge.start()
        self._lag.start()
        self._http.start()
        self._door.open(list(listeners))

    def reload(self, settings: Settings) -> None:
        """Go on by other settings."""
        self._edge.reload(settings)
        self.views.settings = settings
        self._door.forget()

    async def stop(self, reason: str) -> None:
        """Accept no more, close every client with 4200, then everything else."""
        self._door.close()
        await self._edge.close_clients(reason)
        self._http.stop()
        await self._server.close_all_connections()
        self._lag.stop()
        self._edge.stop()


def log_answer(handler: RequestHandler) -> None:
    """Only failures of ours are logged, by path: a query may hold a key."""
    if handler.get_status() >= 500 and handler.get_status() != 503:
        facts = {"path": handler.request.path[:200], "status": handler.get_status()}
        log.error("request failed", extra={"fields": facts})
