"""tools/campaign/exactly_once.py in small."""

from __future__ import annotations

import asyncio

import exactly_once

from unionws.source.simulator import Bursts, Faults


def test_every_row_of_a_faulty_indexer_reaches_a_client_once() -> None:
    """Late rows behind the cursor, repeated rows and bursts of 300: none lost, none twice."""
    faults = Faults(late=0.2, duplicates=0.1)
    outcome = asyncio.run(
        exactly_once.measure(10.0, rate=50.0, faults=faults, bursts=Bursts(300, 300, 5.0), seed=1)
    )
    assert outcome.verdict.rows > 200
    assert outcome.verdict.clean, outcome.verdict
    assert outcome.late > 10
    assert outcome.duplicates > 100
