"""The opening handshake as decisions, without I/O (RFC 6455 §4.2, RFC 7692 §5 and §7.1).

Both doors, the WebSocketHandler and the accept path, ask :func:`decide` and do what it says, so a
client cannot tell them apart.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import ujson

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

STATUS_TEXT = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    405: "Method Not Allowed",
    408: "Request Timeout",
    426: "Upgrade Required",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A request for the WebSocket path.

    Attributes:
        version: such as ``1.1``.
        query: the part behind ``?``, still encoded.
        headers: names in lower case; repeated headers joined with commas (RFC 9110 §5.3).
        address: the client's address as limits and logs see it.
        events: it asks for the event stream instead.
    """

    method: str
    version: str
    query: str
    headers: Mapping[str, str]
    address: str
    events: bool = False


@dataclass(frozen=True, slots=True)
class Accept:
    """Go: send ``response``, then the connection is a WebSocket, or (``events``) an event stream.

    Attributes:
        guest: what the doorkeeper found out about the client, for itself.
    """

    response: bytes
    deflate: bool
    events: bool = False
    guest: Any = None


@dataclass(frozen=True, slots=True)
class Refuse:
    """Stop: an HTTP answer that says why, as ``{"error": code, "message": text}``."""

    status: int
    code: str
    message: str
    headers: Sequence[tuple[str, str]] = field(default=())

    def body(self) -> bytes:
        """The JSON body of the answer."""
        return ujson.dumps({"error": self.code, "message": self.message}).encode()

    def response(self) -> bytes:
        """The whole HTTP answer; the connection is closed behind it."""
        body = self.body()
        lines = [f"HTTP/1.1 {self.status} {STATUS_TEXT[self.status]}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        options = "Upgrade, close" if "Upgrade" in dict(self.headers) else "close"  # RFC 9110 §7.8
        lines += [
            "Content-Type: application/json",
            "Cache-Control: no-store",
            "X-Content-Type-Options: nosniff",
            f"Content-Length: {len(body)}",
            f"Connection: {options}",
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def plain_address(address: str) -> str:
    """An IPv4 address that came through an IPv6 socket, without its prefix (RFC 4291 §2.5.5.2)."""
    return address.removeprefix("::ffff:")


def accept_key(key: str) -> str:
    """Sec-WebSocket-Accept for a client's key (RFC 6455 §4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


def decide(
    request: Upgrade, *, origin_allowed: Callable[[str], bool], deflate_allowed: bool = False
) -> Accept | Refuse:
    """Answer a handshake.

    Args:
        origin_allowed: asked with the Origin header, when there is one.
        deflate_allowed: whether permessage-deflate may be agreed on.
    """
    refusal = check(request, origin_allowed)
    if refusal is not None:
        return refusal
    return accept(request.headers.get("sec-websocket-key", ""), extension(request, deflate_allowed))


def extension(request: Upgrade, deflate_allowed: bool) -> str:
    """The agreed Sec-WebSocket-Extensions, or ""."""
    return deflate_answer(request.headers.get("sec-websocket-extensions", "")) if deflate_allowed else ""


def accept(key: str, agreed: str) -> Accept | Refuse:
    """The answer to a handshake in which all is well but perhaps the key."""
    key = key.strip()
    if not is_valid_key(key):
        return Refuse(400, "bad_handshake", "Sec-WebSocket-Key must be 16 bytes in base64")
    line = f"Sec-WebSocket-Extensions: {agreed}\r\n" if agreed else ""
    response = (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept_key(key)}\r\n{line}\r\n"
    )
    return Accept(response.encode(), bool(agreed))


def origin_of(headers: Mapping[str, str]) -> str | None:
    """The page a request comes from, as its browser says; None outside browsers."""
    return headers.get("origin", headers.get("sec-websocket-origin"))


def check(request: Upgrade, origin_allowed: Callable[[str], bool]) -> Refuse | None:
    """What is wrong with a handshake (RFC 6455 §4.2.1), the key left aside, or None."""
    headers = request.headers
    if request.method != "GET":
        return Refuse(405, "method_not_allowed", "a WebSocket opens with GET", (("Allow", "GET"),))
    if request.version != "1.1" or not headers.get("host"):
        return Refuse(400, "bad_handshake", "a WebSocket opens with HTTP/1.1 and a Host header")
    if "websocket" not in _tokens(headers.get("upgrade", "")):
        message = "this path speaks WebSocket: send 'Upgrade: websocket'"
        return Refuse(426, "upgrade_required", message, (("Upgrade", "websocket"),))
    if "upgrade" not in _tokens(headers.get("connection", "")):
        return Refuse(400, "bad_handshake", "the header 'Connection: Upgrade' is missing")
    if headers.get("sec-websocket-version", "").strip() != "13":
        message = "only WebSocket version 13 is spoken here"
        return Refuse(
            426, "bad_version", message, (("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"))
        )
    origin = origin_of(headers)
    if origin is not None and not origin_allowed(origin):
        return Refuse(403, "forbidden", f"origin {origin[:200]!r} is not allowed")
    return None


def is_valid_key(key: str) -> bool:
    """Whether a Sec-WebSocket-Key is the base64 of 16 bytes."""
    if len(key) != 24:
        return False
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False


def _tokens(value: str) -> list[str]:
    return [token.strip().lower() for token in value.split(",")]


# -- permessage-deflate ------------------------------------------------------------------------

DEFLATE_ANSWER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
"""RFC 7692 §7.1.1 lets a server add both unasked: then no client costs any zlib state."""

FLAGS = ("server_no_context_takeover", "client_no_context_takeover")
MAX_OFFERS = 32


@lru_cache(maxsize=256)  # browsers send the same few offers over and over
def deflate_answer(header: str) -> str:
    """The answer to the first permessage-deflate offer in Sec-WebSocket-Extensions we can take, or "".

    A shared compressor always uses the full window of 2^15, so ``server_max_window_bits`` below 15
    declines that offer; 15 is accepted by naming it (§7.1.2.1). ``client_max_window_bits`` is a
    hint and needs no answer (§7.1.2.2).
    """
    for offer in header.split(",")[:MAX_OFFERS]:
        parameters = _acceptable(offer)
        if parameters is not None:
            window = "; server_max_window_bits=15" if "server_max_window_bits" in parameters else ""
            return DEFLATE_ANSWER + window
    return ""


def _acceptable(offer: str) -> set[str] | None:
    """Names of an offer's parameters; None: not one we can take."""
    name, *parameters = [part.strip() for part in offer.split(";")]
    if name != "permessage-deflate":
        return None
    seen: set[str] = set()
    for parameter in parameters:
        key, equals, value = (part.strip() for part in parameter.partition("="))
        if key in seen or not _valid_parameter(key, _unquoted(value) if equals else None):
            return None
        seen.add(key)
    return seen


def _unquoted(value: str) -> str:
    quoted = len(value) > 2 and value[0] == value[-1] == '"'
    return value[1:-1] if quoted else value


def _valid_parameter(key: str, value: str | None) -> bool:
    if key in FLAGS:
        return value is None
    if key == "server_max_window_bits":
        return value == "15"
    if key == "client_max_window_bits":
        return value in (None, "8", "9", "10", "11", "12", "13", "14", "15")
    return False
