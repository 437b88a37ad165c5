"""``/health``: whether the service does its work, and why not."""

from __future__ import annotations

from typing import Any

from unionws.web.base import View, Views

INGEST_SILENT = 10.0
"""Seconds without ingest's once-a-second state after which an edge calls itself unhealthy."""


def judge(views: Views) -> tuple[str, list[str]]:
    """``healthy``, ``degraded`` or ``unhealthy``, with the reasons in words."""
    age = views.state_age()
    if age is None:
        return "unhealthy", ["ingest has not been heard of yet"]
    if age > INGEST_SILENT:
        return "unhealthy", [f"ingest has not been heard of for {age:.0f} s"]
    upstream = views.ingest("upstream")
    state, problem = upstream.get("state"), views.ingest("history").get("problem")
    reasons = [] if state == "ok" else [_upstream_reason(str(state), upstream.get("lastError"))]
    if problem:
        reasons.append(f"transfers are published but not stored: {problem}")
    return ("degraded" if reasons else "healthy"), reasons


def _upstream_reason(state: str, error: Any) -> str:
    reason = {
        "stale": "the indexer has not answered lately",
        "down": "the indexer does not answer",
    }.get(state, f"the indexer is {state}")
    if isinstance(error, dict):
        reason += f": {error.get('kind')}: {error.get('message')}"
    return reason


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


ROUTES = [("/health", HealthHandler)]
