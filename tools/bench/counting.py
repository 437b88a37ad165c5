"""What a transfer costs on its way from the indexer's answer into the figures, stage by stage.

``python tools/bench/counting.py [--rate 10000] [--seconds 20] [--loaded 100000]``

Answers of the embedded indexer, 100 rows each as the poller gets them, are decoded, enriched (names,
addresses, the JSON that clients get) and counted in frames of five, all on one core, with a snapshot
every five seconds of event time at ``--rate`` transfers a second. Before, ``--loaded`` transfers spread
over 60 days are counted, so that every window and every change has its figures.

Time is CPU time. Beside the stages stands what ujson alone takes to read the same answers and to
write the same transfers: less it cannot be.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import harness
import statistics_cost
import ujson

from unionws.builtin.statistics import register_statistics
from unionws.enrich.transfers import Enricher
from unionws.model import EnrichedTransfer
from unionws.settings import Settings
from unionws.source.answers import data_of
from unionws.source.decode import Decoder
from unionws.source.simulator import Simulator
from unionws.source.simulator.world import load_world
from unionws.stats.collector import Collector

HEADINGS = ("stage", "µs per transfer", "transfers a second")
DAY = 86_400
NOW = statistics_cost.NOW
PAGE, FRAME, CHART_INTERVAL = 100, 5, 5
FIELD = "v2_transfers"
CHAIN_FIELDS = ("universal_chain_id", "chain_id", "display_name", "testnet", "rpc_type", "addr_prefix")
NO_QUERY = ("sent_at", "visible_at", "sender_zkgm", "receiver_zkgm", "packet_shape", "base_token_path")


class Bench:
    """The three stages, and the CPU time spent in each (seconds)."""

    def __init__(self) -> None:
        settings = Settings()
        self.decoder, self.enricher = Decoder(), Enricher()
        self.collector = Collector(settings, register_statistics(settings), now=NOW - 61 * DAY)
        self.spent = dict.fromkeys(("decode", "enrich", "count", "snapshots", "ujson alone"), 0.0)
        self.snapshots: list[float] = []

    def take(self, body: bytes, now: float) -> int:
        """One answer through all stages; how many transfers it had."""
        clock = time.process_time
        times = [clock()]
        transfers = self.decoder.page(data_of(body), FIELD, ()).transfers
        times.append(clock())
        items = self.enricher.enrich(transfers, now)
        times.append(clock())
        for first in range(0, len(items), FRAME):
            self.collector.observe(items[first : first + FRAME], now)
        times.append(clock())
        for stage, begun, ended in zip(("decode", "enrich", "count"), times, times[1:], strict=False):
            self.spent[stage] += ended - begun
        self._alone(body, items)
        return len(items)

    def _alone(self, body: bytes, items: Sequence[EnrichedTransfer]) -> None:
        written = [ujson.loads(item.json) for item in items]
        begun = time.process_time()
        ujson.loads(body)
        for item in written:
            ujson.dumps(item, ensure_ascii=False, escape_forward_slashes=False)
        self.spent["ujson alone"] += time.process_time() - begun

    def snapshot(self, now: float) -> None:
        begun = time.process_time()
        self.collector.snapshot(now)
        self.snapshots.append(time.process_time() - begun)
        self.spent["snapshots"] += self.snapshots[-1]


def answers(simulator: Simulator, start: float, end: float) -> Iterator[tuple[bytes, float]]:
    """What the indexer answers for [start, end), and when the newest row of each answer was sent."""
    chains = {
        chain.universal_chain_id: {name: getattr(chain, name) for name in CHAIN_FIELDS}
        for chain in load_world().chains
    }
    rows = simulator.transfers_between(start, end)
    for first in range(0, len(rows), PAGE):
        page = rows[first : first + PAGE]
        body = {"data": {FIELD: [_row(row, chains) for row in page]}}
        yield ujson.dumps(body).encode(), max(row["sent_at"] for row in page)


def _row(row: dict[str, Any], chains: dict[str, Any]) -> dict[str, Any]:
    asked = {name: value for name, value in row.items() if name not in NO_QUERY}
    for side in ("source", "destination"):
        asked[f"{side}_chain"] = chains[row[f"{side}_universal_chain_id"]]
    return asked


def load(bench: Bench, transfers: int) -> None:
    """Count ``transfers`` spread over the last 60 days; their cost is not counted."""
    for batch in statistics_cost.batches(statistics_cost.Maker(2 * transfers), transfers):
        bench.collector.observe(batch, batch[-1].event_time)
    bench.collector.snapshot(NOW)


def measure(bench: Bench, rate: float, seconds: int) -> int:
    """So many seconds of a stream; the number of its transfers."""
    simulator, counted = Simulator(rate=rate), 0
    for begin in count(0, CHART_INTERVAL):
        if begin >= seconds:
            return counted
        made = list(answers(simulator, NOW + begin, NOW + begin + CHART_INTERVAL))
        gc.collect()  # the rows an answer is made of are the indexer's: another process looks after them
        gc.freeze()
        for body, newest in made:
            counted += bench.take(body, newest)
        bench.snapshot(NOW + begin + CHART_INTERVAL)
    raise AssertionError


def rows(bench: Bench, transfers: int) -> list[list[str]]:
    """The table."""
    spent = dict(bench.spent)
    alone = spent.pop("ujson alone")
    lines = {**spent, "all": sum(spent.values()), "ujson alone": alone}
    return [
        [name, harness.figure(seconds / transfers * 1e6, 1), harness.figure(transfers / seconds, 0)]
        for name, seconds in lines.items()
    ]


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rate", type=float, default=10_000.0, help="transfers a second of event time")
    parser.add_argument("--seconds", type=int, default=20, help="of event time")
    parser.add_argument("--loaded", type=int, default=100_000, help="transfers of 60 days counted before")
    options = parser.parse_args()
    if min(options.rate, options.seconds, options.loaded) <= 0:
        parser.error("give numbers above zero")
    gc.collect()
    gc.freeze()  # as the service does when it starts
    bench = Bench()
    harness.note(f"loading {options.loaded:,} transfers …")
    load(bench, options.loaded)
    transfers = measure(bench, options.rate, options.seconds)
    print(harness.table(HEADINGS, rows(bench, transfers)))
    slowest = harness.figure(max(bench.snapshots) * 1e3, 1)
    print(f"\n{transfers:,} transfers; the slowest of {len(bench.snapshots)} snapshots took {slowest} ms")
    return 0


if __name__ == "__main__":
    sys.exit(harness.run(main))
