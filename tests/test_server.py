"""An edge's doors together: headers of every answer, what is logged of requests, what is there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.web.serving import Service
from unionws.server import log_answer


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with Service() as running:
        yield running


@pytest.mark.parametrize(
    "path", ["/health", "/metrics", "/stats", "/debug", "/nothing", "/", "/ws", "/sse?form=x"]
)
def test_every_answer_is_guarded(service: Service, path: str) -> None:
    """No browser guesses its type; data is not framed by other pages, and no version of a library is told."""
    _, headers, _ = service.get(path)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers.get("Content-Security-Policy", "frame-ancestors 'none'")
    if path not in ("/",):
        assert "Server" not in headers


def test_what_is_not_there_is_404_as_json(service: Service) -> None:
    """For every method, and with a word for people."""
    for method in ("GET", "POST", "DELETE"):
        status, _, body = service.get("/nothing", method)
        assert status == 404
        assert json.loads(body)["error"]


def answered(status: int) -> Any:
    request = SimpleNamespace(path="/stats", uri="/stats?key=very-secret")
    return SimpleNamespace(get_status=lambda: status, request=request)


def test_failures_are_logged_without_the_query(caplog: pytest.LogCaptureFixture) -> None:
    """A query may hold a key; what went well, or was refused, is no event."""
    for status in (200, 401, 404, 503):
        log_answer(answered(status))
    assert caplog.records == []
    log_answer(answered(500))
    assert [record.__dict__["fields"] for record in caplog.records] == [{"path": "/stats", "status": 500}]
