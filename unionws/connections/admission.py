"""Who may come in: open clients in all, per address and per key, and handshakes per address.

What one edge holds is counted exactly. What the others hold is known from the ``edges`` view of
ingest's once-a-second state: an edge may take what it had then and its share of what was free, so
all together never exceed MAX_CLIENTS by more than arrives within about a second. An address spread
over many edges is noticed once it has a good share of its limit on one of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from unionws.clock import Clock
from unionws.connections.client import Client
from unionws.connections.handshake import Refuse
from unionws.model import JSON

HANDSHAKE_WINDOW = 10.0
"""Seconds over which handshakes of an address are counted."""

STATE_HOLDS = 10.0
"""Seconds for which what the other edges hold is believed."""

ABUSE = 100
"""Handshakes that a connection counts for which had to be ended for what it sent."""

MOST_REPORTED = 200
"""Addresses and keys an edge reports, those with most clients first."""

MOST_KNOCKING = 100_000
"""Addresses counted per window; beyond that counting begins anew, so memory stays bounded."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of clients; 0: no limit.

    Attributes:
        room: what this process's descriptors allow; always counts.
        handshakes: per address within HANDSHAKE_WINDOW, over all edges.
    """

    clients: int = 0
    per_address: int = 0
    per_key: int = 0
    handshakes: int = 0
    room: int = 1 << 40


class Admission:
    """Counts the clients of one edge.

    Args:
        name: this edge in the ``edges`` view.
        edges: how many edges share the limits.
    """

    def __init__(self, bounds: Bounds, clock: Clock, name: str = "e0", edges: int = 1) -> None:
        self.bounds = bounds
        self._clock = clock
        self._name = name
        self.edges = max(1, edges)
        self._open = 0
        self._addresses: Counter[str] = Counter()
        self._keys: Counter[str] = Counter()
        self._key_of: dict[Client, str] = {}
        self._knocks: Counter[str] = Counter()
        self._window_ends = 0.0
        self._learnt_at = float("-inf")
        self._allowed = 0
        self._elsewhere: dict[str, Counter[str]] = {"addresses": Counter(), "keys": Counter()}

    # -- deciding -------------------------------------------------------------------------------

    def refuse(self, address: str, key: str) -> Refuse | None:
        """Why a client may not come in, or None.

        Args:
            address: what limits count by; "" is not limited.
            key: whose credentials it showed; "" for none.
        """
        return self._knock(address) or self._full() or self._too_many(address, key)

    def _knock(self, address: str) -> Refuse | None:
        limit = -(-self.bounds.handshakes // self.edges)
        if not limit or not address:
            return None
        now = self._clock.monotonic()
        if self._count(address, 1, now) <= limit:
            return None
        wait = max(1, round(self._window_ends - now))
        message = f"too many connections were opened from your address just now: wait {wait} s"
        return Refuse(429, "handshake_rate", message, (("Retry-After", str(wait)),))

    def _count(self, address: str, weight: int, now: float) -> int:
        if now >= self._window_ends or len(self._knocks) > MOST_KNOCKING:
            self._knocks.clear()
            self._window_ends = now + HANDSHAKE_WINDOW
        self._knocks[address] += weight
        return self._knocks[address]

    def blame(self, address: str) -> None:
        """A client of an address was closed for what it sent: it may not come again as often."""
        if address and self.bounds.handshakes:
            self._count(address, ABUSE, self._clock.monotonic())

    def _full(self) -> Refuse | None:
        if self._open < self.allowed():
            return None
        return Refuse(
            503, "over_capacity", "no more connections are taken here just now", (("Retry-After", "5"),)
        )

    def allowed(self) -> int:
        """Clients this edge may hold at present."""
        if not self.bounds.clients:
            return self.bounds.room
        if self.edges == 1:
            return min(self.bounds.clients, self.bounds.room)
        if self._clock.monotonic() - self._learnt_at > STATE_HOLDS:
            return min(-(-self.bounds.clients // self.edges), self.bounds.room)
        return min(self._allowed, self.bounds.room)

    def _too_many(self, address: str, key: str) -> Refuse | None:
        here, there, bounds = self._addresses, self._elsewhere["addresses"], self.bounds
        if address and bounds.per_address and here[address] + there[address] >= bounds.per_address:
            message = f"your address has {bounds.per_address} connections open, which is the limit"
            return Refuse(429, "too_many_from_address", message, (("Retry-After", "10"),))
        if key and bounds.per_key and self._keys[key] + self._elsewhere["keys"][key] >= bounds.per_key:
            message = f"your key has {bounds.per_key} connections open, which is the limit"
            return Refuse(429, "too_many_for_key", message, (("Retry-After", "10"),))
        return None

    # -- counting -------------------------------------------------------------------------------

    def enter(self, client: Client, address: str, key: str) -> None:
        """A client came in."""
        self._open += 1
        if address:
            self._addresses[address] += 1
        if key:
            self._keys[key] += 1
            self._key_of[client] = key

    def leave(self, client: Client, address: str) -> None:
        """A client is gone."""
        self._open -= 1
        _less(self._addresses, address)
        _less(self._keys, self._key_of.pop(client, ""))

    def recount(self, addresses: Iterable[str]) -> None:
        """What limits count by has changed: the addresses of all that are inside, anew."""
        self._addresses = Counter(address for address in addresses if address)

    @property
    def keys(self) -> Mapping[Client, str]:
        """Whose credentials each client showed; only those that showed any."""
        return self._key_of

    # -- the other edges ------------------------------------------------------------------------

    def report(self) -> dict[str, JSON]:
        """What the other edges have to know of this one; nothing when it is alone."""
        if self.edges == 1:
            return {}
        return {
            "addresses": self._most(self._addresses, self.bounds.per_address),
            "keys": self._most(self._keys, self.bounds.per_key),
        }

    def _most(self, counts: Counter[str], limit: int) -> dict[str, int]:
        least = max(1, limit // (2 * self.edges))
        noted = {name: count for name, count in counts.items() if count >= least} if limit else {}
        return dict(Counter(noted).most_common(MOST_REPORTED))

    def learn(self, edges: Mapping[str, Mapping[str, JSON]]) -> None:
        """Take the newest ``edges`` view."""
        own = edges.get(self._name)
        if own is None:
            return
        others = [edge for name, edge in edges.items() if name != self._name]
        total = own["clients"] + sum(edge["clients"] for edge in others)
        self._allowed = own["clients"] + max(0, self.bounds.clients - total) // self.edges
        self._learnt_at = self._clock.monotonic()
        for kind in self._elsewhere:
            summed: Counter[str] = Counter()
            for edge in others:
                summed.update(edge.get(kind) or {})
            self._elsewhere[kind] = summed


def _less(counts: Counter[str], name: str) -> None:
    """One less; what is at nothing is forgotten."""
    if counts[name] > 1:
        counts[name] -= 1
    else:
        counts.pop(name, None)
