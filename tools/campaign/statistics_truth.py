"""Whether chartData is true: counted again by brute force, over 60 days, with restarts in between.

``python tools/campaign/statistics_truth.py [--transfers 1000000] [--wallets 200000] [--seed 1]
[--checks 6] [--restarts 4]``

Seeded transfers of 60 days (half of them in the last two) arrive as an indexer shows them: a fifth
2 to 8 s late, one in a hundred hours late. The collector counts them; at some moments its snapshot is
compared, figure by figure, with a recount of every transfer so far in plain Python, window edges as
the design has them. In between the state is written to a file and taken up by a new collector.

Exact figures (rates, routes, chain flow, assets, every change) must be equal. Estimated ones must be
within their bound: distinct wallets within three standard errors (4.9 %; none up to 300), counts of
listed wallets too low by what the collector says may be missing, at most. The table tells the worst.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from unionws.builtin.statistics import register_statistics
from unionws.model import Chain, EnrichedTransfer, Transfer
from unionws.settings import Settings
from unionws.stats.collector import Collector
from unionws.stats.figures import change, rfc3339, share
from unionws.stats.rates import FIELDS
from unionws.stats.sketches import RELATIVE_ERROR
from unionws.stats.statefile import Mark, StateFile
from unionws.stats.wallets import SUFFIXES, Wallets
from unionws.stats.windows import SCALES, WINDOWS, Window

DAY = 86_400
NOW = 1_760_000_000.0 + 1234.5
START = NOW - 60 * DAY
SINCE = START - DAY
"""Counting begins a day before the first transfer, so that every change can be told."""

BATCH = 20
EXACT_UP_TO = 300
UNITS = 10**18


@dataclass(frozen=True, slots=True)
class Event:
    """A transfer as the recount needs it; ``units`` is the amount in 10⁻¹⁸, or None."""

    time: float
    source: str
    destination: str
    symbol: str
    sender: str
    receiver: str
    units: int | None


class Maker:
    """Seeded events: 40 routes of 20 chains, 25 assets of which a chain has three, few busy wallets.

    Like the real ones: 120 pairs of a route and an asset, so that every figure of assets is exact. (The
    flow table holds 250,000 cells; beyond, with every asset on every route each hour, the figures of
    rare assets would be too low.)
    """

    def __init__(self, wallets: int, seed: int) -> None:
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


# --------------------------------------------------------------------------------- brute force


@dataclass(slots=True)
class Tally:
    """One window counted again."""

    count: int = 0
    routes: Counter[tuple[str, str]] = field(default_factory=Counter)
    out: Counter[str] = field(default_factory=Counter)
    into: Counter[str] = field(default_factory=Counter)
    assets: Counter[str] = field(default_factory=Counter)
    known: Counter[str] = field(default_factory=Counter)
    units: Counter[str] = field(default_factory=Counter)
    largest: dict[str, int] = field(default_factory=dict)
    asset_routes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    chain_assets: Counter[tuple[str, str]] = field(default_factory=Counter)
    senders: Counter[str] = field(default_factory=Counter)
    receivers: Counter[str] = field(default_factory=Counter)

    def add(self, event: Event) -> None:
        self.count += 1
        self.routes[event.source, event.destination] += 1
        self.out[event.source] += 1
        self.into[event.destination] += 1
        self.senders[event.sender] += 1
        self.receivers[event.receiver] += 1
        if event.symbol:
            self._add_asset(event)

    def _add_asset(self, event: Event) -> None:
        symbol = event.symbol
        self.assets[symbol] += 1
        self.asset_routes[symbol, event.source, event.destination] += 1
        self.chain_assets[event.source, symbol] += 1
        self.chain_assets[event.destination, symbol] += 1
        if event.units is not None:
            self.known[symbol] += 1
            self.units[symbol] += event.units
            self.largest[symbol] = max(self.largest.get(symbol, 0), event.units)


@dataclass(slots=True)
class Recount:
    """Every window, and every preceding one, of all events so far."""

    now: float
    current: dict[str, Tally] = field(default_factory=dict)
    previous: dict[str, Tally] = field(default_factory=dict)
    last: dict[tuple[str, ...], float] = field(default_factory=dict)


def recount(events: Sequence[Event], now: float) -> Recount:
    """One pass over all events for each window."""
    counted = Recount(now)
    for window in WINDOWS:
        step, start = window.step, int((now - window.seconds) // window.step) * window.step
        end = (int(now // step) + 1) * step
        current, previous = Tally(), Tally()
        for event in events:
            if start <= event.time < end:
                current.add(event)
            elif start - window.seconds <= event.time < start:
                previous.add(event)
        counted.current[window.key], counted.previous[window.key] = current, previous
    for event in events:
        for key in (
            ("route", event.source, event.destination),
            ("chain", event.source),
            ("chain", event.destination),
        ):
            counted.last[key] = max(counted.last.get(key, 0.0), event.time)
    return counted


def ranked(counts: Counter[Any], most: int) -> list[tuple[Any, int]]:
    """Highest first, ties by key."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most]


