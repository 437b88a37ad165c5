"""``/sse``: the stream of ``/ws`` as Server-Sent Events, for those that only listen."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from tornado.httputil import HTTPServerRequest
from tornado.iostream import IOStream, StreamClosedError
from tornado.web import RequestHandler

from unionws.connections import eventstream
from unionws.connections.handler import Doorkeeper, release, upgrade_of
from unionws.connections.handshake import Refuse, Upgrade


class EventsHandler(RequestHandler):
    """Decides as ``/ws`` does, then hands the descriptor over to the edge."""

    def initialize(self, doorkeeper: Doorkeeper) -> None:
        self._doorkeeper = doorkeeper

    async def prepare(self) -> None:
        """Answer every method here: nothing of the answer is Tornado's."""
        asked = asked_for(self.request)
        answer = plan = self._doorkeeper.judge(asked)
        if not isinstance(plan, Refuse):
            answer = self._doorkeeper.admit(plan, "", asked.address)
        stream: IOStream = self.detach()
        if isinstance(answer, Refuse):
            await _refuse(stream, answer)
            return
        stream.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, eventstream.UNANSWERED_MS)
        fd, _ = release(stream)
        if fd >= 0:
            self._doorkeeper.welcome(fd, asked.address, answer, plan)


def asked_for(request: HTTPServerRequest) -> Upgrade:
    """The request, Last-Event-ID in the place of a position in the URL: that one is older."""
    asked = replace(upgrade_of(request), events=True)
    last = asked.headers.get("last-event-id", "").strip()
    if not last:
        return asked
    resume = urlencode({"resume": last})
    return replace(asked, query=f"{asked.query}&{resume}" if asked.query else resume)


async def _refuse(stream: IOStream, answer: Refuse) -> None:
    """Readable by pages of any origin, so that they can say what is wrong."""
    readable = replace(answer, headers=(*answer.headers, ("Access-Control-Allow-Origin", "*")))
    try:
        await stream.write(readable.response())
    except StreamClosedError:
        return
    stream.close()


ROUTES: list[tuple[str, Any]] = [("/sse", EventsHandler)]
