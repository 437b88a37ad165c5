"""Whose address counts: proxies we trust are believed, nobody else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unionws.connections.addresses import Proxies, forwarded, parse_address, parse_network

PROXIES = Proxies(["127.0.0.0/8", "::1", "10.0.0.0/8"])


@pytest.mark.parametrize(
    ("peer", "via", "client"),
    [
        ("9.9.9.9", ("", ""), "9.9.9.9"),
        ("9.9.9.9", ("1.2.3.4", "1.2.3.4"), "9.9.9.9"),
        ("127.0.0.1", ("1.2.3.4", ""), "1.2.3.4"),
        ("127.0.0.1", ("6.6.6.6, 1.2.3.4", ""), "1.2.3.4"),
        ("127.0.0.1", ("6.6.6.6, 1.2.3.4, 10.1.1.1", ""), "1.2.3.4"),
        ("127.0.0.1", ("10.2.2.2, 10.1.1.1", ""), "10.2.2.2"),
        ("127.0.0.1", ("6.6.6.6, unknown", ""), "127.0.0.1"),
        ("127.0.0.1", ("6.6.6.6, unknown, 10.1.1.1", ""), "10.1.1.1"),
        ("127.0.0.1", ("", "1.2.3.4"), "1.2.3.4"),
        ("127.0.0.1", ("5.6.7.8", "1.2.3.4"), "5.6.7.8"),
        ("127.0.0.1", ("1.2.3.4:5678", ""), "1.2.3.4"),
        ("::1", ("[2001:db8::7]:443", ""), "2001:db8::7"),
        ("127.0.0.1", ("::ffff:1.2.3.4", ""), "1.2.3.4"),
        ("127.0.0.1", ("", ""), "127.0.0.1"),
    ],
)
def test_the_rightmost_hop_that_is_no_proxy_of_ours_counts(
    peer: str, via: tuple[str, str], client: str
) -> None:
    """Only a trusted peer is believed, and only up to the first hop that is not trusted."""
    assert PROXIES.client(peer, via) == client


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("1.2.3.4", "1.2.3.4"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("127.0.0.1", ""),
        ("10.0.0.9", ""),
        ("nonsense", ""),
    ],
)
def test_ipv6_counts_by_site_and_trusted_proxies_not_at_all(address: str, key: str) -> None:
    """A customer cannot go round a limit with the addresses of one /64; a silent proxy is no client."""
    assert PROXIES.limit_key(address) == key


def test_without_trusted_proxies_nothing_is_believed() -> None:
    """An empty list trusts nobody, loopback included."""
    nobody = Proxies([])
    assert nobody.client("127.0.0.1", ("1.2.3.4", "")) == "127.0.0.1"
    assert nobody.limit_key("127.0.0.1") == "127.0.0.1"


@given(st.text(max_size=300), st.text(max_size=50))
def test_any_header_is_survived(forwarded_for: str, real: str) -> None:
    """What a client writes into the headers never raises, and gives an address or the proxy's own."""
    client = PROXIES.client("127.0.0.1", (forwarded_for, real))
    assert parse_address(client) is not None


def test_a_long_header_is_read_from_its_end() -> None:
    """What the nearest proxies wrote is at the end, whatever was put before it."""
    via = forwarded({"x-forwarded-for": "1.1.1.1, " * 500 + "1.2.3.4"})
    assert PROXIES.client("127.0.0.1", via) == "1.2.3.4"


def test_a_wrong_network_is_named() -> None:
    """The error shows what was given and what is meant."""
    with pytest.raises(ValueError, match=r"'10.0.0/8'.*10\.0\.0\.0/8"):
        parse_network("10.0.0/8")