# ---------------------------------------------------------------------------------- comparison


@dataclass(slots=True)
class Verdict:
    """What was compared, and the worst of what may differ."""

    exact: int = 0
    estimates: int = 0
    worst_distinct: float = 0.0
    worst_listed: int = 0
    wrong: list[str] = field(default_factory=list)

    def equal(self, what: str, found: Any, expected: Any) -> None:
        """A figure without error."""
        self.exact += 1
        if found != expected:
            self.wrong.append(f"{what}: {found} instead of {expected}")

    def close(self, what: str, found: int, exact: int) -> None:
        """A number of distinct wallets."""
        self.estimates += 1
        error = abs(found - exact) / max(1, exact)
        self.worst_distinct = max(self.worst_distinct, error if exact > EXACT_UP_TO else 0.0)
        if abs(found - exact) > (0 if exact <= EXACT_UP_TO else 3 * RELATIVE_ERROR * exact):
            self.wrong.append(f"{what}: {found} instead of about {exact}")

    def listed(self, what: str, found: Sequence[Any], exact: Counter[str], missing: int) -> None:
        """A list of wallets whose counts may be too low by ``missing``."""
        self.estimates += 1
        expected = ranked(exact, len(found))
        for entry, (_, best) in zip(found, expected, strict=True):
            true = exact[entry["address"]]
            self.worst_listed = max(self.worst_listed, true - entry["count"])
            if not entry["count"] <= true <= entry["count"] + missing or best > true + missing:
                self.wrong.append(f"{what}: {entry['count']} for a wallet of {true}, where {best} is highest")
        if not missing:
            self.equal(what, [(entry["address"], entry["count"]) for entry in found], expected)


def compare(data: Any, true: Recount, wallets: Wallets, since: float, verdict: Verdict) -> None:
    """Every figure of a snapshot."""
    for window in WINDOWS:
        comparable = since <= window.start_before(true.now)
        _rates(data, true, window, comparable, verdict)
        if window in SCALES:
            _routes(data["popularRoutesTimeScale"][window.key], true, window, comparable, verdict)
            _flow(data["chainFlowData"]["chainFlowTimeScale"][window.key], true, window, comparable, verdict)
            _assets(
                data["assetVolumeData"]["assetVolumeTimeScale"][window.key], true, window, comparable, verdict
            )
            tally = true.current[window.key]
            for name, role in (("Senders", wallets.senders), ("Receivers", wallets.receivers)):
                found = data[f"active{name}TimeScale"][window.key]
                exact = getattr(tally, name.lower())
                verdict.listed(f"{name} {window.key}", found, exact, role.missing(window))


def _rates(data: Any, true: Recount, window: Window, comparable: bool, verdict: Verdict) -> None:
    tally, before = true.current[window.key], true.previous[window.key]
    name, suffix = FIELDS[window.key], SUFFIXES[window.key]
    rates, distinct = data["currentRates"], data["activeWalletRates"]
    verdict.equal(name, rates[name], tally.count)
    expected = change(tally.count, before.count) if comparable else None
    verdict.equal(f"{name}Change", rates.get(f"{name}Change"), expected)
    both = tally.senders.keys() | tally.receivers.keys()
    verdict.close(f"senders{suffix}", distinct[f"senders{suffix}"], len(tally.senders))
    verdict.close(f"receivers{suffix}", distinct[f"receivers{suffix}"], len(tally.receivers))
    verdict.close(f"total{suffix}", distinct[f"total{suffix}"], len(both))


