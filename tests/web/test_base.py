"""What all HTTP views have in common."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.web.serving import Service

PATHS = (
    "/health", "/stats", "/stats/enhanced", "/scheduler", "/buckets", "/graphql-stats", "/slow-clients",
    "/debug",
)  # fmt: skip


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with Service() as running:
        yield running


@pytest.mark.parametrize("path", PATHS)
def test_views_are_json_for_any_origin(service: Service, path: str) -> None:
    """Fresh on each request, with the time last asked for in Unix milliseconds."""
    status, headers, body = service.get(path)
    assert status == 200
    assert headers["Content-Type"].startswith("application/json")
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert headers["Cache-Control"] == "no-store"
    timestamp = json.loads(body)["timestamp"]
    assert isinstance(timestamp, int)
    assert timestamp > 1_600_000_000_000


@pytest.mark.parametrize("path", PATHS)
def test_views_have_no_nulls(service: Service, path: str) -> None:
    """What is not known is left out, at the first second as well."""

    def check(value: object, where: str) -> None:
        assert value is not None, where
        if isinstance(value, dict):
            for name, inner in value.items():
                check(inner, f"{where}.{name}")
        elif isinstance(value, list):
            for inner in value:
                check(inner, where)

    check(service.json(path), path)


def test_mistakes_are_json_too(service: Service) -> None:
    """A wrong argument says what is right."""
    status, _, body = service.get("/buckets?minutes=5000")
    assert (status, json.loads(body)["status"]) == (400, 400)
    assert "1 to 60" in json.loads(body)["error"]


@pytest.mark.parametrize("path", PATHS)
def test_views_are_only_read(service: Service, path: str) -> None:
    """Another method is 405."""
    assert service.get(path, "POST")[0] == 405


def test_connections_are_kept_alive(service: Service) -> None:
    """A scraper need not connect each time."""
    assert service.get("/health")[1].get("Connection", "").lower() != "close"
