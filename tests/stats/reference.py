"""chartData by brute force: every figure counted again from all transfers, in plain Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timezone
from fractions import Fraction
from typing import Any

from unionws.model import EnrichedTransfer

STEP = {"30s": 1, "1m": 1, "5m": 1, "1h": 60, "1d": 60, "7d": 3600, "14d": 3600, "30d": 3600}
LENGTH = {
    "30s": 30,
    "1m": 60,
    "5m": 300,
    "1h": 3600,
    "1d": 86_400,
    "7d": 604_800,
    "14d": 1_209_600,
    "30d": 2_592_000,
}
SCALES = ("1m", "5m", "1h", "1d", "7d", "14d", "30d")


def percent(current: Any, previous: Any) -> float:
    if not previous:
        return 0.0 if not current else 100.0 if current > 0 else -100.0
    return round(float((Fraction(current) - Fraction(previous)) / abs(Fraction(previous)) * 100), 2)


def share(part: int, whole: int) -> float:
    return round(100 * part / whole, 2)


def ranked(counts: Counter[Any], size: int) -> list[tuple[Any, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:size]


def clock(items: Iterable[tuple[float, EnrichedTransfer]]) -> str:
    newest = max(time for time, _ in items)
    return datetime.fromtimestamp(int(newest), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def wallets_of(items: Iterable[tuple[float, EnrichedTransfer]], role: str) -> list[str]:
    return [getattr(item.transfer, f"{role}_canonical") for _, item in items]


class Reference:
    """Remembers everything it is shown, and counts it when asked.

    Args:
        since: Unix seconds from which all transfers were seen.
        short: SHORT_WINDOW.
    """

    def __init__(self, since: float, short: str = "1m") -> None:
        self.since = since
        self.short = short
        self.items: list[tuple[float, EnrichedTransfer]] = []
        self.total = 0

    def observe(self, batch: Sequence[EnrichedTransfer], now: float) -> None:
        for item in batch:
            self.total += 1
            time = now if now < item.event_time <= now + 60 else item.event_time
            if now - 61 * 86_400 <= time <= now + 7200:
                self.items.append((time, item))

    def window(self, key: str, now: float, *, before: bool = False) -> list[tuple[float, EnrichedTransfer]]:
        step, length = STEP[key], LENGTH[key]
        start = (now - length) // step * step
        if before:
            return [entry for entry in self.items if start - length <= entry[0] < start]
        return [entry for entry in self.items if entry[0] >= start and entry[0] // step <= now // step]

    def comparable(self, key: str, now: float) -> bool:
        return self.since <= (now - LENGTH[key]) // STEP[key] * STEP[key] - LENGTH[key]

    def scaled(self, make: Callable[[str, float], list[Any]], now: float) -> dict[str, list[Any]]:
        return {key: make(key, now) for key in SCALES}

    def count(self, key: str, now: float, *, before: bool = False) -> int:
        return len(self.window(key, now, before=before))

    def distinct(self, roles: Sequence[str], key: str, now: float, *, before: bool = False) -> int:
        items = self.window(key, now, before=before)
        return len({wallet for role in roles for wallet in wallets_of(items, role)})

    def wallets(self, role: str) -> Callable[[str, float], list[Any]]:
        def make(key: str, now: float) -> list[Any]:
            items = self.window(key, now)
            counts = Counter(wallets_of(items, role))
            return [
                {
                    "count": count,
                    "address": wallet,
                    "displayAddress": wallet.upper(),
                    "lastActivity": clock(
                        entry
                        for entry in self.items
                        if getattr(entry[1].transfer, f"{role}_canonical") == wallet
                    ),
                }
                for wallet, count in ranked(counts, 10)
            ]

        return make

    def routes(self, key: str, now: float) -> list[Any]:
        items, before = self.window(key, now), self.window(key, now, before=True)
        earlier = Counter(item.route_key for _, item in before)
        names = {i.route_key: (i.source_name, i.destination_name) for _, i in items}
        chains = {
            i.route_key: tuple(
                c.universal_chain_id for c in (i.transfer.source_chain, i.transfer.destination_chain)
            )
            for _, i in items
        }
        ranks = sorted(Counter(item.route_key for _, item in items).items())
        ranks.sort(key=lambda rank: (-rank[1], chains[rank[0]]))
        found = []
        for route, count in ranks[:10]:
            entry: dict[str, Any] = dict(zip(("fromChain", "toChain"), chains[route], strict=True))
            entry |= {"count": count}
            entry |= {"fromName": names[route][0], "toName": names[route][1], "route": route}
            if self.comparable(key, now):
                entry["countChange"] = percent(count, earlier[route])
            entry["lastActivity"] = clock(e for e in self.items if e[1].route_key == route)
            found.append(entry)
        return found

    def flows(self, key: str, now: float) -> list[Any]:
        items, before = self.window(key, now), self.window(key, now, before=True)
        out = Counter(i.transfer.source_chain.universal_chain_id for _, i in items)
        into = Counter(i.transfer.destination_chain.universal_chain_id for _, i in items)
        out_then = Counter(i.transfer.source_chain.universal_chain_id for _, i in before)
        into_then = Counter(i.transfer.destination_chain.universal_chain_id for _, i in before)
        found = []
        for chain, _ in ranked(out + into, 10):
            entry: dict[str, Any] = {"universal_chain_id": chain, "chainName": f"Chain {chain}"}
            entry |= {"outgoingCount": out[chain], "incomingCount": into[chain]}
            entry |= {"netFlow": into[chain] - out[chain]}
            entry["lastActivity"] = clock(e for e in self.items if chain in e[1].route_key.split("->"))
            if self.comparable(key, now):
                net_then = into_then[chain] - out_then[chain]
                entry["outgoingChange"] = percent(out[chain], out_then[chain])
                entry["incomingChange"] = percent(into[chain], into_then[chain])
                entry["netFlowChange"] = percent(into[chain] - out[chain], net_then)
            entry["topAssets"] = self.chain_assets(chain, items, out[chain] + into[chain])
            found.append(entry)
        return found

    def chain_assets(self, chain: str, items: list[tuple[float, EnrichedTransfer]], whole: int) -> list[Any]:
        sides: list[tuple[str, EnrichedTransfer]] = []
        for _, item in items:
            source, destination = item.route_key.split("->")
            sides += [("out", item)] * (source == chain) + [("in", item)] * (destination == chain)
        counts = Counter(i.transfer.base_token_symbol for _, i in sides if i.transfer.base_token_symbol)
        found = []
        for symbol, count in ranked(counts, 3):
            of_it = [(side, item) for side, item in sides if item.transfer.base_token_symbol == symbol]
            sent = sum(side == "out" for side, _ in of_it)
            amounts = [Fraction(item.amount) for _, item in of_it if item.amount is not None]
            entry: dict[str, Any] = {"assetSymbol": symbol, "assetName": f"Token of {symbol}"}
            entry |= {"outgoingCount": sent, "incomingCount": count - sent, "netFlow": count - 2 * sent}
            entry |= {"totalVolume": float(sum(amounts))}
            entry |= {"averageAmount": float(sum(amounts) / len(amounts)) if amounts else 0.0}
            entry |= {"percentage": share(count, whole)}
            entry["lastActivity"] = clock(
                e
                for e in self.items
                if e[1].transfer.base_token_symbol == symbol and chain in e[1].route_key.split("->")
            )
            found.append(entry)
        return found

    def assets(self, key: str, now: float) -> list[Any]:
        def of(symbol: str, items: list[tuple[float, EnrichedTransfer]]) -> list[EnrichedTransfer]:
            return [item for _, item in items if item.transfer.base_token_symbol == symbol]

        items, before = self.window(key, now), self.window(key, now, before=True)
        counts = Counter(i.transfer.base_token_symbol for _, i in items if i.transfer.base_token_symbol)
        found = []
        for symbol, count in ranked(counts, 10):
            amounts = [Fraction(item.amount) for item in of(symbol, items) if item.amount is not None]
            then = [Fraction(item.amount) for item in of(symbol, before) if item.amount is not None]
            entry: dict[str, Any] = {"assetSymbol": symbol, "assetName": f"Token of {symbol}"}
            entry |= {"transferCount": count, "totalVolume": float(sum(amounts))}
            entry |= {"averageAmount": float(sum(amounts) / len(amounts)) if amounts else 0.0}
            entry |= {"largestTransfer": float(max(amounts, default=0))}
            entry["lastActivity"] = clock(e for e in self.items if e[1].transfer.base_token_symbol == symbol)
            if self.comparable(key, now):
                entry["volumeChange"] = percent(sum(amounts), sum(then))
                entry["countChange"] = percent(count, len(of(symbol, before)))
            entry["topRoutes"] = self.asset_routes(symbol, of(symbol, items))
            found.append(entry)
        return found

    def asset_routes(self, symbol: str, items: list[EnrichedTransfer]) -> list[Any]:
        counts = Counter(tuple(item.route_key.split("->")) for item in items)
        found = []
        for (source, destination), count in ranked(counts, 5):
            route = f"{source}->{destination}"
            amounts = [Fraction(i.amount) for i in items if i.route_key == route and i.amount is not None]
            entry: dict[str, Any] = {"fromChain": source, "toChain": destination}
            entry |= {"fromName": f"Chain {source}", "toName": f"Chain {destination}", "route": route}
            entry |= {"count": count, "volume": float(sum(amounts)), "percentage": share(count, len(items))}
            entry["lastActivity"] = clock(
                e for e in self.items if e[1].transfer.base_token_symbol == symbol and e[1].route_key == route
            )
            found.append(entry)
        return found

    def lists(self, now: float) -> dict[str, Any]:
        """Every list of chartData, un-scaled and by time scale, under its key."""
        senders, receivers = self.wallets("sender"), self.wallets("receiver")
        now_items = self.window(self.short, now)
        named = [item for _, item in now_items if item.transfer.base_token_symbol]
        amounts = [Fraction(item.amount) for item in named if item.amount is not None]
        return {
            "popularRoutes": self.routes(self.short, now),
            "popularRoutesTimeScale": self.scaled(self.routes, now),
            "activeSenders": senders(self.short, now),
            "activeSendersTimeScale": self.scaled(senders, now),
            "activeReceivers": receivers(self.short, now),
            "activeReceiversTimeScale": self.scaled(receivers, now),
            "chainFlowData": {
                "chains": self.flows(self.short, now),
                "chainFlowTimeScale": self.scaled(self.flows, now),
                "totalOutgoing": len(now_items),
                "totalIncoming": len(now_items),
            },
            "assetVolumeData": {
                "assets": self.assets(self.short, now),
                "assetVolumeTimeScale": self.scaled(self.assets, now),
                "totalAssets": len({item.transfer.base_token_symbol for item in named}),
                "totalVolume": float(sum(amounts)),
                "totalTransfers": len(named),
            },
        }
