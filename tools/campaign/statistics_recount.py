"""Statistics counted again by brute force, and compared with what the service says.

A recount reads every transfer once per window; nothing of how the service counts is used, but for
the edges of its windows and how it rounds a change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from unionws.stats.figures import change, rfc3339, share
from unionws.stats.rates import FIELDS
from unionws.stats.sketches import RELATIVE_ERROR
from unionws.stats.wallets import SUFFIXES, Wallets
from unionws.stats.windows import SCALES, WINDOWS, Window

EXACT_UP_TO = 300
"""Distinct wallets up to which their number is exact."""

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
    worst_short: float = 0.0
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

    def within(self, what: str, found: float, exact: float, short: float) -> None:
        """A figure that may be too low by ``short``; equal where that is nothing."""
        if not short:
            self.equal(what, found, exact)
            return
        self.estimates += 1
        self.worst_short = max(self.worst_short, (exact - found) / short)
        if not -1e-9 * exact <= exact - found <= short * (1 + 1e-9):
            self.wrong.append(f"{what}: {found} instead of {exact}, where {short} may be missing")

    def ordered(self, what: str, found: Sequence[Any], exact: Counter[Any], short: int) -> None:
        """The keys of a list, each no worse than the one that belongs there by more than ``short``."""
        expected = ranked(exact, len(found))
        if not short:
            self.equal(what, found, [key for key, _ in expected])
        elif any(best > exact[key] + short for key, (_, best) in zip(found, expected, strict=True)):
            self.wrong.append(f"{what}: {found} where {expected} is true")

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
            scene = Scene(true, window, comparable, data["coverage"]["tooLowBy"].get(window.key, {}), verdict)
            routes, chains = (
                data["popularRoutesTimeScale"][window.key],
                data["chainFlowData"]["chainFlowTimeScale"][window.key],
            )
            if scene.short("routes") or scene.short("routesBefore"):
                _short_routes(routes, chains, scene)
            else:
                _routes(routes, true, window, comparable, verdict)
                _flow(chains, true, window, comparable, verdict)
            for chain in data["chainFlowData"]["chainFlowTimeScale"][window.key]:
                _chain_assets(chain, scene)
            _assets(data["assetVolumeData"]["assetVolumeTimeScale"][window.key], scene)
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


@dataclass(frozen=True, slots=True)
class Scene:
    """A window, and what its figures may lack by what the snapshot itself says."""

    true: Recount
    window: Window
    comparable: bool
    losses: Any
    verdict: Verdict

    @property
    def tally(self) -> Tally:
        return self.true.current[self.window.key]

    def short(self, kind: str, figure: str = "count") -> Any:
        return self.losses.get(kind, {}).get(figure, 0)


def _short_routes(routes: Any, chains: Any, scene: Scene) -> None:
    """Where even routes were too many to be kept whole."""
    tally, verdict, key = scene.tally, scene.verdict, scene.window.key
    names = [(entry["fromChain"], entry["toChain"]) for entry in routes]
    verdict.ordered(f"routes {key}", names, tally.routes, scene.short("routes"))
    for entry, ends in zip(routes, names, strict=True):
        verdict.within(f"routes {key}", entry["count"], tally.routes[ends], scene.short("routes"))
    both, ids = tally.out + tally.into, [entry["universal_chain_id"] for entry in chains]
    verdict.ordered(f"chains {key}", ids, both, scene.short("chains"))
    for entry, chain in zip(chains, ids, strict=True):
        found = entry["outgoingCount"] + entry["incomingCount"]
        verdict.within(f"chains {key}", found, both[chain], scene.short("chains"))


def _chain_assets(entry: Any, scene: Scene) -> None:
    tally, verdict = scene.tally, scene.verdict
    chain, what = entry["universal_chain_id"], f"assets of a chain {scene.window.key}"
    own = Counter({symbol: count for (at, symbol), count in tally.chain_assets.items() if at == chain})
    whole = entry["outgoingCount"] + entry["incomingCount"]
    shown = entry["topAssets"]  # fewer than three where the frame would be too large
    verdict.ordered(what, [asset["assetSymbol"] for asset in shown], own, scene.short("chainAssets"))
    for asset in shown:
        found = asset["outgoingCount"] + asset["incomingCount"]
        verdict.within(what, found, own[asset["assetSymbol"]], scene.short("chainAssets"))
        verdict.equal(f"{what}, percentage", asset["percentage"], share(found, whole))


def _assets(found: Any, scene: Scene) -> None:
    tally, verdict, key = scene.tally, scene.verdict, scene.window.key
    names = [entry["assetSymbol"] for entry in found]
    verdict.ordered(f"asset list {key}", names, tally.assets, scene.short("assets"))
    for entry in found:
        _asset(entry, scene)
        _asset_routes(entry, scene)


def _asset(entry: Any, scene: Scene) -> None:
    tally, verdict, what = scene.tally, scene.verdict, f"asset {scene.window.key}"
    symbol = entry["assetSymbol"]
    count, units, known = tally.assets[symbol], tally.units[symbol], tally.known[symbol]
    lost, volume = scene.short("assets"), scene.short("assets", "volume")
    verdict.within(f"{what} count", entry["transferCount"], count, lost)
    verdict.within(f"{what} volume", entry["totalVolume"], units / UNITS, volume)
    if not lost:
        verdict.equal(f"{what} average", entry["averageAmount"], units / (UNITS * known) if known else 0.0)
    largest, most = tally.largest.get(symbol, 0) / UNITS, scene.short("largestTransfers", "volume")
    verdict.within(f"{what} largest", entry["largestTransfer"], largest, most)
    if not lost and not scene.short("assetsBefore"):
        before = scene.true.previous[scene.window.key]
        expected = _changed(
            scene.comparable,
            volumeChange=(units, before.units[symbol]),
            countChange=(count, before.assets[symbol]),
        )
        verdict.equal(f"{what} changes", {n: entry[n] for n in expected}, expected)
        verdict.equal(f"{what} has changes", "countChange" in entry, scene.comparable)


def _asset_routes(entry: Any, scene: Scene) -> None:
    tally, verdict, what = scene.tally, scene.verdict, f"asset routes {scene.window.key}"
    symbol = entry["assetSymbol"]
    own = Counter({pair[1:]: n for pair, n in tally.asset_routes.items() if pair[0] == symbol})
    routes = [(route["fromChain"], route["toChain"]) for route in entry["topRoutes"]]
    verdict.ordered(what, routes, own, scene.short("assetRoutes"))
    for route, ends in zip(entry["topRoutes"], routes, strict=True):
        verdict.within(what, route["count"], own[ends], scene.short("assetRoutes"))