def _changed(comparable: bool, **pairs: tuple[int, int]) -> dict[str, float]:
    return {name: change(*pair) for name, pair in pairs.items()} if comparable else {}


def _routes(found: Any, true: Recount, window: Window, comparable: bool, verdict: Verdict) -> None:
    tally, before = true.current[window.key], true.previous[window.key]
    expected = [
        {
            "count": count,
            "fromChain": route[0],
            "toChain": route[1],
            "fromName": route[0],
            "toName": route[1],
            "route": "->".join(route),
            **_changed(comparable, countChange=(count, before.routes[route])),
            "lastActivity": rfc3339(true.last[("route", *route)]),
        }
        for route, count in ranked(tally.routes, 10)
    ]
    verdict.equal(f"routes {window.key}", found, expected)


def _flow(found: Any, true: Recount, window: Window, comparable: bool, verdict: Verdict) -> None:
    tally, before = true.current[window.key], true.previous[window.key]
    expected = [
        {
            "universal_chain_id": chain,
            "chainName": chain,
            "outgoingCount": tally.out[chain],
            "incomingCount": tally.into[chain],
            "netFlow": tally.into[chain] - tally.out[chain],
            "lastActivity": rfc3339(true.last["chain", chain]),
            **_changed(
                comparable,
                outgoingChange=(tally.out[chain], before.out[chain]),
                incomingChange=(tally.into[chain], before.into[chain]),
                netFlowChange=(tally.into[chain] - tally.out[chain], before.into[chain] - before.out[chain]),
            ),
        }
        for chain, _ in ranked(tally.out + tally.into, 10)
    ]
    plain = [{name: value for name, value in entry.items() if name != "topAssets"} for entry in found]
    verdict.equal(f"chains {window.key}", plain, expected)
    for entry in found:
        chain = entry["universal_chain_id"]
        own = Counter({symbol: count for (at, symbol), count in tally.chain_assets.items() if at == chain})
        whole = tally.out[chain] + tally.into[chain]
        shown = [(asset["assetSymbol"], asset["percentage"]) for asset in entry["topAssets"]]
        first = ranked(own, len(shown))  # fewer than three where the frame would be too large
        verdict.equal(
            f"assets of a chain {window.key}", shown, [(s, share(count, whole)) for s, count in first]
        )


def _assets(found: Any, true: Recount, window: Window, comparable: bool, verdict: Verdict) -> None:
    tally, before = true.current[window.key], true.previous[window.key]
    shown = ranked(tally.assets, 10)
    verdict.equal(
        f"asset list {window.key}", [entry["assetSymbol"] for entry in found], [s for s, _ in shown]
    )
    for entry, (symbol, count) in zip(found, shown, strict=True):
        units, known = tally.units[symbol], tally.known[symbol]
        expected = {
            "transferCount": count,
            "totalVolume": units / UNITS,
            "averageAmount": units / (UNITS * known) if known else 0.0,
            "largestTransfer": tally.largest.get(symbol, 0) / UNITS,
            **_changed(
                comparable,
                volumeChange=(units, before.units[symbol]),
                countChange=(count, before.assets[symbol]),
            ),
        }
        verdict.equal(f"asset {window.key}", {name: entry.get(name) for name in expected}, expected)
        own = {pair[1:]: n for pair, n in tally.asset_routes.items() if pair[0] == symbol}
        routes = [((route["fromChain"], route["toChain"]), route["count"]) for route in entry["topRoutes"]]
        verdict.equal(f"asset routes {window.key}", routes, ranked(Counter(own), len(routes)))


# -------------------------------------------------------------------------------------- running


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
    maker = Maker(options.wallets, options.seed)
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
    options = parser.parse_args(argv)
    last = ""
    with tempfile.TemporaryDirectory() as folder:
        for last in play(options, Path(folder) / "statistics.db"):
            print(last, flush=True)
    return 0 if "wrong: 0" in last else 1


if __name__ == "__main__":
    sys.exit(main())
