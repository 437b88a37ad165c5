"""What plugins see of HTTP: requests, answers, routes, and who is let in."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from unionws.model import JSON

PATH = re.compile(r"(/[A-Za-z0-9_.-]{1,60}){1,6}")
REFUSALS = ("unauthorized", "forbidden")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request, whichever door it came through: WebSocket handshake, event stream or plain GET.

    Attributes:
        query: decoded parameters; of a repeated one, the last.
        headers: names in lower case.
        address: the client's address as limits and logs see it.
    """

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    address: str


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer that is not plain JSON, or not status 200."""

    body: bytes
    content_type: str = "application/json; charset=UTF-8"
    status: int = 200


@dataclass(frozen=True, slots=True)
class Route:
    """A path that answers GET.

    Attributes:
        path: a third party's is ``/ext/<vendor>/<word>``.
        handle: called with the request; answers JSON or an HttpAnswer. It may be a coroutine
            function: then it may await what it gave to ``Service.run_in_thread``.
    """

    path: str
    help: str
    handle: Callable[[HttpRequest], JSON | HttpAnswer | Awaitable[JSON | HttpAnswer]]

    def __post_init__(self) -> None:
        if not isinstance(self.path, str) or not PATH.fullmatch(self.path):
            raise ValueError(f"route path {self.path!r} is not valid: it is /ext/vendor/word")
        if not callable(self.handle):
            raise ValueError(f"route {self.path!r}: handle must be callable")
        if not self.help:
            raise ValueError(f"route {self.path!r}: help is empty")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a client is: it may come in.

    Attributes:
        name: for logs and limits.
        until: Unix seconds at which the permission ends; None: never.
    """

    name: str
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Denied:
    """A client that may not come in.

    Attributes:
        code: ``unauthorized`` (no or wrong credentials: 401) or ``forbidden`` (403).
        message: one sentence for the client.
    """

    code: str
    message: str

    def __post_init__(self) -> None:
        if self.code not in REFUSALS:
            raise ValueError(f"code {self.code!r} is not one of {', '.join(REFUSALS)}")
