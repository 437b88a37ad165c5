"""Whose address a connection counts for: that of its peer, or the one a trusted proxy names.

X-Forwarded-For and X-Real-IP are what anybody can write, so they are believed only when the peer
is one of TRUSTED_PROXIES, and then only up to the rightmost hop that is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

SITE_BITS = 64
"""One customer has at least this prefix of IPv6 (RFC 6177), so its addresses count as one."""

MAX_HOPS = 32
MAX_HEADER = 2_000


class Proxies:
    """The networks of TRUSTED_PROXIES.

    Raises:
        ValueError: one is no network.
    """

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = tuple(parse_network(text) for text in networks)
        self.limit_key = lru_cache(maxsize=65_536)(self._limit_key)

    def client(self, peer: str, via: tuple[str, str]) -> str:
        """The client's address: the peer's, unless a trusted peer names another.

        Args:
            via: the values of X-Forwarded-For and X-Real-IP, see :func:`forwarded`.
        """
        forwarded_for, real = via
        if not (forwarded_for or real) or not self._trusts(parse_address(peer)):
            return peer
        hops = forwarded_for.split(",")[-MAX_HOPS:] if forwarded_for else [real]
        return self._rightmost(hops) or peer

    def _rightmost(self, hops: list[str]) -> str:
        """The hop nearest to us that is no proxy of ours; the farthest one when all are."""
        found = ""
        for hop in reversed(hops):
            address = parse_address(hop)
            if address is None:
                return found  # "unknown" and the like: nobody is named beyond it
            found = str(address)
            if not self._trusts(address):
                return found
        return found

    def _trusts(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)

    def _limit_key(self, address: str) -> str:
        """What limits per address count by: IPv6 by its site; "" for a trusted proxy, which is no client.

        So a proxy that names no address is not limited as if it were one client.
        """
        parsed = parse_address(address)
        if parsed is None or self._trusts(parsed):
            return ""
        if parsed.version == 4:
            return str(parsed)
        return str(IPv6Network((parsed, SITE_BITS), strict=False))


def forwarded(headers: Mapping[str, str]) -> tuple[str, str]:
    """X-Forwarded-For and X-Real-IP of a request; headers by lower-case name."""
    return headers.get("x-forwarded-for", "")[-MAX_HEADER:], headers.get("x-real-ip", "")[:100]


@lru_cache(maxsize=4096)
def parse_address(text: str) -> Address | None:
    """An address as proxies write it, with or without port and brackets; None: it is none."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def parse_network(text: str) -> Network:
    """A network such as ``10.0.0.0/8``, or a single address.

    Raises:
        ValueError: it is neither.
    """
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is no address or network such as 10.0.0.0/8 or ::1") from None
