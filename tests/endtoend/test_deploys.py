"""tools/campaign/deploys.py in small."""

from __future__ import annotations

import asyncio

import deploys
import pytest


@pytest.mark.parametrize("edges", [0, 2])
def test_takeovers_refuse_lose_and_repeat_nothing(edges: int) -> None:
    """By signal and by a second start, of one process and of several, while connections are opened."""
    outcome = asyncio.run(
        deploys.campaign(times=2, clients=50, processes=1, rate=50.0, edges=edges, pause=1.0)
    )
    assert [deploy.how for deploy in outcome.deploys] == ["SIGUSR2", "second start"]
    assert outcome.knocks.opened > 50
    assert outcome.knocks.refused == []
    assert outcome.rows > 50
    assert outcome.figures["drops"] > 50  # all by the first, and who is back by the second
    assert outcome.clean, outcome
