"""Whether chartData is true: counted again by brute force, over 60 days, with restarts in between.

``python tools/campaign/statistics_truth.py [--transfers 1000000] [--wallets 200000] [--seed 1]
[--checks 6] [--restarts 4] [--tokens N]``

Seeded transfers of 60 days (half of them in the last two) arrive as an indexer shows them: a fifth
2 to 8 s late, one in a hundred hours late. The collector counts them; at some moments its snapshot is
compared, figure by figure, with a recount of every transfer so far in plain Python, window edges as
the design has them. In between the state is written to a file and taken up by a new collector.

Exact figures (rates, routes, chain flow, assets, every change) must be equal. Estimated ones must be
within their bound: distinct wallets within three standard errors (4.9 %; none up to 300), counts of
listed wallets too low by what the collector says may be missing, at most. The table tells the worst.

With ``--tokens N`` any of N assets is on any route, most of them rare: more cells than the flow table
holds. Then figures of assets may be too low by what the message itself says, at most.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path

from statistics_recount import Event, Verdict, compare, recount

from unionws.builtin.statistics import register_statistics
from unionws.model import Chain, EnrichedTransfer, Transfer
from unionws.settings import Settings
from unionws.stats.collector import Collector
from unionws.stats.sketches import RELATIVE_ERROR
from unionws.stats.statefile import Mark, StateFile
from unionws.stats.wallets import Wallets

DAY = 86_400
NOW = 1_760_000_000.0 + 1234.5
START = NOW - 60 * DAY
SINCE = START - DAY
"""Counting begins a day before the first transfer, so that every change can be told."""

BATCH = 20


class Maker:
    """Seeded events: 40 routes of 20 chains, 25 assets of which a chain has three, few busy wallets.

    Like the real ones: 120 pairs of a route and an asset, so that every figure of assets is exact.

    Args:
        tokens: so many assets instead, each on any route, a few of them common.
    """

    def __init__(self, wallets: int, seed: int, tokens: int = 0) -> None:
        self._tokens = tokens
        self._random = random.Random(seed)
        names = [f"family.chain-{number}" for number in range(20)]
        self._routes = self._random.sample([(a, b) for a in names for b in names if a != b], 40)
        self._wallets = [f"0x{self._random.getrandbits(160):040x}" for _ in range(wallets)]
        self._chains = {name: Chain(name) for name in names}

    def events(self, count: int) -> list[Event]:
        """In order of arrival."""
        draw = self._random
        times = [NOW - (60 * DAY if draw.random() < 0.5 else 2 * DAY) * draw.random() for _ in range(count)]
        delays = [self._delay() for _ in times]
        order = sorted(range(count), key=lambda number: times[number] + delays[number])
        return [self._event(times[number]) for number in order]

    def _delay(self) -> float:
        kind = self._random.random()
        if kind < 0.01:
            return self._random.uniform(60, 20_000)
        return self._random.uniform(2, 8) if kind < 0.2 else 0.3

    def _event(self, when: float) -> Event:
        draw = self._random
        source, destination = self._routes[int(40 * draw.random() ** 2)]
        symbol = "" if draw.random() < 0.05 else self._symbol(source)
        units = None if draw.random() < 0.1 else int(draw.lognormvariate(40, 5))
        return Event(when, source, destination, symbol, self._wallet(), self._wallet(), units)

    def _symbol(self, source: str) -> str:
        if self._tokens:
            return f"TOKEN{int(self._tokens * self._random.random() ** 6)}"
        chain = int(source.rpartition("-")[2])
        return f"TOKEN{(3 * chain + int(3 * self._random.random() ** 2)) % 25}"

    def _wallet(self) -> str:
        # the 12th power: the busiest of 200,000 wallets makes one transfer in three
        return self._wallets[int(len(self._wallets) * self._random.random() ** 12)]

    def enriched(self, event: Event) -> EnrichedTransfer:
        """The event as the collector is given it."""
        row = Transfer(
            "",
            self._chains[event.source],
            self._chains[event.destination],
            sender_canonical=event.sender,
            receiver_canonical=event.receiver,
            base_token_symbol=event.symbol or None,
        )
        amount = None if event.units is None else Decimal(event.units).scaleb(-18)
        names = (event.source, event.destination)
        wallets = (event.sender, event.receiver)
        return EnrichedTransfer(row, event.time, "->".join(names), *names, False, *wallets, amount, b"")


class Run:
    """A collector and the file it is restarted from."""

    def __init__(self, path: Path) -> None:
        self._file = StateFile(path)
        self.statistics = register_statistics(Settings())
        self.collector = self._new()

    def _new(self) -> Collector:
        return Collector(Settings(), self.statistics, now=SINCE)

    @property
    def wallets(self) -> Wallets:
        (found,) = [item.observer for item in self.statistics if item.name == "wallets"]
        assert isinstance(found, Wallets)
        return found

    def restart(self, now: float) -> float:
        """Write everything, begin anew, read it; seconds that took."""
        began = time.perf_counter()
        parts = self.collector.state(whole=True).items()
        changes = [(name, part, value) for name, state in parts for part, value in state.items()]
        self._file.write(changes, Mark(0, "", now, SINCE), whole=True, on_bad=_bad)
        kept = self._file.load()
        assert kept is not None
        self.statistics = register_statistics(Settings())
        self.collector = self._new()
        assert self.collector.restore(kept.states)
        return time.perf_counter() - began

    def close(self) -> None:
        self._file.close()


def _bad(statistic: str, error: Exception) -> None:
    raise AssertionError(statistic) from error


def moments(options: argparse.Namespace) -> list[tuple[int, str]]:
    """After how many events to check or to restart: at random, and a check at the end."""
    draw = random.Random(options.seed)
    kinds = ["check"] * (options.checks - 1) + ["restart"] * options.restarts
    places = [(draw.randrange(options.transfers // 10, options.transfers), kind) for kind in kinds]
    return sorted([*places, (options.transfers, "check")])


def play(options: argparse.Namespace, path: Path) -> Iterator[str]:
    """Count, check and restart; lines for people. The last is the verdict."""
    maker = Maker(options.wallets, options.seed, options.tokens)
    events = maker.events(options.transfers)
    run, verdict = Run(path), Verdict()
    newest, counted, spent = START, 0, 0.0
    for place, kind in moments(options):
        while counted < place:
            batch = events[counted : min(place, counted + BATCH)]
            newest = max(newest, *(event.time for event in batch))
            items = [maker.enriched(event) for event in batch]
            began = time.perf_counter()
            run.collector.observe(items, newest)
            spent += time.perf_counter() - began
            counted += len(batch)
        if kind == "restart":
            yield f"restarted after {counted:,} transfers in {run.restart(newest):.1f} s"
            continue
        began = time.perf_counter()
        data = run.collector.snapshot(newest).data
        took = time.perf_counter() - began
        compare(data, recount(events[:counted], newest), run.wallets, SINCE, verdict)
        yield f"checked after {counted:,} transfers; the snapshot took {took * 1000:.0f} ms"
    run.close()
    yield f"{spent / counted * 1e6:.0f} µs per transfer"
    yield summary(verdict)


def summary(verdict: Verdict) -> str:
    """One paragraph."""
    lines = [
        f"{verdict.exact:,} exact figures and lists, {verdict.estimates:,} estimates compared",
        f"worst error of distinct wallets {verdict.worst_distinct:.2%} (bound {3 * RELATIVE_ERROR:.2%})",
        f"worst count of a listed wallet {verdict.worst_listed} too low",
        f"worst figure of an asset too low by {verdict.worst_short:.0%} of what it may be",
        f"wrong: {len(verdict.wrong)}",
    ]
    return "\n".join([*lines, *_first(verdict.wrong)])


def _first(lines: Iterable[str]) -> list[str]:
    return [f"  {line[:400]}" for line in list(lines)[:10]]


def main(argv: Sequence[str] | None = None) -> int:
    """Run it; exit 1 when anything is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--transfers", type=int, default=1_000_000)
    parser.add_argument("--wallets", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--checks", type=int, default=6)
    parser.add_argument("--restarts", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=0)
    options = parser.parse_args(argv)
    last = ""
    with tempfile.TemporaryDirectory() as folder:
        for last in play(options, Path(folder) / "statistics.db"):
            print(last, flush=True)
    return 0 if "wrong: 0" in last else 1


if __name__ == "__main__":
    sys.exit(main())
