"""Every row of a faulty indexer reaches a client exactly once.

``python tools/campaign/exactly_once.py [--seconds 120] [--rate 50] [--late 0.2] [--duplicates 0.1]``

The embedded indexer shows a fifth of its rows 2 to 8 s late, behind the cursor, repeats rows within
pages, and now and then has 300 transfers within a second. What a WebSocket client got is compared
with what the indexer had.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import scene

from unionws.source.simulator import Bursts, Faults, Simulator


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict, and how hard it was made.

    Attributes:
        late: rows the poller found behind its newest cursor.
        duplicates: rows that came again, those of re-scans included.
        busiest: most rows that became visible within one second.
    """

    verdict: scene.Verdict
    late: int
    duplicates: int
    busiest: int


async def measure(seconds: float, *, rate: float, faults: Faults, bursts: Bursts, seed: int) -> Outcome:
    """Run the service for ``seconds`` and compare."""
    simulator = Simulator(rate=rate, seed=seed, faults=faults, bursts=bursts)
    async with scene.staged(simulator) as stage:
        recorder = scene.Recorder(stage.service.port)
        await recorder.open()
        start = time.time()
        await asyncio.sleep(seconds)
        end = time.time()
        verdict = await scene.judge(stage, recorder, start, end)
        source = (await stage.service.get("/graphql-stats"))["source"]
        moments = [int(moment) for moment in stage.truth(start, end).values()]
        busiest = max((moments.count(moment) for moment in set(moments)), default=0)
        recorder.close()
    return Outcome(verdict, source["lateRows"], source["duplicates"], busiest)


def show(outcome: Outcome) -> str:
    """The outcome as a table."""
    from harness import table

    verdict = outcome.verdict
    rows = [
        ("rows", verdict.rows),
        ("lost", len(verdict.lost)),
        ("repeated", len(verdict.repeated)),
        ("invented", len(verdict.invented)),
        ("gaps told", len(verdict.gaps)),
        ("found behind the cursor", outcome.late),
        ("seen again by the poller", outcome.duplicates),
        ("most in one second", outcome.busiest),
    ]
    return table(("exactly once", "count"), [(name, str(count)) for name, count in rows])


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Every row of a faulty indexer reaches a client once.")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--rate", type=float, default=50.0, help="transfers a second, bursts not counted")
    parser.add_argument("--late", type=float, default=0.2, help="share of rows that come 2 to 8 s late")
    parser.add_argument("--duplicates", type=float, default=0.1, help="share of rows that stand twice")
    parser.add_argument("--burst-every", type=float, default=5.0, help="mean seconds between bursts of 300")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    faults = Faults(late=args.late, duplicates=args.duplicates)
    bursts = Bursts(300, 300, args.burst_every)
    work = measure(args.seconds, rate=args.rate, faults=faults, bursts=bursts, seed=args.seed)
    outcome = asyncio.run(work)
    print(show(outcome))
    return 0 if outcome.verdict.clean else 1


if __name__ == "__main__":
    sys.exit(main())
