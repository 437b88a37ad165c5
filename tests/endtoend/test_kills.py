"""tools/campaign/kills.py in small."""

from __future__ import annotations

import asyncio

import kills


def test_kill_9_of_any_process_loses_and_repeats_nothing() -> None:
    """Each edge, ingest and the supervisor in turn, under 50 clients: each user gets each row once."""
    outcome = asyncio.run(kills.campaign(rounds=1, clients=50, processes=1, rate=50.0, edges=2, pause=1.0))
    assert [kill.victim for kill in outcome.kills] == ["edge", "edge", "ingest", "supervisor"]
    assert outcome.rows > 50
    assert outcome.figures["connections"] >= 50 + 50  # the supervisor's end was everybody's
    assert outcome.clean, outcome
