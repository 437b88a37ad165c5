"""Reading one answer of the indexer: the cap, the JSON, and every way in which it can be wrong.

This code runs in the transport's worker thread.
"""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import Any

import requests
import ujson
from urllib3.exceptions import HTTPError

from unionws.errors import (
    UpstreamError,
    UpstreamGarbage,
    UpstreamRefused,
    UpstreamStatus,
    UpstreamTimeout,
    UpstreamTooLarge,
    UpstreamUnreachable,
)

CHUNK = 16_384
"""Bytes taken from the wire at once. Deflate expands up to a thousandfold, and the cap is checked
after each chunk, so this also bounds what a hostile answer can inflate beyond the cap."""

ENCODINGS = ("", "identity", "gzip", "deflate")
"""Content-Encodings read; a list of several would multiply the expansion."""

MOST_WORDS = 200


class Reader:
    """Takes one answer; ``read`` is a response hook of requests.

    Args:
        cap: largest decoded body in bytes.

    Attributes:
        data: the ``data`` object of a good answer.
        status: HTTP status, 0 while there is none.
        size: decoded bytes read.
    """

    def __init__(self, cap: int) -> None:
        self.data: dict[str, Any] = {}
        self.status = 0
        self.size = 0
        self._cap = cap

    def read(self, response: requests.Response, **_: object) -> requests.Response:
        """Read and check the whole answer; an UpstreamError tells what is wrong with it."""
        self.status = response.status_code
        try:
            if response.status_code != 200:
                wait = retry_after(response.headers.get("Retry-After"), time.time())
                raise UpstreamStatus(response.status_code, wait)
            self.data = data_of(self._body(response))
        finally:
            response.close()
        return response

    def _body(self, response: requests.Response) -> bytes:
        encoding = response.headers.get("Content-Encoding", "").strip().lower()
        if encoding not in ENCODINGS:
            raise UpstreamGarbage(f"the answer's Content-Encoding is {encoding[:MOST_WORDS]!r}")
        chunks = []
        for chunk in response.iter_content(CHUNK):
            self.size += len(chunk)
            if self.size > self._cap:
                raise UpstreamTooLarge(f"the answer is larger than {self._cap} bytes")
            chunks.append(chunk)
        return b"".join(chunks)


def data_of(body: bytes) -> dict[str, Any]:
    """The ``data`` object of a GraphQL answer that has one and no ``errors``."""
    try:
        answer = ujson.loads(body)
    except (ValueError, OverflowError, RecursionError) as error:
        raise UpstreamGarbage(f"the answer is not JSON: {str(error)[:MOST_WORDS]}") from None
    if not isinstance(answer, dict):
        raise UpstreamGarbage(f"the answer is a JSON {type(answer).__name__}, not an object")
    if answer.get("errors"):
        raise UpstreamRefused(f"GraphQL errors: {_first_message(answer['errors'])}")
    data = answer.get("data")
    if data is None:
        raise UpstreamRefused("the answer has no data")
    if not isinstance(data, dict):
        raise UpstreamGarbage(f"data is a JSON {type(data).__name__}, not an object")
    return data


def _first_message(errors: object) -> str:
    first = errors[0] if isinstance(errors, list) else errors
    message = first.get("message", first) if isinstance(first, dict) else first
    return str(message)[:MOST_WORDS].encode(errors="replace").decode()


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds asked for by a Retry-After header (a number of seconds or a date); None when unclear.

    Args:
        now: Unix seconds.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def translate(error: BaseException) -> UpstreamError:
    """What the worker raised, as the error the pollers know."""
    if isinstance(error, UpstreamError):
        return error
    words = str(error)[:MOST_WORDS] or type(error).__name__
    if isinstance(error, (requests.Timeout, TimeoutError)):
        return UpstreamTimeout(words)
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return UpstreamGarbage(f"the answer cannot be decompressed: {words}")
    if isinstance(error, (requests.RequestException, HTTPError, OSError, UnicodeError)):
        return UpstreamUnreachable(words)
    raise error
