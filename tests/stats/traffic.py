"""Enriched transfers for statistics tests and benches: single ones, and seeded believable traffic."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal

from unionws.model import Chain, EnrichedTransfer, Transfer

NOW = 1_760_000_000.0 + 1234.5
"""Neither a whole minute nor a whole hour."""


def transfer(
    time: float,
    *,
    source: str = "union.union-1",
    destination: str = "bob.60808",
    symbol: str | None = "U",
    name: str | None = None,
    amount: Decimal | None = None,
    sender: str | None = "0x" + "aa" * 20,
    receiver: str | None = "0x" + "bb" * 20,
    sender_display: str = "",
    key: str = "",
) -> EnrichedTransfer:
    """One transfer as enrichment gives it; ``time``: Unix seconds."""
    row = Transfer(
        key,
        Chain(source),
        Chain(destination),
        sender_canonical=sender,
        receiver_canonical=receiver,
        send_time=time,
        base_token_symbol=symbol,
        base_token_name=name,
    )
    return EnrichedTransfer(
        transfer=row,
        event_time=time,
        route_key=f"{source}->{destination}",
        source_name=f"Chain {source}",
        destination_name=f"Chain {destination}",
        testnet=False,
        sender_display=sender_display or (sender or "").upper(),
        receiver_display=(receiver or "").upper(),
        amount=amount,
        json=b"{}",
    )


def wallet(number: int) -> str:
    """The address of a wallet: every fourth one has 32 bytes."""
    size = 32 if number % 4 == 0 else 20
    return "0x" + random.Random(number).randbytes(size).hex()


class Traffic:
    """Seeded transfers over fixed chains, routes, assets and Zipf-like wallets.

    Args:
        wallets: how many there are to draw from.
        flat: every wallet is as busy as any other.
    """

    def __init__(
        self,
        *,
        seed: int = 1,
        chains: int = 8,
        routes: int = 14,
        assets: int = 9,
        wallets: int = 400,
        flat: bool = False,
    ) -> None:
        self._random = random.Random(seed)
        names = [f"family{number}.some-chain-{number}" for number in range(chains)]
        pairs = [(a, b) for a in names for b in names if a != b]
        self._routes = self._random.sample(pairs, routes)
        self._assets = [f"TOKEN{number}" for number in range(assets)]
        self._wallets = wallets
        self._flat = flat

    def at(self, time: float) -> EnrichedTransfer:
        """A transfer sent at ``time``."""
        draw = self._random
        source, destination = self._routes[self._skewed(len(self._routes))]
        symbol = self._assets[self._skewed(len(self._assets))]
        amount = None
        if draw.random() < 0.9:
            amount = Decimal(int(draw.lognormvariate(20, 3)) + 1).scaleb(-draw.choice((6, 8, 18)))
        return transfer(
            time,
            source=source,
            destination=destination,
            symbol=None if draw.random() < 0.05 else symbol,
            name=f"Token of {symbol}",
            amount=amount,
            sender=self._wallet(),
            receiver=self._wallet(),
        )

    def over(self, start: float, end: float, count: int) -> Iterator[EnrichedTransfer]:
        """``count`` transfers in order of time."""
        for time in sorted(self._random.uniform(start, end) for _ in range(count)):
            yield self.at(time)

    def _skewed(self, size: int) -> int:
        return int(size * self._random.random() ** 2.5)

    def _wallet(self) -> str:
        if self._flat:
            return "0x" + self._random.randbytes(20).hex()
        return wallet(self._skewed(self._wallets))
