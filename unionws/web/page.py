"""``/``, the live page, and ``/client.js``: files of this package, read when first asked for."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tornado.web import HTTPError, RequestHandler

from unionws.web.base import HEADERS

FOLDER = Path(__file__).parent / "static"
PAGE = "index.html"
ALIASES = {"favicon.ico": "favicon.svg"}
"""Browsers ask for the first of themselves, beside whatever is not a page of ours."""

TYPES = {
    ".html": "text/html; charset=UTF-8",
    ".css": "text/css; charset=UTF-8",
    ".js": "text/javascript; charset=UTF-8",
    ".svg": "image/svg+xml",
}

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""Nothing from elsewhere, and nothing inline (Content Security Policy 3)."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent."""

    type: str
    body: bytes
    packed: bytes
    etag: str


@cache
def load(name: str) -> Asset:
    """One of the package's files."""
    path = FOLDER / name
    body = path.read_bytes()
    digest = hashlib.blake2b(body, digest_size=12).hexdigest()
    # Weak: the same for both encodings (RFC 9110 §8.8.1).
    return Asset(TYPES[path.suffix], body, gzip.compress(body, 9, mtime=0), f'W/"{digest}"')


class FileHandler(RequestHandler):
    """One file; browsers keep it and ask each time whether it is still the same."""

    def get(self, name: str = PAGE) -> None:
        try:
            asset = load(ALIASES.get(name, name))
        except FileNotFoundError:
            raise HTTPError(404) from None
        self.set_header("Content-Type", asset.type)
        self.set_header("ETag", asset.etag)
        if self.check_etag_header():
            self.set_status(304)
            return
        if "gzip" in self.request.headers.get("Accept-Encoding", ""):
            self.set_header("Content-Encoding", "gzip")
            self.finish(asset.packed)
        else:
            self.finish(asset.body)

    head = get

    def set_default_headers(self) -> None:
        self.set_header("Vary", "Accept-Encoding")
        for name, value in {**HEADERS, "Content-Security-Policy": POLICY}.items():
            self.set_header(name, value)  # of any origin: other pages import the client from here
        self.set_header("Cache-Control", "no-cache")
        self.clear_header("Server")


ROUTES: list[tuple[str, Any]] = [
    ("/", FileHandler),
    ("/(client\\.js|favicon\\.(?:svg|ico))", FileHandler),
    ("/(page/(?:page\\.css|[a-z]+\\.js))", FileHandler),
]
