"""The busiest routes."""

from __future__ import annotations

from tests.stats.traffic import NOW, transfer
from unionws.stats.coverage import Coverage
from unionws.stats.flow import Flow
from unionws.stats.routes import Routes


def test_routes_are_ordered_by_count_and_then_by_key() -> None:
    """Ties come in the order of source and destination, whatever arrived first."""
    flow = Flow()
    flow.use_coverage(Coverage(0))
    for destination in ("c.3", "b.2", "a.1", "b.2"):
        flow.observe([transfer(NOW - 3, source="x.9", destination=destination)], NOW)
    flow.observe([transfer(NOW - 90, source="x.9", destination="b.2")], NOW)
    flow.snapshot(NOW)
    data = Routes(flow, "1m").snapshot(NOW)
    assert [(r["route"], r["count"], r["countChange"]) for r in data["popularRoutes"]] == [
        ("x.9->b.2", 2, 100.0),
        ("x.9->a.1", 1, 100.0),
        ("x.9->c.3", 1, 100.0),
    ]
    assert data["popularRoutesTimeScale"]["5m"][0]["count"] == 3
    assert data["popularRoutes"][0]["lastActivity"] == "2025-10-09T09:13:51Z"
    assert data["popularRoutes"][1]["fromName"] == "Chain x.9"
