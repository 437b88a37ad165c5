"""What statistics cost as transfers and wallets grow: time to count, time of a snapshot, memory.

``python tools/bench/statistics_cost.py [--transfers 10000,50000,200000] [--wallets 2]``

For each number of transfers a fresh process counts them in batches of five, spread evenly over
60 days of event time, with a snapshot every six simulated hours; then come snapshots five seconds
apart under 20 transfers a second, with all 30 days loaded, across the full hour at which the long
windows move. Wallets are drawn flat from
``--wallets`` times the number of transfers: the hardest case, for every table is long and no
wallet stands out. Routes and assets are 50 and 30, any asset on any route. Time is CPU time, making
the transfers excluded; memory is the growth of the process (PSS).
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

import harness

from unionws.builtin.statistics import register_statistics
from unionws.model import Chain, EnrichedTransfer, Transfer
from unionws.settings import Settings
from unionws.stats.collector import Collector

HEADINGS = (
    "transfers",
    "distinct wallets",
    "µs per transfer",
    "the same, last tenth",
    "ms per snapshot p50",
    "ms max",
    "chart KB",
    "MB",
)
DAY = 86_400
NOW = 1_760_000_000.0 + 2650
"""150 s before a full hour."""
START = NOW - 60 * DAY
BATCH = 5
LIVE_SNAPSHOTS = 60
LIVE_RATE = 20


@dataclass(frozen=True)
class Result:
    """One row of the table; times in seconds."""

    transfers: int
    wallets: int
    all: float
    last: float
    snapshots: list[float]
    chart: int
    memory: int


class Maker:
    """Makes transfers of 50 routes among 25 chains, 30 assets, and so many wallets.

    Args:
        wallets: wallets to draw senders and receivers from.
    """

    def __init__(self, wallets: int) -> None:
        self._random = random.Random(1)
        chains = [Chain(f"family.chain-{number}") for number in range(25)]
        pairs = [(a, b) for a in chains for b in chains if a is not b]
        self._routes = self._random.sample(pairs, 50)
        self._wallets = wallets

    def make(self, when: float) -> EnrichedTransfer:
        """One transfer sent at ``when``."""
        source, destination = self._routes[int(50 * self._random.random() ** 2)]
        symbol = f"TOKEN{int(30 * self._random.random() ** 2)}"
        sender, receiver = self._wallet(), self._wallet()
        row = Transfer(
            "",
            source,
            destination,
            sender_canonical=sender,
            receiver_canonical=receiver,
            base_token_symbol=symbol,
            base_token_name=symbol,
        )
        amount = Decimal(self._random.getrandbits(70)).scaleb(-18)
        names = (source.universal_chain_id, destination.universal_chain_id)
        return EnrichedTransfer(row, when, "->".join(names), *names, False, sender, receiver, amount, b"")

    def _wallet(self) -> str:
        number = self._random.randrange(self._wallets) * 0x9E3779B97F4A7C15F39CC0605CEDC835 + 1
        return f"0x{number % (1 << 160):040x}"


class Bench:
    """A collector and the time spent in it."""

    def __init__(self) -> None:
        settings = Settings()
        self.collector = Collector(settings, register_statistics(settings), now=START - DAY)
        self.spent = 0.0
        self.snapshots: list[float] = []

    def observe(self, batch: Sequence[EnrichedTransfer]) -> None:
        now = batch[-1].event_time
        begun = time.process_time()
        self.collector.observe(batch, now)
        self.spent += time.process_time() - begun

    def snapshot(self, now: float) -> None:
        begun = time.process_time()
        self.collector.snapshot(now)
        self.snapshots.append(time.process_time() - begun)


def measure(transfers: int, per_transfer: float) -> Result:
    """Count ``transfers`` in this process."""
    maker = Maker(max(1, int(transfers * per_transfer)))
    before = harness.pss_bytes([os.getpid()])
    bench = Bench()
    due = tenth = 0.0
    for number, batch in enumerate(batches(maker, transfers)):
        if number * BATCH >= transfers * 9 // 10 and not tenth:
            tenth = bench.spent
        bench.observe(batch)
        if batch[-1].event_time >= due:
            bench.snapshot(batch[-1].event_time)
            due = batch[-1].event_time + 6 * 3600
    last = (bench.spent - tenth) / (transfers - transfers * 9 // 10)
    result_all = bench.spent / transfers
    live(bench, maker)
    memory = harness.pss_bytes([os.getpid()]) - before
    snapshot = bench.collector.snapshot(NOW + LIVE_SNAPSHOTS * 5)
    wallets = snapshot.data["activeWalletRates"]["uniqueTotalWallets"]
    return Result(transfers, wallets, result_all, last, bench.snapshots, len(snapshot.chart), memory)


def batches(maker: Maker, transfers: int) -> Iterator[list[EnrichedTransfer]]:
    """All transfers in order of time, five at a time."""
    apart = (NOW - START) / transfers
    for first in range(0, transfers, BATCH):
        size = min(BATCH, transfers - first)
        yield [maker.make(START + (first + number) * apart) for number in range(size)]


def live(bench: Bench, maker: Maker) -> None:
    """Snapshots five seconds apart at LIVE_RATE; only these are reported."""
    bench.snapshot(NOW)
    bench.snapshots.clear()
    for number in range(LIVE_SNAPSHOTS):
        begin = NOW + number * 5
        for step in range(LIVE_RATE):
            bench.observe([maker.make(begin + (BATCH * step + n) / LIVE_RATE) for n in range(BATCH)])
        bench.snapshot(begin + 5)


def row(result: dict[str, object]) -> list[str]:
    """A line of the table from a child's JSON."""
    found = Result(**result)  # type: ignore[arg-type]
    ordered = sorted(found.snapshots)
    return [
        f"{found.transfers:,}",
        f"{found.wallets:,}",
        harness.figure(found.all * 1e6, 1),
        harness.figure(found.last * 1e6, 1),
        harness.figure(ordered[len(ordered) // 2] * 1e3, 1),
        harness.figure(ordered[-1] * 1e3, 1),
        harness.figure(found.chart / 1000, 1),
        harness.figure(found.memory / 1e6, 1),
    ]


def numbers(text: str) -> list[int]:
    """``1,2,3`` as numbers above zero."""
    values = [int(part.replace("_", "")) for part in text.split(",")]
    if min(values) < 1:
        raise argparse.ArgumentTypeError("give numbers above zero")
    return values


def main(argv: Sequence[str] | None = None) -> int:
    """Measure each size in a process of its own and print the table."""
    parser = argparse.ArgumentParser(description="What statistics cost as transfers and wallets grow.")
    parser.add_argument("--transfers", type=numbers, default=[10_000, 50_000, 200_000])
    parser.add_argument("--wallets", type=float, default=2.0, help="wallets to draw from, per transfer")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.one:
        gc.collect()
        gc.freeze()  # as the service does when it starts
        print(json.dumps(vars(measure(options.one, options.wallets))))
        return 0
    rows = []
    for transfers in options.transfers:
        harness.note(f"counting {transfers:,} transfers …")
        child = [sys.executable, __file__, "--one", str(transfers), "--wallets", str(options.wallets)]
        done = subprocess.run(child, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise harness.BenchError(f"the process that counted {transfers:,} transfers failed")
        rows.append(row(json.loads(done.stdout)))
    print(harness.table(HEADINGS, rows))
    return 0


if __name__ == "__main__":
    sys.exit(harness.run(main))
