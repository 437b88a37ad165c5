"""What an indexer can do wrong: the service stays up, says so, recovers by itself and loses nothing.

``python tools/campaign/upstream_faults.py [--seconds 10] [--modes 500,429,hang,…]``

Each fault in turn spoils every answer of the embedded indexer for some seconds. The table has, for
each, the seconds until /health was degraded with a reason, until it was healthy again after the
fault, and what became of the rows of that time.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import scene

from unionws.source.simulator import MODES, Simulator

RECOVERY = 45.0
"""Seconds after a fault within which the service has to be healthy: the longest back-off (30 s), a
request under way (8 s), and some."""

STALE_AFTER = 5.0
"""Seconds without a good answer after which the indexer counts as stale; at least four polls."""

LEEWAY = 2.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """One fault.

    Attributes:
        degraded_after: seconds from its begin until /health said so; None: it never did.
        reason: what /health said.
        logged: what the log said of the indexer meanwhile.
        healthy_after: seconds from its end until /health was healthy.
    """

    mode: str
    degraded_after: float | None
    reason: str
    logged: tuple[str, ...]
    healthy_after: float
    verdict: scene.Verdict

    @property
    def clean(self) -> bool:
        """Said in time, in both places, and nothing lost."""
        return self.degraded_after is not None and bool(self.logged) and self.verdict.clean


async def spoil(stage: scene.Stage, mode: str, seconds: float) -> Outcome:
    """One fault for some seconds, and what came of it."""
    service, recorder = stage.service, scene.Recorder(stage.service.port)
    await recorder.open()
    known, start = len(service.log()), time.time()
    stage.simulator.force(mode)
    degraded_after: float | None = None
    with contextlib.suppress(scene.CampaignError):
        degraded_after = await service.until_health("degraded", min(seconds, STALE_AFTER + LEEWAY))
    reasons = (await service.get("/health"))["reasons"]
    await asyncio.sleep(max(0.0, start + seconds - time.time()))
    stage.simulator.force(None)
    healthy_after = await service.until_health("healthy", RECOVERY)
    verdict = await scene.judge(stage, recorder, start, time.time())
    recorder.close()
    said = [line["message"] for line in service.log()[known:] if _is_of_source(line)]
    return Outcome(
        mode, degraded_after, "; ".join(reasons), tuple(dict.fromkeys(said)), healthy_after, verdict
    )


def _is_of_source(line: Mapping[str, Any]) -> bool:
    return line["component"] == "source" and line["level"].upper() in ("WARNING", "ERROR")


async def campaign(modes: Sequence[str], seconds: float, rate: float) -> list[Outcome]:
    """All faults, one after the other, in one run of the service."""
    async with scene.staged(Simulator(rate=rate)) as stage:
        return [await spoil(stage, mode, seconds) for mode in modes]


def show(outcomes: Sequence[Outcome]) -> str:
    """The outcomes as a table."""
    from harness import figure, table

    headings = ("fault", "degraded after s", "healthy again s", "rows", "lost", "repeated", "reason")
    rows = [
        (
            outcome.mode,
            figure(outcome.degraded_after, 1),
            figure(outcome.healthy_after, 1),
            str(outcome.verdict.rows),
            str(len(outcome.verdict.lost)),
            str(len(outcome.verdict.repeated)),
            outcome.reason,
        )
        for outcome in outcomes
    ]
    return table(headings, rows)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="The service while its indexer fails.")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each fault lasts")
    parser.add_argument("--rate", type=float, default=20.0, help="transfers a second")
    parser.add_argument("--modes", default=",".join(MODES), help="faults, by commas")
    args = parser.parse_args(argv)
    outcomes = asyncio.run(campaign(args.modes.split(","), args.seconds, args.rate))
    print(show(outcomes))
    return 0 if all(outcome.clean for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
