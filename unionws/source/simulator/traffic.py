"""Transfers as a pure function of the seed: nothing is stored, any moment can be asked for.

Time is cut into blocks of ``span`` whole seconds, chosen so that a block has about a hundred
transfers. A block's own generator, seeded from (seed, block number), draws how many packets it has
(Poisson around the rate with its day rhythm, and now and then a burst within one second) and what
they are. Only the blocks used last are kept.
"""

from __future__ import annotations

import math
import time
from bisect import bisect
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import NamedTuple

from unionws.source.simulator.identifiers import Identifiers
from unionws.source.simulator.offers import Offer, offers_by_route
from unionws.source.simulator.world import LATENCY_SIGMA, Route, load_world

ROWS_PER_BLOCK = 100
CACHED_ROWS = 8_000
LONGEST_BLOCK = 600
LONGEST_DELAY = 12.0
"""No row becomes visible later than this many seconds after it was sent."""
STRAGGLERS = 0.02
"""Fraction of rows indexed a little behind the others of their second, even without faults."""

_DAY = 86_400
_PEAK_HOUR = 15
_SWING = 0.5
_BATCHES = 0.04
_OWN_WALLET = 0.75


@dataclass(frozen=True, slots=True)
class Bursts:
    """Seconds with many transfers at once.

    Attributes:
        low, high: packets in a burst, both included.
        every: mean seconds from one burst to the next; 0: none.
    """

    low: int = 30
    high: int = 300
    every: float = 900.0

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high or self.every < 0:
            raise ValueError(f"bursts of {self.low} to {self.high} every {self.every} s are not possible")


class Row(NamedTuple):
    """One transfer as drawn; what the API shows of it is worked out when it is asked for.

    Attributes:
        transfer_index: 0, or 1 for the second transfer of a batch.
        second, micros: when it was sent (Unix seconds, microseconds).
        sender, receiver: ranks of the people.
        amount, fee: base units; the receiver gets ``amount - fee``.
        recv_after, ack_after: seconds from sending to receipt, from receipt to acknowledgement.
        outcome: ``received``, ``failed`` (received, not executed) or ``timeout``.
        delay: seconds from the end of its second until the indexer shows it. All rows of a second
            appear together, as blocks are indexed, but for stragglers.
        late_draw, late_delay: decides whether it is late, and by how many seconds.
        style: 0 to 99, decides the details of its form.
    """

    sort_order: str
    packet: int
    packet_hash: str
    transfer_index: int
    batch: bool
    second: int
    micros: int
    route: Route
    sender: int
    receiver: int
    offer: Offer
    amount: int
    fee: int
    recv_after: float
    ack_after: float
    outcome: str
    delay: float
    late_draw: float
    late_delay: float
    style: int

    @property
    def sent(self) -> float:
        """Unix seconds it was sent at."""
        return self.second + self.micros / 1e6

    def visible_at(self, late: float) -> float:
        """Unix seconds from which the indexer shows it, when the fraction ``late`` of rows is late."""
        late_by = self.late_delay if self.late_draw < late else 0.0
        return self.second + 1 + self.delay + late_by


