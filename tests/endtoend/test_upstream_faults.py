"""tools/campaign/upstream_faults.py in small: one service for each fault, all at the same time."""

from __future__ import annotations

import asyncio

import scene
import upstream_faults

from unionws.source.simulator import Simulator

FAULTS = {"500": "HTTP status 500", "garbage": "not JSON", "rows": "rows cannot be used"}


async def one(mode: str) -> upstream_faults.Outcome:
    async with scene.staged(Simulator(rate=20.0)) as stage:
        return await upstream_faults.spoil(stage, mode, seconds=7.0)


def test_the_service_says_what_the_indexer_does_wrong_recovers_and_loses_nothing() -> None:
    """In /health within 7 s and in the log; healthy by itself; every row of that time arrives once."""

    async def all_of_them() -> list[upstream_faults.Outcome]:
        return await asyncio.gather(*(one(mode) for mode in FAULTS))

    for outcome in asyncio.run(all_of_them()):
        assert outcome.degraded_after is not None, outcome
        assert FAULTS[outcome.mode] in outcome.reason
        assert outcome.logged
        assert outcome.verdict.rows > 20
        assert outcome.verdict.clean, outcome
