"""``/health``, ``/livez``, ``/readyz``: whether the service does its work, and why not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from unionws.web.base import View, Views

INGEST_SILENT = 10.0
"""Seconds without ingest's once-a-second state after which an edge calls itself unhealthy."""

NEARLY_FULL = 0.95
"""Share of a process's room for clients, or of MAX_CLIENTS, from which on it is told."""


# What to do next, or why nothing: reasons are read by people in a hurry.
ASKED_AGAIN = "polling goes on where it stopped and nothing is lost; /graphql-stats has the errors"
STARTED_AGAIN = "the log has why it ended (process ended); it is started again within 30 s"
MAKE_ROOM = "make room on the disk of STATE_DIR before a restart, what waits is then stored"


def judge(views: Views) -> tuple[str, list[str]]:
    """``healthy``, ``degraded`` or ``unhealthy``, with the reasons in words."""
    silence = _silence(views)
    if silence:
        return "unhealthy", [silence]
    reasons = [*_upstream(views), *_history(views), *_clock(views), *_edges(views)]
    return ("degraded" if reasons else "healthy"), reasons


def ready(views: Views) -> tuple[bool, list[str]]:
    """Whether clients should be sent here: the indexer answers, and ingest is there.

    The reasons are all of ``judge``: what degrades the service, but keeps nobody from coming, too.
    """
    status, reasons = judge(views)
    return status != "unhealthy" and views.ingest("upstream").get("state") != "down", reasons


def _silence(views: Views) -> str:
    age = views.state_age()
    if age is None:
        return f"ingest has not been heard of yet: {STARTED_AGAIN}"
    return f"ingest has not been heard of for {age:.0f} s: {STARTED_AGAIN}" if age > INGEST_SILENT else ""


def _upstream(views: Views) -> Iterator[str]:
    upstream = views.ingest("upstream")
    state, error = str(upstream.get("state")), upstream.get("lastError")
    if upstream.get("problem"):
        yield f"the indexer's answers are spoilt: {upstream['problem']}; tell whoever runs it"
    if state == "ok":
        return
    reason = {
        "stale": "the indexer has not answered lately",
        "down": "the indexer does not answer",
    }.get(state, f"the indexer is {state}")
    told: Any = error if isinstance(error, dict) else None
    cause = f": {told.get('kind')}: {told.get('message')}" if told else ""
    yield f"{reason}{cause}; {ASKED_AGAIN}"


def _history(views: Views) -> Iterator[str]:
    problem = views.ingest("history").get("problem")
    if problem:
        yield f"transfers are published but not stored: {problem}; {MAKE_ROOM}"


def _clock(views: Views) -> Iterator[str]:
    problem = views.ingest("clock").get("problem")
    if problem:
        yield str(problem)


def _edges(views: Views) -> Iterator[str]:
    edges, wanted = views.edges(), views.edges_wanted()
    if len(edges) < wanted:
        yield f"{wanted - len(edges)} of {wanted} edge processes do not report: {STARTED_AGAIN}"
    for name, edge in edges.items():
        held = edge["clients"] + edge.get("httpConnections", 0)
        if held >= NEARLY_FULL * edge.get("room", float("inf")):
            yield f"{name} has nearly used up its file descriptors: raise LimitNOFILE or EDGE_PROCESSES"
    total, most = sum(edge["clients"] for edge in edges.values()), views.config().get("MAX_CLIENTS", 0)
    if most and total >= NEARLY_FULL * most:
        may = "raise it if `unionws check` says the machine can"
        yield f"{total} of MAX_CLIENTS = {most} clients are connected: {may}"


class HealthHandler(View):
    """For load balancers and people; 503 only when the service itself does not work."""

    def get(self) -> None:
        status, reasons = judge(self.views)
        upstream = self.views.ingest("upstream")
        succeeded = upstream.get("lastSuccess")
        body = {
            "status": status,
            "lastSortOrder": self.views.ingest("position").get("cursor", ""),
            "uptime": round(self.views.uptime(), 3),
            "timestamp": self.views.now_ms(),
            "reasons": reasons,
            "upstream": {
                "state": upstream.get("state", "down"),
                "consecutiveFailures": upstream.get("consecutiveFailures", 0),
                **({} if succeeded is None else {"lastSuccess": succeeded}),
            },
        }
        self.answer(body, 503 if status == "unhealthy" else 200)


class LiveHandler(View):
    """The process answers: a restart would help nothing."""

    def get(self) -> None:
        self.answer({"status": "alive", "timestamp": self.views.now_ms()})


class ReadyHandler(View):
    """503 while the last successful poll is too long ago."""

    def get(self) -> None:
        is_ready, reasons = ready(self.views)
        body = {
            "status": "ready" if is_ready else "not ready",
            "reasons": reasons,
            "timestamp": self.views.now_ms(),
        }
        self.answer(body, 200 if is_ready else 503)


ROUTES = [("/health", HealthHandler), ("/livez", LiveHandler), ("/readyz", ReadyHandler)]
