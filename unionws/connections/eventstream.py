"""Server-Sent Events (WHATWG HTML §9.2) on a parked connection: the same messages in another framing.

What is sent to such a client is made of the very frames its group gets, each rewrapped once for
all who read events. An event's id is the position it accounts for, so what a browser sends back as
Last-Event-ID is what ``resume`` takes.
"""

from __future__ import annotations

import random
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator

from unionws.connections.handshake import Accept, Refuse, Upgrade
from unionws.frames import TEXT, Frame

COMMENT = Frame(b":\n\n")
"""Keeps proxies from closing a quiet stream, and finds peers that are gone."""

COMMENT_INTERVAL = 15
"""Seconds between two comments."""

UNANSWERED_MS = 30_000
"""After that long without an acknowledgement the kernel gives a peer up (tcp(7), TCP_USER_TIMEOUT)."""

RETRY_MS = (1_000, 5_000)
"""A browser waits that long before it comes again; drawn for each, so that not all come at once."""

KEPT = 16

HEAD = (
    b"HTTP/1.1 200 OK\r\n"
    b"Content-Type: text/event-stream\r\n"
    b"Cache-Control: no-store\r\n"
    b"X-Accel-Buffering: no\r\n"  # nginx would wait for a full buffer
    b"Access-Control-Allow-Origin: *\r\n"
    b"X-Content-Type-Options: nosniff\r\n"
    b"Connection: close\r\n\r\n"  # no length: the stream ends with the connection (RFC 9112 §6.3)
)

POSITION = re.compile(
    rb',"epoch":"([a-z0-9]+)","seq":(\d+)(?:,"prev":\d+,"cursor":"[^"]*")?,"timestamp":\d+}$'
)
"""A position at the top level of a message; it stands at the very end, where no text can imitate it."""


def check(request: Upgrade, origin_allowed: Callable[[str], bool]) -> Refuse | None:
    """What is wrong with a request for the event stream, or None."""
    if request.method != "GET":
        return Refuse(405, "method_not_allowed", "an event stream opens with GET", (("Allow", "GET"),))
    origin = request.headers.get("origin")
    if origin is not None and not origin_allowed(origin):
        return Refuse(403, "forbidden", f"origin {origin[:200]!r} is not allowed")
    return None


def accept() -> Accept:
    """The answer that opens a stream."""
    return Accept(HEAD + b"retry: %d\n\n" % random.randint(*RETRY_MS), deflate=False, events=True)


def position(epoch: str, seq: int) -> bytes:
    """An id for the event that follows, such as the greeting of a client that begins here."""
    return b"id: %s:%d\n" % (epoch.encode(), seq) if epoch else b""


def payloads(data: bytes) -> Iterator[bytes]:
    """The payloads of whole, unmasked, uncompressed text frames."""
    start = 0
    while start < len(data):
        size, begin = data[start + 1], start + 2
        if size > 125:
            begin += 2 if size == 126 else 8
            size = int.from_bytes(data[start + 2 : begin], "big")
        if data[start] & 0x0F == TEXT:
            yield data[begin : begin + size]
        start = begin + size


def event(message: bytes) -> bytes:
    """A message (JSON without line breaks) as an event, with its position as id where it has one."""
    found = POSITION.search(message, max(0, len(message) - 1000))
    mark = b"id: %s:%s\n" % found.groups() if found else b""
    return b"%sdata: %s\n\n" % (mark, message)


class Rewrapper:
    """Frames as events; the latest are kept, since all of a group get the same one."""

    def __init__(self) -> None:
        self._made: OrderedDict[Frame, Frame] = OrderedDict()

    def __call__(self, frame: Frame) -> Frame:
        made = self._made.get(frame)
        if made is None:
            made = self._made[frame] = self._wrap(frame)
            if len(self._made) > KEPT:
                self._made.popitem(last=False)
        return made

    def _wrap(self, frame: Frame) -> Frame:
        parts = tuple([self._wrap(part) for part in frame.parts])
        data = b"".join([part.data for part in parts] or [event(text) for text in payloads(frame.data)])
        return Frame(data, frame.prev, frame.seq, frame.messages, frame.chart, frame.start, parts)