class Traffic:
    """The transfers of one seed.

    Args:
        rate: mean packets a second, bursts not counted.
        people: how many people own wallets; the k-th is met about 1/k as often as the first.
    """

    def __init__(self, *, rate: float, seed: int, bursts: Bursts, people: int) -> None:
        if rate < 0 or people < 1:
            raise ValueError(f"rate {rate} and people {people}: give a rate of 0 or more, 1 person or more")
        self.span = max(1, min(LONGEST_BLOCK, int(ROWS_PER_BLOCK / rate) if rate else LONGEST_BLOCK))
        self.ids = Identifiers(seed)
        self._seed, self._rate, self._bursts = seed, rate, bursts
        self._log_people = math.log(people)
        self._routes = load_world().routes
        self._route_weights = tuple(accumulate(route.weight for route in self._routes))
        self._offers = offers_by_route(load_world())
        self._cache: OrderedDict[int, tuple[Row, ...]] = OrderedDict()
        self._cached_rows = 0

    def block(self, number: int) -> tuple[Row, ...]:
        """The rows sent in [number * span, (number + 1) * span), by ``sort_order``."""
        rows = self._cache.get(number)
        if rows is None:
            rows = tuple(sorted(self._draw(number)))
            self._keep(number, rows)
        self._cache.move_to_end(number)
        return rows

    def packet(self, packet: int) -> tuple[Row, ...]:
        """The rows of one packet; none when there is no such packet."""
        return tuple(row for row in self.block((packet >> 24) // self.span) if row.packet == packet)

    def _keep(self, number: int, rows: tuple[Row, ...]) -> None:
        self._cache[number] = rows
        self._cached_rows += len(rows)
        while self._cached_rows > CACHED_ROWS and len(self._cache) > 4:
            self._cached_rows -= len(self._cache.popitem(last=False)[1])

    def _draw(self, number: int) -> Iterator[Row]:
        random = Random(f"{self._seed}/{number}")
        start = number * self.span
        stamps = [stamp(start + offset) for offset in range(self.span)]
        for place, offset in enumerate(self._offsets(random, start)):
            yield from self._packet(random, start + offset, stamps[offset], place)

    def _offsets(self, random: Random, start: int) -> Iterator[int]:
        """The second, within the block, of each packet."""
        mean = self._rate * self.span * rhythm(start + self.span / 2)
        for _ in range(poisson(random, mean)):
            yield int(random.random() * self.span)
        if not self._bursts.every:
            return
        for _ in range(poisson(random, self.span / self._bursts.every)):
            offset = int(random.random() * self.span)
            yield from [offset] * random.randint(self._bursts.low, self._bursts.high)

    def _packet(self, random: Random, second: int, text: str, place: int) -> Iterator[Row]:
        draw = random.random
        route = self._routes[bisect(self._route_weights, draw() * self._route_weights[-1])]
        sender = self._person(draw())
        other = self._person(draw())
        receiver = sender if draw() < _OWN_WALLET else other
        packet = second << 24 | place
        packet_hash = self.ids.packet_hash(packet)
        prefix = f"{text}-{packet_hash}-{route.source.universal_chain_id}"
        times = (latency(random, route.latency), latency(random, route.back))
        outcome = _outcome(draw())
        straggles = 1.5 * draw() if draw() < STRAGGLERS else 0.0
        shown = (_indexing_delay(second) + straggles, draw(), 2.0 + 6.0 * draw())
        micros, batch = int(draw() * 1e6), draw() < _BATCHES
        for index in range(1 + batch):
            head = (f"{prefix}-{index:03d}", packet, packet_hash, index, batch, second, micros)
            money = self._money(random, route)
            yield Row(*head, route, sender, receiver, *money, *times, outcome, *shown, int(draw() * 100))

    def _money(self, random: Random, route: Route) -> tuple[Offer, int, int]:
        """What is sent: the offer, the amount and the fee, in base units."""
        offers = self._offers[route.number]
        offer = offers.offers[bisect(offers.weights, random.random() * offers.weights[-1])]
        shown = offer.size * math.exp(1.6 * random.gauss(0.0, 1.0))
        amount = max(1, int(shown * offer.scale))
        if random.random() < 0.4:
            amount = _rounded(amount)
        fee = amount // 1000 if random.random() < 0.3 else 0
        return offer, amount, fee

    def _person(self, draw: float) -> int:
        """A rank from 1 to ``people``, log-uniform: Zipf's law with exponent 1."""
        return int(math.exp(draw * self._log_people))


def stamp(second: int) -> str:
    """The text a ``sort_order`` begins with: YYYYMMDDHHMMSS, UTC."""
    return time.strftime("%Y%m%d%H%M%S", time.gmtime(second))


def rhythm(now: float) -> float:
    """How busy the hour is: 1 on average, most in the afternoon (UTC), least at night."""
    turn = (now / _DAY) % 1.0 - _PEAK_HOUR / 24
    return 1.0 + _SWING * math.cos(2 * math.pi * turn)


def poisson(random: Random, mean: float) -> int:
    """A Poisson draw; from 30 upwards by its normal approximation."""
    if mean >= 30:
        return max(0, round(random.gauss(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), random.random(), 0
    while product > limit:
        product *= random.random()
        count += 1
    return count


def latency(random: Random, median: float) -> float:
    """A log-normal draw around ``median``, cut at three sigma."""
    return median * math.exp(LATENCY_SIGMA * max(-3.0, min(3.0, random.gauss(0.0, 1.0))))


def _indexing_delay(second: int) -> float:
    """0.2 to 0.9 s, the same for all rows of a second, so that seconds appear in order."""
    return 0.2 + 0.7 * (second * 0.6180339887 % 1.0)


def _outcome(draw: float) -> str:
    return "received" if draw < 0.985 else "failed" if draw < 0.995 else "timeout"


def _rounded(amount: int) -> int:
    """The amount with two leading digits, as people type it."""
    unit: int = 10 ** max(0, len(str(amount)) - 2)
    return max(1, amount // unit * unit)
