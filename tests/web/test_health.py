"""/health says what is so, and why."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.web.serving import EPOCH, NOW_MS, Service
from unionws.model import StateRecord


def state(service: Service, **views: Any) -> None:
    service.publish(StateRecord(NOW_MS, EPOCH, 0, "", views))


def test_healthy() -> None:
    """The fields of the contract, and no reasons."""
    with Service() as service:
        state(
            service,
            upstream={"state": "ok", "lastSuccess": NOW_MS, "consecutiveFailures": 0},
            position={"cursor": "c-9"},
        )
        status, _, body = service.get("/health")
    told = json.loads(body)
    assert (status, told["status"], told["reasons"]) == (200, "healthy", [])
    assert told["lastSortOrder"] == "c-9"
    assert isinstance(told["uptime"], float)
    assert told["upstream"]["lastSuccess"] == NOW_MS


@pytest.mark.parametrize(
    ("upstream", "word"), [("stale", "lately"), ("down", "does not answer"), ("odd", "odd")]
)
def test_failing_upstream_is_degraded(upstream: str, word: str) -> None:
    """Still 200: this service works, and says what does not."""
    with Service() as service:
        error = {"kind": "status", "message": "HTTP status 503"}
        state(service, upstream={"state": upstream, "lastError": error, "consecutiveFailures": 4})
        status, _, body = service.get("/health")
    told = json.loads(body)
    assert (status, told["status"]) == (200, "degraded")
    assert word in told["reasons"][0]
    assert "HTTP status 503; polling goes on" in told["reasons"][0]
    assert told["upstream"]["consecutiveFailures"] == 4


def test_what_is_not_stored_is_degraded() -> None:
    """A disk that refuses is a reason by itself."""
    with Service() as service:
        state(service, upstream={"state": "ok"}, history={"problem": "disk full"})
        told = service.json("/health")
    assert told["status"] == "degraded"
    assert "disk full; make room" in told["reasons"][0]


def test_a_stepped_clock_is_degraded() -> None:
    """For as long as ingest tells of it."""
    with Service() as service:
        state(service, upstream={"state": "ok"}, clock={"problem": "the clock was set back", "steps": 1})
        told = service.json("/health")
    assert (told["status"], told["reasons"]) == ("degraded", ["the clock was set back"])


@pytest.mark.parametrize(("age", "status"), [(12.0, "unhealthy"), (8.0, "healthy"), (0.0, "healthy")])
def test_silent_ingest_is_unhealthy(age: float, status: str) -> None:
    """Its state comes once a second."""
    with Service() as service:
        service.edge.state_at -= age
        told = json.loads(service.get("/health")[2])
    assert told["status"] == status
    assert bool(told["reasons"]) == (status != "healthy")


def test_edge_that_never_heard_of_ingest_is_unhealthy() -> None:
    """It has nothing to deliver."""
    with Service() as service:
        service.edge.views = {}
        told = json.loads(service.get("/health")[2])
    assert told["status"] == "unhealthy"
    assert "not been heard of yet: the log has why" in told["reasons"][0]


def test_unhealthy_is_503() -> None:
    """So that load balancers go elsewhere."""
    with Service() as service:
        service.edge.state_at -= 60
        status, _, body = service.get("/health")
    assert (status, json.loads(body)["status"]) == (503, "unhealthy")


def test_live_is_only_that_it_answers() -> None:
    """A restart would help nothing, whatever ingest and the indexer do."""
    with Service() as service:
        service.edge.views = {}
        assert service.get("/livez")[0] == 200


@pytest.mark.parametrize(("upstream", "status"), [("ok", 200), ("stale", 200), ("down", 503)])
def test_ready_is_the_last_successful_poll(upstream: str, status: int) -> None:
    """Clients are sent elsewhere once the indexer has not answered for long, or ingest is silent."""
    with Service() as service:
        state(service, upstream={"state": upstream})
        code, _, body = service.get("/readyz")
        assert code == status
        assert bool(json.loads(body)["reasons"]) == (upstream != "ok")
        service.edge.state_at -= 60
        assert service.get("/readyz")[0] == 503


@pytest.mark.parametrize(
    ("edges", "wanted", "word"),
    [
        ({}, 1, ""),
        ({}, 3, "2 of 3 edge processes do not report: the log has why"),
        (
            {"e1": {"clients": 980, "httpConnections": 0, "room": 1000}},
            2,
            "e1 has nearly used up its file descriptors: raise",
        ),
        (
            {"e1": {"clients": 96_000, "room": 1_000_000}},
            2,
            "96000 of MAX_CLIENTS = 100000 clients are connected: raise",
        ),
    ],
)
def test_edges_have_reasons_of_their_own(edges: dict[str, Any], wanted: int, word: str) -> None:
    """A process that is missing, out of descriptors, or a service that is full: each is named."""
    with Service() as service:
        service.edge.gate.admission.edges = wanted
        state(service, upstream={"state": "ok"}, edges=edges)
        told = service.json("/health")
    assert told["status"] == ("degraded" if word else "healthy")
    assert word in " ".join(told["reasons"])
